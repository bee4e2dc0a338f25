"""The pixel that Blender leaves undefined in a Mask strip's picture, put right in the PNG file without another pixel changing."""
from __future__ import annotations

import importlib.util
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("last_pixel", Path(__file__).resolve().parents[2] / "blender_addon/strips/last_pixel.py")
last_pixel = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(last_pixel)


def _png(path: Path, picture: np.ndarray, kind: int) -> None:
    """Every row by the same filter type, in two IDAT chunks."""
    height, width, channels = picture.shape
    pixel = channels * picture.itemsize
    rows = np.frombuffer(picture.astype(picture.dtype.newbyteorder(">")).tobytes(), np.uint8).reshape(height, -1).astype(int)
    up = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    left, corner = (np.hstack([np.zeros_like(a[:, :pixel]), a[:, :-pixel]]) for a in (rows, up))
    ahead = left + up - corner
    distances = np.stack([abs(ahead - left), abs(ahead - up), abs(ahead - corner)])
    paeth = np.take_along_axis(np.stack([left, up, corner]), distances.argmin(0)[None], 0)[0]
    filtered = (rows - (0 * rows, left, up, (left + up) // 2, paeth)[kind]).astype(np.uint8)
    packed = zlib.compress(b"".join(bytes([kind]) + row.tobytes() for row in filtered))
    header = struct.pack(">IIBBBBB", width, height, 8 * picture.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", packed[:40]), (b"IDAT", packed[40:]), (b"IEND", b"")]
    told = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(told))


def _read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return picture if picture.ndim == 3 else picture[..., None]


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_top_right_pixel_becomes_its_neighbour(tmp_path: Path, kind: int, channels: int, depth: type) -> None:
    path = tmp_path / "matte.png"
    _png(path, np.random.default_rng(1).integers(0, np.iinfo(depth).max, (5, 7, channels), dtype=depth, endpoint=True), kind)
    before = _read(path)
    assert before.dtype == depth and (before[0, -1] != before[0, -2]).any()
    last_pixel.mend(path)
    before[0, -1] = before[0, -2]
    assert np.array_equal(_read(path), before)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(3, 5, 3), (1, 5, 3), (3, 1, 3)])
def test_a_picture_that_needs_nothing_is_not_written(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    path = tmp_path / "matte.png"
    _png(path, np.full(shape, 200, np.uint8), 1)
    before = path.read_bytes()
    path.chmod(0o444)
    last_pixel.mend(path)
    assert path.read_bytes() == before


def test_a_picture_of_one_row(tmp_path: Path) -> None:
    path = tmp_path / "matte.png"
    _png(path, np.uint8([[[0], [9], [255]]]), 4)
    last_pixel.mend(path)
    assert _read(path).ravel().tolist() == [0, 9, 9]


def test_a_full_disk_leaves_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "matte.png"
    _png(path, np.uint8([[[0], [9], [255]]]), 0)
    before = path.read_bytes()

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(last_pixel.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        last_pixel.mend(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
