"""Variable frame rates: frames are counted as they are stored and keep their times; or counted by time, as editors do."""
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from footage import counter_of, counter_rgb, decoded, encode
from phone_footage import clicks, darkening, jittery, recording, write
from rendering import ENDINGS, leftovers, render

COUNT = 40
TIMES = {"jittery": jittery(COUNT), "darkening": darkening(COUNT), "recording": recording(COUNT)}


@pytest.fixture(params=TIMES)
def times(request: pytest.FixtureRequest) -> list[int]:
    return TIMES[request.param]


def clip(folder: Path, times: list[int], name: str = "phone.mp4", **more: object) -> Path:
    return write(folder / name, times, counter_rgb, (96, 64), options={"bf": "2", "g": "12"}, **more)


def seconds(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return sorted(frame.pts * frame.time_base for frame in container.decode(video=0))


@pytest.mark.parametrize("name", ["phone.mp4", "phone.mkv", "phone.ts"])
def test_frames_are_counted_as_they_are_stored(tmp_path: Path, times: list[int], name: str) -> None:
    path = clip(tmp_path, times, name)
    with open_source(ClipSpec(path)) as source:
        assert source.info.count == COUNT and source.info.time_base is not None
        assert [counter_of(picture.rgb) for picture in source.read(0, COUNT - 1)] == list(range(COUNT))
        assert counter_of(next(source.read(17, 17)).rgb) == 17


@pytest.mark.parametrize("format", ["ffv1", "prores", "h264"])
def test_a_result_keeps_the_time_of_every_frame_and_the_sound(tmp_path: Path, times: list[int], format: str) -> None:
    path = clip(tmp_path, times, sound=True)
    result, notes = render(path, tmp_path / ENDINGS[format], format)
    assert notes == [f"The frame rate of phone.mp4 varies: {ENDINGS[format]} keeps the time of every frame."]
    exact = [Fraction(time, 600) for time in times]
    if format == "ffv1":  # Matroska counts milliseconds
        np.testing.assert_allclose([float(time) for time in seconds(result.path)], [float(time) for time in exact], atol=0.00051)
    else:
        assert seconds(result.path) == exact
    assert [counter_of(rgb) for rgb in decoded(result.path)] == list(range(COUNT))
    end = times[-1] / 600
    expected = [time / 600 for time in times[10::10] if time / 600 < end - 0.03]
    np.testing.assert_allclose([time for time in clicks(result.path) if time < end - 0.03], expected, atol=0.004)


def test_a_part_begins_at_nothing_and_keeps_its_distances(tmp_path: Path) -> None:
    times = TIMES["recording"]
    path = clip(tmp_path, times, sound=True)
    result, _ = render(path, tmp_path / "out.mp4", "h264", frames=(2, 20), first=5, count=30)
    assert seconds(result.path) == [Fraction(time - times[7], 600) for time in times[7:26]]
    expected = [(times[k] - times[7]) / 600 for k in (10, 20)]
    np.testing.assert_allclose(clicks(result.path)[:2], expected, atol=0.004)


def test_the_result_of_a_result_has_the_same_times(tmp_path: Path) -> None:
    path = clip(tmp_path, TIMES["recording"])
    first, _ = render(path, tmp_path / "a.mkv", "ffv1")
    second, _ = render(first.path, tmp_path / "b.mkv", "ffv1")
    assert seconds(first.path) == seconds(second.path)


def test_the_last_frame_lasts_as_long_as_before(tmp_path: Path) -> None:
    path = clip(tmp_path, [0, 20, 40, 200])
    with open_source(ClipSpec(path)) as source:
        lasts = source.seconds(4) - source.seconds(3)
    result, _ = render(path, tmp_path / "out.mov", "prores")
    with open_source(ClipSpec(result.path)) as source:
        assert source.seconds(4) - source.seconds(3) == lasts


def test_frames_that_do_not_run_on_are_at_one_rate(tmp_path: Path) -> None:
    path = clip(tmp_path, TIMES["recording"], sound=True)
    result, notes = render(path, tmp_path / "out.mkv", "ffv1", indices=(5, 5, 4, 9))
    assert "do not run on" in notes[0]
    steps = np.diff([float(time) for time in seconds(result.path)])
    np.testing.assert_allclose(steps, steps[0], atol=0.0011)
    assert [counter_of(rgb) for rgb in decoded(result.path)] == [5, 5, 4, 9]


def test_a_rate_that_is_only_rounded_is_constant(tmp_path: Path) -> None:
    for rate in (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60)):
        for name in ("a.mkv", "a.ts", "a.mp4"):
            path = encode(tmp_path / name, COUNT, rate=rate)
            with open_source(ClipSpec(path)) as source:
                assert source.info.time_base is None and source.info.rate == rate
    # Milliseconds from Matroska, in a container that could do better.
    times = [round(k * 1000 / 30) for k in range(COUNT)]
    path = write(tmp_path / "again.mp4", times, counter_rgb, (96, 64), unit=Fraction(1, 1000))
    with open_source(ClipSpec(path)) as source:
        assert source.info.time_base is None


