"""Cuts between shots, found while the frames stream by."""
from __future__ import annotations

from collections import deque

import cv2
import numpy as np

_SIZE = (48, 27)
#: Mean difference of two thumbnails (0..255) from which they may belong to two shots.
_DIFFERENT = 18.0
#: How much larger than usual for this shot it has to be.
_UNUSUAL = 2.5
#: Largest overlap of two colour histograms (0..1) across a cut. Within a shot, even in a fast pan, colours stay.
_SHARED_COLOURS = 0.75
_MEMORY = 12


class CutFinder:
    """Tells for each picture whether a new shot begins with it."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._usual: deque[float] = deque(maxlen=_MEMORY)

    def is_cut(self, picture: np.ndarray, hole: np.ndarray) -> bool:
        """picture (H, W, 3) uint8, the next one; hole (H, W) bool, left out of the comparison."""
        small = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        seen = cv2.resize((~hole).astype(np.uint8), _SIZE, interpolation=cv2.INTER_AREA) > 0
        last, self._last = self._last, (small, seen, _histogram(small, seen))
        if last is None:
            return False
        both = last[1] & seen
        if not both.any():
            return False
        difference = float(np.abs(small - last[0])[both].mean())
        usual = float(np.median(self._usual)) if self._usual else 0.0
        shared = float(np.minimum(self._last[2], last[2]).sum())
        cut = difference > max(_DIFFERENT, _UNUSUAL * usual) and shared < _SHARED_COLOURS
        if cut:
            self._usual.clear()
        else:
            self._usual.append(difference)
        return cut


def _histogram(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Shares of 8 x 8 x 8 colours, each pixel spread over its neighbours so that a slight change of exposure is none."""
    bins = cv2.calcHist([picture], [0, 1, 2], seen.astype(np.uint8), [8, 8, 8], [0, 256] * 3)
    for axis in range(3):
        padded = np.pad(bins, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        take = [slice(None)] * 3
        parts = []
        for start, weight in ((0, 0.25), (1, 0.5), (2, 0.25)):
            take[axis] = slice(start, start + 8)
            parts.append(weight * padded[tuple(take)])
        bins = sum(parts)
    return bins / max(float(bins.sum()), 1.0)
