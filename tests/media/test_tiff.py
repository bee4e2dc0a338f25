"""TIFF: the numbers of the file, whatever its tags say about them; its tags on the result; and what is refused."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.media.image_codec import encode_image, read_image
from rendering import blob, render
from tiff_files import tags_of, tiff_bytes

SHAPE = (48, 64)
STRAIGHT, PREMULTIPLIED = 2, 1


def samples(channels: int, dtype: type = np.uint8, top: int | None = None) -> np.ndarray:
    generator = np.random.default_rng(channels)
    if dtype is np.float32:
        return generator.standard_normal((*SHAPE, channels)).astype(dtype)
    return generator.integers(0, (top or np.iinfo(dtype).max) + 1, (*SHAPE, channels)).astype(dtype)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("alpha", [STRAIGHT, PREMULTIPLIED, 0])
@pytest.mark.parametrize("planes", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_rgb_with_alpha(tmp_path: Path, alpha: int, planes: bool, dtype: type, order: str) -> None:
    stored = samples(4, dtype)
    file = write(tmp_path / "a.tif", tiff_bytes(stored, order, planes, t338=alpha))
    rgb, cover, depth = read_image(file)
    np.testing.assert_array_equal(rgb, stored[..., :3])
    np.testing.assert_array_equal(cover, stored[..., 3])
    assert rgb.dtype == cover.dtype == dtype and depth == np.dtype(dtype).itemsize * 8


@pytest.mark.parametrize("planes", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb(tmp_path: Path, planes: bool, dtype: type) -> None:
    stored = samples(3, dtype)
    np.testing.assert_array_equal(read_image(write(tmp_path / "a.tif", tiff_bytes(stored, planes=planes)))[0], stored)


@pytest.mark.parametrize("turned", range(2, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_is_not_applied_and_told_on(tmp_path: Path, turned: int, dtype: type) -> None:
    stored = samples(3, dtype)
    (tmp_path / "in").mkdir()
    file = write(tmp_path / "in/a.tif", tiff_bytes(stored, t274=turned))
    np.testing.assert_array_equal(read_image(file)[0], stored)
    result, _ = render(tmp_path / "in", tmp_path / "out", "tiff")
    assert tags_of(result.path / result.files[0])[274] == (turned,)
    kept = ~blob(*SHAPE)
    np.testing.assert_array_equal(read_image(result.path / result.files[0])[0][kept], stored[kept])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_grey(tmp_path: Path, dtype: type, order: str) -> None:
    grey, with_alpha, white = samples(1, dtype), samples(2, dtype), np.iinfo(dtype).max
    rgb, alpha, _ = read_image(write(tmp_path / "a.tif", tiff_bytes(grey, order)))
    assert alpha is None and (rgb == grey).all()
    assert (read_image(write(tmp_path / "a.tif", tiff_bytes(grey, order, t262=0)))[0] == white - grey).all()
    rgb, alpha, _ = read_image(write(tmp_path / "a.tif", tiff_bytes(with_alpha, order, t338=STRAIGHT)))
    assert (rgb == with_alpha[..., :1]).all() and (alpha == with_alpha[..., 1]).all()
    rgb, alpha, _ = read_image(write(tmp_path / "a.tif", tiff_bytes(with_alpha, order, t262=0, t338=STRAIGHT)))
    assert (rgb == white - with_alpha[..., :1]).all() and (alpha == with_alpha[..., 1]).all()


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_packed_samples(tmp_path: Path, bits: int, channels: int) -> None:
    stored = samples(channels, np.uint16, (1 << bits) - 1)
    rgb, _, depth = read_image(write(tmp_path / "a.tif", tiff_bytes(stored, bits=bits)))
    wide = (stored.astype(np.int64) * 65535 + (1 << bits - 1) - 1) // ((1 << bits) - 1)
    assert depth == 16 and rgb.dtype == np.uint16 and (rgb == wide).all()


def test_float(tmp_path: Path) -> None:
    stored = samples(4, np.float32)
    rgb, alpha, depth = read_image(write(tmp_path / "a.tif", tiff_bytes(stored, t338=STRAIGHT)))
    assert depth == 32 and (rgb == stored[..., :3]).all() and (alpha == stored[..., 3]).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("alpha", [STRAIGHT, PREMULTIPLIED, None])
def test_tags_go_on_to_the_result(tmp_path: Path, order: str, alpha: int | None) -> None:
    stored, profile = samples(3 if alpha is None else 4, np.uint16), bytes(range(256)) * 3
    tags = {} if alpha is None else {"t338": alpha}
    (tmp_path / "in").mkdir()
    for k in range(2):
        write(tmp_path / f"in/a.{k}.tif", tiff_bytes(stored, order, t34675=profile, t296=3, **tags))
    result, _ = render(tmp_path / "in", tmp_path / "out", "tiff")
    for name in result.files:
        found = tags_of(result.path / name)
        assert found[34675] == profile and found[296] == (3,)
        assert found.get(338) == (None if alpha is None else (alpha,))
        rgb, cover, _ = read_image(result.path / name)
        np.testing.assert_array_equal(rgb[~blob(*SHAPE)], stored[~blob(*SHAPE)][:, :3])
        assert cover is None or (cover == stored[..., 3]).all()


def test_a_profile_of_grey_says_nothing_of_rgb(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in/a.tif", tiff_bytes(samples(1), t34675=b"of grey" * 9))
    result, _ = render(tmp_path / "in", tmp_path / "out", "tiff")
    assert 34675 not in tags_of(result.path / result.files[0])


def test_alpha_of_another_kind_of_file_is_straight(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    stored = samples(4)
    write(tmp_path / "in/a.png", encode_image(".png", stored[..., :3], stored[..., 3], 8))
    result, _ = render(tmp_path / "in", tmp_path / "out", "tiff")
    assert tags_of(result.path / result.files[0])[338] == (STRAIGHT,)


@pytest.mark.parametrize(("data", "text"), [
    (tiff_bytes(samples(3, np.float32).astype(np.float16)), "floating point samples of 16 bits"),
    (tiff_bytes(samples(3, np.uint16).astype(np.int16)), "signed samples of 16 bits"),
    (tiff_bytes(samples(4), t262=5), "is CMYK: convert it to RGB"),
    (tiff_bytes(samples(3), t262=8), "is Lab: convert it to RGB"),
    (tiff_bytes(samples(5), t338=(2, 0)), "has 5 channels"),
    (tiff_bytes(samples(3, np.uint16), planes=True)[:9000], "not a TIFF image that can be read"),
    (tiff_bytes(samples(3))[:4000], "not a TIFF image that can be read"),
    (b"II*\0" + bytes(3), "not a TIFF image that can be read"),
])  # fmt: skip
def test_what_is_refused(tmp_path: Path, data: bytes, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadClip, match=text):
        read_image(write(tmp_path / "a.tif", data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("end", ["directory", "pixels"])
@pytest.mark.parametrize("planes", [False, True])
def test_no_part_of_a_shortened_file_is_made_up(tmp_path: Path, end: str, planes: bool) -> None:
    whole = tiff_bytes(samples(3, np.uint16), planes=planes)
    with pytest.raises(BadClip):
        read_image(write(tmp_path / "a.tif", whole[:-9] if end == "directory" else whole[:8] + whole[2000:]))
