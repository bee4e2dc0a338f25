"""Annotations: pictures that say which object a pixel belongs to."""
from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from ..media.image_codec import read_image

_PNG, _PALETTE = b"\x89PNG\r\n\x1a\n", 3
#: Where a PNG says its kind of colour.
_COLOUR_TYPE = 25


def read_annotation(path: Path) -> np.ndarray:
    """(H, W) uint8: 0 where no object is, else the object's number.

    The number is the index into the palette (DAVIS of 2017, YouTube-VOS) or the grey level; 255, the white of a matte, is object 1.
    In pictures of true colour whatever is not black is object 1. Raises `BadClip` naming the file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_COLOUR_TYPE + 1)
    except OSError as error:
        raise BadClip(f"{path} cannot be read: {error.strerror}.") from error
    # The general way reads a palette's colours, but it also says what is wrong with a file.
    rgb, _, _ = read_image(path)
    if head.startswith(_PNG) and head[_COLOUR_TYPE] == _PALETTE:
        return _indices(path)
    if (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all() and rgb.dtype == np.uint8:
        numbers = rgb[..., 0].copy()
        # A matte's soft edge or a lossy white is no lot of objects.
        return numbers if numbers.max(initial=0) < 64 else (numbers >= 128).astype(np.uint8)
    return (rgb > 0).any(-1).astype(np.uint8)


def _indices(path: Path) -> np.ndarray:
    """The numbers in a PNG with a palette."""
    decoder = av.CodecContext.create("png", "r")
    try:
        frames = [*decoder.decode(av.Packet(path.read_bytes())), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise BadClip(f"{path} is damaged or cut short: use a sound copy.") from error
    frame = frames[0]
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width].copy()
