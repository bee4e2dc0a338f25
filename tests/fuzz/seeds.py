"""Small sound files of every kind that is read, and the ways in which they are damaged."""
from __future__ import annotations

import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "media"))
from dpx_files import dpx  # noqa: E402
from exr_files import exr_bytes  # noqa: E402
from flow_inpaint.media.image_codec import encode_image  # noqa: E402
from footage import encode  # noqa: E402
from tiff_files import tiff_bytes  # noqa: E402

COUNT = 12
SIZE = (64, 48)
SHORT = {"options": {"g": "6", "bf": "2", "preset": "ultrafast"}}
VIDEOS = {
    "h264.mp4": SHORT,
    "h264_front.mp4": SHORT | {"container_options": {"movflags": "faststart"}, "sound": "aac"},
    "h264.mkv": SHORT | {"sound": "flac"},
    "h264.ts": SHORT,
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=6:log-level=none:bframes=2"}},
    "hevc_hashes.mkv": {"codec": "libx265", "options": {"x265-params": "keyint=6:log-level=none:bframes=2:hash=1"}},
    "ffv1.mkv": {"codec": "ffv1", "options": {"level": "3", "slicecrc": "1"}},
    "ffv1_deep.mkv": {"codec": "ffv1", "pixel_format": "yuv422p10le", "options": {"level": "3", "slicecrc": "1", "g": "1"}},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le", "sound": "pcm_s16le"},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "6"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"g": "6", "bf": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "6", "cpu-used": "8", "deadline": "realtime"}},
    "raw.avi": {"codec": "rawvideo", "pixel_format": "yuyv422"},
    "png.mov": {"codec": "png", "pixel_format": "rgb24"},
}
#: Containers whose header says how many frames or seconds there are, so that a shortened file is known to be one.
PROMISING = (".mkv", ".mp4", ".mov", ".avi", ".webm")


def write_seeds(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = [encode(folder / name, COUNT, size=SIZE, **settings) for name, settings in VIDEOS.items()]
    generator = np.random.default_rng(0)
    rough = cv2.GaussianBlur(generator.integers(0, 256, (48, 64, 3), np.uint8), (5, 5), 2)
    alpha = rough[..., 0]
    for name, data in {
        "a.png": encode_image(".png", rough, None, 8),
        "deep.png": encode_image(".png", rough.astype(np.uint16) * 257, alpha.astype(np.uint16) * 257, 16),
        "a.tif": encode_image(".tif", rough, alpha, 8),
        "planes.tif": tiff_bytes(rough.astype(np.uint16) * 257, planes=True, t34675=b"a profile"),
        "grey.tif": tiff_bytes(rough[..., :2].copy(), ">", t338=2, t274=6),
        "deep.tif": encode_image(".tif", rough.astype(np.uint16) * 257, None, 16),
        "half.exr": encode_image(".exr", rough.astype(np.float32) / 50, None, 16),
        "float.exr": encode_image(".exr", rough.astype(np.float32) / 50, alpha.astype(np.float32) / 255, 32),
        "parts.exr": exr_bytes([("one", _planes(rough)), ("two", _planes(rough[::-1]))]),
        "tiles.exr": exr_bytes([("", _planes(rough))], tile=16),
        "a.dpx": dpx("gbrp10be")[0],
        "a.bmp": cv2.imencode(".bmp", rough)[1].tobytes(),
        "a.webp": cv2.imencode(".webp", rough)[1].tobytes(),
        "exif.jpg": _with_exif(cv2.imencode(".jpg", rough)[1].tobytes(), generator),
    }.items():
        (folder / name).write_bytes(data)
        made.append(folder / name)
    return made


def _planes(rgb: np.ndarray) -> dict[str, np.ndarray]:
    return {name: (rgb[..., k] / 255).astype(np.float16) for k, name in enumerate("RGB")}


def _with_exif(jpeg: bytes, generator: np.random.Generator) -> bytes:
    """Orientation, a directory that points at itself, and noise."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08"
    exif += generator.bytes(64)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def flip(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice((1, 2, 8, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def spoil_header(data: bytearray, chance: random.Random) -> bytearray:
    """Bits and numbers in the first bytes, where sizes, counts and offsets are."""
    head = min(len(data), chance.choice((32, 128, 800)))
    for _ in range(chance.choice((1, 2, 4))):
        at = chance.randrange(head)
        data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return data


def huge_number(data: bytearray, chance: random.Random) -> bytearray:
    """A number of 16 or 32 bits made as large as it goes, or nothing, or negative."""
    size = chance.choice((2, 4))
    at = chance.randrange(max(len(data) - size, 1))
    value = chance.choice((0, 1, (1 << 8 * size) - 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, 0x3FFF, 0xFFFF))
    data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, chance.choice(("big", "little")))
    return data


def drop(data: bytearray, chance: random.Random) -> bytearray:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 4, 64, 4096))]
    return data


def double(data: bytearray, chance: random.Random) -> bytearray:
    at, size = chance.randrange(len(data)), chance.choice((1, 16, 512))
    data[at:at] = data[at : at + size]
    return data


def blank(data: bytearray, chance: random.Random) -> bytearray:
    at = chance.randrange(len(data))
    size = min(chance.choice((4, 64, 2048)), len(data) - at)
    data[at : at + size] = bytes([chance.choice((0, 255))]) * size
    return data


def huge_picture(data: bytearray, chance: random.Random) -> bytearray:
    """The width and height wherever they are written, with the checksum made right where there is one."""
    wide, high = chance.choice(((0, 0), (1 << 30, 1 << 30), (65535, 65535), (20000, 20000), (1, 1 << 31 - 1), (0x7FFFFFFF, 1)))
    if data.startswith(b"\x89PNG"):
        data[16:24] = struct.pack(">II", wide, high)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        return data
    at = data.find(b"dataWindow\0box2i\0")
    if at > 0:
        data[at + 21 : at + 37] = struct.pack("<4i", 0, 0, min(wide, 2**31) - 1, min(high, 2**31) - 1)
        return data
    for size, order in ((4, ">"), (4, "<"), (2, ">"), (2, "<")):
        pattern = struct.pack(f"{order}{'I' if size == 4 else 'H'}", SIZE[0])
        at = data.find(pattern)
        if 0 < at < len(data) - size:
            data[at : at + size] = struct.pack(f"{order}{'I' if size == 4 else 'H'}", wide & (1 << 8 * size) - 1)
    return data


DAMAGES: dict[str, Callable[[bytearray, random.Random], bytearray]] = {
    f.__name__: f for f in (cut, flip, spoil_header, huge_number, drop, double, blank, huge_picture)
}


def damaged(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """What was done, and what came of it."""
    names = [chance.choice(list(DAMAGES)) for _ in range(chance.choice((1, 1, 1, 2)))]
    out = bytearray(data)
    for name in names:
        if out:
            out = DAMAGES[name](out, chance)
    return "+".join(names), bytes(out)
