"""Small data sets on disk, laid out as the published ones."""
from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

_COLOURS = bytes([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])


def picture(seed: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    """(H, W, 3) uint8 RGB that JPEG keeps well."""
    y, x = np.indices(size)
    return np.stack([(x * 5 + seed * 9) % 256, (y * 7 + seed * 3) % 256, np.full(size, 40 + seed)], -1).astype(np.uint8)


def write_image(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))


def write_palette(path: Path, numbers: np.ndarray, bits: int = 8) -> None:
    """A PNG whose pixels are indices into a palette, as DAVIS and YouTube-VOS have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    h, w = numbers.shape
    spread = np.unpackbits(numbers.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :].reshape(h, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(spread, axis=-1))
    head = struct.pack(">IIBBBBB", w, h, bits, 3, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", _COLOURS), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def objects_at(frame: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    """Object 1 on the left, which moves, and object 2 on the right."""
    numbers = np.zeros(size, np.uint8)
    numbers[4:12, 2 + frame : 8 + frame] = 1
    numbers[14:20, 20:28] = 2
    return numbers


def davis(root: Path, sequences: tuple[str, ...] = ("bear", "camel"), frames: int = 4, resolutions: tuple[str, ...] = ("480p",)) -> Path:
    for name in sequences:
        for resolution in resolutions:
            for k in range(frames):
                write_image(root / "JPEGImages" / resolution / name / f"{k:05d}.jpg", picture(k))
                write_palette(root / "Annotations" / resolution / name / f"{k:05d}.png", objects_at(k))
    lists = {"2017/train": sequences[:1], "2017/val": sequences[1:], "2016/val": sequences[1:]}
    for split, names in lists.items():
        path = root / "ImageSets" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names))
    path = root / "ImageSets" / "480p" / "trainval.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"/JPEGImages/480p/{name}/{k:05d}.jpg /Annotations/480p/{name}/{k:05d}.png\n" for name in sequences for k in range(frames)]
    path.write_text("".join(lines))
    return root


def youtube_vos(root: Path, parts: tuple[str, ...] = ("train", "valid"), ids: tuple[str, ...] = ("003234408d", "0043f083b5")) -> Path:
    """Every fifth frame; in the second half of each clip only some are annotated."""
    for part in parts:
        meta = {"videos": {}}
        for name in ids:
            own = f"{name}{part[0]}"
            for k in range(0, 25, 5):
                write_image(root / part / "JPEGImages" / own / f"{k:05d}.jpg", picture(k))
                if k < 15:
                    write_palette(root / part / "Annotations" / own / f"{k:05d}.png", objects_at(k // 5), bits=4)
            meta["videos"][own] = {"objects": {"1": {"category": "penguin", "frames": ["00000"]}, "2": {"category": "sheep"}}}
        (root / part / "meta.json").write_text(json.dumps(meta))
    return root
