"""Whether what a hole hides moves as the flow goes on from around it, or with the camera.

The flow beside a hole is often another thing's: a rider's whose wheel alone is masked, a passer-by's. Continued into
the hole it leads astray. Where most of the picture moves as one camera's, that motion is the other guess. Which of them is right can be
seen: the frames before a hidden place and those after it have to show the same there.

A frame alone is told too little for this, and a guess that changed from frame to frame would be seen, so it is made over some time. That
takes nothing but frames within the frame's own reach, so that a part of a shot comes out as the whole does.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .flow.masked import unlikeness

#: One of so many frames is looked at; those as near to a frame as this have a say in its guess, by these weights.
EVERY, _BESIDE = 3, 12
_SAYS = np.exp(-0.5 * (np.arange(-_BESIDE, _BESIDE + 1) / 4) ** 2)
#: How much has to be told, as a share of a frame's hole, to be believed by half; and how much more alike, as a logarithm of variances,
#: what the camera's motion brings together has to be.
_LITTLE, _BETTER = 0.1, 0.2
#: Radius of the windows that are compared, in pixels.
_WINDOW = 8


@dataclass(frozen=True)
class Shown:
    """A box of a frame, its hole filled by the frames before and by those after.

    earlier, later  (h, w) uint8 grey
    both            (h, w) bool, where the hole is seen from both sides
    """

    earlier: np.ndarray
    later: np.ndarray
    both: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What a frame tells of it.

    told    the share of its hole that can be compared under both guesses, 0..1
    better  how much more alike both sides are under the camera's motion, as a logarithm of variances; below 0: less
    """

    told: float
    better: float


def evidence_of(continued: Shown, camera: Shown, hole: np.ndarray) -> Evidence:
    """continued, camera: the same box under each guess; hole (h, w) bool: what is to be filled of it."""
    (one, one_told), (other, other_told) = _unlikeness(continued), _unlikeness(camera)
    told = one_told & other_told
    if not told.any():
        return Evidence(0.0, 0.0)
    return Evidence(float(told.sum() / hole.sum()), float(np.log(one[told].mean() / other[told].mean())))


def _unlikeness(shown: Shown) -> tuple[np.ndarray, np.ndarray]:
    """How unlike both sides are around each pixel, (h, w), and where it is told."""
    variance, told = unlikeness(shown.later.astype(np.float32) - shown.earlier, shown.both, _WINDOW)
    return variance, shown.both & told


def beside(reach: int) -> int:
    """How many frames before and after one have a say in its guess; in the rest of the reach each of them looks for what it is told by."""
    return min(_BESIDE, reach // 2)


def moves_with_camera(frame: int, evidence: Mapping[int, Evidence], reach: int) -> bool:
    """Whether what is hidden in a frame moves with the camera. evidence: of frames of its shot, by their numbers."""
    told = better = 0.0
    for k in range(frame - beside(reach), frame + beside(reach) + 1):
        if k in evidence:
            found, says = evidence[k], _SAYS[k - frame + _BESIDE]
            told += says * found.told
            better += says * found.told * found.better
    return bool(better > _BETTER * (told + _LITTLE * _SAYS.sum() / EVERY))
