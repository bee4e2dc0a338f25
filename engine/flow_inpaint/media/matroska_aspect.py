"""The pixel aspect of a Matroska file, and whether it is whole.

The binding cannot give the aspect to the muxer, so it is put into the finished file.

Room is made beforehand: the track is given a name of `RESERVE` characters, which gives way to the display size.
Nothing outside the track's entry moves.
"""
from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

RESERVE = "pixel aspect follows" * 2

_SEGMENT, _TRACKS, _TRACK, _NAME, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x536E, 0xE0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT, _VOID, _CRC = 0x54B0, 0x54BA, 0x54B2, 0xEC, 0xBF
_AS_ASPECT = 3
_HEAD = 1 << 20


@dataclass(frozen=True)
class _Element:
    id: int
    start: int
    body: int
    end: int


def write_pixel_aspect(path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    """Gives the one track of the file, written with the name `RESERVE`, pixels of `aspect`. Raises `OSError`."""
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        tracks = _child(head, _child(head, _Element(0, 0, 0, len(head)), _SEGMENT), _TRACKS)
        content = bytearray(head[tracks.body : tracks.end])
        track = next(t for t in _children(head, tracks) if t.id == _TRACK and _child(head, t, _VIDEO))
        content[track.body - tracks.body : track.end - tracks.body] = _with_aspect(head, track, aspect, size)
        first = next(_children(head, tracks))
        if first.id == _CRC:
            start = first.end - tracks.body
            content[start - 4 : start] = zlib.crc32(content[start:]).to_bytes(4, "little")
        file.seek(tracks.body)
        file.write(content)


def is_shortened(path: Path) -> bool:
    """Whether a Matroska file is shorter than its own header says. Raises `OSError`."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        segment = _child(head, _Element(0, 0, 0, len(head)), _SEGMENT)
    except IndexError:
        return True
    return segment is not None and segment.end > path.stat().st_size


def _with_aspect(head: bytes, track: _Element, aspect: Fraction, size: tuple[int, int]) -> bytes:
    """The track's entry, as long as before, with the display size in its name's place."""
    width, height = size[0] * aspect.numerator, size[1] * aspect.denominator
    divisor = math.gcd(width, height)
    shown = b"".join(
        _element(id, _number(value))
        for id, value in ((_DISPLAY_WIDTH, width // divisor), (_DISPLAY_HEIGHT, height // divisor), (_DISPLAY_UNIT, _AS_ASPECT))
    )
    entry = b""
    for child in _children(head, track):
        if child.id == _VIDEO:
            entry += _element(_VIDEO, head[child.body : child.end] + shown)
        elif child.id != _NAME:
            entry += head[child.start : child.end]
    spare = track.end - track.body - len(entry)
    return entry + bytes([_VOID, 0x80 | spare - 2]) + bytes(spare - 2)


def _element(id: int, body: bytes) -> bytes:
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + (0x4000 | len(body)).to_bytes(2, "big") + body


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _child(data: bytes, parent: _Element, id: int) -> _Element | None:
    return next((child for child in _children(data, parent) if child.id == id), None)


def _children(data: bytes, parent: _Element) -> Iterator[_Element]:
    at = parent.body
    while at < min(parent.end, len(data)):
        id_length = 9 - data[at].bit_length()
        size_length = 9 - data[at + id_length].bit_length()
        size = int.from_bytes(data[at + id_length : at + id_length + size_length], "big") & (1 << 7 * size_length) - 1
        body = at + id_length + size_length
        unknown = size == (1 << 7 * size_length) - 1
        end = parent.end if unknown else body + size
        yield _Element(int.from_bytes(data[at : at + id_length], "big"), at, body, end)
        at = end
