"""DPX images (SMPTE 268M). Read only: the numbers are taken as they are, logarithmic ones too."""
from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from . import colour
from .samples import layout

_ORDER = {b"SDPX": ">", b"XPDS": "<"}
_MOST_PIXELS = 1 << 28


def read_dpx(path: Path, data: bytes) -> tuple[np.ndarray, np.ndarray | None, int]:
    """RGB (H, W, 3) uint8, or uint16 at full scale for more than 8 bits, alpha or None, and 8 or 16. Raises `BadClip`."""
    try:
        order = _ORDER[data[:4]]
        offset, _, size = struct.unpack_from(f"{order}I8sI", data, 4)
        width, height = struct.unpack_from(f"{order}II", data, 772)
        if width * height > _MOST_PIXELS:
            raise BadClip(f"{path} claims to be {width}x{height} pixels, which is more than can be processed: use a sound copy.")
        if len(data) <= offset or (size != 0xFFFFFFFF and len(data) < size):
            raise BadClip(f"{path} is damaged or cut short: use a sound copy.")
        decoder = av.CodecContext.create("dpx", "r")
        decoder.thread_type = "NONE"
        frame = next(frame for packet in (av.Packet(data), None) for frame in decoder.decode(packet))
        shape = layout(frame.format.name)
    except (av.FFmpegError, StopIteration, ValueError, LookupError, struct.error) as error:
        text = f"{path} is not a DPX image that can be read: it is damaged, or of a kind that is not supported; convert it to TIFF or EXR."
        raise BadClip(text) from error
    if shape.family == "yuv" or shape.is_float:
        raise BadClip(f"{path} is not RGB with 8 to 16 bits: convert it to TIFF or EXR.")
    return colour.rgb_of(frame), colour.alpha_of(frame), 8 if shape.depth == 8 else 16
