"""One image file to and from arrays, exactly."""
from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from ..errors import BadClip
from ..memory_at_hand import be_sure_of_some
from .colour import from_opencv
from .dpx import read_dpx
from .exr import encode_exr, read_exr
from .tiff_file import read_tiff, with_tags_of

_PNG = b"\x89PNG"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What is wrong with a file is said in our own words.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: Path, layer: str | None = None) -> tuple[np.ndarray, np.ndarray | None, int]:
    """RGB (H, W, 3) in uint8, uint16 or float32, alpha (H, W) in the same type or None, and the bits of a sample in the file.

    The numbers are the file's own: no orientation, profile or gamma is applied. `layer`: of OpenEXR, see `read_exr`.
    Raises `BadClip` naming the file, also for numbers that are none (NaN, infinity).
    """
    rgb, alpha, depth = _read(path, layer)
    if rgb.dtype == np.float32:
        _check_finite(path, rgb, alpha)
    return rgb, alpha, depth


def _read(path: Path, layer: str | None) -> tuple[np.ndarray, np.ndarray | None, int]:
    try:
        if path.exists() and not path.is_file():
            raise BadClip(f"{path} is no file: give an image.")
        data = path.read_bytes()
    except OSError as error:
        raise BadClip(f"{path} cannot be read: {error.strerror}.") from error
    if path.suffix.lower() == ".exr":
        return read_exr(path, data, layer)
    if layer is not None:
        raise BadClip(f"{path} has no layers, so there is no {layer!r} in it: only OpenEXR has any.")
    if path.suffix.lower() == ".dpx":
        return read_dpx(path, data)
    if data.startswith(_TIFF):
        return read_tiff(path, data)
    _check_whole(path, data)
    if data.startswith(_PNG):
        data = _samples_alone(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error:
        image = None
    if image is None:
        be_sure_of_some()
        raise BadClip(f"{path} is not an image that can be read: it is damaged or of another kind than its name says.")
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        raise BadClip(f"{path} has samples of type {image.dtype}: save it with 8 or 16 bits or as 32-bit float.")
    return from_opencv(image)


def _check_finite(path: Path, rgb: np.ndarray, alpha: np.ndarray | None) -> None:
    """What is no number cannot be averaged: it would spread over everything that is carried."""
    bad = ~np.isfinite(rgb).all(axis=2)
    if alpha is not None:
        bad |= ~np.isfinite(alpha)
    if bad.any():
        y, x = (int(axis[0]) for axis in np.nonzero(bad))
        count = int(bad.sum())
        raise BadClip(f"{path} has {count} pixels that are no numbers (NaN or infinite), the first at x {x}, y {y}: paint them out first.")


def _check_whole(path: Path, data: bytes) -> None:
    """OpenCV fills the missing part of a truncated image with grey: say so instead."""
    whole = True
    if data.startswith(b"\xff\xd8"):
        whole = data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    elif data.startswith(_PNG):
        whole = _whole_png(data)
    if not whole:
        raise BadClip(f"{path} is damaged or cut short: use a sound copy.")


def _whole_png(data: bytes) -> bool:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data) or zlib.crc32(memoryview(data)[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end
    return False


def _samples_alone(data: bytes) -> bytes:
    """A whole PNG without what it says about its numbers: they are taken as they are, and libpng warns on standard error of what it does
    not like there, such as in every PNG that Blender renders."""
    kept, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        kind = data[at + 4 : at + 8]
        if kind[:1].isupper() or kind == b"tRNS":
            kept.append(data[at:end])
        if kind == b"IEND":
            break
        at = end
    return b"".join(kept)


def encode_image(suffix: str, rgb: np.ndarray, alpha: np.ndarray | None, depth: int) -> bytes:
    """The bytes of an image file that `read_image` gives back exactly. `suffix` is .png, .tif or .exr."""
    if suffix == ".exr":
        return encode_exr(rgb, alpha, half=depth == 16)
    if alpha is None:
        image = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    else:
        image = cv2.merge((rgb[..., 2], rgb[..., 1], rgb[..., 0], alpha))
    data = cv2.imencode(suffix, image)[1].tobytes()
    return with_tags_of(data, None) if data.startswith(_TIFF) else data
