"""Motion estimated once more with the camera's part of it taken out.

A short-sighted estimator finds large motion in a small picture, where a hole takes up much of what there is to see and
spoils the answer far around. Once the second frame has been brought to where the camera's motion puts it, what is left
is small, and each hole can be painted with what the other frame shows there, so it spoils little.
"""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..poisson import interpolate

#: Two motions are the same camera's if they differ by this many pixels at most, or this share of the picture's longer side.
_SAME = 1.5
_SAME_SHARE = 0.0035
#: The share of the picture that has to move like that.
_LEAST_SHARE = 0.3
_MOST_SAMPLES = 3000
_LEAST_SAMPLES = 100
#: Pixels around a hole that sampling between pixels and blur have mixed with it.
_RIM = 2


def camera_motion(flow: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
    """The homography (3, 3) float64, from pixels to pixels, that most of a flow (2, H, W) follows where `seen` (H, W); or None."""
    at = np.flatnonzero(seen)
    if at.size < _LEAST_SAMPLES:
        return None
    at = at[:: max(at.size // _MOST_SAMPLES, 1)]
    y, x = np.divmod(at, seen.shape[1])
    start = np.stack([x, y], 1).astype(np.float32)
    same = max(_SAME, _SAME_SHARE * max(seen.shape))
    camera, inside = cv2.findHomography(start, start + flow.reshape(2, -1)[:, at].T, cv2.RANSAC, same, maxIters=300, confidence=0.995)
    if camera is None or inside.mean() < _LEAST_SHARE:
        return None
    h, w = seen.shape
    corners = camera[2] @ np.array([[0, w, 0, w], [0, 0, h, h], [1, 1, 1, 1]], np.float64)
    # With the horizon inside the picture it is no motion that a camera makes between two frames.
    return camera if corners.min() > 0.3 else None


def flow_of(camera: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(2, H, W) float32: the camera's motion as a flow."""
    x, y = _grid(shape)
    moved = _moved(camera, x, y)
    return np.stack([moved[0] - x, moved[1] - y])


def beside_camera(
    camera: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    hole_a: np.ndarray,
    hole_b: np.ndarray,
    estimator: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Flow a -> b, (2, H, W) float32, estimated after b has been brought to a by the camera's motion.

    a, b            (H, W) or (H, W, 3) uint8; what stands in their holes has no say
    hole_a, hole_b  (H, W) bool
    """
    shape = hole_a.shape
    x, y = _grid(shape)
    moved = _moved(camera, x, y)
    brought = cv2.remap(b, *moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = (moved[0] >= 0) & (moved[1] >= 0) & (moved[0] <= shape[1] - 1) & (moved[1] <= shape[0] - 1)
    hidden = cv2.remap(hole_b.astype(np.float32), *moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT) > 0.01
    left = estimator(*_painted(a, brought, _grown(hole_a), _grown(hidden), shown))
    found = _moved(camera, x + left[0], y + left[1])
    return np.stack([found[0] - x, found[1] - y])


def _painted(a: np.ndarray, b: np.ndarray, hole_a: np.ndarray, hole_b: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures with what only the other shows; what neither shows is the same in both, and so is what lies beyond b's edge."""
    b = _where(~shown, a, b)
    hole_b = np.where(shown, hole_b, hole_a)
    one, other = _where(hole_a & ~hole_b, b, a), _where(hole_b & ~hole_a, a, b)
    neither = hole_a & hole_b
    if neither.any():
        mean = (one.astype(np.float32) + other) / 2
        smooth = np.clip(np.rint(interpolate(mean, neither, cycles=2)), 0, 255).astype(np.uint8).reshape(a.shape)
        one, other = _where(neither, smooth, one), _where(neither, smooth, other)
    return np.ascontiguousarray(one), np.ascontiguousarray(other)


def _where(mask: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(mask if a.ndim == 2 else mask[..., None], a, b)


def _grown(hole: np.ndarray) -> np.ndarray:
    size = 2 * _RIM + 1
    return cv2.dilate(hole.view(np.uint8), np.ones((size, size), np.uint8)).view(bool)


def _grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.indices(shape, np.float32)
    return x, y


def _moved(camera: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = camera.astype(np.float32)
    depth = 1 / (rows[2, 0] * x + rows[2, 1] * y + rows[2, 2])
    return (rows[0, 0] * x + rows[0, 1] * y + rows[0, 2]) * depth, (rows[1, 0] * x + rows[1, 1] * y + rows[1, 2]) * depth
