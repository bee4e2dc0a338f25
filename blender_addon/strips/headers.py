"""What the beginning of a file says of its pictures. Blender tells more, but decodes a picture for it: tens to hundreds of milliseconds
in which its window stands still.

Formats: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), MP4 and QuickTime (ISO/IEC 14496-12), Matroska (RFC 9559).
"""
from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LARGEST = 1 << 20
"""Bytes of what is read in one go."""


@dataclass(frozen=True)
class Header:
    """`size` in pixels as they are stored; `alpha`: whether there is any; `deep`: more than 8 bits a sample, None where not known."""

    size: tuple[int, int]
    alpha: bool
    deep: bool | None = None


def read(path: Path) -> Header | None:
    """None for another kind of file, a damaged one, and one that leaves in doubt whether it has alpha."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        with open(path, "rb") as file:
            found = reader(file)
    except (OSError, struct.error, IndexError, ValueError, RecursionError, _Odd):
        return None
    return found if found is not None and min(found.size) > 0 else None


class _Odd(Exception):
    """The file is not what its name says."""


def _png(file: BinaryIO) -> Header:
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        raise _Odd
    size, alpha, deep = (0, 0), False, False
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IHDR":
            width, height, bits, colours = struct.unpack(">IIBB", file.read(10))
            size, alpha, deep = (width, height), colours in (4, 6), bits > 8
            length -= 10
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"IDAT":
            return Header(size, alpha, deep)
        file.seek(length + 4, os.SEEK_CUR)


def _jpeg(file: BinaryIO) -> Header:
    if file.read(2) != b"\xff\xd8":
        raise _Odd
    while True:
        mark, kind = file.read(2)
        if mark != 0xFF:
            raise _Odd
        if kind == 0xFF:  # padding
            file.seek(-1, os.SEEK_CUR)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            _, height, width = struct.unpack(">BHH", file.read(5))
            return Header((width, height), False, False)
        file.seek(length - 2, os.SEEK_CUR)


# --- MP4 and QuickTime

_OPAQUE_BOXES = {b"avc1", b"avc3", b"hvc1", b"hev1", b"mp4v", b"vp09", b"av01", b"jpeg", b"apch", b"apcn", b"apcs", b"apco"}
"""Codecs that cannot have alpha, or whose alpha no decoder of Blender's gives out."""


def _boxes(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int]]:
    """Kind and end of each box up to `end`; the file stands at the box's contents then."""
    while file.tell() + 8 <= end:
        begin = file.tell()
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        stop = begin + length if length else end
        if stop > end or stop < file.tell():
            raise _Odd
        yield kind, stop
        file.seek(stop)


def _isobmff(file: BinaryIO) -> Header | None:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    found: list[Header | None] = []
    for kind, stop in _boxes(file, end):
        if kind == b"moov":
            found = [_track(file, inside) for track, inside in _boxes(file, stop) if track == b"trak"]
            break
    pictures = [one for one in found if one is not _SOUND]
    return pictures[0] if len(pictures) == 1 else None


_SOUND = Header((0, 0), False)


def _track(file: BinaryIO, end: int) -> Header | None:
    """What a track shows; `_SOUND` where it shows nothing, None where it is not known."""
    handler, entry = b"", None
    for kind, stop in _inside(file, end, (b"mdia", b"minf", b"stbl")):
        if kind == b"hdlr" and not handler:
            handler = file.read(12)[8:]
        elif kind == b"stsd":
            _, entries, _, name = struct.unpack(">III4s", file.read(16))
            file.seek(24, os.SEEK_CUR)
            entry = (entries, name, struct.unpack(">HH", file.read(4)))
    if handler != b"vide":
        return _SOUND
    if entry is None or entry[0] != 1 or entry[1] not in _OPAQUE_BOXES:
        return None
    return Header(entry[2], False)


def _inside(file: BinaryIO, end: int, through: tuple[bytes, ...]) -> Iterator[tuple[bytes, int]]:
    """The boxes up to `end`, with those inside the boxes `through`."""
    for kind, stop in _boxes(file, end):
        yield kind, stop
        if kind in through:
            yield from _inside(file, stop, through)


# --- Matroska

_OPAQUE_CODECS = {
    *("V_MPEG4/ISO/AVC", "V_MPEGH/ISO/HEVC", "V_AV1", "V_VP8", "V_VP9"),
    *("V_MPEG1", "V_MPEG2", "V_MPEG4/ISO/ASP", "V_THEORA", "V_MJPEG"),
}
_SEGMENT, _TRACKS, _CLUSTER, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xAE, 0xE0
_CODEC, _WIDTH, _HEIGHT, _ALPHA = 0x86, 0xB0, 0xBA, 0x53C0


def _matroska(file: BinaryIO) -> Header | None:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    found = []
    for number, stop in _elements(file, end):
        if number != _SEGMENT:
            continue
        for inside, tracks_end in _elements(file, stop):
            if inside == _TRACKS:
                found = [_entry(file, entry_end) for entry, entry_end in _elements(file, tracks_end) if entry == _ENTRY]
            if inside in (_TRACKS, _CLUSTER):
                break
        break
    pictures = [one for one in found if one is not _SOUND]
    return pictures[0] if len(pictures) == 1 else None


def _entry(file: BinaryIO, end: int) -> Header | None:
    codec, told = "", {_WIDTH: 0, _HEIGHT: 0, _ALPHA: 0}
    for number, stop in _elements(file, end):
        if number == _CODEC:
            codec = _bytes(file, stop).decode("ascii", "replace").rstrip("\0")
        elif number == _VIDEO:
            told |= {inner: int.from_bytes(_bytes(file, inner_end)) for inner, inner_end in _elements(file, stop) if inner in told}
    if not codec.startswith("V_"):
        return _SOUND
    return Header((told[_WIDTH], told[_HEIGHT]), False) if codec in _OPAQUE_CODECS and not told[_ALPHA] else None


def _elements(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number and end of each element up to `end`; the file stands at the element's contents then."""
    while file.tell() < end:
        number = _whole_number(file, keep_mark=True)
        length = _whole_number(file, keep_mark=False)
        stop = end if length is None else file.tell() + length
        if stop > end:
            raise _Odd
        yield number, stop
        file.seek(stop)


def _whole_number(file: BinaryIO, keep_mark: bool) -> int | None:
    """A number whose first byte says how many bytes it has; None where it stands for "not known"."""
    first = file.read(1)[0]
    extra = 8 - first.bit_length()
    if extra > 7:
        raise _Odd
    value = int.from_bytes(bytes([first if keep_mark else first ^ (0x80 >> extra)]) + file.read(extra))
    return None if not keep_mark and value == (1 << 7 * (extra + 1)) - 1 else value


def _bytes(file: BinaryIO, end: int) -> bytes:
    if end - file.tell() > _LARGEST:
        raise _Odd
    return file.read(end - file.tell())


_READERS: dict[str, Callable[[BinaryIO], Header | None]] = {
    ".png": _png,
    **dict.fromkeys((".jpg", ".jpeg"), _jpeg),
    **dict.fromkeys((".mp4", ".m4v", ".mov"), _isobmff),
    **dict.fromkeys((".mkv", ".webm"), _matroska),
}
