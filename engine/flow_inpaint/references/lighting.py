"""A reference brought to the light of the frame that it stands for, by what both show around the hole."""
from __future__ import annotations

import cv2
import numpy as np

from ..poisson import bounding_box
from ..propagation.trace import guard_band
from .reading import ReferencePicture

#: Pixels beside the hole that are left out (blur and halos of what is removed), and how far beyond them is compared.
_APART = 4
_LEAST_RING, _LARGEST_RING = 24, 160
#: Pixels that are compared at most.
_ENOUGH = 20_000
#: What is expected of gain, its slope over the ring's size, and offset (share of white); and how well the two pictures agree.
_GAIN, _SLOPE, _OFFSET, _NOISE = 0.5, 0.25, 0.02, 0.01
_ROUNDS = 12
#: A difference below this share of white is no difference of light: the reference stays as it is, to the last bit.
_SAME = 0.003


def relit(reference: ReferencePicture, picture: np.ndarray, hole: np.ndarray, white: float) -> np.ndarray:
    """(H, W, 3) float32: the reference times a slowly varying gain plus an offset, a channel at a time.

    picture  (H, W, 3), the frame, true outside the hole
    hole     (H, W) bool
    white    the value of full scale in both

    The gain is a plane over the picture. Robust: what has changed around the hole between the two pictures (another
    person, the object's own blur) does not count, as long as it is less than about half.
    """
    found = _compared(reference, hole)
    if found is None:
        return reference.rgb
    # A little blur: grain, and paint that lies half a pixel beside the footage, are no difference of light.
    given = cv2.blur(reference.rgb / np.float32(white), (3, 3))
    wanted = cv2.blur(picture.astype(np.float32) / np.float32(white), (3, 3))
    ys, xs, plane = found
    if np.median(np.abs(given[ys, xs] - wanted[ys, xs])) < _SAME:
        return reference.rgb
    out = np.empty_like(reference.rgb)
    for channel in range(3):
        gain, offset = _fit(given[ys, xs, channel], wanted[ys, xs, channel], plane[:, ys, xs].T)
        out[..., channel] = reference.rgb[..., channel] * np.tensordot(gain, plane, 1) + offset * white
    return np.maximum(out, 0)


def _compared(reference: ReferencePicture, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows and columns of the pixels that are compared, and the plane (3, H, W) of ones, x and y; None without a hole or a ring."""
    box = bounding_box(hole)
    if box is None:
        return None
    width = int(np.clip(max(part.stop - part.start for part in box) / 2, _LEAST_RING, _LARGEST_RING))
    ring = guard_band(hole, _APART + width) & ~guard_band(hole, _APART) & reference.valid
    ys, xs = np.nonzero(ring)
    if ys.size < 50:
        return None
    step = -(-ys.size // _ENOUGH)
    rows, columns = (np.arange(size, dtype=np.float32) for size in hole.shape)
    # Beyond the ring the plane stays as it is there: the light is known only where both pictures were compared.
    y, x = (
        np.clip((line - at.mean()) / (np.ptp(at) / 2 + 1), -1.2, 1.2).astype(np.float32) for line, at in ((rows, ys), (columns, xs))
    )
    plane = np.stack([np.ones(hole.shape, np.float32), np.broadcast_to(x, hole.shape), np.broadcast_to(y[:, None], hole.shape)])
    return ys[::step], xs[::step], plane


def _fit(given: np.ndarray, wanted: np.ndarray, plane: np.ndarray) -> tuple[np.ndarray, float]:
    """The gain's plane (3,) and the offset with `given` (N,) x gain + offset = `wanted`: least squares, with Tukey's weights."""
    terms = np.concatenate([given[:, None] * plane, np.ones((given.size, 1), np.float32)], 1).astype(np.float64)
    expected = np.array([1.0, 0.0, 0.0, 0.0])
    # How sure the expectation is, counted in pixels that agree to within the noise.
    prior = (_NOISE / np.array([_GAIN, _SLOPE, _SLOPE, _OFFSET])) ** 2 * given.size / 4
    found = expected.copy()
    # From the gain that most pixels have on their own, or what differs would be fitted first.
    found[0] = np.clip(np.median(wanted / np.maximum(given, 1e-3)), 0.1, 10)
    for _ in range(_ROUNDS):
        error = np.abs(wanted - terms @ found)
        reach = 4.685 * max(1.4826 * float(np.median(error)), _NOISE / 3)
        weight = np.where(error < reach, (1 - (error / reach) ** 2) ** 2, 0)
        normal = (terms * weight[:, None]).T @ terms + np.diag(prior)
        found = np.linalg.solve(normal, (terms * weight[:, None]).T @ wanted + prior * expected)
    return found[:3].astype(np.float32), float(found[3])
