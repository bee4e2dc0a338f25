"""A Mask strip's last pixel, the top right one, which Blender leaves as it found it in memory.

What turns a mask into a picture stops one pixel short of the end (seen in 4.2 and 5.0). Now and then that pixel is bright, and would
be a hole in the corner of single frames, made larger by the matte's growing.
"""
from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_Chunk = tuple[bytes, bytes]


def mend(path: Path) -> None:
    """Gives the top right pixel of a PNG file, as Blender writes them, the value of the one to its left.

    The file is written anew only where the two differ, and then at once or not at all. Raises OSError when that fails.
    """
    chunks = list(_chunks(path.read_bytes()))
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[0][1])
    pixel = _CHANNELS[colour] * depth // 8
    row = 1 + width * pixel
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    top = _first_rows(zlib.decompressobj().decompress(packed, row), row, pixel)[0]
    if width < 2 or top[-pixel:] == top[-2 * pixel : -pixel]:
        return
    rows = zlib.decompress(packed)
    # The second row may be told by how it differs from the first: both are written plainly.
    plain = _first_rows(rows[: 2 * row], row, pixel)
    plain[0][-pixel:] = plain[0][-2 * pixel : -pixel]
    rows = b"".join(b"\0" + one for one in plain) + rows[2 * row :]
    parts = [chunk for chunk in chunks if chunk[0] not in (b"IDAT", b"IEND")]
    _write(path, [*parts, (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")])


def _chunks(data: bytes) -> Iterator[_Chunk]:
    place = len(_SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield kind, data[place + 8 : place + 8 + length]
        place += 12 + length


def _first_rows(rows: bytes, row: int, pixel: int) -> list[bytearray]:
    """The pixels of rows that follow each other from the top of the picture (PNG specification, 9.2: filter types)."""
    found: list[bytearray] = []
    above = bytearray(row - 1)
    for start in range(0, len(rows), row):
        kind, line = rows[start], bytearray(rows[start + 1 : start + row])
        for place in range(row - 1 if kind else 0):
            left, corner = (line[place - pixel], above[place - pixel]) if place >= pixel else (0, 0)
            line[place] = (line[place] + _guess(kind, left, above[place], corner)) & 255
        found.append(line)
        above = line
    return found


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        ahead = left + up - corner
        return min((left, up, corner), key=lambda value: abs(ahead - value))
    return (0, left, up, (left + up) // 2)[kind]


def _write(path: Path, chunks: list[_Chunk]) -> None:
    part = path.with_name(path.name + ".part")
    packed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    try:
        part.write_bytes(_SIGNATURE + b"".join(packed))
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
