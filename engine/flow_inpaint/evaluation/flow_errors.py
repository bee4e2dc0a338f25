"""How wrong a flow is: end-point errors, and the kinds of places that they are told apart by. Arrays in, numbers out."""
from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

#: Shares of a hole's pixels that count as hard in the paper's table 3, in percent.
SHARES = (70, 50, 30, 10)
#: A flow that changes by more than so many pixels, within so many pixels, is hard to guess (as `training.losses.hard_regions` has it).
_JUMP, _NEAR = 1.0, 9
#: What is narrower than this, in pixels, and moves unlike both its sides, is thin.
_THIN = 9
#: Slow motion ends and fast motion begins at so many pixels a frame, in a picture of so many lines, as the Sintel benchmark has them.
_SPEEDS, _LINES = (10.0, 40.0), 436

Means = dict[str, float | None]


class Sums:
    """Sums and counts by name, from which means over any number of flows can be taken."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, values: np.ndarray) -> None:
        """Takes in an array of values, which may be empty."""
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = (total + float(values.sum(dtype=np.float64)), count + values.size)

    def means(self) -> Means:
        """By name; None where there were no values."""
        return {name: total / count if count else None for name, (total, count) in self._sums.items()}


def end_point_errors(flow: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(H, W) pixels, of flows (2, H, W) in pixels: the distance between where a pixel goes and where it should."""
    return np.hypot(*(flow - truth))


def near_jumps(truth: np.ndarray) -> np.ndarray:
    """(H, W) bool: within a few pixels of a place where the flow (2, H, W) jumps, as at the edges of what moves."""
    field = _last(truth)
    window = np.ones((_NEAR, _NEAR), np.uint8)
    return ((cv2.dilate(field, window) - cv2.erode(field, window)) > _JUMP).any(-1)


def thin_structures(truth: np.ndarray) -> np.ndarray:
    """(H, W) bool: parts of a few pixels' width that move unlike both their sides, such as poles and ropes, of a flow (2, H, W).

    Top hats of the flow: what a square of that width cannot get into, in either direction of either component.
    """
    field = _last(truth)
    window = np.ones((_THIN, _THIN), np.uint8)
    above = field - cv2.morphologyEx(field, cv2.MORPH_OPEN, window)
    below = cv2.morphologyEx(field, cv2.MORPH_CLOSE, window) - field
    return (np.maximum(above, below) > _JUMP).any(-1)


def worst(errors: np.ndarray, percent: float) -> tuple[np.ndarray, np.ndarray]:
    """A field's errors (N,), parted: the `percent` largest, which hard flow example mining takes (the paper's eq. 2), and the rest."""
    order = np.sort(errors)[::-1]
    taken = math.ceil(round(errors.size * percent / 100, 6))
    return order[:taken], order[taken:]


def add_completion(sums: Sums, flow: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> None:
    """Takes in what a completed flow (2, H, W) is worth in its hole (H, W).

    epe               all of the hole
    hard, smooth      within a few pixels of a jump of the true flow, and elsewhere: the same places for every method
    worst_P, rest_P   the P percent of the hole with this method's largest errors in this flow, and the others
    """
    errors = end_point_errors(flow, truth)
    hard = near_jumps(truth)
    inside = errors[hole]
    sums.add("epe", inside)
    sums.add("hard", errors[hole & hard])
    sums.add("smooth", errors[hole & ~hard])
    for percent in SHARES:
        large, small = worst(inside, percent)
        sums.add(f"worst_{percent}", large)
        sums.add(f"rest_{percent}", small)


def add_estimation(sums: Sums, flow: np.ndarray, truth: np.ndarray, occluded: np.ndarray) -> None:
    """Takes in what an estimated flow (2, H, W) is worth; `occluded` (H, W) cannot be matched with anything.

    epe, occluded        what is seen in both frames, and what is not
    slow, medium, fast   of what is seen: by the length of the true flow, parted at 10 and 40 pixels of a picture 436 high
    edges, thin          of what is seen: near jumps of the true flow, and on thin structures
    """
    errors = end_point_errors(flow, truth)
    seen, speed = ~occluded, np.hypot(*truth) * (_LINES / truth.shape[1])
    sums.add("epe", errors[seen])
    sums.add("occluded", errors[occluded])
    sums.add("slow", errors[seen & (speed < _SPEEDS[0])])
    sums.add("medium", errors[seen & (speed >= _SPEEDS[0]) & (speed <= _SPEEDS[1])])
    sums.add("fast", errors[seen & (speed > _SPEEDS[1])])
    sums.add("edges", errors[seen & near_jumps(truth)])
    sums.add("thin", errors[seen & thin_structures(truth)])


def mean_of(clips: list[Mapping[str, float | None]]) -> Means:
    """The mean over clips, each counting alike whatever its length, of every figure; None where no clip has it."""
    means: Means = {}
    for name in dict.fromkeys(name for clip in clips for name in clip):
        known = [value for clip in clips if (value := clip.get(name)) is not None]
        means[name] = sum(known) / len(known) if known else None
    return means


def _last(flow: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(flow.transpose(1, 2, 0), np.float32)
