"""Cuts between shots, found while the frames stream by.

Within a shot a picture can mostly be followed from one frame to the next, in a fast pan and in another light too; across a cut it cannot.
Following alone says too much, though: what is blurred by a jolt is not followed either, but has its colours still.
"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .flow.dis import DIS

#: The longer side of the pictures that are compared, the least of the shorter, pixels; by how much smaller again where it is about colours.
_LONG_SIDE, _SHORT_SIDE, _COLOURS_SMALLER = 160, 16, 3
#: A difference of two pictures, mean of 0..255, is unusual from so many times the last one and the median of so many.
_UNUSUAL, _MEMORY = 2.5, 12
#: The spread of colours below which they are not told apart, of 0..255.
_SPREAD = 8.0
#: What is followed comes back to within so many pixels and so much of its way, and is alike there: its surroundings of so many pixels
#: correlate so well.
_ERROR, _ERROR_OF_WAY = 1.0, 0.05
_ALIKE, _SURROUNDINGS = 0.7, (9, 9)
#: The variance of surroundings that is structure, and the smallest share of a picture with it that tells anything.
_STRUCTURE, _ENOUGH = 4.0, 0.05


class _Limits(NamedTuple):
    """What holds across a cut: the difference is more than this, the overlap of the colours' histograms (0..1) less, and less of what has
    structure is followed than this share of what is not shared of the colours.
    """

    difference: float
    shared: float
    followed: float


#: Where the difference is unusual for the shot, and where it always is as large or nothing is known yet.
_SUDDENLY, _AS_EVER = _Limits(4.0, 0.85, 0.3), _Limits(8.0, 0.75, 0.08)
#: The least difference across a cut of plain pictures, in which there is nothing to follow.
_PLAIN = 18.0


@dataclass(frozen=True)
class _View:
    """A picture made small: colours (h, w, 3) uint8, seen (h, w) bool."""

    colours: np.ndarray
    seen: np.ndarray

    @property
    def grey(self) -> np.ndarray:
        return cv2.cvtColor(self.colours, cv2.COLOR_RGB2GRAY)

    def smaller(self) -> _View:
        h, w = self.seen.shape
        return _view(self.colours, ~self.seen, (w // _COLOURS_SMALLER, h // _COLOURS_SMALLER))


class CutFinder:
    """Tells for each picture whether a new shot begins with it."""

    def __init__(self) -> None:
        #: The last picture, and it smaller.
        self._last: tuple[_View, _View] | None = None
        self._usual: deque[float] = deque(maxlen=_MEMORY)
        self._flow = DIS()

    def is_cut(self, picture: np.ndarray, hole: np.ndarray) -> bool:
        """picture (H, W, 3) uint8, the next one; hole (H, W) bool, left out of the comparison."""
        h, w = hole.shape
        scale = _LONG_SIDE / max(h, w)
        now = _view(picture, hole, (max(_SHORT_SIDE, round(w * scale)), max(_SHORT_SIDE, round(h * scale))))
        last, self._last = self._last, (now, now.smaller())
        if last is None:
            return False
        difference, shared = _compared(last[1], self._last[1])
        # The last one too: a pan that gathers speed is not sudden.
        unusual = bool(self._usual) and difference > _UNUSUAL * max(float(np.median(self._usual)), self._usual[-1])
        cut = self._parted(last[0], now, difference, shared, unusual=unusual)
        if cut:
            self._usual.clear()
        else:
            self._usual.append(difference)
        return cut

    def _parted(self, last: _View, now: _View, difference: float, shared: float, *, unusual: bool) -> bool:
        limits = _SUDDENLY if unusual else _AS_EVER
        if difference <= limits.difference or shared >= limits.shared:
            return False
        followed = _followed(last, now, self._flow)
        if followed is None:
            # Plain pictures: only their colours tell.
            return unusual and difference > _PLAIN and shared < _AS_EVER.shared
        return followed < limits.followed * (1 - shared)


def _view(picture: np.ndarray, hole: np.ndarray, size: tuple[int, int]) -> _View:
    """What is of the hole even in part is not seen."""
    colours, hidden = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (picture, hole.astype(np.float32)))
    return _View(colours, hidden < 1 / 256)


def _compared(a: _View, b: _View) -> tuple[float, float]:
    """The mean difference of what both show, and how far the colours of the two overlap (0..1); 0 and 1 where they show nothing in common.

    Colours count by how they lie among those of both, so that a dark or a pale picture has as many as any other.
    """
    both = a.seen & b.seen
    if not both.any():
        return 0.0, 1.0
    one, other = (view.colours.astype(np.float32) for view in (a, b))
    all_colours = np.concatenate([one[a.seen], other[b.seen]])
    middle, spread = all_colours.mean(0), max(_SPREAD, float(all_colours.std(0).mean()))
    shares = [_histogram((128 + 48 * (x - middle) / spread).clip(0, 255), view.seen) for x, view in ((one, a), (other, b))]
    return float(np.abs(one - other)[both].mean()), float(np.minimum(*shares).sum())


def _followed(last: _View, now: _View, flow: DIS) -> float | None:
    """The share of what has structure in either that is found again in the other. None where there is not enough of it to tell."""
    before, after = last.grey, now.grey
    there, back = flow(after, before), flow(before, after)
    h, w = after.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x, y = x + there[0], y + there[1]
    error = np.hypot(*(there + [cv2.remap(way, x, y, cv2.INTER_LINEAR) for way in back]))
    a, b = cv2.remap(before, x, y, cv2.INTER_LINEAR).astype(np.float32), after.astype(np.float32)
    mean_a, mean_b = (cv2.blur(v, _SURROUNDINGS) for v in (a, b))
    variance_a, variance_b = cv2.blur(a * a, _SURROUNDINGS) - mean_a**2, cv2.blur(b * b, _SURROUNDINGS) - mean_b**2
    covariance = cv2.blur(a * b, _SURROUNDINGS) - mean_a * mean_b
    alike = covariance > _ALIKE * np.sqrt((variance_a.clip(0) + _STRUCTURE) * (variance_b.clip(0) + _STRUCTURE))
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    # Surroundings that reach into the hole tell of what is in it.
    seen_before, seen_after = (cv2.erode(view.seen.astype(np.uint8), np.ones(_SURROUNDINGS, np.uint8)) for view in (last, now))
    seen = inside & (seen_after > 0) & (cv2.remap(seen_before, x, y, cv2.INTER_NEAREST) > 0)
    telling = seen & (np.maximum(variance_a, variance_b) > _STRUCTURE)
    if telling.sum() < _ENOUGH * h * w:
        return None
    return float((alike & (error < _ERROR + _ERROR_OF_WAY * np.hypot(*there)))[telling].mean())


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
