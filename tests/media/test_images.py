"""Image files and sequences: exact numbers in and out, the right order, and clear refusals."""
from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.image_codec import encode_image, read_image


def noise(dtype: type, channels: int = 3, size: tuple[int, int] = (31, 43), seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shape = size if channels == 1 else (*size, channels)
    if dtype is np.float32:
        return (generator.standard_normal(shape) * 20).astype(np.float32)
    return generator.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def write(path: Path, rgb: np.ndarray) -> Path:
    ok, data = cv2.imencode(path.suffix, rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    assert ok
    path.write_bytes(data.tobytes())
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_files_give_back_exactly_what_was_written(tmp_path: Path, suffix: str, dtype: type, with_alpha: bool) -> None:
    rgb, alpha = noise(dtype), noise(dtype, 1, seed=1) if with_alpha else None
    file = tmp_path / f"a{suffix}"
    file.write_bytes(encode_image(suffix, rgb, alpha, np.dtype(dtype).itemsize * 8))
    read_rgb, read_alpha, depth = read_image(file)
    np.testing.assert_array_equal(read_rgb, rgb)
    assert read_rgb.dtype == dtype and depth == np.dtype(dtype).itemsize * 8 and read_rgb.flags.c_contiguous
    if with_alpha:
        np.testing.assert_array_equal(read_alpha, alpha)
    else:
        assert read_alpha is None


@pytest.mark.parametrize(("depth", "kept"), [(16, np.float16), (32, np.float32)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_exr_gives_back_exactly_what_was_written(tmp_path: Path, depth: int, kept: type, with_alpha: bool) -> None:
    rgb = noise(np.float32).astype(kept).astype(np.float32)
    alpha = noise(np.float32, 1, seed=1).astype(kept).astype(np.float32) if with_alpha else None
    file = tmp_path / "a.exr"
    file.write_bytes(encode_image(".exr", rgb, alpha, depth))
    read_rgb, read_alpha, read_depth = read_image(file)
    np.testing.assert_array_equal(read_rgb, rgb)
    assert read_rgb.dtype == np.float32 and read_depth == depth
    assert (read_alpha is None) != with_alpha
    if with_alpha:
        np.testing.assert_array_equal(read_alpha, alpha)


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def test_palette_and_grey_become_rgb(tmp_path: Path) -> None:
    palette = np.array([[255, 0, 0], [0, 255, 0], [10, 20, 30]], np.uint8)
    picture = np.random.default_rng(0).integers(0, 3, (5, 8)).astype(np.uint8)
    header = struct.pack(">IIBBBBB", 8, 5, 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    file = tmp_path / "palette.png"
    file.write_bytes(png_chunks((b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))
    np.testing.assert_array_equal(read_image(file)[0], palette[picture])
    for dtype in (np.uint8, np.uint16):
        grey = noise(dtype, 1)
        rgb, alpha, _ = read_image(write(tmp_path / "grey.png", grey))
        np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=-1))
        assert alpha is None


def test_numbers_are_the_files_own_whatever_its_metadata_say(tmp_path: Path) -> None:
    rgb = noise(np.uint8)
    plain = cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()
    gamma = struct.pack(">I", 4) + b"gAMA" + struct.pack(">I", 100000) + struct.pack(">I", zlib.crc32(b"gAMA" + struct.pack(">I", 100000)))
    file = tmp_path / "gamma.png"
    file.write_bytes(plain[:33] + gamma + plain[33:])
    np.testing.assert_array_equal(read_image(file)[0], rgb)
    jpeg = cv2.imencode(".jpg", cv2.GaussianBlur(rgb, (9, 9), 3))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    straight = tmp_path / "straight.jpg"
    straight.write_bytes(jpeg)
    np.testing.assert_array_equal(read_image(turned)[0], read_image(straight)[0])


def test_what_png_says_about_its_numbers_leads_to_no_warnings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Blender's PNGs have the same EXIF block twice."""
    image = noise(np.uint16)
    data = encode_image(".png", image, None, 16)
    exif = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 274, 3, 1, 6, 0) + bytes(4)
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    file = tmp_path / "a.png"
    file.write_bytes(data[:33] + chunk + data[33:-12] + chunk + data[-12:])
    np.testing.assert_array_equal(read_image(file)[0], image)
    assert capfd.readouterr() == ("", "")


def sequence(folder: Path, names: list[str], size: tuple[int, int] = (8, 12)) -> Path:
    """Images whose every pixel is the place of their name in `names`."""
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        write(folder / name, np.full((*size, 3), i, np.uint8))
    return folder


def shown(path: Path, **spec: object) -> list[int]:
    with open_source(ClipSpec(path, **spec)) as source:
        return [int(picture.rgb[0, 0, 0]) for picture in source.read(0, source.info.count - 1)]


def test_a_folder_is_read_by_number(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "a", ["shot01_8.png", "shot01_9.png", "shot01_10.png", "shot01_011.png"])
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_text("not an image")
    assert shown(folder) == [0, 1, 2, 3]
    assert shown(folder, first=1, count=2) == [1, 2]
    assert shown(folder, indices=(3, 3, 0)) == [3, 3, 0]


def test_patterns(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "a", ["x_0099.png", "x_0100.png", "x_0101.png"])
    sequence(folder, ["y_0001.png"])
    assert shown(folder / "x_%04d.png") == shown(folder / "x_####.png") == shown(folder / "x_%d.png") == [0, 1, 2]
    wide = sequence(tmp_path / "b", ["9999.png", "10000.png"])
    assert shown(wide / "%04d.png") == shown(wide / "####.png") == [0, 1]


@pytest.mark.parametrize(
    ("names", "pattern", "says"),
    [
        (["s_-002.png", "s_-001.png", "s_0000.png", "s_0001.png"], "s_%04d.png", "has images before number 0, such as s_-001.png"),
        (["s-2.png", "s-1.png", "s0.png", "s1.png"], "s%d.png", "has images before number 0, such as s-1.png"),
        (["s998.png", "s999.png", "s1000.png", "s1001.png"], "s%04d.png", r"has s999.png before its first image, .* write s%d.png"),
        (["s98.png", "s99.png", "s100.png", "s101.png"], "s###.png", r"has s99.png before its first image, .* write s%d.png"),
    ],
)
def test_images_that_run_on_under_other_names_are_not_lost(tmp_path: Path, names: list[str], pattern: str, says: str) -> None:
    folder = sequence(tmp_path / "a", names)
    assert re.search(says, refusal(folder / pattern))
    sequence(tmp_path / "b", names[2:])
    assert shown(tmp_path / "b" / pattern) == [0, 1]
    if "%d" in says:
        assert shown(folder / "s%d.png") == [0, 1, 2, 3]


def test_other_sequences_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "a", ["s0101.png", "s0102.png", "s7.png", "s8.png", "t0100.png", "s-0100.png"])
    assert shown(folder / "s%04d.png") == [0, 1]


def test_a_pattern_is_proposed_that_fits(tmp_path: Path) -> None:
    for names, pattern in (
        (["a_001.png", "b_001.png", "b_002.png", "b_003.png"], "b_%03d.png"), (["v2_9.exr", "v2_10.exr", "ref_1.exr"], "v2_%d.exr"),
        (["one.png", "two.png"], "name_%04d.png"),
    ):  # fmt: skip
        folder = tmp_path / names[0]
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"")
        assert refusal(folder).endswith(f"give a pattern such as {folder / pattern}.")


def test_one_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "a", ["plate_1.png", "plate_2.png"])
    assert shown(folder / "plate_2.png") == [1]
    assert shown(folder / "plate_2.png", indices=(0, 0, 0)) == [1, 1, 1]
    assert refusal(folder / "plate_2.png", count=2).count("has 1 frame") == 1


