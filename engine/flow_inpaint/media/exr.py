"""OpenEXR images. The decoder leaves missing parts black without a word, so the file's own table is checked first."""
from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from . import colour
from .samples import planes

_LINES_PER_BLOCK = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
_TILED_OR_DEEP_OR_PARTS = 0x200 | 0x800 | 0x1000
_HALF = 1


@dataclass(frozen=True)
class _Header:
    end: int
    flags: int
    attributes: dict[str, bytes]


def read_exr(path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray | None, int]:
    """RGB (H, W, 3) float32, alpha (H, W) or None, and 16 for half or 32 for full floats. Raises `BadClip`."""
    try:
        header = _header(data)
        if not _is_whole(header, data):
            raise BadClip(f"{path} is damaged or cut short: use a sound copy.")
        with av.open(str(path), format="exr_pipe") as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, ValueError, LookupError, struct.error) as error:
        raise BadClip(f"{path} is not an OpenEXR image that can be read: it needs channels R, G, B (and A), or Y, in one layer.") from error
    channels = header.attributes["channels"]
    return colour.rgb_of(frame), colour.alpha_of(frame), 16 if _all_half(channels) else 32


def _header(data: bytes) -> _Header:
    magic, flags = struct.unpack_from("<II", data)
    if magic != 20000630:
        raise ValueError("not OpenEXR")
    attributes, at = {}, 8
    while data[at]:
        name_end = data.index(b"\0", at)
        type_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<I", data, type_end + 1)
        attributes[data[at:name_end].decode("latin-1")] = data[type_end + 5 : type_end + 5 + size]
        at = type_end + 5 + size
    return _Header(at + 1, flags, attributes)


def _is_whole(header: _Header, data: bytes) -> bool:
    if header.flags & _TILED_OR_DEEP_OR_PARTS:
        return True
    _, top, _, bottom = struct.unpack("<4i", header.attributes["dataWindow"])
    blocks = -(-(bottom - top + 1) // _LINES_PER_BLOCK[header.attributes["compression"][0]])
    if header.end + 8 * blocks > len(data):
        return False
    offsets = struct.unpack_from(f"<{blocks}Q", data, header.end)
    return all(offset + 8 <= len(data) and offset + 8 + struct.unpack_from("<I", data, offset + 4)[0] <= len(data) for offset in offsets)


def _all_half(channels: bytes) -> bool:
    at, kinds = 0, []
    while channels[at]:
        at = channels.index(b"\0", at) + 1
        kinds.append(struct.unpack_from("<I", channels, at)[0])
        at += 16
    return all(kind == _HALF for kind in kinds)


def encode_exr(rgb: np.ndarray, alpha: np.ndarray | None, half: bool) -> bytes:
    """The bytes of an OpenEXR file of RGB (H, W, 3) float32, losslessly compressed; `half` rounds to half floats."""
    height, width = rgb.shape[:2]
    encoder = av.CodecContext.create("exr", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "gbrpf32le" if alpha is None else "gbrapf32le"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"format": "half" if half else "float", "compression": "zip16"}
    frame = av.VideoFrame(width, height, encoder.pix_fmt)
    channels = [rgb[..., 1], rgb[..., 2], rgb[..., 0]] + ([] if alpha is None else [alpha])
    if half:  # the encoder would cut the digits off
        channels = [channel.astype(np.float16) for channel in channels]
    for plane, channel in zip(planes(frame), channels):
        plane[...] = channel
    frame.pts = 0
    return b"".join(bytes(packet) for packet in encoder.encode(frame) + encoder.encode(None))
