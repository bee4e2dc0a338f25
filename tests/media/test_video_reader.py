"""Video files: the right frame for every index, whatever the file is like, and clear refusals."""
from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.samples import planes
from footage import counter_of, counter_rgb, encode

OPEN_GOP = {"bf": "3", "g": "12", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
HIDDEN = {"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "10"}
CLIPS = {
    "b-frames": ("a.mp4", {"options": {"bf": "3", "g": "12"}}),
    "open GOP in MP4": ("a.mp4", {"options": OPEN_GOP}),
    "open GOP in MKV": ("a.mkv", {"options": OPEN_GOP}),
    "open GOP in MPEG-TS": ("a.ts", {"options": OPEN_GOP}),
    "HEVC with open GOPs": ("a.mp4", {"codec": "libx265", "options": {"x265-params": "keyint=12:open-gop=1:log-level=none:bframes=3"}}),
    "late start": ("a.mp4", {"options": {"bf": "2", "g": "10"}, "stamp": lambda k: k + 77}),
    "late start in MKV": ("a.mkv", {"options": {"bf": "2", "g": "10"}, "stamp": lambda k: k + 77}),
    "gradual refresh": ("a.mp4", {"options": {"x264-params": "intra-refresh=1:keyint=12"}}),
    "one GOP": ("a.mp4", {"options": {"g": "1000", "bf": "3"}}),
    "30000/1001 in MKV": ("a.mkv", {"rate": Fraction(30000, 1001), "options": {"bf": "3", "g": "12"}}),
    "FFV1": ("a.mkv", {"codec": "ffv1"}),
    "ProRes": ("a.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
    "VP9": ("a.webm", {"codec": "libvpx-vp9", "options": {"g": "12", "cpu-used": "8"} | HIDDEN}),
    "VP8": ("a.webm", {"codec": "libvpx", "options": {"g": "12", "cpu-used": "5"} | HIDDEN}),
    "MPEG-2 in MPEG-TS": ("a.ts", {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}}),
    "AVI": ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    "MPEG-4 in AVI": ("a.avi", {"codec": "mpeg4", "options": {"g": "12"}}),
}  # fmt: skip


@pytest.fixture(params=CLIPS, scope="module")
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, settings = CLIPS[request.param]
    return encode(tmp_path_factory.mktemp("clip") / name, 40, **{"options": {}, **settings})


def shown(path: Path, **spec: object) -> list[int]:
    with open_source(ClipSpec(path, **spec)) as source:
        return [counter_of(picture.rgb) for picture in source.read(0, source.info.count - 1)]


def test_every_frame_in_order(clip: Path) -> None:
    assert shown(clip) == list(range(40))


def test_frames_are_those_of_plain_decoding_in_any_order(clip: Path) -> None:
    plain = [frame.to_ndarray(format="gray") for frame in av.open(str(clip)).decode(video=0)]
    order = list(range(39, -1, -1)) + random.Random(7).choices(range(40), k=25) + [5, 5, 5, 0, 39]
    with open_source(ClipSpec(clip, indices=tuple(order))) as source:
        for number, picture in zip(order, source.read(0, len(order) - 1), strict=True):
            np.testing.assert_array_equal(picture.frame.to_ndarray(format="gray"), plain[number], err_msg=f"frame {number}")


def test_a_cold_start_anywhere_gives_the_frame_of_plain_decoding(clip: Path) -> None:
    plain = [frame.to_ndarray(format="gray") for frame in av.open(str(clip)).decode(video=0)]
    for number in (1, 10, 11, 12, 13, 14, 23, 24, 25, 35, 39):
        with open_source(ClipSpec(clip, number)) as source:
            picture = next(source.read(0, 0))
        np.testing.assert_array_equal(picture.frame.to_ndarray(format="gray"), plain[number], err_msg=f"frame {number}")


def test_job_frames_are_numbered_from_the_first_one_asked_for(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", options=OPEN_GOP)
    assert shown(clip, first=7, count=5) == [7, 8, 9, 10, 11]
    assert shown(clip, first=26) == [26, 27, 28, 29]
    with open_source(ClipSpec(clip, 7, 5)) as source:
        assert [(p.index, counter_of(p.rgb)) for p in source.read(2, 3)] == [(2, 9), (3, 10)]


def test_information(tmp_path: Path) -> None:
    clip = encode(
        tmp_path / "a.mp4", 12, rate=Fraction(24000, 1001), pixel_aspect=Fraction(4, 3), sound="aac",
        tags={"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1},
    )  # fmt: skip
    with open_source(ClipSpec(clip)) as source:
        info = source.info
    assert (info.kind, info.width, info.height, info.count, info.clip_count) == ("video", 96, 64, 12, 12)
    assert (info.rate, info.pixel_aspect, info.has_audio, info.has_alpha) == (Fraction(24000, 1001), Fraction(4, 3), True, False)
    assert (info.pixel_format, info.dtype, info.depth) == ("yuv420p", np.uint8, 8)
    assert (info.colour.primaries, info.colour.transfer, info.colour.matrix, info.colour.range, info.colour.site) == (1, 1, 1, 1, "left")


@pytest.mark.parametrize(("codec", "options"), [("libvpx-vp9", {"cpu-used": "8", "deadline": "realtime"}), ("libvpx", {"cpu-used": "5"})])
def test_alpha_of_webm(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    file = tmp_path / "a.webm"
    with av.open(str(file), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options | {"auto-alt-ref": "0", "crf": "4", "b": "4M"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for k in range(6):
            frame = av.VideoFrame.from_ndarray(counter_rgb(k), "rgb24").reformat(format="yuva420p")
            alpha = planes(frame)[3]
            alpha[:], alpha[:, : 16 * k] = 0, 255
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open_source(ClipSpec(file, indices=(0, 1, 2, 3, 4, 5, 2, 0))) as source:
        assert source.info.has_alpha
        for picture, k in zip(source.read(0, 7), (0, 1, 2, 3, 4, 5, 2, 0), strict=True):
            assert counter_of(picture.rgb) == k
            np.testing.assert_array_equal((picture.alpha > 127).sum(axis=1), 16 * k)


def test_reading_on_decodes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = encode(tmp_path / "a.mp4", 60, options=OPEN_GOP)
    packets = counted_packets(monkeypatch)
    with open_source(ClipSpec(clip)) as source:
        for start in range(0, 60, 10):
            for picture in source.read(start, start + 9):
                assert counter_of(picture.rgb) == picture.index
    assert len(packets) <= 61


def test_footage_that_runs_backwards_decodes_each_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = encode(tmp_path / "a.mp4", 96, options={"g": "12", "bf": "0"})
    packets = counted_packets(monkeypatch)
    assert shown(clip, indices=tuple(range(95, -1, -1))) == list(range(95, -1, -1))
    assert len(packets) < 2 * 96


def test_a_container_that_cannot_seek_is_read_from_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = encode(tmp_path / "a.mp4", 60, options=OPEN_GOP)
    monkeypatch.setattr("flow_inpaint.media.video_cursor.VideoCursor._sought", lambda *_: None)
    monkeypatch.setattr("flow_inpaint.media.video_reader._CACHE_BYTES", 0)
    order = (50, 3, 31, 32, 33, 0, 59, 13)
    assert shown(clip, indices=order) == list(order)


def test_two_readers_at_different_places_do_not_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = encode(tmp_path / "a.mp4", 96, options={"g": "12", "bf": "2"})
    monkeypatch.setattr("flow_inpaint.media.video_reader._CACHE_BYTES", 0)
    packets = counted_packets(monkeypatch)
    with open_source(ClipSpec(clip)) as source:
        for front, back in zip(source.read(40, 79), source.read(0, 39), strict=True):
            assert counter_of(front.rgb) == front.index
            assert counter_of(back.rgb) == back.index
    assert len(packets) < 96 + 40


def counted_packets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one with every packet decoded."""
    from flow_inpaint.media import video_cursor

    packets: list[int] = []
    original = video_cursor.VideoCursor._decode

    def counting(self, source):  # type: ignore[no-untyped-def]
        def counted():  # type: ignore[no-untyped-def]
            for packet in source:
                packets.append(packet.size)
                yield packet

        return original(self, counted())

    monkeypatch.setattr(video_cursor.VideoCursor, "_decode", counting)
    return packets


def refusal(path: Path, **spec: object) -> str:
    with pytest.raises(BadClip) as caught, open_source(ClipSpec(path, **spec)) as source:
        for _ in source.read(0, source.info.count - 1):
            pass
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    return text


def test_frames_beyond_the_end(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 10)
    assert "has 10 frames, so its frame 10" in refusal(clip, first=5, count=6)
    assert "has 10 frames, so its frame 12" in refusal(clip, indices=(3, 12))
    assert "has 10 frames, so its frame 10" in refusal(clip, first=10)


def test_a_range_outside_the_job(tmp_path: Path) -> None:
    with open_source(ClipSpec(encode(tmp_path / "a.mp4", 10))) as source, pytest.raises(BadClip, match="frames 0 to 9"):
        source.read(5, 10)


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "no.mp4")


def test_names_that_the_system_refuses(tmp_path: Path) -> None:
    assert "cannot be read: File name too long" in refusal(tmp_path / f"{'x' * 300}.mp4")
    assert "cannot be read: File name too long" in refusal(tmp_path / ("x" * 300) / "a_%04d.png")


def test_a_stale_duration_is_not_a_truncation(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mkv", 20, codec="ffv1")
    data = clip.read_bytes()
    assert data.count(b"00:00:00.800000000") == 1
    clip.write_bytes(data.replace(b"00:00:00.800000000", b"00:00:09.800000000"))
    assert shown(clip) == list(range(20))
    clip.write_bytes(data.replace(b"00:00:00.800000000", b"something strange."))
    assert shown(clip) == list(range(20))


def test_a_file_that_is_not_a_video(tmp_path: Path) -> None:
    file = tmp_path / "letter.mp4"
    file.write_text("Dear reader,\n" * 200)
    assert "not a video" in refusal(file)
    empty = tmp_path / "empty.mov"
    empty.touch()
    assert "not a video" in refusal(empty)


def test_sound_without_pictures(tmp_path: Path) -> None:
    file = tmp_path / "sound.mkv"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("flac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert "sound but no video" in refusal(file)


@pytest.mark.parametrize("name", ["none.mkv", "none.avi"])
def test_no_frames(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with av.open(str(file), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        out.start_encoding()
    assert re.search("holds no video|not a video", refusal(file))


@pytest.mark.parametrize(("codec", "pixel_format"), [("png", "rgb24"), ("qtrle", "rgb24"), ("v210", "yuv422p10le")])
def test_interlaced_as_only_the_container_says(tmp_path: Path, codec: str, pixel_format: str) -> None:
    clip = encode(tmp_path / "tv.mov", 3, codec=codec, pixel_format=pixel_format, options={"field_order": "tt"})
    assert refusal(clip) == f"{clip} is interlaced: deinterlace it first, for example with ffmpeg -i IN -vf bwdif OUT."
    assert shown(encode(tmp_path / "film.mov", 3, codec=codec, pixel_format=pixel_format)) == [0, 1, 2]


@pytest.mark.parametrize(("pixel_format", "says"), [("xyz12le", "the colour space XYZ"), ("bayer_rggb8", "a sensor's mosaic")])
def test_samples_that_are_no_picture_as_they_are(tmp_path: Path, pixel_format: str, says: str) -> None:
    with av.open(str(tmp_path / "a.nut"), "w") as out:
        stream = out.add_stream("rawvideo", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        frame = av.VideoFrame(64, 48, pixel_format)
        np.frombuffer(frame.planes[0], np.uint8)[...] = 0
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert f"a.nut has {says}" in refusal(tmp_path / "a.nut")


def test_interlaced(tmp_path: Path) -> None:
    clip = encode(tmp_path / "tv.mp4", 6, options={"flags": "+ildct+ilme", "x264-params": "interlaced=1"})
    assert refusal(clip) == f"{clip} is interlaced: deinterlace it first, for example with ffmpeg -i IN -vf bwdif OUT."


@pytest.mark.parametrize("dropped", [(5,), (5, 6, 12), (22,)])
def test_avi_with_dropped_frames(tmp_path: Path, dropped: tuple[int, ...]) -> None:
    """Recorders that could not follow leave an empty place in the file, which its header counts."""
    places = [k for k in range(24) if k not in dropped]
    clip = encode(tmp_path / "a.avi", len(places), codec="mpeg4", options={"g": "6"}, stamp=lambda k: places[k])
    with open_source(ClipSpec(clip)) as source:
        assert source.info.count == len(places) and source.info.time_base is not None
        assert [counter_of(picture.rgb) for picture in source.read(0, len(places) - 1)] == list(range(len(places)))
        assert [round(float(source.seconds(k) - source.seconds(0)) * 25) for k in range(len(places))] == places
    cut = tmp_path / "cut.avi"
    cut.write_bytes(clip.read_bytes()[: int(clip.stat().st_size * 0.9)])
    assert "cut short" in refusal(cut) or "damaged" in refusal(cut)


def test_time_stamps_that_are_missing(tmp_path: Path) -> None:
    clip = encode(tmp_path / "raw.h264", 10, container="h264")
    assert "no time stamp" in refusal(clip)


@pytest.mark.parametrize(("name", "settings"), [
    ("cut.mp4", {"container_options": {"movflags": "faststart"}, "options": {"g": "12", "bf": "3"}}),
    ("cut.mkv", {"options": {"g": "12", "bf": "3"}}),
    ("cut.mkv", {"codec": "ffv1"}),
    ("cut.mkv", {"codec": "ffv1", "sound": "flac"}),
])  # fmt: skip
def test_truncated(tmp_path: Path, name: str, settings: dict) -> None:
    whole = encode(tmp_path / f"whole_{name}", 40, **settings)
    clip = tmp_path / name
    clip.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    text = refusal(clip)
    assert "cut short" in text and "after frame" in text
    assert shown(clip, count=5) == list(range(5))


def test_a_header_that_promises_frames_without_end(tmp_path: Path) -> None:
    """Nobody counts up to it."""
    clip = encode(tmp_path / "a.mp4", 12)
    data = bytearray(clip.read_bytes())
    at = data.find(b"stts") + 12
    assert int.from_bytes(data[at : at + 4], "big") == 12
    data[at : at + 4] = (2**31 - 1).to_bytes(4, "big")
    clip.write_bytes(data)
    began = time.process_time()
    assert refusal(clip) == f"{clip} is cut short: its header promises {2**31 - 1} frames, and it ends after frame 11."
    assert time.process_time() - began < 5


def test_a_video_without_its_header(tmp_path: Path) -> None:
    whole = encode(tmp_path / "whole.mp4", 40)
    clip = tmp_path / "killed.mp4"
    clip.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "not a video that can be opened" in refusal(clip)


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_damage_names_the_frame(tmp_path: Path, codec: str) -> None:
    clip = encode(tmp_path / "bad.mkv", 40, codec=codec, options={"g": "10"} | ({"bf": "0"} if codec == "libx264" else {"slicecrc": "1"}))
    with av.open(str(clip)) as container:
        packets = sorted((p.pts, p.pos, p.size) for p in container.demux(video=0) if p.size)
    data = bytearray(clip.read_bytes())
    _, position, size = packets[23]
    body = data.find(b"", position + 40)
    data[body : position + size - 1] = bytes((b ^ 0x5A) for b in data[body : position + size - 1])
    clip.write_bytes(data)
    assert "frame 23 cannot be decoded" in refusal(clip)
    assert shown(clip, count=23) == list(range(23))
    assert shown(clip, first=30) == list(range(30, 40))


def test_a_clip_that_changes_its_size(tmp_path: Path) -> None:
    parts = [encode(tmp_path / f"{i}.ts", 6, size=size) for i, size in enumerate([(96, 64), (128, 96)])]
    both = tmp_path / "both.ts"
    with av.open(str(both), "w") as out:
        streams: list[av.stream.Stream] = []
        for i, part in enumerate(parts):
            with av.open(str(part)) as source:
                streams = streams or [out.add_stream_from_template(source.streams.video[0])]
                for packet in source.demux(video=0):
                    if packet.dts is not None:
                        packet.pts += i * 6 * 3600
                        packet.dts += i * 6 * 3600
                        packet.stream = streams[0]
                        out.mux(packet)
    assert "changes its picture format at frame 6" in refusal(both)


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    texture = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    clip = encode(
        tmp_path / "long.mp4", 400, size=(320, 240), options={"preset": "ultrafast"}, picture=lambda k, *_: np.roll(texture, k, axis=1)
    )
    script = """
import sys
from pathlib import Path
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source, video_reader

def most():
    # Not `getrusage`: it begins with what the process had that started this one.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

video_reader._CACHE_BYTES = 2**20
with open_source(ClipSpec(Path(sys.argv[1]))) as source:
    for p in source.read(0, 99):
        p.rgb
    before = most()
    for p in source.read(100, 399):
        p.rgb
    print(most() - before)
"""
    grown = subprocess.run([sys.executable, "-c", script, str(clip)], capture_output=True, text=True, check=True, timeout=60)
    assert int(grown.stdout) < 12000, "KiB"


@pytest.mark.parametrize("count", [6, 40])
def test_matroska_cut_short_anywhere_lacks_no_frame_in_silence(tmp_path: Path, count: int) -> None:
    """Frames that others are built on are stored before some that are shown earlier: of a cut file more is missing than its end."""
    whole = encode(tmp_path / "whole.mkv", count, options={"bf": "3", "b_strategy": "0"}).read_bytes()
    clip, refused = tmp_path / "a.mkv", 0
    for size in range(len(whole) // 2, len(whole), max(len(whole) // 150, 1)):
        clip.write_bytes(whole[:size])
        try:
            with open_source(ClipSpec(clip)) as source:
                assert source.info.count == count, f"{size} of {len(whole)} bytes"
        except BadClip:
            # Which sentence it is depends on how much of the header is left.
            refused += 1
    assert refused > 60