def test_information(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "a", [f"{i:05d}.png" for i in range(5)])
    with open_source(ClipSpec(folder, 2)) as source:
        info = source.info
    assert (info.kind, info.width, info.height, info.count, info.clip_count, info.rate) == ("images", 12, 8, 3, 5, None)
    assert (info.dtype, info.depth, info.has_alpha, info.has_audio) == (np.uint8, 8, False, False)
    assert [file.name for file in info.files] == [f"{i:05d}.png" for i in range(5)]


def refusal(path: Path, **spec: object) -> str:
    with pytest.raises(BadClip) as caught:
        shown(path, **spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals_by_name(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.png")
    assert "does not exist" in refusal(tmp_path / "none" / "x_%04d.png")
    assert "matches no file" in refusal(tmp_path / "x_%04d.png")
    (tmp_path / "empty").mkdir()
    assert "has no images" in refusal(tmp_path / "empty")
    gap = sequence(tmp_path / "gap", ["a1.png", "a2.png", "a4.png"])
    assert "image 3 is missing between a2.png and a4.png" in refusal(gap)
    assert "image 3 is missing" in refusal(gap / "a%d.png")
    gaps = sequence(tmp_path / "gaps", [f"a{k}.png" for k in (1, 2, 4, 5, 9, 10, 12)])
    assert refusal(gaps).endswith("image 3 is missing between a2.png and a4.png; so are 6 to 8, 11.")
    assert "more than one image sequence" in refusal(sequence(tmp_path / "mixed", ["a1.png", "a2.png", "b1.png"]))
    assert "more than one image sequence" in refusal(sequence(tmp_path / "kinds", ["a1.png", "a2.jpg"]))
    assert "two images with one number" in refusal(sequence(tmp_path / "twice", ["a1.png", "a01.png"]))


def test_images_of_different_sizes_depths_and_channels(tmp_path: Path) -> None:
    sizes = sequence(tmp_path / "sizes", ["1.png", "2.png"])
    write(sizes / "3.png", np.zeros((9, 12, 3), np.uint8))
    assert "3.png is 12x9 and 1.png is 12x8" in refusal(sizes)
    depths = sequence(tmp_path / "depths", ["1.png", "2.png"])
    write(depths / "2.png", np.zeros((8, 12, 3), np.uint16))
    assert "2.png is uint16 and 1.png is uint8" in refusal(depths)
    alphas = sequence(tmp_path / "alphas", ["1.png", "2.png"])
    write(alphas / "2.png", np.zeros((8, 12, 4), np.uint8))
    assert "2.png has an alpha channel and 1.png has none" in refusal(alphas)


def test_an_image_without_alpha_among_others_is_opaque(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encode_image(".png", noise(np.uint8), noise(np.uint8, 1), 8))
    (tmp_path / "2.png").write_bytes(encode_image(".png", noise(np.uint8), None, 8))
    with open_source(ClipSpec(tmp_path)) as source:
        assert (list(source.read(0, 1))[1].alpha == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".exr", ".bmp", ".webp"])
def test_damaged_images(tmp_path: Path, suffix: str) -> None:
    rgb = cv2.GaussianBlur(noise(np.uint8, size=(64, 64)), (5, 5), 2)
    file = tmp_path / f"a{suffix}"
    if suffix == ".exr":
        file.write_bytes(encode_image(suffix, rgb.astype(np.float32), None, 32))
    else:
        write(file, rgb)
    whole = file.read_bytes()
    for length in (0, 10, len(whole) // 3, len(whole) * 2 // 3, len(whole) - 40):
        file.write_bytes(whole[:length])
        assert f"a{suffix}" in refusal(file), length
    if suffix == ".png":
        file.write_bytes(whole[:700] + b"X" + whole[701:])
        assert "damaged" in refusal(file)


def test_a_text_file_with_an_image_name(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_text("hello " * 100)
    assert "not an image" in refusal(file)
