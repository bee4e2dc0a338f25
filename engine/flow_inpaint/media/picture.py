"""One picture of a clip, in the samples of its file, and the composite of a fill into it."""
from __future__ import annotations

from abc import ABC, abstractmethod

import av
import numpy as np

from . import colour
from .info import full_scale
from .samples import Layout, copied, layout, planes


class Picture(ABC):
    """A frame of the source. Treat its arrays as read-only."""

    index: int

    @property
    @abstractmethod
    def rgb(self) -> np.ndarray:
        """(H, W, 3) contiguous, in the clip's `dtype`: 255, 65535 or 1.0 is full scale."""

    @property
    @abstractmethod
    def alpha(self) -> np.ndarray | None:
        """(H, W) in the type and scale of `rgb`, or None."""

    @abstractmethod
    def renumbered(self, index: int) -> Picture:
        """The same picture as job frame `index`."""

    @abstractmethod
    def composite(self, filled: np.ndarray, hole: np.ndarray, origin: tuple[int, int] = (0, 0)) -> Picture:
        """A copy with `filled` where `hole` is True; every other sample is the source's own.

        `filled` (h, w, 3) in the dtype of `rgb` and `hole` (h, w) bool cover the region whose first row and column
        are `origin`. A chroma sample that several pixels share is replaced where all of them are in the hole.
        """


class ArrayPicture(Picture):
    """A picture of an image file."""

    def __init__(self, index: int, rgb: np.ndarray, alpha: np.ndarray | None = None):
        self.index = index
        self._rgb = rgb
        self._alpha = alpha

    @property
    def rgb(self) -> np.ndarray:
        return self._rgb

    @property
    def alpha(self) -> np.ndarray | None:
        return self._alpha

    def renumbered(self, index: int) -> ArrayPicture:
        return ArrayPicture(index, self._rgb, self._alpha)

    def composite(self, filled: np.ndarray, hole: np.ndarray, origin: tuple[int, int] = (0, 0)) -> ArrayPicture:
        region = _region(hole, origin, self._rgb.shape[:2])
        rgb = self._rgb.copy()
        rgb[region][hole] = filled[hole]
        return ArrayPicture(self.index, rgb, self._alpha)


class FramePicture(Picture):
    """A picture of a video file, kept as the decoder made it."""

    def __init__(self, index: int, frame: av.VideoFrame):
        self.index = index
        self.frame = frame
        self._rgb: np.ndarray | None = None

    @property
    def rgb(self) -> np.ndarray:
        if self._rgb is None:
            self._rgb = colour.rgb_of(self.frame)
        return self._rgb

    @property
    def alpha(self) -> np.ndarray | None:
        return colour.alpha_of(self.frame)

    def renumbered(self, index: int) -> FramePicture:
        return FramePicture(index, self.frame)

    def composite(self, filled: np.ndarray, hole: np.ndarray, origin: tuple[int, int] = (0, 0)) -> FramePicture:
        _region(hole, origin, (self.frame.height, self.frame.width))
        frame = copied(colour.planar(self.frame))
        box = _bounds(hole)
        if box is not None:
            shape = layout(frame.format.name)
            region = (slice(origin[0] + box[0].start, origin[0] + box[0].stop), slice(origin[1] + box[1].start, origin[1] + box[1].stop))
            _WRITE[shape.family](frame, shape, filled[box], hole[box], region)
        return FramePicture(self.index, frame)


Region = tuple[slice, slice]


def _region(hole: np.ndarray, origin: tuple[int, int], size: tuple[int, int]) -> Region:
    (y, x), (height, width) = origin, hole.shape
    if y < 0 or x < 0 or y + height > size[0] or x + width > size[1]:
        raise ValueError(f"a region of {width}x{height} at ({x}, {y}) does not fit a picture of {size[1]}x{size[0]}")
    return slice(y, y + height), slice(x, x + width)


def _bounds(hole: np.ndarray) -> Region | None:
    """The smallest region that holds the whole hole."""
    rows = np.flatnonzero(hole.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(hole[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _write_gbr(frame: av.VideoFrame, shape: Layout, filled: np.ndarray, hole: np.ndarray, region: Region) -> None:
    for target, channel in zip(planes(frame), (1, 2, 0)):
        target[region][hole] = colour.narrow(filled[..., channel][hole], shape)


def _write_gray(frame: av.VideoFrame, shape: Layout, filled: np.ndarray, hole: np.ndarray, region: Region) -> None:
    luma, _, _ = colour.luma_chroma(filled[hole], matrix=1, white=full_scale(filled.dtype))
    planes(frame)[0][region][hole] = _rounded(luma * shape.top, shape)


def _write_yuv(frame: av.VideoFrame, shape: Layout, filled: np.ndarray, hole: np.ndarray, region: Region) -> None:
    targets = planes(frame)
    full = shape.full_range or frame.color_range == 2
    luma, blue, red = colour.luma_chroma(filled, frame.colorspace, colour.video_white(shape, full))
    targets[0][region][hole] = _rounded(colour.luma_code(luma[hole], shape.depth, full), shape)
    grown, padding, spans = _aligned(hole, region, shape, (frame.height, frame.width))
    covered = _blocks(grown, shape).all(axis=(1, 3))
    for target, chroma in zip(targets[1:3], (blue, red)):
        mean = _blocks(np.pad(chroma, padding, mode="edge"), shape).mean(axis=(1, 3))
        target[spans][covered] = _rounded(colour.chroma_code(mean[covered], shape.depth, full), shape)


_WRITE = {"yuv": _write_yuv, "gbr": _write_gbr, "gray": _write_gray}


def _aligned(
    hole: np.ndarray, region: Region, shape: Layout, size: tuple[int, int]
) -> tuple[np.ndarray, list[tuple[int, int]], Region]:
    """Which pixels leave their chroma sample free, for whole samples; the padding that makes them whole; the region in samples.

    Padding inside the picture counts as not hole; beyond its right and lower edge there are no pixels to keep.
    """
    padding, spans, free = [], [], hole
    for axis, (span, shift, length) in enumerate(zip(region, (shape.shift_y, shape.shift_x), size)):
        step = 1 << shift
        first, end = span.start >> shift, -(-span.stop >> shift)
        before, after = span.start - first * step, end * step - span.stop
        free = np.moveaxis(free, axis, 0)
        beyond = free[-1:] if span.stop == length else np.zeros_like(free[:1])
        free = np.concatenate([np.zeros((before, free.shape[1]), bool), free, np.repeat(beyond, after, axis=0)])
        if length % step:
            free = _also_before(free, step - 1, at_edge=span.start < step)
        free = np.moveaxis(free, 0, axis)
        padding.append((before, after))
        spans.append(slice(first, end))
    return free, padding, (spans[0], spans[1])


def _also_before(free: np.ndarray, count: int, at_edge: bool) -> np.ndarray:
    """True where the row and the `count` rows before it are.

    In a picture whose size is no multiple of the chroma step, libswscale (and Blender with it) shows a sample up to
    `count` pixels before its own block.
    """
    result = free.copy()
    for distance in range(1, count + 1):
        result[distance:] &= free[:-distance]
        result[:distance] &= at_edge
    return result


def _blocks(values: np.ndarray, shape: Layout) -> np.ndarray:
    """(rows, block height, columns, block width) of the pixels that share a chroma sample."""
    height, width = 1 << shape.shift_y, 1 << shape.shift_x
    return values.reshape(values.shape[0] // height, height, values.shape[1] // width, width)


def _rounded(code: np.ndarray, shape: Layout) -> np.ndarray:
    return np.clip(np.rint(code), 0, shape.top).astype(shape.dtype)
