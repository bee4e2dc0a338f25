"""From a hole's pixel along the completed flow to the first frame that sees it (paper, section 3.3).

Coordinates are carried, not colours: the source frame is sampled once, at the sub-pixel position where
the trajectory arrives, however many frames it has crossed. A frame needs only its neighbour's links to
make its own, so a shot of any length is traced in one sweep per direction of time.
"""
from __future__ import annotations

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
    """Where the hole pixels of one frame come from, in one direction of time. Arrays of length N, as in `Hops`.

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


class Walk:
    """A sweep over a shot in one direction of time. It remembers the links of the frame visited last."""

    def __init__(self, shape: tuple[int, int], reach: int):
        self.h, self.w = shape
        self.reach = reach
        size = self.h * self.w
        self._frame = np.full(size, UNSEEN, np.int32)
        self._x, self._y, self._drift = (np.zeros(size, np.float32) for _ in range(3))
        self._hidden = np.zeros(size, bool)
        self._last = np.zeros(0, np.int32)

    def start(self, pixels: np.ndarray) -> Links:
        """Links of the first frame of the sweep, which has no neighbour to come from. `pixels` as in `Hops`."""
        nothing = np.zeros(pixels.size, np.float32)
        return self._remember(Links(pixels, np.full(pixels.size, UNSEEN, np.int32), nothing, nothing, nothing))

    def step(self, frame: int, neighbour: int, way: Hops) -> Links:
        """Links of `frame`, whose `neighbour` was visited just before."""
        ys, xs = np.divmod(way.pixels, self.w)
        x, y = xs + way.u, ys + way.v
        inside = (x >= 0) & (y >= 0) & (x <= self.w - 1) & (y <= self.h - 1)
        x, y = np.where(inside, x, 0).astype(np.float32), np.where(inside, y, 0).astype(np.float32)
        near_x, near_y = np.rint(x), np.rint(y)
        near = near_y.astype(np.int64) * self.w + near_x.astype(np.int64)
        arrived = ~self._hidden[near]
        source = np.where(arrived, neighbour, self._frame[near])
        source[~inside | (np.abs(source - frame) > self.reach)] = UNSEEN
        return self._remember(
            Links(
                way.pixels,
                source.astype(np.int32),
                np.where(arrived, x, self._x[near] + (x - near_x)).astype(np.float32),
                np.where(arrived, y, self._y[near] + (y - near_y)).astype(np.float32),
                np.where(arrived, way.drift, self._drift[near] + way.drift).astype(np.float32),
            )
        )

    def _remember(self, links: Links) -> Links:
        self._hidden[self._last] = False
        self._last = links.pixels
        self._hidden[links.pixels] = True
        self._frame[links.pixels] = links.frame
        self._x[links.pixels], self._y[links.pixels] = links.x, links.y
        self._drift[links.pixels] = links.drift
        return links


def guard_band(hole: np.ndarray, guard: int) -> np.ndarray:
    """The hole and the `guard` pixels around it, which may show a halo or blur of what is removed."""
    size = 2 * guard + 1
    return cv2.dilate(hole.view(np.uint8), np.ones((size, size), np.uint8)).view(bool)
