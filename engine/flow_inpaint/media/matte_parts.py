"""One part of a matte: a clip read by luma or alpha, or a rectangle."""
from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import BadClip
from ..job import ClipSpec, MaskPart
from .info import ClipInfo
from .matte_sampling import Sampling
from .picture import Picture
from .source import Source, open_source

# Rec. 709, in parts of 65536: whole numbers keep grey exactly grey.
_LUMA = (13933, 46871, 4732)
#: So many at a time stay in the processor's cache.
_ROWS = 64


class RectanglePart:
    """A rectangle that stays where it is. A pixel belongs to it when its centre does."""

    files: tuple[Path, ...] = ()

    def __init__(self, part: MaskPart, info: ClipInfo):
        x, y, width, height = part.rectangle
        columns = slice(_edge(x, info.width), _edge(x + width, info.width))
        rows = slice(_edge(y, info.height), _edge(y + height, info.height))
        if columns.start >= columns.stop or rows.start >= rows.stop:
            raise BadClip(
                f"The mask rectangle x {x:g}, y {y:g}, {width:g} by {height:g} covers no pixel of the source "
                f"({info.width}x{info.height}): move it into the picture."
            )
        self._frames = _placed("The mask rectangle", part.at, part.count, info)
        self._covered = np.full((info.height, info.width), part.invert)
        self._covered[rows, columns] = not part.invert

    def state(self, job_frame: int) -> object:
        """Equal for job frames that this part covers in the same way."""
        return job_frame in self._frames

    def read(self, job_frame: int) -> np.ndarray | None:
        """(H, W) bool, or None where the part covers nothing."""
        return self._covered if job_frame in self._frames else None

    def notes(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


class ClipPart:
    """A clip whose luma or alpha is the matte."""

    def __init__(self, part: MaskPart, info: ClipInfo, threshold: float):
        self._part = part
        self._threshold = threshold
        self._own_varies = self._other_varies = False
        self._source = _open(part.clip)
        try:
            self._check_channel()
            self._held = self._source.info.clip_count == 1
            self._white = _white(self._source.info)
            self._frames = self._range(info)
            self._sampling = Sampling.between(self._source.info, info, part.transform)
        except BaseException:
            self._source.close()
            raise

    @property
    def files(self) -> tuple[Path, ...]:
        return self._source.info.files

    def state(self, job_frame: int) -> object:
        """Equal for job frames that this part covers in the same way."""
        return self._source.info.indices[self._mask_frame(job_frame)] if job_frame in self._frames else None

    def read(self, job_frame: int) -> np.ndarray | None:
        """(H, W) bool, or None where the part covers nothing."""
        if job_frame not in self._frames:
            return None
        wanted = self._mask_frame(job_frame)
        picture = next(self._source.read(wanted, wanted))
        covered = self._covers(picture, self._part.channel)
        self._watch(picture, covered)
        return self._sampling.take(~covered if self._part.invert else covered)

    def notes(self) -> list[str]:
        if self._own_varies or not self._other_varies:
            return []
        own, other = ("luma", "alpha") if self._part.channel == "luma" else ("alpha", "luma")
        return [f"The {own} of {self._source.info.path} is the same everywhere, its {other} is not: set the mask's channel to {other}."]

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _mask_frame(self, job_frame: int) -> int:
        return 0 if self._held else job_frame - self._frames.start

    def _range(self, info: ClipInfo) -> range:
        """The job frames that the part covers."""
        part, mask = self._part, self._source.info
        if self._held:
            length = part.clip.count if part.clip.indices is None else mask.count
            return _placed(f"The mask {mask.path}", part.at, length, info)
        if not part.placed and mask.count != info.count:
            raise BadClip(
                f"The mask {mask.path} has {mask.count} frames and the source {info.path} has {info.count}: "
                "make them equally long, or say with 'at' where the mask begins."
            )
        return _placed(f"The mask {mask.path}", part.at, mask.count, info)

    def _check_channel(self) -> None:
        if self._part.channel == "alpha" and not self._source.info.has_alpha:
            raise BadClip(f"The mask {self._source.info.path} has no alpha channel: set the mask's channel to luma.")

    def _covers(self, picture: Picture, channel: str) -> np.ndarray:
        white = self._white
        if channel == "alpha":
            return picture.alpha >= self._threshold * white
        if white == 1.0:
            return picture.rgb @ (np.array(_LUMA, np.float32) / 65536) >= np.float32(self._threshold - 1e-6)
        return _is_light(picture.rgb, math.ceil(self._threshold * white * 65536))

    def _watch(self, picture: Picture, covered: np.ndarray) -> None:
        """Remembers whether the other channel would have made a matte while the chosen one is blank."""
        if self._own_varies or not self._source.info.has_alpha:
            return
        self._own_varies = _varies(covered)
        if not self._own_varies and not self._other_varies:
            self._other_varies = _varies(self._covers(picture, "alpha" if self._part.channel == "luma" else "luma"))


def _is_light(rgb: np.ndarray, least: int) -> np.ndarray:
    """Where the luma of (H, W, 3) whole numbers, in parts of 65536, is `least` or more: (H, W) bool."""
    light = np.empty(rgb.shape[:2], bool)
    for top in range(0, len(rgb), _ROWS):
        rows = rgb[top : top + _ROWS]
        luma = np.multiply(rows[..., 0], np.uint32(_LUMA[0]), dtype=np.uint32)
        for channel in (1, 2):
            luma += np.multiply(rows[..., channel], np.uint32(_LUMA[channel]), dtype=np.uint32)
        np.greater_equal(luma, np.uint32(least), out=light[top : top + _ROWS])
    return light


def _varies(covered: np.ndarray) -> bool:
    return bool(covered.any() and not covered.all())


def _open(spec: ClipSpec) -> Source:
    """The mask's clip; `count` frames of a single picture are that picture, held."""
    if spec.count is None or spec.indices is not None:
        return open_source(spec)
    start = open_source(replace(spec, count=1))
    if start.info.clip_count == 1:
        return start
    start.close()
    return open_source(spec)


def _placed(name: str, at: int | None, length: int | None, info: ClipInfo) -> range:
    first = at or 0
    if first >= info.count:
        raise BadClip(f"{name} begins at frame {first} and the source ends at frame {info.count - 1}: they do not overlap.")
    return range(first, info.count if length is None else min(first + length, info.count))


def _white(info: ClipInfo) -> float:
    """What full scale is in a matte's picture: deep video shows its white a little below 65535."""
    return 65280.0 if info.kind == "video" and info.dtype is np.uint16 else info.white


def _edge(position: float, length: int) -> int:
    """The first pixel whose centre is not before `position`."""
    return min(max(math.ceil(position - 0.5), 0), length)
