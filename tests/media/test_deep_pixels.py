"""Test vectors of every depth: what a lossless result holds outside the hole is, sample for sample, what the source holds.

Both files are decoded plainly, without our readers, and compared plane by plane in the file's own code values.
"""
from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.job import Job
from flow_inpaint.media.colour import video_white
from flow_inpaint.media.image_codec import encode_image, read_image
from flow_inpaint.media.samples import layout, planes
from flow_inpaint.pipeline import run
from rendering import ENDINGS, blob, render

WIDTH, HEIGHT = 64, 48
LIMITED, FULL = 1, 2
# primaries, transfer, matrix as in H.273: Rec. 709, BT.601, BT.2020 with PQ, BT.2020 with HLG.
TAGS = {"709": (1, 1, 1), "601": (6, 6, 6), "PQ": (9, 16, 9), "HLG": (9, 18, 9)}
YUV = [
    (f"yuv{sampling}p{'' if depth == 8 else f'{depth}le'}", range_, tags)
    for (sampling, depth, range_), tags in zip(product(("420", "422", "444"), (8, 10, 12), (LIMITED, FULL)), list(TAGS) * 5)
]
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def noise_video(path: Path, pixel_format: str, range_: int, tags: str, count: int = 3) -> Path:
    """FFV1 whose every sample is random over all code values, those below black and above white too."""
    generator = np.random.default_rng(len(pixel_format) + range_)
    primaries, transfer, matrix = TAGS[tags]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=Fraction(24000, 1001), options={"level": "3", "slicecrc": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        encoder = stream.codec_context
        encoder.color_primaries, encoder.color_trc, encoder.colorspace, encoder.color_range = primaries, transfer, matrix, range_
        for k in range(count):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = matrix, range_, primaries, transfer
            for plane in planes(frame):
                plane[...] = generator.integers(0, layout(pixel_format).top + 1, plane.shape)
            frame.pts, frame.time_base = k, Fraction(1001, 24000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def plain(path: Path) -> tuple[list[list[np.ndarray]], tuple[object, ...]]:
    """The planes of every frame as code values, and the colour tags of the first."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    first = frames[0]
    tags = (first.format.name, first.color_primaries, first.color_trc, first.colorspace, first.color_range)
    return [[plane.copy() for plane in planes(frame)] for frame in frames], tags


def chroma_covered(hole: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """The samples all of whose pixels are in the hole."""
    y, x = hole.shape[0] // plane.shape[0], hole.shape[1] // plane.shape[1]
    return hole.reshape(plane.shape[0], y, plane.shape[1], x).all(axis=(1, 3))


def code_values(rgb: tuple[float, float, float], matrix: int, depth: int, range_: int) -> list[float]:
    """Luma and chroma of a colour (H.273, equations 22 to 34)."""
    kr, kb = WEIGHTS[matrix]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    blue, red = (rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr)
    if range_ == FULL:
        top = (1 << depth) - 1
        return [luma * top, blue * top + (1 << depth - 1), red * top + (1 << depth - 1)]
    unit = 1 << depth - 8
    return [(219 * luma + 16) * unit, (224 * blue + 128) * unit, (224 * red + 128) * unit]


@pytest.mark.parametrize(("pixel_format", "range_", "tags"), YUV, ids=lambda v: {1: "limited", 2: "full"}.get(v, v))
def test_yuv(tmp_path: Path, pixel_format: str, range_: int, tags: str) -> None:
    source = noise_video(tmp_path / "a.mkv", pixel_format, range_, tags)
    result, notes = render(source, tmp_path / "out.mkv", "ffv1")
    (before, tags_before), (after, tags_after) = plain(source), plain(result.path)
    assert notes == [] and tags_before == tags_after == (pixel_format, *TAGS[tags], range_)
    hole, shape = blob(HEIGHT, WIDTH), layout(pixel_format)
    top = 255 if shape.depth == 8 else 65535
    colour = np.floor(np.array([0.8, 0.3, 0.5]) * top) / video_white(shape, range_ == FULL)
    expected = code_values(tuple(colour), TAGS[tags][2], shape.depth, range_)
    for old, new in zip(before, after, strict=True):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            covered = hole if number == 0 else chroma_covered(hole, a)
            np.testing.assert_array_equal(a[~covered], b[~covered])
            assert np.abs(b[covered] - expected[number]).max() < 0.51


def unpacked(pixel_format: str, raw: np.ndarray) -> list[np.ndarray]:
    """Luma, blue, red and alpha of a packed picture as its bytes (H, W * bytes of a pixel) say them."""
    if pixel_format in ("vyu444", "uyva", "vuya", "ayuv"):
        order = {"vyu444": (1, 2, 0), "uyva": (1, 0, 2, 3), "vuya": (2, 1, 0, 3), "ayuv": (1, 2, 3, 0)}[pixel_format]
        samples = raw.reshape(HEIGHT, WIDTH, -1)
        return [samples[..., k] for k in order]
    if pixel_format == "v30xle":
        words = raw.view("<u4")
        return [words >> shift & 1023 for shift in (12, 2, 22)]
    pairs = raw.view("<u2").reshape(HEIGHT, WIDTH // 2, 4) >> (16 - int(pixel_format[2:4]))
    return [pairs[..., 0::2].reshape(HEIGHT, WIDTH), pairs[..., 1], pairs[..., 3]]


@pytest.mark.parametrize(
    ("pixel_format", "container", "made"),
    [
        ("vyu444", "mov", "yuv444p"), ("uyva", "mov", "yuva444p"), ("v30xle", "mov", "yuv444p10le"),
        ("vuya", "nut", "yuva444p"), ("ayuv", "nut", "yuva444p"), ("y210le", "nut", "yuv422p10le"), ("y216le", "nut", "yuv422p16le"),
    ],
)  # fmt: skip
def test_uncompressed_yuv(tmp_path: Path, pixel_format: str, container: str, made: str) -> None:
    """QuickTime's v308, v408 and v410 among them: YUV that is stored pixel by pixel is YUV too."""
    if pixel_format not in av.video.format.names:
        pytest.skip(f"this FFmpeg does not know {pixel_format}")
    generator, pictures = np.random.default_rng(8), []
    with av.open(str(tmp_path / f"a.{container}"), "w") as out:
        stream = out.add_stream("rawvideo", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for k in range(2):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            plane = frame.planes[0]
            bytes_ = np.frombuffer(plane, np.uint8).reshape(HEIGHT, plane.line_size)
            bytes_[...] = generator.integers(0, 256, bytes_.shape)
            if pixel_format == "y210le":
                bytes_[:, ::2] &= 0xC0
            if pixel_format == "v30xle":
                bytes_[:, ::4] &= 0xFC
            each = 3 if pixel_format == "vyu444" else 4
            pictures.append(bytes_[:, : WIDTH * each].copy())
            frame.pts = k
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    result, notes = render(tmp_path / f"a.{container}", tmp_path / "out.mkv", "ffv1")
    after, tags = plain(result.path)
    assert notes == [] and tags[0] == made
    hole = blob(HEIGHT, WIDTH)
    for raw, new in zip(pictures, after, strict=True):
        for a, b in zip(unpacked(pixel_format, raw), new, strict=True):
            kept = ~chroma_covered(hole, b)
            np.testing.assert_array_equal(a[kept], b[kept])


@pytest.mark.parametrize("pixel_format", ["gbrp", "gbrp10le", "gbrp12le", "gbrp16le", "gbrap", "gbrap10le", "gbrap16le"])
def test_rgb_video(tmp_path: Path, pixel_format: str) -> None:
    source = tmp_path / "a.nut"
    generator, shape = np.random.default_rng(5), layout(pixel_format)
    with av.open(str(source), "w") as out:
        stream = out.add_stream("rawvideo" if shape.depth == 8 else "ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for k in range(2):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            for plane in planes(frame):
                plane[...] = generator.integers(0, shape.top + 1, plane.shape)
            frame.pts, frame.time_base = k, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    result, _ = render(source, tmp_path / "out.mkv", "ffv1")
    hole = blob(HEIGHT, WIDTH)
    with av.open(str(source)) as a, av.open(str(result.path)) as b:
        for old, new in zip(a.decode(video=0), b.decode(video=0), strict=True):
            if shape.depth == 8:
                old, new = (frame.to_ndarray(format="rgba" if shape.has_alpha else "rgb24") for frame in (old, new))
                np.testing.assert_array_equal(old[~hole], new[~hole])
                np.testing.assert_array_equal(old[..., 3:], new[..., 3:])
                assert np.abs(new[hole][:, :3] - np.array([204, 76, 127])).max() <= 1
                continue
            assert new.format.name == pixel_format
            for number, (one, other) in enumerate(zip(planes(old), planes(new), strict=True)):
                kept = np.ones_like(hole) if number == 3 else ~hole
                np.testing.assert_array_equal(one[kept], other[kept])
                if number < 3:
                    assert np.abs(other[hole] - (0.3, 0.5, 0.8)[number] * shape.top).max() <= 1


ODD_FLOATS = [65504.0, -65504.0, 2.0**-24, -(2.0**-24), 2.0**-14, 0.0, -0.0, 1.0, 0.1, 16.0, -3.5, 1000.5]


def float_folder(folder: Path, depth: int, alpha: bool, count: int = 3) -> Path:
    """EXR whose samples are every kind of number that a half can be, and for 32 bits also what it cannot."""
    folder.mkdir()
    generator = np.random.default_rng(depth)
    odd = np.array(ODD_FLOATS + ([1e30, -1e-38, 1e-42, 1 / 3, 70000.25] if depth == 32 else []), np.float32)
    for k in range(count):
        rgb = generator.choice(odd, (HEIGHT, WIDTH, 3)) if k else generator.standard_normal((HEIGHT, WIDTH, 3)).astype(np.float32)
        if depth == 16:
            rgb = rgb.astype(np.float16).astype(np.float32)
        cover = generator.random((HEIGHT, WIDTH)).astype(np.float16).astype(np.float32) if alpha else None
        (folder / f"plate.{1000 + k}.exr").write_bytes(encode_image(".exr", rgb, cover, depth))
    return folder


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("depth", [16, 32], ids=["half", "float"])
def test_float_images(tmp_path: Path, depth: int, alpha: bool) -> None:
    source = float_folder(tmp_path / "in", depth, alpha)
    result, _ = render(source, tmp_path / ENDINGS["exr"], "exr")
    hole = blob(HEIGHT, WIDTH)
    assert result.files == [f"plate.{1000 + k}.exr" for k in range(3)]
    for name in result.files:
        (old, old_alpha, old_depth), (new, new_alpha, new_depth) = read_image(source / name), read_image(result.path / name)
        assert old_depth == new_depth == depth
        np.testing.assert_array_equal(old[~hole].view(np.uint32), new[~hole].view(np.uint32))
        if alpha:
            np.testing.assert_array_equal(old_alpha.view(np.uint32), new_alpha.view(np.uint32))
        wanted = np.array([0.8, 0.3, 0.5], np.float32)
        np.testing.assert_array_equal(new[hole], np.broadcast_to(wanted.astype(np.float16) if depth == 16 else wanted, new[hole].shape))


@pytest.mark.parametrize(("pixel_format", "range_", "tags"), [("yuv422p10le", LIMITED, "PQ"), ("yuv420p12le", FULL, "HLG"), ("yuv444p", LIMITED, "601")])
def test_the_whole_way_through(tmp_path: Path, pixel_format: str, range_: int, tags: str) -> None:
    """Not only the reader and the writer: the run of a job keeps what is outside the matte too."""
    source = noise_video(tmp_path / "a.mkv", pixel_format, range_, tags, count=4)
    rectangle = [20, 12, 16, 14]
    document = {
        "source": {"path": str(source)},
        "mask": {"rectangle": rectangle},
        "output": {"path": str(tmp_path / "out.mkv")},
        "params": {"preset": "draft"},
    }
    run(Job.from_document(document))
    (before, tags_before), (after, tags_after) = plain(source), plain(tmp_path / "out.mkv")
    assert tags_before == tags_after and len(before) == len(after) == 4
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[12:26, 20:36] = True
    for old, new in zip(before, after, strict=True):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            covered = hole if number == 0 else chroma_covered(hole, a)
            np.testing.assert_array_equal(a[~covered], b[~covered])
            assert (a[covered] != b[covered]).mean() > 0.5
