"""What is known about a clip before its pictures are read."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import BadClip, BadFrame
from ..heeding import heed
from ..job import ClipSpec
from .samples import layout

T = TypeVar("T")


@dataclass(frozen=True)
class ColourTags:
    """How a file's numbers are meant, in the code points of ITU-T H.273.

    `range`: 0 unknown, 1 limited, 2 full. `site`: where chroma samples lie, None for their block's centre or unknown.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    range: int = 0
    site: str | None = None


@dataclass(frozen=True)
class ClipInfo:
    """A clip as a job sees it.

    `count` is the number of job frames; `indices[k]` is the clip frame that job frame k shows, and `clip_count` the
    number of frames in the file. `dtype` is the type of `Picture.rgb`: uint8, uint16 (full scale 65535) or float32
    (1.0 = white). `depth` is the number of bits of a sample in the file. `files` are the files read, in clip order.
    `timecode` is the label of clip frame 0, `layer` the layer of OpenEXR images that is read. `time_base` is the unit, in
    seconds, of the time stamps of footage whose frame rate varies; None: its frames follow each other at `rate`.
    """

    path: Path
    kind: str
    width: int
    height: int
    count: int
    rate: Fraction | None
    pixel_aspect: Fraction
    dtype: type[np.generic]
    pixel_format: str | None
    depth: int
    has_alpha: bool
    has_audio: bool
    clip_count: int
    indices: Sequence[int]
    files: tuple[Path, ...]
    colour: ColourTags = ColourTags()
    timecode: str | None = None
    layer: str | None = None
    time_base: Fraction | None = None

    @property
    def white(self) -> float:
        """The value of full scale in `Picture.rgb`."""
        return full_scale(self.dtype)

    @property
    def frame_bytes(self) -> int:
        """What a picture takes as it is kept: the file's own samples, of an image RGB and alpha."""
        shape = layout(self.pixel_format) if self.pixel_format else None
        samples, dtype = (shape.samples, shape.dtype) if shape else (3 + self.has_alpha, self.dtype)
        return round(self.width * self.height * samples * np.dtype(dtype).itemsize)

    def contiguous(self, first: int, last: int) -> bool:
        """Whether the job frames show the clip as it runs: nothing held, skipped or reversed."""
        start = self.indices[first]
        return all(self.indices[k] == start + k - first for k in range(first, last + 1))


def full_scale(dtype: type[np.generic] | np.dtype) -> float:
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def job_indices(spec: ClipSpec, available: int) -> Sequence[int]:
    """The clip frame of every job frame. Raises `BadClip` when the clip is shorter than what is asked of it."""
    if spec.indices is not None:
        indices: Sequence[int] = spec.indices
        highest = highest_of(indices)
    else:
        count = available - spec.first if spec.count is None else spec.count
        indices = range(spec.first, spec.first + count)
        highest = max(spec.first, spec.first + count - 1)
    if highest >= available and spec.hold:
        return [min(index, available - 1) for index in indices]
    if highest >= available:
        frames = "1 frame" if available == 1 else f"{available} frames"
        raise BadClip(f"{spec.path} has {frames}, so its frame {highest} (counted from 0) cannot be read: use fewer frames of it.")
    return indices


def highest_of(indices: Sequence[int]) -> int:
    """The largest of some frame numbers, of which there is at least one. A damaged header may promise more than can be gone through."""
    return max(indices[0], indices[-1]) if isinstance(indices, range) else max(indices)


def first_good(indices: Sequence[int], read: Callable[[int], T], tolerant: bool) -> T:
    """What `read` gives for the first clip frame of `indices`; if `tolerant`, for the first that can be read."""
    refused: BadFrame | None = None
    for number in dict.fromkeys(indices):
        heed()
        try:
            return read(number)
        except BadFrame as error:
            refused = refused or error
            if not tolerant:
                raise
    assert refused is not None
    raise refused


def check_range(info: ClipInfo, first: int, last: int) -> None:
    """Raises `BadClip` unless the job frames first..last exist."""
    if not 0 <= first <= last < info.count:
        raise BadClip(f"{info.path}: frames {first} to {last} were asked for, but the source has frames 0 to {info.count - 1}.")
