"""Flow right up to a hole's edge, from visible pixels alone.

An ordinary estimator has to be given a picture without a hole, and whatever the hole is painted with
spoils its answer far beyond the edge. So its answer in a band around the hole is dropped, continued from
outside, and then matched again here with a cost that leaves the hidden pixels of both frames out.
"""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..poisson import bounding_box
from . import Estimator

Completion = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: How far beyond the hole the estimator's answer is dropped, and how far the matching reaches, in pixels.
BAND = 12
NEAR = 16
#: Radius of the matching window, in pixels, and the share of it that has to be visible in both frames.
WINDOW = 10
SUPPORT = 0.3
_LARGEST_STEP = 1.0
_STIFFNESS = 0.4


def estimate_pair(
    a: np.ndarray,
    b: np.ndarray,
    hole_a: np.ndarray,
    hole_b: np.ndarray,
    *,
    estimator: Estimator,
    complete: Completion,
    refinement: int,
    shown: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Completed flows a -> b and b -> a, each (2, H, W) float32 in pixels.

    a, b            (H, W) uint8 grey, their holes painted with something smooth
    hole_a, hole_b  (H, W) bool
    estimator       flow between two pictures
    complete        fills the unknown part of a flow from the rest
    refinement      matching steps at full size; 0 trusts the continuation as it is
    shown           what the estimator gets to see instead of a and b: the same pictures in colour, (H, W, 3) uint8
    """
    one, other = shown or (a, b)
    forward = continued(estimator(one, other), a, b, hole_a, hole_b, complete=complete, refinement=refinement)
    backward = continued(estimator(other, one), b, a, hole_b, hole_a, complete=complete, refinement=refinement)
    return forward, backward


def continued(
    flow: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    hole_a: np.ndarray,
    hole_b: np.ndarray,
    *,
    complete: Completion,
    refinement: int,
) -> np.ndarray:
    """An estimated flow from `a` to `b` without what the holes have done to it; see `estimate_pair`."""
    if not (hole_a.any() or hole_b.any()):
        return flow
    # Where b's hole lies, a's pixels have nothing to be matched with: that part of the flow is as doubtful.
    flow = complete(flow, grown(hole_a | hole_b, BAND))
    if refinement == 0:
        return flow
    near = grown(hole_a | hole_b, NEAR)
    box = box_of(near, WINDOW + 4)
    part, support = _coarse_to_fine(a[box], b[box], hole_a[box], hole_b[box], flow[(slice(None), *box)], refinement)
    part = np.where(near[box], part, flow[(slice(None), *box)])
    flow[(slice(None), *box)] = part
    weak = np.zeros_like(hole_a)
    weak[box] = near[box] & (support < SUPPORT)
    return complete(flow, weak)


def grown(mask: np.ndarray, radius: int) -> np.ndarray:
    """`mask` enlarged by a square of `radius` pixels."""
    size = 2 * radius + 1
    return cv2.dilate(mask.view(np.uint8), np.ones((size, size), np.uint8)).view(bool)


def box_of(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The rectangle around `mask` and `margin` pixels more; the whole picture if the mask is empty."""
    return bounding_box(mask, margin) or (slice(0, mask.shape[0]), slice(0, mask.shape[1]))


def _coarse_to_fine(
    a: np.ndarray, b: np.ndarray, hole_a: np.ndarray, hole_b: np.ndarray, flow: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    h, w = a.shape
    if min(h, w) >= 8 * WINDOW:
        half = ((w + 1) // 2, (h + 1) // 2)
        scale = np.array([half[0] / w, half[1] / h], np.float32)[:, None, None]
        small = [cv2.resize(x, half, interpolation=cv2.INTER_AREA) for x in (a, b)]
        # A half-size pixel counts as hidden if any part of it is.
        hidden = [cv2.resize(x.astype(np.float32), half, interpolation=cv2.INTER_AREA) > 0 for x in (hole_a, hole_b)]
        guess = np.stack([cv2.resize(c, half, interpolation=cv2.INTER_AREA) for c in flow]) * scale
        better, support = match(*small, *hidden, guess, steps=2)
        change = np.where(support > SUPPORT, better - guess, 0) / scale
        flow = flow + np.stack([cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR) for c in change])
    return match(a, b, hole_a, hole_b, flow, steps=steps)


def match(
    a: np.ndarray, b: np.ndarray, hole_a: np.ndarray, hole_b: np.ndarray, flow: np.ndarray, *, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton steps of windowed matching (Lucas and Kanade) with the hidden pixels of both frames left out.

    Each window's mean brightness is free, so a change of exposure is no motion. Returns the flow and the
    share of each window, 0..1, that was visible in both frames.
    """
    a, b = a.astype(np.float32), b.astype(np.float32)
    gx = cv2.Sobel(a, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(a, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    seen_a = (~grown(hole_a, 1)).astype(np.float32)
    seen_b = (~hole_b).astype(np.float32)
    flow = flow.astype(np.float32, copy=True)
    h, w = a.shape
    xs, ys = np.arange(w, dtype=np.float32)[None], np.arange(h, dtype=np.float32)[:, None]
    support = np.zeros_like(a)
    for _ in range(steps):
        at_x, at_y = xs + flow[0], ys + flow[1]
        weight = cv2.remap(seen_b, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        weight = seen_a * (weight > 0.999)
        difference = cv2.remap(b, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - a
        wx, wy, wd = weight * gx, weight * gy, weight * difference
        support, mx, my, md = (_window(c) for c in (weight, wx, wy, wd))
        share = 1 / np.maximum(support, 1e-4)
        mx, my, md = mx * share, my * share, md * share
        xx = _window(wx * gx) * share - mx * mx + _STIFFNESS
        xy = _window(wx * gy) * share - mx * my
        yy = _window(wy * gy) * share - my * my + _STIFFNESS
        xd = _window(wx * difference) * share - mx * md
        yd = _window(wy * difference) * share - my * md
        determinant = xx * yy - xy * xy
        du = (xy * yd - yy * xd) / determinant
        dv = (xy * xd - xx * yd) / determinant
        shrink = (support > 0.05) / np.maximum(np.hypot(du, dv) / _LARGEST_STEP, 1)
        flow[0] += du * shrink
        flow[1] += dv * shrink
    return flow, support


def _window(image: np.ndarray) -> np.ndarray:
    # Two box filters make a soft-edged window for the price of a few additions a pixel.
    size = (WINDOW + 1, WINDOW + 1)
    return cv2.blur(cv2.blur(image, size), size)
