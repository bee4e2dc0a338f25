"""Results: exact outside the hole, with everything that belongs to the clip, complete or not there at all."""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from flow_inpaint.errors import BadClip, Failed
from flow_inpaint.job import ClipSpec, OutputSpec
from flow_inpaint.media import OutputFiles, open_output, open_source
from flow_inpaint.media.image_codec import encode_image, read_image
from flow_inpaint.media.samples import layout
from footage import counter_of, decoded, decoded_planes, encode
from rendering import ENDINGS, blob, leftovers, noise, picture_folder, render

SOURCES = {
    "H.264": ("a.mp4", {"options": {"bf": "2"}}),
    "H.264 10 bit": ("a.mp4", {"pixel_format": "yuv420p10le"}),
    "H.264 4:4:4, odd": ("a.mp4", {"pixel_format": "yuv444p", "size": (93, 65)}),
    "H.264 4:2:2": ("a.mp4", {"pixel_format": "yuv422p"}),
    "H.264 full range": ("a.mp4", {"pixel_format": "yuvj420p", "tags": {"color_range": 2}}),
    "H.264 grey": ("a.mp4", {"pixel_format": "gray"}),
    "HEVC RGB": ("a.mp4", {"codec": "libx265", "pixel_format": "gbrp", "options": {"x265-params": "log-level=none"}}),
    "ProRes": ("a.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
    "ProRes with alpha": ("a.mov", {"codec": "prores_ks", "pixel_format": "yuva444p10le"}),
    "FFV1 odd": ("a.mkv", {"codec": "ffv1", "size": (93, 65)}),
    "FFV1 RGB": ("a.mkv", {"codec": "ffv1", "pixel_format": "bgr0"}),
    "FFV1 RGB 16 bit": ("a.mkv", {"codec": "ffv1", "pixel_format": "gbrp16le"}),
    "FFV1 RGB 10 bit": ("a.mkv", {"codec": "ffv1", "pixel_format": "gbrp10le"}),
    "FFV1 grey 16 bit": ("a.mkv", {"codec": "ffv1", "pixel_format": "gray16le"}),
    "MJPEG": ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj422p"}),
    "PNG in MOV": ("a.mov", {"codec": "png", "pixel_format": "rgb24"}),
    "16-bit PNG in MOV": ("a.mov", {"codec": "png", "pixel_format": "rgb48be"}),
    "raw YUYV": ("a.avi", {"codec": "rawvideo", "pixel_format": "yuyv422"}),
    "Ut Video": ("a.avi", {"codec": "utvideo", "pixel_format": "gbrp"}),
}  # fmt: skip


@pytest.fixture(params=SOURCES)
def footage(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name, settings = SOURCES[request.param]
    return encode(tmp_path / name, 5, **settings)


def test_lossless_video_is_exact_outside_the_hole(footage: Path, tmp_path: Path) -> None:
    result, notes = render(footage, tmp_path / "out.mkv", "ffv1")
    assert notes == [] and result == OutputFiles(tmp_path / "out.mkv", ["out.mkv"])
    with open_source(ClipSpec(footage)) as before, open_source(ClipSpec(result.path)) as after:
        hole = blob(before.info.height, before.info.width)
        assert (after.info.width, after.info.height, after.info.count) == (before.info.width, before.info.height, 5)
        assert after.info.depth == before.info.depth and after.info.has_alpha == before.info.has_alpha
        shape = layout(before.info.pixel_format)
        for old, new in zip(before.read(0, 4), after.read(0, 4), strict=True):
            np.testing.assert_array_equal(new.rgb[~hole], old.rgb[~hole])
            inside = new.rgb[blob_core(hole)].astype(float).mean(axis=0) / after.info.white
            expected = np.array([0.8, 0.3, 0.5]) if shape.family != "gray" else np.full(3, 0.42)
            np.testing.assert_allclose(inside, expected, atol=0.01)
            if before.info.has_alpha:
                np.testing.assert_array_equal(new.alpha, old.alpha)
    same_layout = layout(before.info.pixel_format).name.replace("yuvj", "yuv") == after.info.pixel_format
    assert same_layout or after.info.pixel_format in ("bgr0", "gbrp16le")


def test_lossless_video_keeps_the_very_samples(footage: Path, tmp_path: Path) -> None:
    result, _ = render(footage, tmp_path / "out.mkv", "ffv1")
    old, new = decoded_planes(footage), decoded_planes(result.path)
    with open_source(ClipSpec(footage)) as source:
        shape = layout(source.info.pixel_format)
        hole = blob(source.info.height, source.info.width)
    if shape.family != "yuv" or source.info.pixel_format == "yuyv422":
        pytest.skip("the samples are stored in another order; the RGB test covers them")
    wide = 2 if shape.depth > 8 else 1
    for before, after in zip(old, new, strict=True):
        for number, (a, b) in enumerate(zip(before, after, strict=True)):
            steps = (1 << shape.shift_y, 1 << shape.shift_x) if number in (1, 2) else (1, 1)
            touched = hole[:: steps[0], :: steps[1]]
            np.testing.assert_array_equal(a[~np.repeat(touched, wide, axis=1)], b[~np.repeat(touched, wide, axis=1)])


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv411p", "bgr0"])
@pytest.mark.parametrize("size", [(853, 479), (317, 239), (1279, 721), (1920, 1080), (9, 7), (2, 2), (1, 1), (1, 40)], ids=str)
def test_lossless_video_of_any_size(tmp_path: Path, size: tuple[int, int], pixel_format: str) -> None:
    footage = encode(tmp_path / "a.nut", 2, codec="rawvideo", pixel_format=pixel_format, size=size, picture=lambda k, w, h: noise(k, w, h))
    with open_source(ClipSpec(footage)) as source, open_output(OutputSpec(tmp_path / "b.mkv", "ffv1"), source, 0, 1) as output:
        pictures = [picture.composite(picture.rgb, np.zeros(size[::-1], bool)) for picture in source.read(0, 1)]
        for picture in pictures:
            output.write(picture)
        output.commit()
    with open_source(ClipSpec(tmp_path / "b.mkv")) as result:
        for old, new in zip(pictures, result.read(0, 1), strict=True):
            np.testing.assert_array_equal(old.rgb, new.rgb)


def test_an_encoder_that_refuses_the_picture(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mkv", 2, codec="ffv1")
    with open_source(ClipSpec(footage)) as source:
        source.info = replace(source.info, width=20000, height=16)
        with pytest.raises(Failed, match="libx264 does not encode 20000x16 yuv420p; choose another format"):
            open_output(OutputSpec(tmp_path / "b.mp4", "h264"), source, 0, 1)
    assert leftovers(tmp_path) == ["a.mkv"]


@pytest.mark.parametrize("name", ["H.264", "H.264 4:2:2", "MJPEG"])
def test_exact_for_other_decoders_too(tmp_path: Path, name: str) -> None:
    """As judged with plain conversions, whose chroma is nearest for even sizes."""
    file, settings = SOURCES[name]
    footage = encode(tmp_path / file, 4, **settings)
    result, _ = render(footage, tmp_path / "out.mkv", "ffv1")
    hole = blob(64, 96)
    for old, new in zip(decoded(footage), decoded(result.path), strict=True):
        np.testing.assert_array_equal(old[~hole], new[~hole])


def test_the_chroma_location_is_carried_over(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 3)
    result, _ = render(footage, tmp_path / "out.mkv", "ffv1")
    with open_source(ClipSpec(footage)) as before, open_source(ClipSpec(result.path)) as after:
        assert before.info.colour.site == after.info.colour.site == "left"


@pytest.mark.parametrize("size", [(40, 56), (37, 53)], ids=str)
@pytest.mark.parametrize(("format", "dtype", "alpha", "suffix"), [
    ("ffv1", np.uint8, False, ".png"), ("ffv1", np.uint8, True, ".png"),
    ("ffv1", np.uint16, False, ".png"), ("ffv1", np.uint16, True, ".tif"),
    ("png", np.uint8, False, ".tif"), ("png", np.uint16, True, ".png"),
    ("tiff", np.uint8, True, ".png"), ("tiff", np.uint16, False, ".tif"),
    ("exr", np.float32, False, ".exr"),
])  # fmt: skip
def test_images_are_exact(tmp_path: Path, format: str, dtype: type, alpha: bool, suffix: str, size: tuple[int, int]) -> None:
    folder = picture_folder(tmp_path / "in", 3, dtype, suffix, alpha, size)
    result, notes = render(folder, tmp_path / ENDINGS[format], format)
    assert len(notes) == (1 if format == "ffv1" else 0)
    hole = blob(*size)
    with open_source(ClipSpec(folder)) as before, open_source(ClipSpec(result.path)) as after:
        assert (before.info.dtype, before.info.depth, before.info.has_alpha) == (after.info.dtype, after.info.depth, after.info.has_alpha)
        for old, new in zip(before.read(0, 2), after.read(0, 2), strict=True):
            np.testing.assert_array_equal(new.rgb[~hole], old.rgb[~hole])
            inside = np.array([0.8, 0.3, 0.5], np.float16 if dtype is np.float32 else float)
            assert np.abs(new.rgb[hole] - inside * before.info.white).max() <= (0 if dtype is np.float32 else 1)
            if alpha:
                np.testing.assert_array_equal(new.alpha, old.alpha)
    if format != "ffv1":
        assert result.files == [f"take_{i:04d}{'.tif' if format == 'tiff' else '.' + format}" for i in (98, 99, 100)]
        assert leftovers(result.path) == result.files


@pytest.mark.parametrize("size", [(96, 64), (93, 65), (96, 65), (93, 64)], ids=str)
@pytest.mark.parametrize("format", ["prores", "h264"])
@pytest.mark.parametrize("kind", ["video", "images"])
def test_lossy_formats_are_near_and_of_the_same_size(tmp_path: Path, format: str, size: tuple[int, int], kind: str) -> None:
    footage = encode(tmp_path / "a.mkv", 8, codec="ffv1", size=size)
    if kind == "images":
        (tmp_path / "in").mkdir()
        for i, rgb in enumerate(decoded(footage)):
            (tmp_path / "in" / f"{i}.png").write_bytes(encode_image(".png", rgb, None, 8))
        footage = tmp_path / "in"
    result, _ = render(footage, tmp_path / ENDINGS[format], format)
    hole = blob(size[1], size[0])
    with open_source(ClipSpec(footage)) as before, open_source(ClipSpec(result.path)) as after:
        assert (after.info.width, after.info.height, after.info.count) == (*size, 8)
        assert after.info.pixel_format.startswith("yuv422p10" if format == "prores" and size[0] % 2 == 0 else "yuv4")
        for old, new in zip(before.read(0, 7), after.read(0, 7), strict=True):
            assert counter_of(new.rgb) == new.index
            difference = (new.rgb / after.info.white - old.rgb / before.info.white)[~hole] * 255
            assert np.sqrt((difference**2).mean()) < 6
            assert np.abs(difference.mean(axis=0)).max() < 1.5
            inside = new.rgb[blob_core(hole)].astype(float).mean(axis=0) / after.info.white
            np.testing.assert_allclose(inside, [0.8, 0.3, 0.5], atol=0.02)


def blob_core(hole: np.ndarray) -> np.ndarray:
    return cv2.erode(hole.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0


@pytest.mark.parametrize("format", ["ffv1", "prores", "h264"])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60), Fraction(15, 2)], ids=str)
def test_rate_aspect_and_colour_are_carried_over(tmp_path: Path, format: str, rate: Fraction) -> None:
    tags = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
    footage = encode(tmp_path / "a.mp4", 40, rate=rate, pixel_aspect=Fraction(16, 11), tags=tags, sound="aac")
    result, _ = render(footage, tmp_path / ENDINGS[format], format)
    with open_source(ClipSpec(result.path)) as source:
        info = source.info
        assert (info.rate, info.count) == (rate, 40)
        assert info.pixel_aspect == Fraction(16, 11)
        assert (info.colour.primaries, info.colour.transfer, info.colour.matrix, info.colour.range) == (9, 16, 9, 1)
        assert source.seconds(0) == 0


@pytest.mark.parametrize("format", ["ffv1", "h264"])
def test_full_range_stays_full_range(tmp_path: Path, format: str) -> None:
    footage = encode(tmp_path / "a.mp4", 3, pixel_format="yuvj420p", tags={"color_range": 2, "colorspace": 1})
    result, _ = render(footage, tmp_path / ENDINGS[format], format)
    with open_source(ClipSpec(result.path)) as source:
        assert (source.info.colour.range, source.info.colour.matrix) == (2, 1)


def loudness(path: Path) -> np.ndarray:
    """The loudness of every hundredth of a second, from time 0 on: it rises with time in our clips."""
    with av.open(str(path)) as container:
        samples = np.zeros(48000 * 10)
        to_float = av.AudioResampler(format="fltp", layout="stereo", rate=48000)
        for frame in container.decode(audio=0):
            start = round(float(frame.pts * frame.time_base) * 48000)
            values = np.concatenate([part.to_ndarray()[0] for part in to_float.resample(frame)])
            values = values[max(-start, 0) :]
            samples[max(start, 0) : max(start, 0) + len(values)] = values
    return np.abs(samples).reshape(-1, 480).max(axis=1)


SOUNDS = [
    ("a.mp4", "aac", "ffv1"), ("a.mp4", "aac", "h264"), ("a.mp4", "aac", "prores"), ("a.ts", "aac", "h264"),
    ("a.mkv", "flac", "ffv1"), ("a.mkv", "libopus", "ffv1"), ("a.mov", "pcm_s16le", "prores"), ("a.mov", "pcm_s16le", "ffv1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sound", "format"), SOUNDS)
def test_sound_is_copied(tmp_path: Path, name: str, sound: str, format: str) -> None:
    footage = encode(tmp_path / name, 75, sound=sound, options={"bf": "2"})
    result, notes = render(footage, tmp_path / ENDINGS[format], format)
    assert notes == []
    with av.open(str(footage)) as before, av.open(str(result.path)) as after:
        assert after.streams.audio[0].codec_context.name == before.streams.audio[0].codec_context.name
        old, new = (b"".join(bytes(p) for p in c.demux(audio=0)) for c in (before, after))
        if not name.endswith(".ts"):  # whose packets have headers that other containers do without
            assert new in old and len(new) > len(old) * 0.95
    start = 0.08 if name.endswith(".ts") else 0
    expected = np.arange(300) / 300
    heard = loudness(result.path)
    np.testing.assert_allclose(heard[20:280], expected[20:280] + start / 3, atol=0.03)


@pytest.mark.parametrize(("name", "sound", "format"), SOUNDS)
def test_sound_is_cut_to_the_frames_written(tmp_path: Path, name: str, sound: str, format: str) -> None:
    footage = encode(tmp_path / name, 75, sound=sound, options={"bf": "2"})
    result, notes = render(footage, tmp_path / ENDINGS[format], format, frames=(20, 44), first=5, count=65)
    assert notes == []
    heard = loudness(result.path)
    settled = 12 if sound == "libopus" else 5
    np.testing.assert_allclose(heard[settled:98], (np.arange(settled, 98) / 100 + 1) / 3, atol=0.03)
    assert heard[104:].max(initial=0) < 0.02 if sound != "libopus" else True
    with av.open(str(result.path)) as container:
        assert abs(container.duration / av.time_base - 1) < 0.05
        assert next(p.pts * p.time_base for p in container.demux(video=0) if p.size) == 0


def test_frames_that_do_not_run_on_have_no_sound(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 20, sound="aac")
    for indices in ((3, 2, 1, 0), (1, 1, 2), (0, 2, 4)):
        result, notes = render(footage, tmp_path / "out.mkv", "ffv1", indices=indices)
        assert len(notes) == 1 and "no sound" in notes[0] and "a.mp4" in notes[0]
        with open_source(ClipSpec(result.path)) as source:
            assert not source.info.has_audio and source.info.count == len(indices)
            assert [counter_of(p.rgb) for p in source.read(0, len(indices) - 1)] == list(indices)
    _, notes = render(footage, tmp_path / "out.mkv", "ffv1", frames=(1, 3), indices=(9, 4, 5, 6, 0))
    assert notes == []


def test_sound_that_the_container_cannot_hold(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mkv", 10, sound="tta")
    result, notes = render(footage, tmp_path / "out.mp4", "h264")
    assert len(notes) == 1 and "no sound" in notes[0] and "tta" in notes[0]
    assert [counter_of(rgb) for rgb in decoded(result.path)] == list(range(10))


def test_alpha_that_a_format_cannot_hold_is_mentioned(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mov", 3, codec="prores_ks", pixel_format="yuva444p10le")
    assert "no alpha" in " ".join(render(footage, tmp_path / "out.mov2.mov", "prores")[1])
    assert render(footage, tmp_path / "png", "png")[1] == []


def test_videos_become_numbered_images(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 12)
    result, _ = render(footage, tmp_path / "new" / "frames", "png", frames=(7, 9))
    assert result == OutputFiles(tmp_path / "new" / "frames", ["00007.png", "00008.png", "00009.png"])
    assert [counter_of(read_image(result.path / name)[0]) for name in result.files] == [7, 8, 9]
    result, _ = render(footage, tmp_path / "new" / "x_####.tif", "tiff", frames=(10, 11))
    assert result == OutputFiles(tmp_path / "new", ["x_0010.tif", "x_0011.tif"])
    result, _ = render(footage, tmp_path / "new" / "one.png", "png", frames=(3, 3))
    assert result == OutputFiles(tmp_path / "new", ["one.png"])
    with pytest.raises(BadClip, match=r"one file for 2 images.*one_%05d\.png"):
        render(footage, tmp_path / "new" / "one.png", "png", frames=(3, 4))


def test_deep_video_becomes_deep_images(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 2, pixel_format="yuv420p10le")
    result, _ = render(footage, tmp_path / "png", "png")
    rgb, _, depth = read_image(result.path / result.files[1])
    with open_source(ClipSpec(footage)) as source:
        hole = blob(64, 96)
        np.testing.assert_array_equal(rgb[~hole], next(source.read(1, 1)).rgb[~hole])
    assert depth == 16


def test_held_images_are_numbered_by_job_frame(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "in", 3)
    assert render(folder, tmp_path / "out", "png", indices=(2, 2, 1))[0].files == ["00000.png", "00001.png", "00002.png"]
    assert render(folder, tmp_path / "out2", "png", indices=(2, 0))[0].files == ["take_0100.png", "take_0098.png"]
