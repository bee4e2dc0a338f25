"""Whether a shot's camera stands still, so that what is invented may stand still too.

Motion that is measured from frame to frame is never quite nothing, least of all in grain, and what follows it shimmers.
"""
from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from .heeding import heed

#: How far any side of a picture may be from where it was, pixels.
_STILL = 0.25
#: Side of the smoothing that takes grain out, pixels, and how much of a slope, in shares of white, grain may leave of none.
_SMOOTHED = 7
_SLOPE = 0.0015
_LEAST_PIXELS = 200


class Standing:
    """A picture to compare others with."""

    def __init__(self, picture: np.ndarray, hole: np.ndarray, white: float):
        """picture (H, W, 3); hole (H, W) bool; `white` the value of full scale."""
        self._white, self._hole = white, hole
        self._grey = self._smooth(picture)
        self._slopes = np.stack([cv2.Sobel(self._grey, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))])

    def is_where(self, picture: np.ndarray, hole: np.ndarray, within: float = _STILL) -> bool:
        """Whether another picture of the same size shows the same from the same place, `within` pixels, apart from what moves in it.

        One step of Gauss and Newton for each half of the picture, so that zoom and roll are seen too.
        """
        difference = self._smooth(picture) - self._grey
        size = 2 * _SMOOTHED
        seen = ~cv2.dilate((self._hole | hole).astype(np.uint8), np.ones((size + 1, size + 1), np.uint8)).view(bool)
        h, w = seen.shape
        halves = ((slice(None), slice(0, w // 2)), (slice(None), slice(w // 2, w)), (slice(0, h // 2), slice(None)), (slice(h // 2, h), slice(None)))
        return all(self._moved(difference, seen, half) <= within for half in halves)

    def _moved(self, difference: np.ndarray, seen: np.ndarray, half: tuple[slice, slice]) -> float:
        there = seen[half]
        if there.sum() < _LEAST_PIXELS:
            return 0.0
        d, slopes = difference[half][there], self._slopes[(slice(None), *half)][:, there]
        d = d - np.median(d)
        weight = 1 / (1 + (d / (2 * np.median(np.abs(d)) + 1e-4)) ** 2)
        square = (weight * slopes) @ slopes.T / weight.sum() + np.eye(2) * _SLOPE**2
        return float(np.hypot(*np.linalg.solve(square, (weight * slopes) @ d / weight.sum())))

    def _smooth(self, picture: np.ndarray) -> np.ndarray:
        grey = picture.astype(np.float32).mean(2) / np.float32(self._white)
        return cv2.blur(cv2.blur(grey, (_SMOOTHED, _SMOOTHED)), (_SMOOTHED, _SMOOTHED))


def stands_still(frames: Iterable[tuple[np.ndarray, np.ndarray]], white: float) -> bool:
    """Whether all frames of a shot, pictures (H, W, 3) with holes (H, W) bool, show the same from the same place."""
    first: Standing | None = None
    for picture, hole in frames:
        heed()
        if first is None:
            first = Standing(picture, hole, white)
        elif not first.is_where(picture, hole):
            return False
    return True
