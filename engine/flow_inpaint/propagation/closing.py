"""Both ways out of a hole made to end at the same thing.

A continued flow is taken to be a little wrong at every step, always to the same side. Then the frames after a hole and those before it show
a hidden pixel's two ways ending apart: by the error of a step, as many times as both ways have steps. How far apart can be
seen, by comparing what is carried into the hole from after with what is carried there from before. So the error of a step is
known, and each way is moved back by as many of them as it has.

What does not look alike after all says nothing; there the error is continued from around, and it is none at the hole's border.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from ..completion.smooth import complete
from ..flow.dis import DIS
from ..poisson import interpolate
from .trace import UNSEEN, Links, is_inside, nearest

#: Pixels around a hole that are compared with it.
MARGIN = 24
_LEAST_PIXELS = 64
#: Comparing there and back may end this far from where it began, in pixels, and this share of the way more.
_BACK, _BACK_SHARE = 1.0, 0.05
#: Both pictures are alike where they differ by no more than this, in squared grey levels, and this share of their variance more.
_NOISE, _UNEXPLAINED = 16.0, 0.3
_WINDOW = (13, 13)

_dis = DIS()


def steps_of(links: Links, frame: int) -> np.ndarray:
    """Over how many steps each of N pixels of a frame is seen, (N,) int32; 0: it is not."""
    return np.where(links.frame == UNSEEN, 0, np.abs(links.frame - frame)).astype(np.int32)


def error_of_a_step(earlier: np.ndarray, later: np.ndarray, hole: np.ndarray, steps: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    """What the flow from each pixel of a hole into the next frame is wrong by, (2, H, W) float32 in pixels, 0 outside the hole; None: it
    cannot be told.

    earlier, later  (H, W) uint8 grey, the hole and `MARGIN` pixels around it, filled by the frames before and by those after
    hole            (H, W) bool
    steps           of the ways to the frames before and after, (H, W) each; 0: not seen there
    """
    both = hole & (steps[0] > 0) & (steps[1] > 0)
    if both.sum() < _LEAST_PIXELS:
        return None
    apart, sure = _apart(earlier, later, hole, both)
    unknown = hole & ~sure
    if not sure.any() or unknown.all():
        return None
    found = -np.where(sure, apart / np.maximum(steps[0] + steps[1], 1), 0).astype(np.float32)
    return np.where(hole, complete(found, unknown), 0)


def _apart(earlier: np.ndarray, later: np.ndarray, hole: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow (2, H, W) from one filled picture to the other, and where in the hole it can be relied on, (H, W) bool."""
    hidden = hole & ~both
    if hidden.any():
        mean = interpolate(((earlier.astype(np.float32) + later) / 2)[..., None], hidden, cycles=2)[..., 0]
        smooth = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
        earlier, later = np.where(hidden, smooth, earlier), np.where(hidden, smooth, later)
    there, back = _dis(earlier, later), _dis(later, earlier)
    h, w = hole.shape
    x, y = np.arange(w, dtype=np.float32)[None] + there[0], np.arange(h, dtype=np.float32)[:, None] + there[1]
    x, y = np.clip(x, 0, w - 1), np.clip(y, 0, h - 1)
    returned = np.hypot(*(there + np.stack([cv2.remap(part, x, y, cv2.INTER_LINEAR) for part in back])))
    one, other = earlier.astype(np.float32), later.astype(np.float32)
    counted = (~hidden).astype(np.float32)
    share = np.maximum(_mean(counted), 1e-4)
    before = _mean((other - one) ** 2 * counted) / share
    after = _mean((cv2.remap(other, x, y, cv2.INTER_LINEAR) - one) ** 2 * counted) / share
    variance = np.maximum(_mean(one**2 * counted) / share - (_mean(one * counted) / share) ** 2, 0)
    alike = (after <= before + 1) & (after < _NOISE + _UNEXPLAINED * variance)
    return there, both & alike & (returned < _BACK + _BACK_SHARE * np.hypot(*there))


def _mean(image: np.ndarray) -> np.ndarray:
    return cv2.blur(image, _WINDOW)


def moved(
    every: list[Links], frame: int, sign: int, error: np.ndarray, shape: tuple[int, int], guarded: Callable[[int], np.ndarray]
) -> list[Links]:
    """The links of N pixels of a frame in one direction of time (sign 1: later), the nearest first, moved back by the error that the
    steps of the nearest add up to; beyond it flow was seen and is right. Those that would lead into a hole or out of the picture stay.

    error    (2, N), see `error_of_a_step`
    shape    of the pictures, (H, W)
    guarded  what is no source in a frame: flat indices, ascending
    """
    step_x, step_y = sign * steps_of(every[0], frame) * error
    frames = np.stack([links.frame for links in every])
    x, y = np.stack([links.x for links in every]) - step_x, np.stack([links.y for links in every]) - step_y
    good = (frames != UNSEEN) & is_inside(x, y, shape)
    order = np.flatnonzero(good)
    order = order[np.argsort(frames.ravel()[order], kind="stable")]
    there = frames.ravel()[order]
    at = nearest(x.ravel()[order], y.ravel()[order], shape)
    hidden = np.zeros(shape[0] * shape[1], bool)
    for beside, begin in zip(*np.unique(there, return_index=True)):
        end = np.searchsorted(there, beside, "right")
        concealed = guarded(int(beside))
        hidden[concealed] = True
        good.ravel()[order[begin:end][hidden[at[begin:end]]]] = False
        hidden[concealed] = False
    return [
        replace(links, x=np.where(ok, new_x, links.x).astype(np.float32), y=np.where(ok, new_y, links.y).astype(np.float32))
        for links, ok, new_x, new_y in zip(every, good, x, y)
    ]
