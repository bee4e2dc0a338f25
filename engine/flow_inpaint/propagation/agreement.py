"""Candidates of one pixel compared with each other: what most of them do not show is most likely not there."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .blend import Candidate

SIG = float(os.environ.get("SIG", "0"))
PW = float(os.environ.get("PW", "1"))
_BLOCK = 1 << 18


def agreeing(stacks: Sequence[np.ndarray], candidates: Sequence[Candidate], size: int, white: float) -> list[Candidate]:
    if not SIG or len(candidates) < 3:
        return list(candidates)
    place = np.full(size, -1, np.int64)
    pixels = np.unique(np.concatenate([c.pixels for c in candidates]))
    place[pixels] = np.arange(pixels.size)
    weights = [c.weight.copy() for c in candidates]
    for begin in range(0, pixels.size, _BLOCK):
        n = min(_BLOCK, pixels.size - begin)
        colours, weight = np.zeros((len(candidates), n, 3), np.float32), np.zeros((len(candidates), n), np.float32)
        spots = []
        for k, (stack, c) in enumerate(zip(stacks, candidates)):
            at = place[c.pixels]
            mine = np.flatnonzero((at >= begin) & (at < begin + n))
            spots.append((mine, at[mine] - begin))
            colours[k, at[mine] - begin] = _colours(stack, c, mine) * np.float32(255 / white)
            weight[k, at[mine] - begin] = c.weight[mine]
        kept = weight
        for _ in range(3):
            mean = (colours * kept[..., None]).sum(0) / np.maximum(kept.sum(0), 1e-9)[:, None]
            away = ((colours - mean) ** 2).mean(2) / SIG**2
            kept = weight / (1 + away) ** PW
        for k, (mine, there) in enumerate(spots):
            weights[k][mine] = kept[k, there]
    return [replace(c, weight=w) for c, w in zip(candidates, weights)]


def _colours(stack, c, mine):
    _, h, w, _ = stack.shape
    x, y = c.x[mine], c.y[mine]
    x0 = np.clip(np.floor(x).astype(np.int64), 0, max(w - 2, 0)); y0 = np.clip(np.floor(y).astype(np.int64), 0, max(h - 2, 0))
    fx, fy = np.clip(x - x0, 0, 1).astype(np.float32)[:, None], np.clip(y - y0, 0, 1).astype(np.float32)[:, None]
    flat = stack.reshape(-1, 3); at = (c.frame[mine].astype(np.int64) * h + y0) * w + x0
    right, down = int(w > 1), w if h > 1 else 0
    t = lambda o: flat[at + o].astype(np.float32)
    top = t(0) * (1 - fx) + t(right) * fx
    bottom = t(down) * (1 - fx) + t(down + right) * fx
    out = top * (1 - fy) + bottom * fy
    return out if c.gain is None else out * c.gain[mine]
