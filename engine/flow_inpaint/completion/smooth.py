"""Smooth interpolation inward from the hole's border: the paper's initialisation and its 'Region-Fill' baseline."""
from __future__ import annotations

import numpy as np

from ..poisson import interpolate


def complete(flow: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """`flow` (2, H, W) with the part where `unknown` (H, W) replaced by Laplace's solution between its borders."""
    if not unknown.any() or unknown.all():
        return flow
    return np.ascontiguousarray(interpolate(flow.transpose(1, 2, 0), unknown).transpose(2, 0, 1))
