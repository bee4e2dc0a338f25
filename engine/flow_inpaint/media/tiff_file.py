"""TIFF images: what their tags say about their samples, so that they are read as they are stored, and told on.

Follows "TIFF Revision 6.0" (Adobe, 1992) and BigTIFF. The library that decodes them turns pictures, multiplies alpha in and takes
samples for others, each without a word: what it would change is hidden from it, and what it would get wrong is read otherwise or refused.
"""
from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from ..errors import BadClip
from . import colour
from .samples import layout

Buffer = bytes | mmap.mmap

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR, _TILE_WIDTH = 256, 257, 258, 262, 274, 277, 284, 322
_STRIPS, _STRIP_BYTES, _EXTRA, _FORMAT = 273, 279, 338, 339
_WHITE_IS_ZERO, _RGB, _GREY = 0, 2, (0, 1)
_REFUSED = {5: "CMYK", 8: "Lab", 9: "Lab", 10: "Lab", 32803: "a sensor's mosaic", 32844: "LogLuv", 32845: "LogLuv"}
_WHOLE, _SIGNED, _FLOAT = 1, 2, 3
ASSOCIATED, UNASSOCIATED = 1, 2
_MOST_PIXELS = 1 << 28
#: Bytes of a value of each type that is used here, and how `struct` calls it: byte, text, short, long, rational, undefined.
_TYPES = {1: (1, "B"), 2: (1, "B"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 7: (1, "B"), 16: (8, "Q")}
#: What the numbers of an RGB picture mean and how it is shown: which way up, the pixels' aspect, white point, primaries.
_KEPT = (_ORIENTATION, 282, 283, 296, 318, 319, _EXTRA)
_PROFILE = 34675


@dataclass(frozen=True)
class _Entry:
    """A tag's values: `count` of type `kind`, from byte `at` of the file on."""

    kind: int
    count: int
    at: int


class TiffFile:
    """The tags of the first picture. Raises `ValueError`, `LookupError` or `struct.error` for what is no such file."""

    def __init__(self, data: Buffer):
        self._data = data
        self.order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
        (version,) = struct.unpack_from(f"{self.order}H", data, 2)
        big = {42: False, 43: True}[version]
        head, count_of, size, word = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
        (self.directory,) = struct.unpack_from(self.order + word, data, head)
        (count,) = struct.unpack_from(self.order + count_of, data, self.directory)
        first = self.directory + struct.calcsize(count_of)
        if first + count * size > len(data):
            raise ValueError("the directory is cut short")
        self.entries: dict[int, _Entry] = {}
        for begin in range(first, first + count * size, size):
            tag, kind = struct.unpack_from(f"{self.order}HH", data, begin)
            (values,) = struct.unpack_from(self.order + word, data, begin + 4)
            at = begin + 4 + struct.calcsize(word)
            if values * _TYPES.get(kind, (1,))[0] > struct.calcsize(word):
                (at,) = struct.unpack_from(self.order + word, data, at)
            self.entries[tag] = _Entry(kind, values, at)

    def numbers(self, tag: int, default: int) -> tuple[int, ...]:
        """A few whole numbers, of which the standard says what they are when they are left out."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (3, 4) or not entry.count:
            return (default,)
        letter = _TYPES[entry.kind][1]
        return struct.unpack_from(f"{self.order}{min(entry.count, 16)}{letter}", self._data, entry.at)

    def number(self, tag: int, default: int) -> int:
        return self.numbers(tag, default)[0]

    def all_numbers(self, tag: int) -> tuple[int, ...]:
        entry = self.entries[tag]
        letter = {3: "H", 4: "I", 16: "Q"}[entry.kind]
        if entry.count * struct.calcsize(letter) > len(self._data):
            raise ValueError("more numbers than the file has bytes")
        return struct.unpack_from(f"{self.order}{entry.count}{letter}", self._data, entry.at)

    def value(self, tag: int) -> tuple[int, int, bytes] | None:
        """Type, count and value of a tag, lowest byte first; None where there is none, or none that can be read."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _TYPES:
            return None
        size, letters = _TYPES[entry.kind]
        if entry.at + entry.count * size > len(self._data):
            return None
        letter = letters[0]
        many = entry.count * size // struct.calcsize(letter)
        found = struct.unpack_from(f"{self.order}{many}{letter}", self._data, entry.at)
        return entry.kind, entry.count, struct.pack(f"<{many}{letter}", *found)

    @property
    def alpha(self) -> bool:
        return self.number(_SAMPLES, 1) in (2, 4) and self.number(_PHOTOMETRIC, _RGB) in (*_GREY, _RGB)


def read_tiff(path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray | None, int]:
    """RGB (H, W, 3) uint8, uint16 (at full scale for 10 to 14 bits) or float32, alpha (H, W) or None, and 8, 16 or 32. Raises `BadClip`."""
    try:
        file = TiffFile(data)
        bits = _checked(path, file)
        by_planes = file.number(_PLANAR, 1) == 2 and file.number(_SAMPLES, 1) > 1 and bits > 8
        grey_alpha = file.number(_SAMPLES, 1) == 2
        if by_planes or grey_alpha:
            return _by_ffmpeg(path, file, data)
        image = cv2.imdecode(np.frombuffer(_as_stored(file, data), np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError("cannot be decoded")
    except (ValueError, LookupError, struct.error, cv2.error, av.FFmpegError, StopIteration) as error:
        raise BadClip(f"{path} is not a TIFF image that can be read: it is damaged, or of a kind that is not supported.") from error
    if image.dtype == np.uint16:
        if file.number(_PHOTOMETRIC, _RGB) == _WHITE_IS_ZERO:
            image = ~image
        if 8 < bits < 16:
            image = colour.widen(image >> 16 - bits, layout(f"gray{bits}le"))  # it comes shifted up
    return colour.from_opencv(image)


def _checked(path: Path, file: TiffFile) -> int:
    """The bits of a sample, of a picture that can be read."""
    bits, kinds = set(file.numbers(_BITS, 1)), set(file.numbers(_FORMAT, _WHOLE))
    colours = file.number(_PHOTOMETRIC, _RGB)
    if colours in _REFUSED:
        raise BadClip(f"{path} is {_REFUSED[colours]}: convert it to RGB.")
    if len(bits) > 1 or len(kinds) > 1:
        raise BadClip(f"{path} has samples of several kinds: save it with 8 or 16 bits or as 32-bit float.")
    depth, kind = bits.pop(), kinds.pop()
    if depth not in {_WHOLE: (1, 2, 4, 8, 10, 12, 14, 16), 4: (8, 16), _FLOAT: (32,)}.get(kind, ()):
        name = {_SIGNED: "signed ", _FLOAT: "floating point "}.get(kind, "")
        raise BadClip(f"{path} has {name}samples of {depth} bits: save it with 8 or 16 bits or as 32-bit float, or as OpenEXR.")
    samples = file.number(_SAMPLES, 1)
    most = 2 if colours in _GREY else 4 if colours == _RGB else 3
    if samples > most:
        raise BadClip(f"{path} has {samples} channels: save it as RGB with an alpha channel or without.")
    return depth


def _as_stored(file: TiffFile, data: bytes) -> bytes:
    """The file without what would turn its picture and multiply its alpha in, and without white as 0 where there is alpha."""
    changed = bytearray(data)
    for tag, told, value in ((_ORIENTATION, range(2, 9), 1), (_EXTRA, (UNASSOCIATED,), ASSOCIATED), (_PHOTOMETRIC, (_WHITE_IS_ZERO,), 1)):
        if file.entries.get(tag) and file.number(tag, 1) in told and (tag != _PHOTOMETRIC or file.alpha):
            struct.pack_into(f"{file.order}H", changed, file.entries[tag].at, value)
    return bytes(changed)


def _by_ffmpeg(path: Path, file: TiffFile, data: bytes) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Of what OpenCV gets wrong: channels that are stored apart, and grey with alpha."""
    if _TILE_WIDTH in file.entries:
        raise BadClip(f"{path} has its channels stored apart or grey with alpha in tiles, which cannot be read: save it without tiles.")
    width, height = file.number(_WIDTH, 0), file.number(_HEIGHT, 0)
    if width * height > _MOST_PIXELS:
        raise BadClip(f"{path} claims to be {width}x{height} pixels, which is more than can be processed: use a sound copy.")
    if any(begin + length > len(data) for begin, length in zip(file.all_numbers(_STRIPS), file.all_numbers(_STRIP_BYTES), strict=True)):
        raise ValueError("cut short")
    decoder = av.CodecContext.create("tiff", "r")
    decoder.thread_type = "NONE"
    frame = next(frame for packet in (av.Packet(_as_stored(file, data)), None) for frame in decoder.decode(packet))
    if frame.format.name in ("ya8", "ya16le", "ya16be"):
        dtype = np.dtype(np.uint8 if frame.format.name == "ya8" else ">u2" if frame.format.name == "ya16be" else "<u2")
        plane = frame.planes[0]
        values = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : 2 * plane.width].reshape(plane.height, plane.width, 2)
        values = values.astype(dtype.newbyteorder("="))
        if file.number(_PHOTOMETRIC, _RGB) == _WHITE_IS_ZERO:
            values[..., 0] = ~values[..., 0]
        return np.repeat(values[..., :1], 3, axis=2), np.ascontiguousarray(values[..., 1]), dtype.itemsize * 8
    if layout(frame.format.name).is_float or layout(frame.format.name).family != "gbr":
        raise BadClip(f"{path} has its channels stored apart in a way that cannot be read: save it with its channels interleaved.")
    return colour.rgb_of(frame), colour.alpha_of(frame), 8 if layout(frame.format.name).depth == 8 else 16


def with_tags_of(data: bytes, source: Buffer | None) -> bytes:
    """An RGB picture, TIFF bytes, that says of its numbers what `source` says (another file, or None), and what its alpha is."""
    made = TiffFile(data)
    added: dict[int, tuple[int, int, bytes]] = {}
    if made.alpha:
        added[_EXTRA] = 3, 1, struct.pack("<H", UNASSOCIATED)
    if source is not None:
        theirs = TiffFile(source)
        grey = theirs.number(_PHOTOMETRIC, _RGB) in _GREY
        for tag in _KEPT if grey else (*_KEPT, _PROFILE):
            value = theirs.value(tag)
            if value is not None and (tag != _EXTRA or (made.alpha and value[1] == 1)):
                added[tag] = value
    return _with(data, made, added) if added and made.order == "<" and data[2] == 42 else data


def _with(data: bytes, made: TiffFile, added: dict[int, tuple[int, int, bytes]]) -> bytes:
    """The file with a new directory at its end."""
    (count,) = struct.unpack_from("<H", data, made.directory)
    first, end = made.directory + 2, made.directory + 2 + 12 * count
    old = {int.from_bytes(data[at : at + 2], "little"): data[at : at + 12] for at in range(first, end, 12)}
    following = data[end : end + 4]
    out = bytearray(data + bytes(len(data) % 2))
    for tag, (kind, number, value) in added.items():
        if len(value) > 4:
            place = struct.pack("<I", len(out))
            out += value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        old[tag] = struct.pack("<HHI", tag, kind, number) + place
    struct.pack_into("<I", out, 4, len(out))
    return bytes(out + struct.pack("<H", len(old)) + b"".join(old[tag] for tag in sorted(old)) + following)
