"""OpenEXR files of several parts and layers, tiled or not, uncompressed: written as the format's description says."""
from __future__ import annotations

import struct

import numpy as np

Channels = dict[str, np.ndarray]


def exr_bytes(
    parts: list[tuple[str, Channels]],
    tile: int | None = None,
    attributes: bytes = b"",
    display: tuple[int, ...] = (),
    left_top: tuple[int, int] = (0, 0),
) -> bytes:
    """A file of the parts (name, channels (H, W) float16, float32 or uint32). One part without a name makes a plain file.

    `left_top` is where the channels lie in the plane, `display` the window that is to be seen: theirs unless told.
    """
    many = len(parts) > 1 or bool(parts[0][0])
    flags = 2 | (0x1000 if many else 0x200 if tile else 0)
    chunks = [_chunks(number if many else None, channels, tile, left_top[1]) for number, (_, channels) in enumerate(parts)]
    headers = b"".join(
        _header(name, channels, tile, len(c), display, left_top) + attributes + b"\0" for (name, channels), c in zip(parts, chunks)
    )
    head = struct.pack("<II", 20000630, flags) + headers + (b"\0" if many else b"")
    at = len(head) + 8 * sum(map(len, chunks))
    table = b""
    for chunk in (one for part in chunks for one in part):
        table += struct.pack("<Q", at)
        at += len(chunk)
    return head + table + b"".join(one for part in chunks for one in part)


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value


def _header(name: str, channels: Channels, tile: int | None, count: int, display: tuple[int, ...], left_top: tuple[int, int]) -> bytes:
    height, width = next(iter(channels.values())).shape
    left, top = left_top
    window = struct.pack("<4i", left, top, left + width - 1, top + height - 1)
    shown = struct.pack("<4i", *display) if display else window
    kinds = {"uint32": 0, "float16": 1, "float32": 2}
    listed = b"".join(c.encode() + b"\0" + struct.pack("<iB3xii", kinds[channels[c].dtype.name], 0, 1, 1) for c in sorted(channels))
    out = _attribute("channels", "chlist", listed + b"\0") + _attribute("compression", "compression", b"\0")
    out += _attribute("dataWindow", "box2i", window) + _attribute("displayWindow", "box2i", shown)
    out += _attribute("lineOrder", "lineOrder", b"\0") + _attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    out += _attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)) + _attribute("screenWindowWidth", "float", struct.pack("<f", 1))
    if tile:
        out += _attribute("tiles", "tiledesc", struct.pack("<IIB", tile, tile, 0))
    if name:
        out += _attribute("name", "string", name.encode()) + _attribute("type", "string", b"tiledimage" if tile else b"scanlineimage")
        out += _attribute("chunkCount", "int", struct.pack("<i", count))
    return out


def _chunks(number: int | None, channels: Channels, tile: int | None, first_line: int) -> list[bytes]:
    height, width = next(iter(channels.values())).shape
    own = b"" if number is None else struct.pack("<i", number)
    found = []
    for top in range(0, height, tile or 1):
        for left in range(0, width, tile or width):
            rows = range(top, min(top + (tile or 1), height))
            columns = slice(left, left + (tile or width))
            data = b"".join(channels[c][y, columns].tobytes() for y in rows for c in sorted(channels))
            place = struct.pack("<4i", left // tile, top // tile, 0, 0) if tile else struct.pack("<i", first_line + top)
            found.append(own + place + struct.pack("<I", len(data)) + data)
    return found
