"""RGB to and from the sample values of video: matrices, ranges, bit depths."""
from __future__ import annotations

import threading

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from .info import ColourTags
from .samples import EXACT, SMOOTH, Layout, copied, layout, planes

# Kr, Kb by H.273 matrix; everything else is read as BT.601, as ffmpeg and Blender do.
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_BT601 = (0.299, 0.114)
UNREADABLE_MATRICES = {8: "YCgCo", 10: "BT.2020 constant luminance", 11: "SMPTE 2085", 14: "ICtCp"}

_SWS_BT709 = 1

_local = threading.local()


def reformat(frame: av.VideoFrame, name: str, flags: int = EXACT, **colour: int) -> av.VideoFrame:
    """`frame` in pixel format `name`; by default with the nearest chroma sample and exact rounding."""
    if not hasattr(_local, "reformatter"):
        _local.reformatter = VideoReformatter()
    return _local.reformatter.reformat(frame, format=name, interpolation=flags, **colour)


def from_opencv(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, int]:
    """RGB (H, W, 3), alpha (H, W) or None, and the bits of a sample, of an image as OpenCV decodes it: grey, BGR or BGRA."""
    depth = image.dtype.itemsize * 8
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), None, depth
    if image.shape[2] == 4:
        return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB), np.ascontiguousarray(image[..., 3]), depth
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), None, depth


def rgb_of(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) RGB, contiguous: uint8, uint16 at full scale for more than 8 bits, float32 for float."""
    shape = layout(frame.format.name)
    if shape.is_float:
        return _float_rgb(frame, shape)
    if shape.depth == 8:
        packed = reformat(_unsited(frame), "rgb24").planes[0]
        rows = np.frombuffer(packed, np.uint8).reshape(packed.height, packed.line_size)
        return np.ascontiguousarray(rows[:, : packed.width * 3]).reshape(packed.height, packed.width, 3)
    if shape.family != "yuv":
        return _deep_rgb(frame, shape)
    packed = reformat(_unsited(frame), "rgb48le").planes[0]
    rows = np.frombuffer(packed, np.uint16).reshape(packed.height, packed.line_size // 2)
    return np.ascontiguousarray(rows[:, : packed.width * 3]).reshape(packed.height, packed.width, 3)


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in the planar layout of its format: itself when it has it already."""
    name = layout(frame.format.name).name
    return frame if frame.format.name == name else reformat(frame, name)


def _unsited(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame without a chroma location (see `samples.copied`)."""
    return copied(planar(frame)) if layout(frame.format.name).family == "yuv" else frame


def chroma_site(frame: av.VideoFrame) -> str | None:
    """Where the frame says that its chroma samples lie: "left", "topleft", "top", or None for their block's centre or nothing.

    The binding does not tell, so it is seen from how libswscale spreads one sample; `frame` is unchanged afterwards.
    """
    shape = layout(frame.format.name)
    if shape.family != "yuv" or frame.format.name != shape.name or frame.width < 16 or frame.height < 16:
        return None
    frame.make_writable()
    kept = [plane.copy() for plane in planes(frame)]
    luma, blue, red = planes(frame)[:3]
    luma[...], blue[...], red[...] = shape.top // 2, shape.top // 2, shape.top // 2
    plain = reformat(frame, "rgb24").to_ndarray()
    row, column = 2, 2
    blue[row, column] = shape.top
    rows, columns = np.nonzero((reformat(frame, "rgb24").to_ndarray() != plain).any(axis=-1))
    for plane, values in zip(planes(frame), kept):
        plane[...] = values
    left, top = columns.min() < column << shape.shift_x, rows.min() < row << shape.shift_y
    return {(True, True): "topleft", (True, False): "left", (False, True): "top"}.get((bool(left), bool(top)))


def alpha_of(frame: av.VideoFrame) -> np.ndarray | None:
    """(H, W) alpha in the type and scale of `rgb_of`, or None."""
    shape = layout(frame.format.name)
    return widen(planes(planar(frame))[-1], shape) if shape.has_alpha else None


def _float_rgb(frame: av.VideoFrame, shape: Layout) -> np.ndarray:
    found = planes(planar(frame))
    order = (0, 0, 0) if shape.family == "gray" else (2, 0, 1)
    return np.stack([found[i].astype(np.float32) for i in order], axis=-1)


def _deep_rgb(frame: av.VideoFrame, shape: Layout) -> np.ndarray:
    found = [widen(plane, shape) for plane in planes(planar(frame))]
    order = (0, 0, 0) if shape.family == "gray" else (2, 0, 1)
    return np.stack([found[i] for i in order], axis=-1)


def widen(values: np.ndarray, shape: Layout) -> np.ndarray:
    """Full-range samples of `shape.depth` bits at the scale of the RGB type, exactly undone by `narrow`."""
    if shape.is_float:
        return values.astype(np.float32)
    if shape.depth in (8, 16):
        return values
    return ((values.astype(np.uint32) * 65535 + shape.top // 2) // shape.top).astype(np.uint16)


def narrow(values: np.ndarray, shape: Layout) -> np.ndarray:
    """Samples at the scale of the RGB type as full-range samples of `shape.depth` bits."""
    if shape.is_float or shape.depth in (8, 16):
        return values.astype(shape.dtype)
    return ((values.astype(np.uint32) * shape.top + 32767) // 65535).astype(shape.dtype)


def video_white(shape: Layout, full: bool) -> float:
    """What `rgb_of` shows for white: libswscale shifts deep video up to 16 bits, so its white is a little below 65535."""
    if shape.depth == 8:
        return 255.0
    return float(shape.top << 16 - shape.depth) if full else 65280.0


def luma_chroma(rgb: np.ndarray, matrix: int, white: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W) float32 luma 0..1 and chroma -0.5..0.5 (blue, red) of RGB whose white is `white`."""
    kr, kb = _LUMA_WEIGHTS.get(matrix, _BT601)
    red, green, blue = np.moveaxis(rgb.astype(np.float32) / np.float32(white), -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))


def luma_code(luma: np.ndarray, depth: int, full: bool) -> np.ndarray:
    """Luma 0..1 as float code values of `depth` bits."""
    return luma * ((1 << depth) - 1) if full else (luma * 219 + 16) * (1 << depth - 8)


def chroma_code(chroma: np.ndarray, depth: int, full: bool) -> np.ndarray:
    """Chroma -0.5..0.5 as float code values of `depth` bits."""
    span = (1 << depth) - 1 if full else 224 << depth - 8
    return chroma * span + (1 << depth - 1)


def convert(frame: av.VideoFrame, name: str, tags: ColourTags) -> av.VideoFrame:
    """`frame` as YUV format `name` with the matrix and range of `tags`, for lossy codecs: chroma is averaged, not picked."""
    source = layout(frame.format.name)
    matrix = {} if source.family == "yuv" else {"dst_colorspace": _SWS_BT709}
    subsampled = source.shift_x or source.shift_y
    return reformat(_unsited(frame), name, EXACT if subsampled else SMOOTH, dst_color_range=tags.range, **matrix)
