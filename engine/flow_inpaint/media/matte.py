"""Which pixels are to be replaced: the union of mattes and rectangles, grown."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from ..job import MaskPart
from .info import ClipInfo, check_range
from .matte_parts import ClipPart, RectanglePart


class Matte:
    """The hole of every job frame. See `open_matte`."""

    def __init__(self, parts: Sequence[MaskPart], info: ClipInfo, grow: int, threshold: float, grow_below: int = 0):
        self._info = info
        self._grow, self._grow_below = grow, grow_below
        self._held: tuple[object, np.ndarray] | None = None
        with ExitStack() as opened:
            self._parts = [_part(part, info, threshold, opened) for part in parts]
            self._opened = opened.pop_all()

    @property
    def files(self) -> frozenset[Path]:
        """Every file that the matte is read from."""
        return frozenset(file for part in self._parts for file in part.files)

    @property
    def notes(self) -> list[str]:
        """What is suspicious about the frames read so far: luma asked of a matte that is in the alpha channel, or the reverse."""
        return [note for part in self._parts for note in part.notes()]

    def read(self, first: int, last: int) -> Iterator[np.ndarray]:
        """(H, W) bool, True = to be replaced, for the job frames first..last. The arrays are the caller's."""
        check_range(self._info, first, last)
        return (self._hole(k) for k in range(first, last + 1))

    def _hole(self, job_frame: int) -> np.ndarray:
        state = tuple(part.state(job_frame) for part in self._parts)
        if self._held is None or self._held[0] != state:
            self._held = state, self._united(job_frame)
        return self._held[1].copy()

    def _united(self, job_frame: int) -> np.ndarray:
        hole = np.zeros((self._info.height, self._info.width), bool)
        for part in self._parts:
            covered = part.read(job_frame)
            if covered is not None:
                hole |= covered
        return grown(grown_below(hole, self._grow_below), self._grow)

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_matte(parts: tuple[MaskPart, ...], info: ClipInfo, grow: int, threshold: float, grow_below: int = 0) -> Matte:
    """Opens the mattes of a job for a source described by `info`.

    A pixel is replaced where any part covers it: where its luma (Rec. 709) or alpha is at least `threshold` of full
    scale (below it for an inverted part), or in its rectangle; then the union grows downwards by `grow_below` pixels,
    and by `grow` pixels in every direction (a disc). Outside the picture of a transformed matte, and in frames that a part does not cover,
    nothing is masked by that part, inverted or not. A matte of another size is scaled when its shape is the same
    within 1%.

    Raises `BadClip` for a matte of another length or shape, one that lies outside the source's frames or picture,
    alpha asked of footage without it, and whatever `open_source` refuses.
    """
    return Matte(parts, info, grow, threshold, grow_below)


def _part(part: MaskPart, info: ClipInfo, threshold: float, opened: ExitStack) -> ClipPart | RectanglePart:
    if part.rectangle is not None:
        return RectanglePart(part, info)
    return opened.enter_context(ClipPart(part, info, threshold))


def grown_below(hole: np.ndarray, pixels: int) -> np.ndarray:
    """`hole` with the `pixels` under each of its pixels."""
    if pixels == 0:
        return hole
    above = np.ones((pixels + 1, 1), np.uint8)
    return cv2.dilate(hole.view(np.uint8), above, anchor=(0, pixels)).view(bool)


def grown(hole: np.ndarray, pixels: int) -> np.ndarray:
    """`hole` with every pixel that lies within `pixels` of it; the time does not depend on `pixels`."""
    if pixels == 0 or not hole.any():
        return hole
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    region = tuple(slice(max(0, int(line[0]) - pixels), int(line[-1]) + pixels + 1) for line in (rows, columns))
    outside = np.where(hole[region], np.uint8(0), np.uint8(1))
    result = hole.copy()
    result[region] = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= pixels + 1e-3
    return result
