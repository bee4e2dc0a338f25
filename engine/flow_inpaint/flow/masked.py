"""Flow right up to a hole's edge, from visible pixels alone.

An ordinary estimator has to be given a picture without a hole, and whatever the hole is painted with
spoils its answer far beyond the edge. So its answer in a band around the hole is dropped, continued from
outside, and then matched again here with a cost that leaves the hidden pixels of both frames out. Where the
estimator was asked more than once, the same cost says which answer fits best at each place.
"""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..heeding import heed
from ..poisson import bounding_box
from .camera import beside_camera, camera_motion, flow_of

#: `flow` (2, H, W), pixels, with the part where `unknown` (H, W) bool made anew.
Continuation = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: How far beyond the hole the estimator's answer is dropped, and how far the matching reaches, in pixels.
BAND = 12
NEAR = 16
#: Radius of the matching window, in pixels, and the share of it that has to be visible in both frames.
WINDOW = 10
SUPPORT = 0.3
#: The same for choosing between answers: what differs by less than the noise, in squared grey levels, is equally good.
_CHOICE = 10
_NOISE = 4.0
_TELLING = 0.15
#: How much better than the answer beside the camera's motion the first answer and that motion itself have to be.
_FIRST = 1.15
_CAMERA = 1.1
_LARGEST_STEP = 1.0
_STIFFNESS = 0.4


def estimate_pair(
    a: np.ndarray,
    b: np.ndarray,
    hole_a: np.ndarray,
    hole_b: np.ndarray,
    *,
    estimator: Callable[[np.ndarray, np.ndarray], np.ndarray],
    complete: Continuation,
    refinement: int,
    shown: tuple[np.ndarray, np.ndarray] | None = None,
    short_sighted: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Completed flows a -> b and b -> a, each (2, H, W) float32 in pixels.

    a, b            (H, W) uint8 grey, their holes painted with something smooth
    hole_a, hole_b  (H, W) bool
    estimator       flow between two pictures
    complete        fills the unknown part of a flow from the rest
    refinement      matching steps at full size; 0 trusts the continuation as it is
    shown           what the estimator gets to see instead of a and b: the same pictures in colour, (H, W, 3) uint8
    short_sighted   ask the estimator again, with the camera's motion taken out; see `camera`
    """
    pictures = shown or (a, b)
    how = {"estimator": estimator, "complete": complete, "refinement": refinement, "short_sighted": short_sighted}
    return _one_way(a, b, hole_a, hole_b, pictures, **how), _one_way(b, a, hole_b, hole_a, pictures[::-1], **how)


def _one_way(
    a: np.ndarray,
    b: np.ndarray,
    hole_a: np.ndarray,
    hole_b: np.ndarray,
    pictures: tuple[np.ndarray, np.ndarray],
    *,
    estimator: Callable[[np.ndarray, np.ndarray], np.ndarray],
    complete: Continuation,
    refinement: int,
    short_sighted: bool,
) -> np.ndarray:
    flow = estimator(*pictures)
    if not (hole_a.any() or hole_b.any()):
        return flow
    # Where b's hole lies, a's pixels have nothing to be matched with: that part of the flow is as doubtful.
    band = grown(hole_a | hole_b, BAND)
    flow = complete(flow, band)
    others: list[tuple[np.ndarray, float]] = []
    camera = camera_motion(flow, ~band) if short_sighted and refinement else None
    if camera is not None:
        again = complete(beside_camera(camera, *pictures, hole_a, hole_b, estimator), band)
        flow, others = again, [(flow, _FIRST), (flow_of(camera, hole_a.shape), _CAMERA)]
    return _matched(flow, others, a, b, hole_a, hole_b, complete=complete, refinement=refinement)


def _matched(
    flow: np.ndarray,
    others: list[tuple[np.ndarray, float]],
    a: np.ndarray,
    b: np.ndarray,
    hole_a: np.ndarray,
    hole_b: np.ndarray,
    *,
    complete: Continuation,
    refinement: int,
) -> np.ndarray:
    """A continued flow, or near the holes at each place the best of it and `others`, matched again there and completed."""
    if refinement == 0:
        return flow
    near = grown(hole_a | hole_b, NEAR)
    box = box_of(near, WINDOW + 4)
    inside = (slice(None), *box)
    parts = a[box], b[box], hole_a[box], hole_b[box]
    start = _best(flow[inside], [(other[inside], handicap) for other, handicap in others], *parts)
    part, support = _coarse_to_fine(*parts, start, refinement)
    flow[inside] = np.where(near[box], part, start)
    weak = np.zeros_like(hole_a)
    weak[box] = near[box] & (support < SUPPORT)
    return complete(flow, weak)


def _best(
    flow: np.ndarray, others: list[tuple[np.ndarray, float]], a: np.ndarray, b: np.ndarray, hole_a: np.ndarray, hole_b: np.ndarray
) -> np.ndarray:
    """At each pixel the flow under which its visible surroundings look most alike: `flow`, or another if that is better even
    when its unlikeness is multiplied by its handicap. Where a pixel is hidden under `flow`, nothing speaks against that."""
    if not others:
        return flow
    least = _unlikeness(flow, a, b, hole_a, hole_b)
    told = np.isfinite(least)
    for other, handicap in others:
        unlike = _unlikeness(other, a, b, hole_a, hole_b) * handicap
        better = told & (unlike < least)
        flow, least = np.where(better, other, flow), np.where(better, unlike, least)
    return flow


def _unlikeness(flow: np.ndarray, a: np.ndarray, b: np.ndarray, hole_a: np.ndarray, hole_b: np.ndarray) -> np.ndarray:
    """The variance (H, W) of the difference between both pictures around each pixel, its mean being exposure; infinite where
    too little of it is visible."""
    h, w = a.shape
    x, y = np.arange(w, dtype=np.float32)[None] + flow[0], np.arange(h, dtype=np.float32)[:, None] + flow[1]
    there = cv2.remap(b.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.remap((~hole_b).astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    variance, told = unlikeness(there - a, (seen > 0.999) & ~hole_a, _CHOICE)
    return np.where(told, variance, np.inf)


def unlikeness(difference: np.ndarray, seen: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """How unlike two pictures are around each pixel: the variance (H, W) of their difference, its mean being exposure, and where enough
    of a window is seen to tell, (H, W) bool.

    difference  (H, W) float32, grey levels
    seen        (H, W) bool, where it counts
    radius      of the windows, pixels
    """
    weight = seen.astype(np.float32)
    difference = difference * weight
    support, mean, square = (_window(c, radius) for c in (weight, difference, difference * difference))
    share = 1 / np.maximum(support, 1e-4)
    return np.maximum(square * share - (mean * share) ** 2, 0) + _NOISE, support > _TELLING


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
        heed()
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


def _window(image: np.ndarray, radius: int = WINDOW) -> np.ndarray:
    # Two box filters make a soft-edged window for the price of a few additions a pixel.
    size = (radius + 1, radius + 1)
    return cv2.blur(cv2.blur(image, size), size)
