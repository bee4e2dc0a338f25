"""Compositing in the source's own samples: nothing outside the hole changes, and inside is what was asked for."""
from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.media import colour
from flow_inpaint.media.picture import ArrayPicture, FramePicture
from flow_inpaint.media.samples import copied, layout, planes

SUBSAMPLED = ["yuv420p", "yuv422p", "yuv440p", "yuv411p", "yuv410p", "yuvj420p", "yuva420p", "yuv420p10le", "yuv422p12le", "yuv420p16le"]
FULL = ["yuv444p", "yuvj444p", "yuva444p10le", "yuv444p12le", "yuv444p16le", "gbrp", "gbrap", "gbrp10le", "gbrp12le", "gbrp16le"]
GREY = ["gray", "gray10le", "gray12le", "gray16le"]
PACKED = ["nv12", "nv21", "yuyv422", "uyvy422", "p010le", "rgb24", "bgr24", "bgr0", "0rgb", "rgba", "argb", "rgb48le", "ya8"]
PACKED += ["rgb48be", "rgba64be", "gray16be", "yuv420p10be"]
SIZES = [(64, 48), (61, 47)]


def noise_frame(name: str, size: tuple[int, int], seed: int = 0) -> av.VideoFrame:
    """Random legal samples, limited so that YUV stays inside RGB where it can."""
    generator = np.random.default_rng(seed)
    shape = layout(name)
    frame = av.VideoFrame(*size, shape.name)
    for number, plane in enumerate(planes(frame)):
        low, high = (0, shape.top + 1) if shape.family != "yuv" or number == 3 else (shape.top * 3 // 8, shape.top * 5 // 8)
        plane[...] = generator.integers(low, high, plane.shape)
    frame.colorspace, frame.color_range = 2, 0
    return frame if name == shape.name else colour.reformat(frame, name)


def blob(height: int, width: int, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    hole = np.zeros((height, width), bool)
    for _ in range(4):
        y, x, r = generator.integers(0, height), generator.integers(0, width), generator.integers(3, 9)
        hole |= (np.arange(height)[:, None] - y) ** 2 + (np.arange(width)[None] - x) ** 2 < r * r
    return hole


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", SUBSAMPLED + FULL + GREY + PACKED)
def test_outside_the_hole_every_sample_is_the_source_own(name: str, size: tuple[int, int]) -> None:
    if size[0] % 2 and name in ("yuyv422", "uyvy422"):
        pytest.skip("packed 4:2:2 has no odd widths")
    picture = FramePicture(0, noise_frame(name, size))
    hole = blob(size[1], size[0])
    filled = np.random.default_rng(2).integers(0, np.iinfo(picture.rgb.dtype).max, picture.rgb.shape).astype(picture.rgb.dtype)
    before = [plane.copy() for plane in planes(colour.planar(picture.frame))]
    result = picture.composite(filled, hole)
    shape = layout(name)
    for number, (old, new) in enumerate(zip(before, planes(result.frame), strict=True)):
        chroma = shape.family == "yuv" and number in (1, 2)
        allowed = covered_blocks(hole, shape) if chroma else hole
        if number == 3:
            allowed = np.zeros_like(hole)
        np.testing.assert_array_equal(new[~allowed], old[~allowed])
    np.testing.assert_array_equal(result.rgb[~hole], picture.rgb[~hole])
    for old, new in zip(before, planes(colour.planar(picture.frame)), strict=True):
        np.testing.assert_array_equal(old, new, err_msg="the source picture itself changed")


def covered_blocks(hole: np.ndarray, shape) -> np.ndarray:  # type: ignore[no-untyped-def]
    """By brute force: the chroma samples all of whose pixels are in the hole."""
    height, width = -(-hole.shape[0] // (1 << shape.shift_y)), -(-hole.shape[1] // (1 << shape.shift_x))
    steps = (1 << shape.shift_y, 1 << shape.shift_x)
    return np.array(
        [[hole[y * steps[0] : (y + 1) * steps[0], x * steps[1] : (x + 1) * steps[1]].all() for x in range(width)] for y in range(height)]
    )


@pytest.mark.parametrize(("matrix", "full"), [(1, 1), (1, 2), (2, 0), (5, 1), (6, 2), (7, 1), (9, 1), (4, 1)])
@pytest.mark.parametrize("name", ["yuv444p", "yuvj444p", "yuv444p10le", "yuv444p12le", "yuv444p16le", "gbrp", "gbrp10le", "gbrp16le"])
def test_rgb_survives_the_round_trip(name: str, matrix: int, full: int) -> None:
    frame = noise_frame(name, (64, 48))
    frame.colorspace, frame.color_range = matrix, full
    picture = FramePicture(0, frame)
    dtype, white = picture.rgb.dtype, np.iinfo(picture.rgb.dtype).max
    filled = (np.random.default_rng(5).random(picture.rgb.shape) * white).astype(dtype)
    result = picture.composite(filled, np.ones((48, 64), bool)).rgb
    error = np.abs(result.astype(float) - filled).max() / white * 255
    assert error <= {8: 2, 10: 0.6, 12: 0.3, 16: 0.3}[layout(name).depth], f"{error} of 255"
    assert np.abs(result.astype(float) - filled).mean() / white * 255 < 0.6


@pytest.mark.parametrize(("size", "most", "mean"), [((64, 48), 6, 0.3), ((61, 47), 12, 2.5)], ids=str)
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv420p10le", "yuv411p", "yuvj420p"])
def test_subsampled_chroma_is_the_mean_of_its_pixels(name: str, size: tuple[int, int], most: float, mean: float) -> None:
    width, height = size
    picture = FramePicture(0, noise_frame(name, size))
    white = np.iinfo(picture.rgb.dtype).max
    y, x = np.mgrid[:height, :width] / 64
    smooth = (np.stack([0.2 + 0.5 * x, 0.7 - 0.4 * y, 0.3 + 0.2 * x * y], -1) * white).astype(picture.rgb.dtype)
    result = picture.composite(smooth, np.ones((height, width), bool)).rgb
    difference = (result.astype(float) - smooth) / white * 255
    assert np.abs(difference).max() < most
    assert np.abs(difference.mean(axis=(0, 1))).max() < mean


@pytest.mark.parametrize("name", ["yuv420p", "yuv411p", "yuv444p10le", "gbrp", "gray"])
def test_a_region_is_put_where_its_origin_says(name: str) -> None:
    picture = FramePicture(3, noise_frame(name, (61, 47)))
    whole_hole = blob(47, 61, 4)
    fill = np.random.default_rng(6).integers(0, np.iinfo(picture.rgb.dtype).max, picture.rgb.shape).astype(picture.rgb.dtype)
    whole_hole[:5] = whole_hole[:, :7] = False
    whole = picture.composite(fill, whole_hole)
    part = picture.composite(fill[5:, 7:], whole_hole[5:, 7:], (5, 7))
    assert whole.index == part.index == 3
    for a, b in zip(planes(whole.frame), planes(part.frame), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_region_that_does_not_fit_is_a_mistake() -> None:
    picture = FramePicture(0, noise_frame("yuv420p", (64, 48)))
    with pytest.raises(ValueError, match="does not fit"):
        picture.composite(np.zeros((10, 10, 3), np.uint8), np.ones((10, 10), bool), (40, 0))


def test_grey_footage_stays_grey() -> None:
    picture = FramePicture(0, noise_frame("gray", (64, 48)))
    filled = np.full((48, 64, 3), 77, np.uint8)
    assert (picture.composite(filled, np.ones((48, 64), bool)).rgb == 77).all()
    assert (picture.rgb[..., 0] == picture.rgb[..., 2]).all()


@pytest.mark.parametrize("name", ["gray", "gray10le", "gray16le", "gbrp10le", "gbrp12le", "gbrp16le"])
def test_black_and_white_reach_the_ends_of_the_scale(name: str) -> None:
    frame = av.VideoFrame(16, 16, name)
    for plane in planes(frame):
        plane[:8], plane[8:] = 0, layout(name).top
    rgb = FramePicture(0, frame).rgb
    assert rgb[0, 0].max() == 0 and rgb[15, 15].min() == np.iinfo(rgb.dtype).max


def test_alpha_is_read_and_kept() -> None:
    for name in ("yuva420p", "yuva444p10le", "gbrap", "rgba", "rgba64be", "ya8"):
        frame = noise_frame(name, (64, 48))
        picture = FramePicture(0, frame)
        result = picture.composite(picture.rgb, np.ones((48, 64), bool))
        assert picture.alpha.dtype == picture.rgb.dtype and picture.alpha.shape == (48, 64)
        assert len(np.unique(picture.alpha)) > 100
        np.testing.assert_array_equal(result.alpha, picture.alpha)
    assert FramePicture(0, noise_frame("yuv420p", (64, 48))).alpha is None


def test_images_are_composited_in_rgb() -> None:
    for dtype in (np.uint8, np.uint16, np.float32):
        rgb = (np.random.default_rng(0).random((20, 30, 3)) * 200).astype(dtype)
        alpha = (np.random.default_rng(1).random((20, 30)) * 200).astype(dtype)
        filled = (np.random.default_rng(2).random((8, 9, 3)) * 200).astype(dtype)
        hole = np.random.default_rng(3).random((8, 9)) < 0.5
        before = rgb.copy()
        result = ArrayPicture(4, rgb, alpha).composite(filled, hole, (10, 20))
        where = np.zeros((20, 30), bool)
        where[10:18, 20:29] = hole
        np.testing.assert_array_equal(result.rgb[~where], before[~where])
        np.testing.assert_array_equal(result.rgb[where], filled[hole])
        np.testing.assert_array_equal(rgb, before)
        assert result.alpha is alpha and result.index == 4


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv420p10le"])
def test_chroma_is_shown_for_its_own_block_whatever_location_the_file_names(name: str, tmp_path: Path) -> None:
    """Blender ignores the chroma location; libswscale would honour it and shift colours by half a pixel."""
    source = noise_frame(name, (64, 48))
    shown = {}
    for site in ("unspecified", "left", "topleft"):
        with av.open(str(tmp_path / f"{site}.mkv"), "w") as out:
            stream = out.add_stream("ffv1", rate=25, options={"chroma_sample_location": site})
            stream.width, stream.height, stream.pix_fmt = 64, 48, name
            frame = copied(source)
            frame.pts = 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        with av.open(str(tmp_path / f"{site}.mkv")) as container:
            decoded = next(container.decode(video=0))
            found = colour.chroma_site(decoded)
            assert found in (None if site == "unspecified" else site, "left" if name == "yuv422p" and site == "topleft" else site)
            shown[site] = colour.rgb_of(decoded)
    np.testing.assert_array_equal(shown["left"], shown["unspecified"])
    np.testing.assert_array_equal(shown["topleft"], shown["unspecified"])
