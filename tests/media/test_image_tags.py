"""What image files say about their numbers goes on to the result, frame by frame."""
from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from exr_files import exr_bytes
from flow_inpaint.media.exr_file import ExrFile
from flow_inpaint.media.image_codec import encode_image, read_image
from rendering import ENDINGS, picture_folder, render

CHROMATICITIES = struct.pack("<8f", 0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)


def attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def tags(frame: int) -> bytes:
    return (
        attribute("chromaticities", "chromaticities", CHROMATICITIES)
        + attribute("timeCode", "timecode", struct.pack("<II", 0x01020304 + frame, 0))
        + attribute("owner", "string", b"the house")
    )


@pytest.mark.parametrize("parts", [[""], ["main", "other"]], ids=["plain", "parts"])
def test_attributes_of_exr(tmp_path: Path, parts: list[str]) -> None:
    (tmp_path / "in").mkdir()
    for k in range(3):
        planes = {c: np.random.default_rng(k).standard_normal((48, 64)).astype(np.float16) for c in "RGB"}
        data = exr_bytes([(name, planes) for name in parts], attributes=tags(k))
        data = data.replace(attribute("pixelAspectRatio", "float", struct.pack("<f", 1)), attribute("pixelAspectRatio", "float", struct.pack("<f", 2)))
        (tmp_path / f"in/a.{k}.exr").write_bytes(data)
    result, _ = render(tmp_path / "in", tmp_path / ENDINGS["exr"], "exr")
    for k, name in enumerate(result.files):
        found = ExrFile.parse((result.path / name).read_bytes()).parts[0].attributes
        assert found["chromaticities"] == ("chromaticities", CHROMATICITIES)
        assert found["timeCode"] == ("timecode", struct.pack("<II", 0x01020304 + k, 0))
        assert found["owner"][1] == b"the house" and found["pixelAspectRatio"][1] == struct.pack("<f", 2)
        assert "name" not in found and "chunkCount" not in found
        untouched = np.s_[:4]
        np.testing.assert_array_equal(read_image(result.path / name)[0][untouched], read_image(tmp_path / "in" / name)[0][untouched])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_chunks_of_png(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    profile = chunk(b"iCCP", b"a profile\0\0" + zlib.compress(b"not looked at" * 9))
    more = chunk(b"cICP", bytes([9, 16, 0, 1])) + chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)) + chunk(b"tEXt", b"Comment\0mine")
    rgb = np.random.default_rng(0).integers(0, 65536, (48, 64, 3)).astype(np.uint16)
    plain = encode_image(".png", rgb, None, 16)
    (tmp_path / "in/1.png").write_bytes(plain[:33] + profile + more + plain[33:])
    result, _ = render(tmp_path / "in", tmp_path / "out", "png")
    made = (result.path / "1.png").read_bytes()
    assert profile in made and b"cICP" in made and b"pHYs" in made and b"Comment" not in made
    np.testing.assert_array_equal(read_image(result.path / "1.png")[0][:4], rgb[:4])


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (4, 2)], ids=["grey", "grey with alpha"])
def test_a_profile_of_grey_says_nothing_of_rgb(tmp_path: Path, kind: int, channels: int) -> None:
    (tmp_path / "in").mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (48, 64 * channels), np.uint8)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, kind, 0, 0, 0))
    tags = chunk(b"iCCP", b"grey\0\0" + zlib.compress(b"GRAY" * 40)) + chunk(b"gAMA", struct.pack(">I", 45455))
    (tmp_path / "in/1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + tags + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    result, _ = render(tmp_path / "in", tmp_path / "out", "png")
    made = (result.path / "1.png").read_bytes()
    assert b"gAMA" in made and b"iCCP" not in made
    np.testing.assert_array_equal(read_image(result.path / "1.png")[0][:4], np.repeat(rows.reshape(48, 64, channels)[:4, :, :1], 3, axis=2))


def test_another_kind_of_file_takes_over_nothing(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "in", 2, np.uint16)
    result, _ = render(folder, tmp_path / "out", "tiff")
    assert read_image(result.path / result.files[0])[0].dtype == np.uint16
