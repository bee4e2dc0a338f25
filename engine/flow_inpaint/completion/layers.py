"""Interpolation inward from the hole's border where things at different depths meet there: the motion of each is continued by itself.

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
#: Within so many pixels to either side of where two motions meet, at least this share of the way between them is gone where that is an
#: outline, as sharp as an estimator leaves it. A floor's motion changes as much from far to near, but steadily.
_SIDE, _STEP = 6, 0.5
#: A pixel tells of a layer if the others are at least so many times as far from it: between them lies what an estimator makes of an outline.
_SURE = 3.0
_FEWEST, _SAMPLES = 50, 2000
_ROUNDS = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 20, 0.01)
_CYCLES = 2


def complete(flow: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """`flow` (2, H, W), pixels, with the part where `unknown` (H, W) continued from its border.

    Where outlines meet the border, the motion of each layer is continued smoothly by itself, and every pixel takes the layer that most of
    the border around it belongs to. Where there is one layer only, this is `smooth.complete`.
    """
    box = bounding_box(unknown, _BORDER)
    if box is None or unknown.all():
        return flow
    part, hole = np.ascontiguousarray(flow[(slice(None), *box)], np.float32), np.ascontiguousarray(unknown[box])
    border = _border(hole)
    motions = _motions(part[:, border].T)
    far = np.stack([np.hypot(part[0] - u, part[1] - v) for u, v in motions]) if len(motions) > 1 else np.empty((0, *hole.shape))
    layers = _layers(part, border, motions, far)
    if len(layers) < 2:
        return smooth(flow, unknown)
    far = np.stack([far[layer].min(0) for layer in layers])
    nearest, (first, second) = far.argmin(0), np.sort(far, axis=0)[:2]
    known = (_SURE * first < second) & ~hole
    whose = _whose(nearest, len(layers), known)
    pixels, completed = part.transpose(1, 2, 0), part.copy()
    for k in range(len(layers)):
        where = hole & (whose == k)
        completed[:, where] = interpolate(pixels, ~(known & (nearest == k)), cycles=_CYCLES)[where].T
    out = flow.copy()
    out[(slice(None), *box)] = completed
    return out


def _border(hole: np.ndarray) -> np.ndarray:
    size = 2 * _BORDER + 1
    return cv2.dilate(hole.view(np.uint8), np.ones((size, size), np.uint8)).view(bool) & ~hole


def _motions(flows: np.ndarray) -> list[np.ndarray]:
    """The motions (2,) that flows (N, 2) gather at."""
    if len(flows) < _FEWEST:
        return []
    flows = np.ascontiguousarray(flows[:: -(-len(flows) // _SAMPLES)])
    least = _LEAST_SHARE * len(flows)
    whole, single = [flows], []
    while whole:
        group = whole.pop(0)
        halves = _halves(group, least) if len(whole) + len(single) + 2 <= _MOST else None
        if halves is None:
            single.append(group)
        else:
            whole += halves
    return [group.mean(0) for group in single]


def _halves(flows: np.ndarray, least: float) -> list[np.ndarray] | None:
    """Flows (N, 2) in two groups of at least so many, with a gap between them; None if there is no gap."""
    if len(flows) < 2 * least:
        return None
    middle = flows - flows.mean(0)
    # Begun along the widest way through them, which needs no chance.
    _, ways = np.linalg.eigh(middle.T @ middle)
    begin = (middle @ ways[:, 1] > 0).astype(np.int32)[:, None]
    _, labels, centres = cv2.kmeans(flows, 2, begin, _ROUNDS, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    way = centres[1] - centres[0]
    apart = float(np.hypot(*way))
    groups = [flows[labels[:, 0] == k] for k in (0, 1)]
    if apart < _APART or min(map(len, groups)) < least:
        return None
    along = (flows - centres[0]) @ way / apart**2
    return groups if ((along > 0.25) & (along < 0.75)).mean() < _BETWEEN else None


def _layers(flow: np.ndarray, border: np.ndarray, motions: list[np.ndarray], far: np.ndarray) -> list[list[int]]:
    """The motions' numbers, those together that go over into each other. far: (motions, H, W), how far from each a pixel's is."""
    layers = [[k] for k in range(len(motions))]
    for one in range(len(motions)):
        for other in range(one):
            if not _is_outline(flow, border, far.argmin(0), (one, other), motions[one] - motions[other]):
                joined = [layer for layer in layers if one in layer or other in layer]
                layers = [layer for layer in layers if layer not in joined] + [sum(joined, [])]
    return layers


def _is_outline(flow: np.ndarray, border: np.ndarray, nearest: np.ndarray, two: tuple[int, int], way: np.ndarray) -> bool:
    """Whether most of the way between two motions is gone at once where they meet in a border; True where they do not meet."""
    shares = []
    for axis in (0, 1):
        before, after = (nearest.take(range(k, nearest.shape[axis] - 1 + k), axis) for k in (0, 1))
        meet = np.argwhere(((before == two[0]) & (after == two[1])) | ((before == two[1]) & (after == two[0])))
        near, beyond = meet.copy(), meet.copy()
        near[:, axis] -= _SIDE - 1
        beyond[:, axis] += _SIDE
        inside = (near[:, axis] >= 0) & (beyond[:, axis] < nearest.shape[axis])
        near, beyond = tuple(near[inside].T), tuple(beyond[inside].T)
        seen = border[near] & border[beyond]
        shares.append(np.abs(way @ (flow[:, *beyond] - flow[:, *near]))[seen] / (way @ way))
    found = np.concatenate(shares)
    return not found.size or float(np.median(found)) >= _STEP


def _whose(nearest: np.ndarray, layers: int, known: np.ndarray) -> np.ndarray:
    """(H, W): which layer each pixel takes, of a number that is right where `known`: the one that the smoothest shares make largest."""
    shares = interpolate(np.stack([nearest == k for k in range(1, layers)], -1), ~known)
    return np.concatenate([1 - shares.sum(-1, keepdims=True), shares], -1).argmax(-1)
