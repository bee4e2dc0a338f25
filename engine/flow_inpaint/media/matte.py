"""Which pixels are to be replaced, and how much of each: the union of mattes and rectangles, grown and feathered."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from ..heeding import heed
from ..job import MaskPart
from .info import ClipInfo, check_range
from .matte_parts import ClipPart, RectanglePart

#: Of what was measured as a distance, in pixels.
_TIE = 1e-3


class Matte:
    """The hole of every job frame. See `open_matte`."""

    def __init__(self, parts: Sequence[MaskPart], info: ClipInfo, grow: int, threshold: float, grow_below: int = 0, feather: int = 0):
        self._info = info
        self._grow, self._grow_below, self._feather = grow, grow_below, feather
        self._held: tuple[object, np.ndarray, np.ndarray | None] | None = None
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
        """(H, W) bool, True = to be replaced, wholly or in part, for the job frames first..last. The arrays are the caller's."""
        return (hole for hole, _ in self.read_shares(first, last))

    def read_shares(self, first: int, last: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """The holes with how much of each pixel is replaced: (H, W) uint8, 255 = wholly, 0 outside the hole; None: all of the hole
        wholly, as always without a feather. The arrays are the caller's."""
        check_range(self._info, first, last)
        return (self._hole(k) for k in range(first, last + 1))

    def _hole(self, job_frame: int) -> tuple[np.ndarray, np.ndarray | None]:
        heed()
        state = tuple(part.state(job_frame) for part in self._parts)
        if self._held is None or self._held[0] != state:
            self._held = state, *spread(self._united(job_frame), self._grow, self._grow_below, self._feather)
        _, hole, share = self._held
        return hole.copy(), None if share is None else share.copy()

    def _united(self, job_frame: int) -> np.ndarray:
        hole = np.zeros((self._info.height, self._info.width), bool)
        for part in self._parts:
            covered = part.read(job_frame)
            if covered is not None:
                hole |= covered
        return hole

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_matte(
    parts: tuple[MaskPart, ...], info: ClipInfo, grow: int, threshold: float, grow_below: int = 0, feather: int = 0
) -> Matte:
    """Opens the mattes of a job for a source described by `info`.

    A pixel is replaced where any part covers it: where its luma (Rec. 709) or alpha is at least `threshold` of full
    scale (below it for an inverted part), or in its rectangle; then the union grows downwards by `grow_below` pixels,
    and by `grow` pixels in every direction (a disc). All of that is replaced wholly; over `feather` pixels more, less and less
    (see `feathered`), and they belong to the hole too. Outside the picture of a transformed matte, and in frames that a part does
    not cover, nothing is masked by that part, inverted or not. A matte of another size is scaled when its shape is the same
    within 1%.

    Raises `BadClip` for a matte of another length or shape, one that lies outside the source's frames or picture,
    alpha asked of footage without it, and whatever `open_source` refuses.
    """
    return Matte(parts, info, grow, threshold, grow_below, feather)


def _part(part: MaskPart, info: ClipInfo, threshold: float, opened: ExitStack) -> ClipPart | RectanglePart:
    if part.rectangle is not None:
        return RectanglePart(part, info)
    return opened.enter_context(ClipPart(part, info, threshold))


def spread(covered: np.ndarray, grow: int, grow_below: int, feather: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The hole and the shares (see `Matte.read_shares`) where the parts of a matte together cover these pixels, (H, W) bool."""
    core = grown(grown_below(covered, grow_below), grow)
    return feathered(core, feather) if feather else (core, None)


def grown_below(hole: np.ndarray, pixels: int) -> np.ndarray:
    """`hole` with the `pixels` under each of its pixels."""
    if pixels == 0:
        return hole
    above = np.ones((pixels + 1, 1), np.uint8)
    return cv2.dilate(hole.view(np.uint8), above, anchor=(0, pixels)).view(bool)


def grown(hole: np.ndarray, pixels: int) -> np.ndarray:
    """`hole` with every pixel that lies within `pixels` of it; the time does not depend on `pixels`."""
    found = _distances(hole, pixels) if pixels else None
    if found is None:
        return hole
    region, distance = found
    result = hole.copy()
    result[region] = distance <= pixels + _TIE
    return result


def feathered(hole: np.ndarray, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """`hole` grown by `pixels`, and how much of each pixel is replaced, (H, W) uint8: 255 in `hole`, from there on less in equal
    steps, 0 where the grown hole ends. By the distance to `hole`, so that it is the same in every direction, also in a gap."""
    share = hole.view(np.uint8) * np.uint8(255)
    found = _distances(hole, pixels)
    if found is None:
        return hole, share
    region, distance = found
    fading = np.rint(255 * (1 - distance / (pixels + 1)))
    share[region] = np.where(distance <= pixels + _TIE, np.clip(fading, 1, 255), 0)
    return share > 0, share


def _distances(hole: np.ndarray, pixels: int) -> tuple[tuple[slice, slice], np.ndarray] | None:
    """Rows and columns that hold everything within `pixels` of the hole, and how far each pixel there is from it, (h, w) float32;
    None where there is no hole."""
    if not hole.any():
        return None
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    region = tuple(slice(max(0, int(line[0]) - pixels), int(line[-1]) + pixels + 1) for line in (rows, columns))
    outside = np.where(hole[region], np.uint8(0), np.uint8(1))
    return region, cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
