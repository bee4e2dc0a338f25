"""Masks as they are kept on disk: the box of what is in them, and its pixels as bits."""
from __future__ import annotations

import numpy as np

from .poisson import bounding_box


def packed(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the box of a mask (H, W) bool, (4,), and its pixels in it as packed bits."""
    box = bounding_box(mask) or (slice(0, 0), slice(0, 0))
    return np.array([edge for part in box for edge in (part.start, part.stop)], np.int32), np.packbits(mask[box])


def unpacked(edges: np.ndarray, bits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) bool."""
    top, bottom, left, right = edges.tolist()
    out = np.zeros(shape, bool)
    size = (bottom - top) * (right - left)
    out[top:bottom, left:right] = np.unpackbits(bits, count=size).view(bool).reshape(bottom - top, right - left)
    return out
