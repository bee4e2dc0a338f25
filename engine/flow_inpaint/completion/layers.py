"""Interpolation inward from the hole's border where things at different depths meet there: each motion is continued by itself.

Between two motions there is none: what lies inward of a border where a swan passes in front of a bank moves as the swan or as the
bank, and what smooth interpolation makes of both is the motion of neither, so that nothing carried along it fits.
"""
from __future__ import annotations

import cv2
import numpy as np

from ..poisson import bounding_box, interpolate
from .smooth import complete as smooth

#: How wide the border is that motions are looked for in, pixels.
_BORDER = 12
#: Motions at a border, the share of it that each has, and how far they are apart, pixels.
_MOST = 3
_LEAST_SHARE = 0.05
_APART = 1.0
#: The share of two motions' pixels that may have one in the middle half of the way between them.
_BETWEEN = 0.2
#: A pixel tells of the motion nearest to its own if the next is at least so many times as far from it: between the two lies what an
#: estimator makes of an outline.
_SURE = 3.0
_FEWEST, _SAMPLES = 50, 2000
_CYCLES = 2
_ROUNDS = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 20, 0.01)


def complete(flow: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """`flow` (2, H, W), pixels, with the part where `unknown` (H, W) continued from its border.

    Motions that are told apart there are each continued smoothly, and every pixel takes the one that most of the border around it has.
    Where there is one motion only this is `smooth.complete`.
    """
    box = bounding_box(unknown, _BORDER)
    if box is None or unknown.all():
        return flow
    part, hole = np.ascontiguousarray(flow[(slice(None), *box)], np.float32), np.ascontiguousarray(unknown[box])
    motions = _motions(part, _border(hole))
    if len(motions) < 2:
        return smooth(flow, unknown)
    far = np.stack([np.hypot(part[0] - u, part[1] - v) for u, v in motions])
    nearest, (first, second) = far.argmin(0), np.partition(far, 1, axis=0)[:2]
    known = (_SURE * first < second) & ~hole
    whose = _whose(nearest, len(motions), known)
    pixels, completed = part.transpose(1, 2, 0), part.copy()
    for k in range(len(motions)):
        where = hole & (whose == k)
        completed[:, where] = interpolate(pixels, ~(known & (nearest == k)), cycles=_CYCLES)[where].T
    out = flow.copy()
    out[(slice(None), *box)] = completed
    return out


def _whose(nearest: np.ndarray, motions: int, known: np.ndarray) -> np.ndarray:
    """(H, W): which motion each pixel takes, of a number that is right where `known`: the one that the smoothest shares make largest."""
    shares = interpolate(np.stack([nearest == k for k in range(1, motions)], -1), ~known)
    return np.concatenate([1 - shares.sum(-1, keepdims=True), shares], -1).argmax(-1)


def _border(hole: np.ndarray) -> np.ndarray:
    size = 2 * _BORDER + 1
    return cv2.dilate(hole.view(np.uint8), np.ones((size, size), np.uint8)).view(bool) & ~hole


def _motions(flow: np.ndarray, where: np.ndarray) -> list[np.ndarray]:
    """The motions (2,) that a flow (2, H, W) gathers at where it counts."""
    y, x = np.nonzero(where)
    if y.size < _FEWEST:
        return []
    # A row for each pixel: where it is, 1, and its motion.
    pixels = np.stack([x, y, np.ones_like(x), flow[0][where], flow[1][where]], 1).astype(np.float32)[:: -(-y.size // _SAMPLES)]
    least = _LEAST_SHARE * len(pixels)
    whole, single = [pixels], []
    while whole:
        group = whole.pop(0)
        halves = _halves(group, least) if len(whole) + len(single) + 2 <= _MOST else None
        if halves is None:
            single.append(group)
        else:
            whole += halves
    return [group[:, 3:].mean(0) for group in single]


def _halves(pixels: np.ndarray, least: float) -> list[np.ndarray] | None:
    """Pixels in two groups of at least so many, with a gap between their motions; None if they have one motion."""
    if len(pixels) < 2 * least:
        return None
    places, flows = pixels[:, :3], np.ascontiguousarray(pixels[:, 3:])
    middle = flows - flows.mean(0)
    # Begun along the widest way through them, which needs no chance.
    _, ways = np.linalg.eigh(middle.T @ middle)
    begin = (middle @ ways[:, 1] > 0).astype(np.int32)[:, None]
    _, labels, centres = cv2.kmeans(flows, 2, begin, _ROUNDS, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    half = labels[:, 0]
    way = centres[1] - centres[0]
    apart = float(np.hypot(*way))
    if apart < _APART or min(np.bincount(half, minlength=2)) < least:
        return None
    along = (flows - centres[0]) @ way / apart**2
    if ((along > 0.25) & (along < 0.75)).mean() >= _BETWEEN:
        return None
    steady = places @ np.linalg.lstsq(places, flows, rcond=None)[0]
    # One motion that changes from place to place, as a floor's does towards the camera, may have a gap too, where the hole is.
    if np.abs(flows - centres[half]).sum() >= np.abs(flows - steady).sum():
        return None
    return [pixels[half == k] for k in (0, 1)]
