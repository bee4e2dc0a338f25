"""From a hole's pixel along the completed flow to the first frame that sees it (paper, section 3.3).

Coordinates are carried, not colours: the source frame is sampled once, at the sub-pixel position where
the trajectory arrives, however many frames it has crossed. Every pixel walks its own way. To go on from
the nearest pixel's way would cost less, and round: at under half a pixel a frame nothing would ever leave
its hole, and otherwise the rounding adds up until sources lie inside the hole.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

UNSEEN = -1
#: Pixels around a hole that are not used as a source: halos and blur of what is removed.
GUARD = 2


@dataclass(frozen=True)
class Hops:
    """One step of every hole pixel of a frame into a neighbouring frame. Arrays of length N.

    pixels  int32, flat indices y * W + x of the guarded hole, ascending
    u, v    float32, the completed flow there, pixels
    drift   float32, how far forward and backward flow disagree there, pixels
    """

    pixels: np.ndarray
    u: np.ndarray
    v: np.ndarray
    drift: np.ndarray


@dataclass(frozen=True)
class Links:
    """Where the hole pixels of one frame come from, in one direction of time. Arrays of length N.

    pixels  int32, flat indices y * W + x of the hole
    frame   int32, the frame that shows the pixel, or UNSEEN
    x, y    float32, where in it, pixels
    drift   float32, the disagreement of forward and backward flow added up on the way, pixels
    """

    pixels: np.ndarray
    frame: np.ndarray
    x: np.ndarray
    y: np.ndarray
    drift: np.ndarray


def hops(guarded: np.ndarray, flow: np.ndarray, reverse: np.ndarray) -> Hops:
    """The steps that a frame's hole takes.

    guarded  (H, W) bool, the hole and the pixels around it that are not trusted as a source
    flow     (2, H, W) completed flow into the neighbouring frame
    reverse  (2, H, W) completed flow back from it
    """
    h, w = guarded.shape
    pixels = np.flatnonzero(guarded).astype(np.int32)
    ys, xs = np.divmod(pixels, w)
    u, v = flow.reshape(2, -1)[:, pixels].astype(np.float32)
    x, y = np.clip(xs + u, 0, w - 1), np.clip(ys + v, 0, h - 1)
    back = sample(reverse, x, y)
    return Hops(pixels, u, v, np.hypot(u + back[0], v + back[1]).astype(np.float32))


def sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of a (C, H, W) image at N points inside it: (C, N) float32."""
    c, h, w = image.shape
    x0 = np.minimum(x.astype(np.int64), max(w - 2, 0))
    y0 = np.minimum(y.astype(np.int64), max(h - 2, 0))
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    flat = image.reshape(c, -1)
    at, right, down = y0 * w + x0, int(w > 1), w if h > 1 else 0
    top = flat[:, at] * (1 - fx) + flat[:, at + right] * fx
    bottom = flat[:, at + down] * (1 - fx) + flat[:, at + down + right] * fx
    return top * (1 - fy) + bottom * fy


def follow(
    pixels: np.ndarray,
    frame: int,
    frames: Iterable[int],
    shape: tuple[int, int],
    guarded: Callable[[int], np.ndarray],
    hops_of: Callable[[int], Hops],
) -> Links:
    """Links of the hole's `pixels` (flat indices) in `frame` into the first of `frames` that shows each.

    frames   the frames after it in one direction of time, as far as may be looked
    guarded  what is no source in a frame, the hole among it: flat indices, ascending
    hops_of  a frame's steps to the next one in that direction; its pixels are those of `guarded`
    """
    h, w = shape
    found = np.full(pixels.size, UNSEEN, np.int32)
    found_x, found_y, found_drift = (np.zeros(pixels.size, np.float32) for _ in range(3))
    place = np.full(h * w, -1, np.int32)
    walkers, slot = np.arange(pixels.size), np.searchsorted(guarded(frame), pixels)
    y, x = (c.astype(np.float32) for c in np.divmod(pixels, w))
    drift = np.zeros(pixels.size, np.float32)
    at = frame
    for beside in frames:
        if not walkers.size:
            break
        way = hops_of(at)
        x, y, drift = x + way.u[slot], y + way.v[slot], drift + way.drift[slot]
        hidden = guarded(beside)
        place[hidden] = np.arange(hidden.size, dtype=np.int32)
        inside = is_inside(x, y, shape)
        near = nearest(x, y, shape)
        slot = place[near]
        place[hidden] = -1
        here = inside & (slot < 0)
        arrived = walkers[here]
        found[arrived], found_x[arrived], found_y[arrived], found_drift[arrived] = beside, x[here], y[here], drift[here]
        on = inside & (slot >= 0)
        walkers, slot, x, y, drift = walkers[on], slot[on], x[on], y[on], drift[on]
        at = beside
    return Links(pixels, found, found_x, found_y, found_drift)


def is_inside(x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Whether positions lie on some pixel of the picture. The outermost pixels reach half a pixel beyond their middle."""
    return (x >= -0.5) & (y >= -0.5) & (x <= shape[1] - 0.5) & (y <= shape[0] - 0.5)


def nearest(x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Flat indices of the pixels nearest to positions."""
    h, w = shape
    return np.clip(np.rint(y), 0, h - 1).astype(np.int32) * w + np.clip(np.rint(x), 0, w - 1).astype(np.int32)


def guard_band(hole: np.ndarray, guard: int) -> np.ndarray:
    """The hole and the `guard` pixels around it, which may show a halo or blur of what is removed."""
    size = 2 * guard + 1
    return cv2.dilate(hole.view(np.uint8), np.ones((size, size), np.uint8)).view(bool)
