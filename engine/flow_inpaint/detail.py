"""Detail: what sampling between pixels and averaging frames take from a filled hole, given back.

Of what is finest in carried pixels, most is lost. How much of it there is where they come from is known (`Canvas.detail`), so what is left
is raised towards that. Where little is left the frames did not agree on it, and more of it would be more of their disagreement.
"""
from __future__ import annotations

import cv2
import numpy as np

#: What is finer than a blur by this many pixels is detail; it is compared over windows of this side, pixels.
_FINE, _WINDOW = 1.0, 9
#: By how many times itself detail is raised at most.
_LARGEST = 0.3
#: The shares of the sources' detail that are too little to raise, and enough to be raised in full.
_LITTLE, _ENOUGH = 0.25, 0.5
#: How far a pixel may be raised beyond the lightest and the darkest beside it, as a share of white: no dark rings around lamps.
_BEYOND = 0.1


def raised(
    picture: np.ndarray, hole: np.ndarray, wanted: np.ndarray, white: float = 255.0, grain: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """A picture (h, w, 3) float32 with the detail in its hole (h, w) bool raised, and by how much: (h, w), 0.._LARGEST.

    wanted  (h, w) float32: as `Canvas.detail`, without grain; 0 where nothing is known
    white   the value of full scale
    grain   what there is of grain in the picture, in the same measure, which is no detail
    """
    fine = picture - cv2.GaussianBlur(picture, (0, 0), _FINE)
    inside = hole.astype(np.float32)
    share = np.maximum(cv2.blur(inside, (_WINDOW, _WINDOW)), 1e-6)

    def around(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values * inside, (_WINDOW, _WINDOW)) / share

    there = np.maximum(around(_slopes(picture, picture)) - grain, 0)
    both, square = around(_slopes(picture, fine)), np.maximum(around(_slopes(fine, fine)), 1e-12)
    wanted = around(wanted)
    # The one that solves there + 2 both k + square k^2 = wanted.
    k = (np.sqrt(np.maximum(both**2 + square * (wanted - there), both**2)) - both) / square
    left = there / np.maximum(wanted, 1e-12)
    k = np.clip(k, 0, _LARGEST) * np.clip((left - _LITTLE) / (_ENOUGH - _LITTLE), 0, 1) * inside
    beside, most = np.ones((3, 3), np.uint8), np.float32(_BEYOND * white)
    # In place, here and below: a large hole has millions of pixels, and each worker one of its own.
    fine *= k[..., None]
    fine += picture
    np.maximum(fine, cv2.erode(picture, beside) - most, out=fine)
    np.minimum(fine, cv2.dilate(picture, beside) + most, out=fine)
    return fine, k


def _slopes(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(h, w): the product of what two pictures (h, w, 3) differ by from pixel to pixel, to the right and below together, the channels' mean."""
    out = np.zeros(one.shape[:2], np.float32)
    for channel in range(3):
        a, b = one[..., channel], other[..., channel]
        out[:, :-1] += np.diff(a, axis=1) * np.diff(b, axis=1)
        out[:-1] += np.diff(a, axis=0) * np.diff(b, axis=0)
    out /= 3
    return out
