"""The motion of a pair of frames around their holes: what is cropped, at what size, and the hops that come of it."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .flow import Estimator
from .flow.masked import Completion, estimate_pair
from .poisson import bounding_box, interpolate
from .propagation.trace import GUARD, Hops, guard_band, hops

_LEAST_MARGIN, _LARGEST_MARGIN = 128, 384


@dataclass(frozen=True)
class View:
    """A frame as motion estimation sees it: grey (H, W) uint8 with its hole painted smoothly, and the hole (H, W) bool."""

    grey: np.ndarray
    hole: np.ndarray


@dataclass(frozen=True)
class MotionSettings:
    """How motion is measured. `scale` is the size it is measured at, 1 = full."""

    estimator: Estimator
    complete: Completion
    refinement: int
    scale: float


def view_of(picture: np.ndarray, hole: np.ndarray) -> View:
    """picture (H, W, 3) in uint8, uint16 or float32 (1.0 = white)."""
    grey = cv2.cvtColor(eight_bits(picture), cv2.COLOR_RGB2GRAY)
    if hole.any() and not hole.all():
        painted = interpolate(grey[..., None].astype(np.float32), hole, cycles=2)[..., 0]
        grey = np.clip(np.rint(painted), 0, 255).astype(np.uint8)
    return View(grey, hole)


def eight_bits(picture: np.ndarray) -> np.ndarray:
    """A picture for measuring, not for output: 8 bits, float pictures taken as linear light."""
    if picture.dtype == np.uint8:
        return np.ascontiguousarray(picture)
    if picture.dtype == np.uint16:
        return (picture >> 8).astype(np.uint8)
    shown = np.clip(np.nan_to_num(picture), 0, 1) ** (1 / 2.2)
    return np.rint(shown * 255).astype(np.uint8)


def margin(hole: tuple[slice, slice]) -> int:
    """How much of a hole's surroundings its motion is measured from, in pixels."""
    size = max(part.stop - part.start for part in hole)
    return int(np.clip(size, _LEAST_MARGIN, _LARGEST_MARGIN))


def measure(a: View, b: View, settings: MotionSettings) -> tuple[Hops, Hops]:
    """Hops of a's hole into b and of b's hole into a."""
    shape = a.hole.shape
    box = bounding_box(a.hole | b.hole)
    if box is None:
        nothing = _no_hops()
        return nothing, nothing
    box = bounding_box(a.hole | b.hole, margin(box)) or box
    crop = [x[box] for x in (a.grey, b.grey, a.hole, b.hole)]
    forward, backward = _scaled(crop, settings)
    later = hops(guard_band(a.hole[box], GUARD), forward, backward)
    earlier = hops(guard_band(b.hole[box], GUARD), backward, forward)
    return _placed(later, box, shape), _placed(earlier, box, shape)


def _no_hops() -> Hops:
    nothing = np.zeros(0, np.float32)
    return Hops(np.zeros(0, np.int32), nothing, nothing, nothing)


def _scaled(crop: list[np.ndarray], settings: MotionSettings) -> tuple[np.ndarray, np.ndarray]:
    grey_a, grey_b, hole_a, hole_b = crop
    h, w = grey_a.shape
    how = {"estimator": settings.estimator, "complete": settings.complete, "refinement": settings.refinement}
    if settings.scale == 1 or min(h, w) * settings.scale < 32:
        return estimate_pair(grey_a, grey_b, hole_a, hole_b, **how)
    size = (max(round(w * settings.scale), 1), max(round(h * settings.scale), 1))
    small = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (grey_a, grey_b)]
    hidden = [cv2.resize(x.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0 for x in (hole_a, hole_b)]
    flows = estimate_pair(*small, *hidden, **how)
    factor = np.array([w / size[0], h / size[1]], np.float32)[:, None, None]
    forward, backward = (np.stack([cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR) for c in flow]) * factor for flow in flows)
    return forward, backward


def _placed(part: Hops, box: tuple[slice, slice], shape: tuple[int, int]) -> Hops:
    y, x = np.divmod(part.pixels, box[1].stop - box[1].start)
    pixels = (y + box[0].start) * shape[1] + x + box[1].start
    return Hops(pixels.astype(np.int32), part.u, part.v, part.drift)
