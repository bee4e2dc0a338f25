"""The motion of a pair of frames around their holes: what is cropped, at what size, and the hops that come of it."""
from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .flow import Estimator
from .flow.camera import camera_motion, flow_of
from .flow.masked import Continuation, estimate_pair
from .poisson import bounding_box, interpolate
from .propagation.trace import BEYOND, GUARD, Hops, guard_band, hops

_LEAST_MARGIN, _LARGEST_MARGIN = 128, 384


@dataclass(frozen=True)
class View:
    """A frame as motion estimation sees it.

    grey    (H, W) uint8, the hole painted smoothly
    hole    (H, W) bool
    colour  (H, W, 3) uint8, likewise, for an estimator that looks at colours
    """

    grey: np.ndarray
    hole: np.ndarray
    colour: np.ndarray | None = None

    def part(self, box: tuple[slice, slice]) -> View:
        return View(self.grey[box], self.hole[box], None if self.colour is None else self.colour[box])

    def lit(self, gain: float) -> View:
        """With all values multiplied, up to white."""
        table = np.clip(np.rint(np.arange(256) * gain), 0, 255).astype(np.uint8)
        return View(cv2.LUT(self.grey, table), self.hole, None if self.colour is None else cv2.LUT(self.colour, table))

    def resized(self, size: tuple[int, int]) -> View:
        """At another size (width, height). A pixel counts as hidden if any part of it is."""
        grey, colour = (None if x is None else cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (self.grey, self.colour))
        return View(grey, cv2.resize(self.hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0, colour)


@dataclass(frozen=True)
class MotionSettings:
    """How motion is measured. `scale` is the size it is measured at, 1 = full; `complete` continues it into holes;
    `beside_camera`: a short-sighted estimator is asked again with the camera's motion taken out; `beyond`: whether steps are
    needed beyond the guarded hole too; `camera`: whether those by the camera's motion are needed as well."""

    estimator: Estimator
    complete: Continuation
    refinement: int
    scale: float
    beside_camera: bool = True
    beyond: bool = True
    camera: bool = True

    @property
    def around(self) -> int:
        """Pixels around a hole that steps are needed of."""
        return BEYOND if self.beyond else GUARD


@dataclass(frozen=True)
class Step:
    """What was measured between a frame and the one before.

    found  hops of the hole before into the frame and of the frame's into the one before; or the flows, (2, H, W) each
    light  logarithm of the gain from the one before, of coded numbers (see `tone`), (3,); None: not measured
    grain  a sample of the frame's grain (see `grain_sample`), or None
    """

    found: tuple[Hops, Hops] | tuple[np.ndarray, np.ndarray]
    light: np.ndarray | None = None
    grain: np.ndarray | None = None


def view_of(picture: np.ndarray, hole: np.ndarray, *, colour: bool = False) -> View:
    """picture (H, W, 3) in uint8, uint16 or float32 (1.0 = white)."""
    shown = eight_bits(picture)
    grey = _painted(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[..., None], hole)[..., 0]
    return View(grey, hole, _painted(shown, hole) if colour else None)


def _painted(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    if not hole.any() or hole.all():
        return picture
    return np.clip(np.rint(interpolate(picture.astype(np.float32), hole, cycles=2)), 0, 255).astype(np.uint8)


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
    """Hops of a's hole and its surroundings into b and of b's into a."""
    shape = a.hole.shape
    box = bounding_box(a.hole | b.hole)
    if box is None:
        return Hops.none(), Hops.none()
    box = bounding_box(a.hole | b.hole, margin(box)) or box
    a, b = a.part(box), b.part(box)
    later, earlier = hops_of(a.hole, b.hole, *flows(a, b, settings), around=settings.around, camera=settings.camera)
    return _placed(later, box, shape), _placed(earlier, box, shape)


def hops_of(
    hole_a: np.ndarray, hole_b: np.ndarray, forward: np.ndarray, backward: np.ndarray, *, around: int, camera: bool
) -> tuple[Hops, Hops]:
    """The same, of the holes and `around` pixels more, from completed flows a -> b and b -> a, (2, H, W) each. camera: with the steps
    that those of the guarded holes would be by the camera's motion."""
    later, earlier = hops(guard_band(hole_a, around), forward, backward), hops(guard_band(hole_b, around), backward, forward)
    if not camera:
        return later, earlier
    hidden = guard_band(hole_a, GUARD), guard_band(hole_b, GUARD)
    seen = ~(hidden[0] | hidden[1])
    motions = camera_motion(forward, seen), camera_motion(backward, seen)
    if motions[0] is None or motions[1] is None:
        return later, earlier
    there, back = (
        np.where(where, flow_of(motion, seen.shape), flow) for where, motion, flow in zip(hidden, motions, (forward, backward))
    )
    return replace(later, camera=hops(hidden[0], there, back)), replace(earlier, camera=hops(hidden[1], back, there))


def flows(a: View, b: View, settings: MotionSettings) -> tuple[np.ndarray, np.ndarray]:
    """Flows a -> b and b -> a over whole views, (2, H, W) float32 in pixels, continued into the holes."""
    h, w = a.grey.shape
    if settings.scale == 1 or min(h, w) * settings.scale < 32:
        return _estimated(a, b, settings)
    size = (max(round(w * settings.scale), 1), max(round(h * settings.scale), 1))
    small = _estimated(a.resized(size), b.resized(size), settings)
    factor = np.array([w / size[0], h / size[1]], np.float32)[:, None, None]
    forward, backward = (np.stack([cv2.resize(c, (w, h), interpolation=cv2.INTER_LINEAR) for c in flow]) * factor for flow in small)
    return forward, backward


def _estimated(a: View, b: View, settings: MotionSettings) -> tuple[np.ndarray, np.ndarray]:
    return estimate_pair(
        a.grey,
        b.grey,
        a.hole,
        b.hole,
        estimator=settings.estimator,
        complete=settings.complete,
        refinement=settings.refinement,
        short_sighted=settings.beside_camera and settings.estimator.short_sighted,
        shown=None if a.colour is None or b.colour is None else (a.colour, b.colour),
    )


def _placed(part: Hops, box: tuple[slice, slice], shape: tuple[int, int]) -> Hops:
    y, x = np.divmod(part.pixels, box[1].stop - box[1].start)
    pixels = (y + box[0].start) * shape[1] + x + box[1].start
    camera = None if part.camera is None else _placed(part.camera, box, shape)
    return Hops(pixels.astype(np.int32), part.u, part.v, part.drift, camera)