def test_frames_that_the_container_cannot_tell_apart(tmp_path: Path) -> None:
    times = [0, 3000, 6000, 6010, 9000, 12000]
    path = write(tmp_path / "fast.mp4", times, counter_rgb, (96, 64), unit=Fraction(1, 90000))
    before = leftovers(tmp_path)
    with pytest.raises(BadClip, match=r"fast.mp4 shows frames 2 and 3 less than a millisecond apart, which Matroska cannot hold"):
        render(path, tmp_path / "out.mkv", "ffv1")
    assert leftovers(tmp_path) == before
    result, _ = render(path, tmp_path / "out.mov", "prores")
    assert seconds(result.path) == [Fraction(time, 90000) for time in times]


def test_a_long_last_frame_is_not_a_cut(tmp_path: Path) -> None:
    path = clip(tmp_path, [*TIMES["recording"][:-1], TIMES["recording"][-2] + 1200], "phone.mkv")
    again, _ = render(path, tmp_path / "out.mkv", "ffv1")
    assert [counter_of(rgb) for rgb in decoded(again.path)] == list(range(COUNT))
    with open_source(ClipSpec(again.path)) as source:
        assert source.info.count == COUNT
    short = tmp_path / "short.mkv"
    short.write_bytes(again.path.read_bytes()[: int(again.path.stat().st_size * 0.6)])
    with pytest.raises(BadClip, match="cut short"):
        open_source(ClipSpec(short))


def test_counted_by_time(tmp_path: Path, times: list[int]) -> None:
    path = clip(tmp_path, times)
    with av.open(str(path)) as container:
        rate = container.streams.video[0].guessed_rate
    places = int(times[-1] / 600 * rate)
    with open_source(ClipSpec(path, count=places, rate=float(rate))) as source:
        assert source.info.count == places and source.info.rate == rate and source.info.time_base is None
        shown = [counter_of(picture.rgb) for picture in source.read(0, places - 1)]
    begun = [max(k for k, time in enumerate(times) if time <= place * 600 / rate + Fraction(1, 2)) for place in range(places)]
    assert shown == begun


def test_counted_by_time_after_the_end(tmp_path: Path) -> None:
    path = clip(tmp_path, TIMES["recording"])
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].guessed_rate)
    with open_source(ClipSpec(path, indices=(10**6,), rate=rate)) as source:
        assert counter_of(next(source.read(0, 0)).rgb) == COUNT - 1
    with open_source(ClipSpec(path, rate=rate)) as source:
        assert source.info.indices[-1] == COUNT - 1 and source.info.count >= TIMES["recording"][-1] * rate / 600


def test_constant_rates_are_counted_alike_by_time(tmp_path: Path) -> None:
    for name, rate in (("a.mkv", Fraction(30000, 1001)), ("a.ts", Fraction(24000, 1001)), ("a.mp4", Fraction(25))):
        path = encode(tmp_path / name, COUNT, rate=rate, stamp=lambda k: k + 7)
        with open_source(ClipSpec(path, count=COUNT + 3, rate=float(rate))) as source:
            assert list(source.info.indices) == [*range(COUNT), *[COUNT - 1] * 3]


def test_two_that_count_differently(tmp_path: Path) -> None:
    path = clip(tmp_path, TIMES["recording"])
    with pytest.raises(BadClip, match="phone.mp4 does not keep to its frame rate, and its .* were counted as 7:"):
        open_source(ClipSpec(path, rate=7.0))
    stream = clip(tmp_path, TIMES["recording"], "phone.ts")
    with av.open(str(stream)) as container:
        rate = float(container.streams.video[0].guessed_rate)
    with pytest.raises(BadClip, match="transport stream, where editors lose count"):
        open_source(ClipSpec(stream, rate=rate))


@pytest.mark.parametrize("name", ["phone.mp4", "phone.mkv"])
def test_a_constant_rate_that_the_header_does_not_name(tmp_path: Path, name: str) -> None:
    """As a trim by an edit list leaves it: the header's average is another one by a little."""
    path = clip(tmp_path, [25 * k for k in range(COUNT)], name)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate != 24
    with open_source(ClipSpec(path)) as source:
        assert source.info.time_base is None
        assert abs(source.info.rate - 24) < 0.02


def test_one_frame_left_out_where_time_is_counted_in_frames(tmp_path: Path) -> None:
    """In a unit as long as a frame nothing is rounded: a frame that is late by one unit is late."""
    clip = encode(tmp_path / "a.mov", 24, container_options={"video_track_timescale": "25"}, stamp=lambda k: k + (k > 9))
    with open_source(ClipSpec(clip)) as source:
        assert source.info.time_base == Fraction(1, 25)
        assert [round(float(source.seconds(k) - source.seconds(0)) * 25) for k in (0, 9, 10, 23)] == [0, 9, 11, 24]
    with open_source(ClipSpec(clip, rate=25.0)) as source:
        assert [counter_of(picture.rgb) for picture in source.read(8, 12)] == [8, 9, 9, 10, 11]
