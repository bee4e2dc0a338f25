"""Interpolation inward from the hole's border where things at different depths meet there: the motion of each is continued by itself.

Between two motions there is none: what lies inward of a border where a swan passes in front of a bank moves as the swan or as the
bank, and what smooth interpolation makes of both is the motion of neither, so that nothing carried along it fits.
"""
from __future__ import annotations

import cv2
import numpy as np

from ..flow.masked import grown
from ..poisson import bounding_box, interpolate
from .smooth import complete as smooth

#: A hole is looked at as one of about so many pixels squared, in every second, third or fourth pixel if it is larger: the same scene in a
#: larger picture has outlines as much less sharp, and it costs less.
_HOLE, _LARGEST = 80, 4
#: How wide the border is that motions are looked for in, pixels of that size.
_BORDER = 12
#: Motions at a border, the share of it that each has, and how far they are apart, pixels.
_MOST = 3
_LEAST_SHARE = 0.05
_APART = 1.0
#: The share of two motions' pixels that may have one in the middle half of the way between them.
_BETWEEN = 0.2
#: Within so many pixels to either side of where two motions meet, at least this share of the way between them is gone where that is an
#: outline, as sharp as an estimator leaves it, and at least so many times as much as over the same distance within either. A floor's
#: motion changes from far to near, but steadily.
_SIDE, _STEP, _STEEPER = 6, 0.5, 2.0
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
    if not unknown.any() or unknown.all():
        return flow
    every = round(min(max(np.count_nonzero(unknown) ** 0.5 / _HOLE, 1), _LARGEST))
    box = bounding_box(unknown, every * _BORDER)
    hole = unknown[box]
    found = _told_apart(*(np.ascontiguousarray(whole[..., ::every, ::every]) for whole in (flow[(slice(None), *box)], hole)))
    if found is None:
        return smooth(flow, unknown)
    shares, motions = found
    whose = _enlarged(shares, every, hole.shape).argmax(-1)
    out = flow.copy()
    completed = out[(slice(None), *box)]
    for k, motion in enumerate(motions):
        where = hole & (whose == k)
        completed[:, where] = _enlarged(motion, every, hole.shape)[where].T
    return out


def _enlarged(values: np.ndarray, times: int, shape: tuple[int, int]) -> np.ndarray:
    """What was seen of every so-many-th pixel, (h, w, C) float32, of all."""
    if times == 1:
        return values
    larger = np.float64([[times, 0, 0], [0, times, 0]])
    return cv2.warpAffine(values, larger, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _told_apart(flow: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """The share that each layer has in a pixel, (H, W, layers), right outside the hole and smooth in it, and the motion of each continued,
    (H, W, 2); None where there is one layer."""
    border = grown(hole, _BORDER) & ~hole
    motions = _motions(flow[:, border].T)
    if len(motions) < 2:
        return None
    far = np.stack([np.hypot(flow[0] - u, flow[1] - v) for u, v in motions])
    layers = _layers(flow, border, motions, far)
    if len(layers) < 2:
        return None
    far = np.stack([far[layer].min(0) for layer in layers])
    nearest, (first, second) = far.argmin(0), np.sort(far, axis=0)[:2]
    known = (_SURE * first < second) & ~hole
    own = [known & (nearest == k) for k in range(len(layers))]
    if not all(some.any() for some in own):
        return None
    others = interpolate(np.stack(own[1:], -1), ~known)
    pixels = flow.transpose(1, 2, 0)
    continued = [interpolate(pixels, ~some, cycles=_CYCLES) for some in own]
    return np.concatenate([1 - others.sum(-1, keepdims=True), others], -1), continued


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
    # Begun across the widest way through them, which needs no chance. Without OpenBLAS, which ends a process that memory is short for.
    u, v = (flows - flows.mean(0)).T
    widest = 0.5 * np.arctan2(2 * (u * v).sum(), (u * u - v * v).sum())
    begin = (u * np.cos(widest) + v * np.sin(widest) > 0).astype(np.int32)[:, None]
    _, labels, centres = cv2.kmeans(flows, 2, begin, _ROUNDS, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    way = centres[1] - centres[0]
    apart = float(np.hypot(*way))
    groups = [flows[labels[:, 0] == k] for k in (0, 1)]
    if apart < _APART or min(map(len, groups)) < least:
        return None
    along = ((flows - centres[0]) * way).sum(1) / apart**2
    return groups if ((along > 0.25) & (along < 0.75)).mean() < _BETWEEN else None


def _layers(flow: np.ndarray, border: np.ndarray, motions: list[np.ndarray], far: np.ndarray) -> list[list[int]]:
    """The motions' numbers, those together that go over into each other. far: (motions, H, W), how far from each a pixel's is."""
    layers, nearest = [[k] for k in range(len(motions))], far.argmin(0)
    for one in range(len(motions)):
        for other in range(one):
            if not _is_outline(flow, border, nearest, (one, other), motions[one] - motions[other]):
                joined = [layer for layer in layers if one in layer or other in layer]
                layers = [layer for layer in layers if layer not in joined] + [sum(joined, [])]
    return layers


def _is_outline(flow: np.ndarray, border: np.ndarray, nearest: np.ndarray, two: tuple[int, int], way: np.ndarray) -> bool:
    """Whether most of the way between two motions is gone at once where they meet in a border, and no such thing happens within them; True
    where they do not meet."""
    across: list[np.ndarray] = []
    within: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    over = 2 * _SIDE - 1
    ways = (flow, border, nearest), (flow.transpose(0, 2, 1), border.T, nearest.T)
    for moves, known, whose in ways:
        count = whose.shape[1] - over
        if count < 1:
            continue
        begin, before, after, end = (slice(k, k + count) for k in (0, _SIDE - 1, _SIDE, over))
        seen = known[:, begin] & known[:, end]
        gone = np.abs(((moves[..., end] - moves[..., begin])[:, seen] * way[:, None]).sum(0))
        first, one, other, last = (whose[:, some][seen] for some in (begin, before, after, end))
        across.append(gone[((one == two[0]) & (other == two[1])) | ((one == two[1]) & (other == two[0]))])
        for k, own in enumerate(two):
            within[k].append(gone[(first == own) & (last == own)])
    found = _median(across)
    return found is None or found >= max(_STEP * float((way * way).sum()), *(_STEEPER * (_median(some) or 0.0) for some in within))


def _median(parts: list[np.ndarray]) -> float | None:
    values = np.concatenate(parts) if parts else np.empty(0)
    return float(np.median(values)) if values.size else None
