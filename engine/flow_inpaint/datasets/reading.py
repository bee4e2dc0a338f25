"""The pictures of a data set's clip, wherever they come from."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import BadClip
from ..job import ClipSpec
from ..media import Source, open_source
from ..media.image_codec import read_image
from ..motion import eight_bits
from .layouts import Clip


def open_clip(clip: Clip) -> ClipReader:
    """Opens a clip for reading. Raises `BadClip` for what `media` refuses, naming the file."""
    return ClipReader(clip)


class ClipReader:
    """A clip's pictures. A context manager; memory does not grow with the clip's length.

    size   (height, width)
    count  of frames
    """

    def __init__(self, clip: Clip):
        self._clip = clip
        self._source: Source | None = None
        if clip.frames:
            self.count = len(clip.frames)
            self.size = _picture(clip.frames[0]).shape[:2]
        else:
            self._source = open_source(ClipSpec(clip.path))
            info = self._source.info
            self.count, self.size = info.count, (info.height, info.width)

    def read(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB of the frames first..last, both included. Raises `BadClip` naming the first one that does not fit."""
        last = self.count - 1 if last is None else last
        if self._source:
            return (eight_bits(picture.rgb) for picture in self._source.read(first, last))
        return (self._checked(path) for path in self._clip.frames[first : last + 1])

    def _checked(self, path: Path) -> np.ndarray:
        picture = _picture(path)
        if picture.shape[:2] != self.size:
            (h, w), (high, wide) = picture.shape[:2], self.size
            first = self._clip.frames[0].name
            raise BadClip(f"{path} is {w}x{h} and {first} is {wide}x{high}: the images of a clip need one size.")
        return picture

    def close(self) -> None:
        if self._source:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _picture(path: Path) -> np.ndarray:
    return eight_bits(read_image(path)[0])
