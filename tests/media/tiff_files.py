"""TIFF files of every kind of samples, uncompressed, in one strip for each plane: written as the standard's text says."""
from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_LETTERS = {3: "H", 4: "I"}


def tiff_bytes(
    samples: np.ndarray, order: str = "<", planes: bool = False, bits: int | None = None, **tags: int | tuple[int, ...] | bytes
) -> bytes:
    """A file of (H, W, channels) samples. `planes`: each channel for itself. `bits`: packed, if not those of the type.
    `tags` are called t338 and so on and are short numbers, or bytes."""
    height, width, channels = samples.shape
    bits = bits or samples.dtype.itemsize * 8
    pieces = [samples[..., k] for k in range(channels)] if planes else [samples]
    strips = [_packed(piece.reshape(height, -1), bits, order) for piece in pieces]
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    entries: dict[int, tuple[int, list[int] | bytes]] = {
        256: (3, [width]), 257: (3, [height]), 258: (3, [bits] * channels), 259: (3, [1]), 262: (3, [2 if channels > 2 else 1]),
        277: (3, [channels]), 278: (3, [height]), 284: (3, [2 if planes else 1]), 339: (3, [kind] * channels),
    }  # fmt: skip
    at = 8
    entries[273], entries[279] = (4, []), (4, [len(strip) for strip in strips])
    for strip in strips:
        entries[273][1].append(at)
        at += len(strip)
    for name, value in tags.items():
        entries[int(name[1:])] = (7, value) if isinstance(value, bytes) else (3, [value] if isinstance(value, int) else list(value))
    extra, listed = b"", struct.pack(f"{order}H", len(entries))
    beyond = at + 2 + 12 * len(entries) + 4
    for tag, (type_, values) in sorted(entries.items()):
        packed = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{_LETTERS[type_]}", *values)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(f"{order}I", beyond + len(extra))
        extra += packed if len(packed) > 4 else b""
        listed += struct.pack(f"{order}HHI", tag, type_, len(values)) + place
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", at) + b"".join(strips) + listed + bytes(4) + extra


def tags_of(path: Path) -> dict[int, tuple[int, ...] | bytes]:
    """The tags of a file in little endian, of the types that we write."""
    data = path.read_bytes()
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    found: dict[int, tuple[int, ...] | bytes] = {}
    numbers = []
    for begin in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, many = struct.unpack_from("<HHI", data, begin)
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}[kind] * many
        place = begin + 8 if size <= 4 else struct.unpack_from("<I", data, begin + 8)[0]
        found[tag] = data[place : place + size] if kind not in _LETTERS else struct.unpack_from(f"<{many}{_LETTERS[kind]}", data, place)
        numbers.append(tag)
    assert numbers == sorted(set(numbers))
    return found


def _packed(rows: np.ndarray, bits: int, order: str) -> bytes:
    if bits == rows.dtype.itemsize * 8:
        return rows.astype(rows.dtype.newbyteorder(order)).tobytes()
    each = rows.astype(np.uint16)[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint16) & 1
    return np.packbits(each.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()
