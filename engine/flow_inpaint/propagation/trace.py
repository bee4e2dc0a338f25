"""From a hole's pixel along the completed flow to the first frames that see it (paper, section 3.3, which takes one).

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

from ..heeding import heed

UNSEEN = -1
#: Pixels around a hole that are not used as a source: halos and blur of what is removed.
GUARD = 2
#: Pixels around a hole in which ways are followed on, to more frames that see a pixel.
BEYOND = 64


@dataclass(frozen=True)
class Hops:
    """One step of every hole pixel of a frame, and of those around it, into a neighbouring frame. Arrays of length N.

    pixels  int32, flat indices y * W + x of the hole and its surroundings, ascending
    u, v    float32, the completed flow there, pixels
    drift   float32, how far forward and backward flow disagree there, pixels
    camera  the steps of the guarded hole alone, if what it hides moves with the camera; None: no such motion is known
    """

    pixels: np.ndarray
    u: np.ndarray
    v: np.ndarray
    drift: np.ndarray
    camera: Hops | None = None

    @classmethod
    def none(cls) -> Hops:
        """No steps of anything."""
        return cls(np.zeros(0, np.int32), *(np.zeros(0, np.float32) for _ in range(3)))

    def of(self, pixels: np.ndarray) -> Hops:
        """Those of some of its pixels: flat indices, ascending."""
        at = np.searchsorted(self.pixels, pixels)
        return Hops(pixels, self.u[at], self.v[at], self.drift[at])


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


def hops(where: np.ndarray, flow: np.ndarray, reverse: np.ndarray) -> Hops:
    """The steps that a frame's hole takes.

    where    (H, W) bool, the hole and the pixels around it that steps are needed of
    flow     (2, H, W) completed flow into the neighbouring frame
    reverse  (2, H, W) completed flow back from it
    """
    h, w = where.shape
    pixels = np.flatnonzero(where).astype(np.int32)
    ys, xs = np.divmod(pixels, w)
    u, v = flow.reshape(2, -1)[:, pixels].astype(np.float32)
    x, y = np.clip(xs + u, 0, w - 1), np.clip(ys + v, 0, h - 1)
    back = sample(reverse, x, y)
    return Hops(pixels, u, v, np.hypot(u + back[0], v + back[1]).astype(np.float32))


def sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of a (C, H, W) image at N points inside it: (C, N) float32."""
    c, h, w = image.shape
    return between(image.reshape(c, -1).T, 0, (h, w), x, y).T


def between(pixels: np.ndarray, begin: int | np.ndarray, shape: tuple[int, int], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples at N points of pictures (H, W) whose pixels (P, C) follow each other row by row: (N, C) float32. What lies beyond
    a picture is as its edge.

    begin  the first pixel of the picture, or of each point's
    """
    h, w = shape
    x0 = np.clip(np.floor(x).astype(np.int64), 0, max(w - 2, 0))
    y0 = np.clip(np.floor(y).astype(np.int64), 0, max(h - 2, 0))
    fx, fy = (np.clip(part, 0, 1).astype(np.float32)[:, None] for part in (x - x0, y - y0))
    at, right, down = begin + y0 * w + x0, int(w > 1), w if h > 1 else 0
    top = pixels[at] * (1 - fx) + pixels[at + right] * fx
    bottom = pixels[at + down] * (1 - fx) + pixels[at + down + right] * fx
    return top * (1 - fy) + bottom * fy


def follow(
    pixels: np.ndarray,
    frame: int,
    frames: Iterable[int],
    shape: tuple[int, int],
    guarded: Callable[[int], np.ndarray],
    hops_of: Callable[[int], Hops],
    most: int = 1,
) -> list[Links]:
    """Links of the hole's `pixels` (flat indices) in `frame` into the first `most` of `frames` that show each, the first ones first.

    frames   the frames after it in one direction of time, as far as may be looked
    guarded  what is no source in a frame, the hole among it: flat indices, ascending
    hops_of  a frame's steps to the next one in that direction, from all pixels of `guarded` at least: where there are none, the
             way ends
    """
    h, w = shape
    found = np.full((most, pixels.size), UNSEEN, np.int32)
    found_x, found_y, found_drift = (np.zeros((most, pixels.size), np.float32) for _ in range(3))
    slots, hidden = np.full(h * w, -1, np.int32), np.zeros(h * w, bool)
    walkers, near, seen = np.arange(pixels.size), pixels, np.zeros(pixels.size, np.int32)
    y, x = (c.astype(np.float32) for c in np.divmod(pixels, w))
    drift = np.zeros(pixels.size, np.float32)
    at = frame
    for beside in frames:
        if not walkers.size:
            break
        heed()
        way = hops_of(at)
        slots[way.pixels] = np.arange(way.pixels.size, dtype=np.int32)
        slot = slots[near]
        slots[way.pixels] = -1
        on = slot >= 0
        if not on.all():
            walkers, seen, slot, x, y, drift = (part[on] for part in (walkers, seen, slot, x, y, drift))
        if not walkers.size:
            break
        x, y, drift = x + way.u[slot], y + way.v[slot], drift + way.drift[slot]
        inside, near = is_inside(x, y, shape), nearest(x, y, shape)
        concealed = guarded(beside)
        hidden[concealed] = True
        here = inside & ~hidden[near]
        hidden[concealed] = False
        place = seen[here], walkers[here]
        found[place], found_x[place], found_y[place], found_drift[place] = beside, x[here], y[here], drift[here]
        seen += here
        on = inside & (seen < most)
        walkers, seen, near, x, y, drift = (part[on] for part in (walkers, seen, near, x, y, drift))
        at = beside
    return [Links(pixels, *parts) for parts in zip(found, found_x, found_y, found_drift)]


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
