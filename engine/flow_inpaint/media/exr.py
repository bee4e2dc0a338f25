"""OpenEXR images. The decoder leaves missing parts black without a word, so the file's own table is checked first."""
from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from . import colour
from .exr_file import ExrFile
from .samples import planes

#: Pixels of a picture at most: no camera makes as many, and a damaged header asks for all the memory there is.
_MOST_PIXELS = 1 << 28


def read_exr(path: Path, data: bytes, layer: str | None = None) -> tuple[np.ndarray, np.ndarray | None, int]:
    """RGB (H, W, 3) float32, alpha (H, W) or None, and 16 for half or 32 for full floats.

    layer  a part's name, or what channels are called before their last dot; None: the channels that are just R, G, B

    What lies outside the data window is 0, what lies outside the display window is left out. Raises `BadClip`.
    """
    try:
        return _read(path, data, layer)
    except (av.FFmpegError, StopIteration, ValueError, LookupError, OverflowError, struct.error) as error:
        text = f"{path} is not an OpenEXR image that can be read: it is damaged, or not of channels that are all half or all float."
        raise BadClip(text) from error


def _read(path: Path, data: bytes, layer: str | None) -> tuple[np.ndarray, np.ndarray | None, int]:
    file = ExrFile.parse(data)
    place = file.find(layer)
    if place is None:
        known = ", ".join(file.layers()[:20])
        what = "no channels R, G, B or Y of its own" if layer is None else f"no layer {layer!r} with channels R, G, B or Y"
        raise BadClip(f"{path} has {what}" + (f": choose one of its layers {known}." if known else ": save it as RGB."))
    number, inner = place
    part = file.parts[number]
    if part.deep:
        raise BadClip(f"{path} has deep samples, many for a pixel: flatten it first.")
    kinds = part.kinds(inner)
    if "whole" in kinds:
        raise BadClip(f"{path} has samples that are whole numbers: save it as half or float.")
    width, height = part.size
    if width * height > _MOST_PIXELS:
        raise BadClip(f"{path} claims to be {width}x{height} pixels, which is more than can be processed: use a sound copy.")
    single = file.alone(number)
    if single is None:
        raise BadClip(f"{path} is damaged or cut short: use a sound copy.")
    frame = _decoded(single, inner)
    return colour.rgb_of(frame), colour.alpha_of(frame), 16 if kinds == {"half"} else 32


def _decoded(data: bytes, layer: str) -> av.VideoFrame:
    decoder = av.CodecContext.create("exr", "r")
    decoder.options = {"layer": layer} if layer else {}
    decoder.thread_type = "NONE"
    return next(frame for packet in (av.Packet(data), None) for frame in decoder.decode(packet))


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
