"""Edit lists: frames are counted as players show them, decoded from those that are hidden, and the sound stays in step."""
from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.errors import BadClip, BadFrame
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from footage import counter_of, counter_rgb, decoded
from phone_footage import clicks, trimmed, write
from rendering import ENDINGS, render

COUNT = 60
# Seconds: within a group of pictures; to its second one; with an end, within the last group.
CUTS = {"a few": (0.3, None), "a whole group": (1.1, None), "at a key frame": (0.8, None), "both ends": (0.5, 1.5), "the end": (0.0, 1.25)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"g": "24", "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    return write(path, [20 * k for k in range(COUNT)], counter_rgb, (96, 64), options=options, sound=True)


@pytest.fixture(params=CUTS)
def clip(request: pytest.FixtureRequest, tmp_path: Path, whole: Path) -> Path:
    return trimmed(tmp_path / "trimmed.mp4", whole, *CUTS[request.param])


def test_frames_are_those_that_players_show(clip: Path) -> None:
    plain = [counter_of(rgb) for rgb in decoded(clip)]
    assert 0 < len(plain) < COUNT
    with open_source(ClipSpec(clip)) as source:
        assert (source.info.count, source.info.rate, source.info.time_base) == (len(plain), 30, None)
        assert [counter_of(picture.rgb) for picture in source.read(0, len(plain) - 1)] == plain


def test_frames_are_those_of_plain_decoding_in_any_order(clip: Path) -> None:
    plain = [frame.to_ndarray(format="gray") for frame in av.open(str(clip)).decode(video=0)]
    order = random.Random(4).choices(range(len(plain)), k=25) + [0, len(plain) - 1, 0]
    with open_source(ClipSpec(clip, indices=tuple(order))) as source:
        for number, picture in zip(order, source.read(0, len(order) - 1), strict=True):
            np.testing.assert_array_equal(picture.frame.to_ndarray(format="gray"), plain[number], err_msg=f"frame {number}")


def test_a_cold_start_anywhere(clip: Path) -> None:
    plain = [counter_of(rgb) for rgb in decoded(clip)]
    for number in (0, 1, 2, len(plain) // 2, len(plain) - 1):
        with open_source(ClipSpec(clip, number)) as source:
            assert counter_of(next(source.read(0, 0)).rgb) == plain[number]


@pytest.mark.parametrize("format", ["ffv1", "h264", "prores"])
def test_the_sound_stays_in_step(clip: Path, tmp_path: Path, format: str) -> None:
    """Every tenth picture comes with a click."""
    result, notes = render(clip, tmp_path / ENDINGS[format], format)
    assert notes == []
    numbers = [counter_of(rgb) for rgb in decoded(result.path)]
    assert numbers == [counter_of(rgb) for rgb in decoded(clip)]
    expected = [k / 30 for k, number in enumerate(numbers) if number % 10 == 0 and number]
    heard = [time for time in clicks(result.path) if time < len(numbers) / 30 - 0.03]
    expected = [time for time in expected if 0.03 < time < len(numbers) / 30 - 0.03]
    np.testing.assert_allclose([time for time in heard if time > 0.02], expected, atol=0.004)


def test_a_part_of_it(tmp_path: Path, whole: Path) -> None:
    clip = trimmed(tmp_path / "trimmed.mp4", whole, 0.5, 1.5)
    result, _ = render(clip, tmp_path / "out.mkv", "ffv1", frames=(2, 20), first=3, count=27)
    assert [counter_of(rgb) for rgb in decoded(result.path)] == list(range(20, 39))
    np.testing.assert_allclose(clicks(result.path)[:1], [10 / 30], atol=0.004)


def test_frames_beyond_the_end_of_the_edit_are_not_there(tmp_path: Path, whole: Path) -> None:
    clip = trimmed(tmp_path / "trimmed.mp4", whole, 0.5, 1.5)
    with pytest.raises(BadClip, match="has 30 frames, so its frame 30"):
        open_source(ClipSpec(clip, 0, 31))


def test_damage_is_told_by_the_number_that_is_shown(tmp_path: Path, whole: Path) -> None:
    clip = trimmed(tmp_path / "trimmed.mp4", whole, 0.5)
    with av.open(str(clip), options={"ignore_editlist": "1"}) as container:
        packets = sorted((p.pts, p.pos, p.size) for p in container.demux(video=0) if p.size)
    data = bytearray(clip.read_bytes())
    _, position, size = packets[24]
    data[position + 8 : position + size] = bytes(byte ^ 0x5A for byte in data[position + 8 : position + size])
    clip.write_bytes(data)
    bad = []
    with open_source(ClipSpec(clip), tolerant=True) as source:
        for k in range(source.info.count):
            try:
                assert counter_of(next(source.read(k, k)).rgb) == k + 15
            except BadFrame as error:
                assert error.frame == k and f"frame {k} cannot be decoded" in str(error)
                bad.append(k)
    assert 24 - 15 in bad


def test_damage_in_what_is_hidden_spoils_what_is_built_on_it(tmp_path: Path, whole: Path) -> None:
    clip = trimmed(tmp_path / "trimmed.mp4", whole, 0.3)
    with av.open(str(clip), options={"ignore_editlist": "1"}) as container:
        packet = next(p for p in container.demux(video=0) if p.size)
        position, size = packet.pos, packet.size
    data = bytearray(clip.read_bytes())
    data[position + size // 2 : position + size] = bytes(byte ^ 0x5A for byte in data[position + size // 2 : position + size])
    clip.write_bytes(data)
    with pytest.raises(BadFrame, match="frame 0 cannot be decoded"), open_source(ClipSpec(clip)) as source:
        list(source.read(0, 0))


def test_cut_short_where_the_edit_goes_on(tmp_path: Path, whole: Path) -> None:
    front = tmp_path / "front.mp4"
    with av.open(str(whole)) as source, av.open(str(front), "w", container_options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts -= round(0.3 / packet.time_base)
                packet.dts -= round(0.3 / packet.time_base)
                packet.stream = stream
                out.mux(packet)
    clip = tmp_path / "cut.mp4"
    clip.write_bytes(front.read_bytes()[: int(front.stat().st_size * 0.7)])
    with pytest.raises(BadClip, match="cut short: its header promises 51 frames"):
        open_source(ClipSpec(clip))
    with open_source(ClipSpec(clip, count=10)) as source:
        assert [counter_of(picture.rgb) for picture in source.read(0, 9)] == list(range(9, 19))
