"""Laplace's and Poisson's equation on the unknown pixels of an image, by multigrid and conjugate gradients.

Used for the smooth interpolation of flow (Laplace) and for gradient-domain blending (Poisson). The mask
differs from frame to frame, so nothing can be factorised once; a V-cycle costs a few image filters.

A small picture cannot say exactly where a hole's border is, so a correction from there is too large or too
small, in a corner of the picture often more than twice too large. Each one is therefore taken at the length
that brings it nearest to the solution, and a conjugate gradient joins the cycles: the error only ever shrinks.
"""
from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from .heeding import heed

_SWEEPS = 2
_DAMPING = 0.8
_COARSEST = 6


@cache
def _cross() -> np.ndarray:
    kernel = np.zeros((3, 3), np.float32)
    kernel[1, ::2] = kernel[::2, 1] = 1
    return kernel


def _neighbour_sum(u: np.ndarray) -> np.ndarray:
    # A replicated border makes a pixel its own neighbour beyond the edge: no flow through the image's edge.
    return _with_axis(cv2.filter2D(u, -1, _cross(), borderType=cv2.BORDER_REPLICATE))


def _residual(u: np.ndarray, f: np.ndarray, weight: np.ndarray, pull: np.ndarray | float) -> np.ndarray:
    r = _neighbour_sum(u)
    r -= (4 + pull) * u
    r += f
    r *= weight
    return r


def _even(image: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    h, w = image.shape[:2]
    if h % 2 or w % 2:
        padded = cv2.copyMakeBorder(image, 0, h % 2, 0, w % 2, border)
        return padded.reshape(h + h % 2, w + w % 2, *image.shape[2:])
    return image


def _pyramid(unknown: np.ndarray) -> list[np.ndarray]:
    levels = [unknown]
    while max(levels[-1].shape) > _COARSEST:
        fine = _even(levels[-1])
        coarse = np.ascontiguousarray(fine[::2, ::2] & fine[1::2, ::2] & fine[::2, 1::2] & fine[1::2, 1::2])
        if not coarse.any():
            break
        levels.append(coarse.view(np.uint8))
    return levels


def _cycle(f: np.ndarray, weights: list[np.ndarray], pulls: list[np.ndarray] | list[float], level: int) -> np.ndarray:
    """About the solution of A u = f with u = 0 in known pixels: one V-cycle from zero."""
    heed()
    weight, pull = weights[level], pulls[level]
    last = level + 1 == len(weights)
    damping = _DAMPING / (4 + pull)
    u = f * damping
    for _ in range(_SWEEPS * (8 if last else 1) - 1):
        u += _residual(u, f, weight, pull) * damping
    if last:
        return u
    left = _residual(u, f, weight, pull)
    r = _even(left, cv2.BORDER_CONSTANT)
    half = (r.shape[1] // 2, r.shape[0] // 2)
    # The coarse pixel stands for four: the mean residual times four is their sum.
    coarse = _with_axis(cv2.resize(r, half, interpolation=cv2.INTER_AREA)) * 4
    correction = _cycle(coarse * weights[level + 1], weights, pulls, level + 1)
    fine = _with_axis(cv2.resize(correction, (r.shape[1], r.shape[0]), interpolation=cv2.INTER_LINEAR))
    step = fine[: u.shape[0], : u.shape[1]] * weight
    change = _applied(step, weight, pull)
    length = _length(step, left, change)
    u += step * length
    left -= change * length
    u += left * damping
    for _ in range(_SWEEPS - 1):
        u += _residual(u, f, weight, pull) * damping
    return u


def _applied(u: np.ndarray, weight: np.ndarray, pull: np.ndarray | float) -> np.ndarray:
    """A u: n u less the sum of the neighbours, and `pull` times u, in unknown pixels."""
    out = (4 + pull) * u
    out -= _neighbour_sum(u)
    out *= weight
    return out


def _length(step: np.ndarray, residual: np.ndarray, change: np.ndarray) -> float:
    """How far to go along `step`, by which A u grows by `change`, to come nearest to the solution."""
    energy = _dot(step, change)
    return _dot(step, residual) / energy if energy > 0 else 0.0


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.einsum("i,i->", a.ravel(), b.ravel()))


def _with_axis(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else image[..., None]


def _coarser(pull: np.ndarray, weights: list[np.ndarray]) -> list[np.ndarray]:
    """The same pull (H, W) on every level. Where pixels are twice as large, neighbours hold four times less on to each other."""
    out = [np.asarray(pull, np.float32)[..., None] * weights[0]]
    for weight in weights[1:]:
        fine = _even(out[-1], cv2.BORDER_CONSTANT)
        half = (fine.shape[1] // 2, fine.shape[0] // 2)
        out.append(_with_axis(cv2.resize(fine, half, interpolation=cv2.INTER_AREA)) * 4 * weight)
    return out


def solve(
    values: np.ndarray, unknown: np.ndarray, divergence: np.ndarray | None = None, *, pull: np.ndarray | None = None, cycles: int = 6
) -> np.ndarray:
    """Solves `sum of neighbours(u) - n u - pull (u - values) = divergence` where `unknown`, with u = `values` elsewhere.

    values      (H, W, C) float, C at most 4; what it holds where unknown is the first guess
    unknown     (H, W) bool
    divergence  (H, W, C) float, or None for Laplace's equation (the smoothest continuation)
    pull        (H, W) float, at least 0, or None for 0: what comes from the border dies away over 1 / sqrt(pull) pixels

    The image's edge is free (no flux). Returns (H, W, C) float32. With nothing known at all the first
    guess comes back.
    """
    u = _with_axis(np.array(values, np.float32, order="C"))
    if not unknown.any() or unknown.all():
        return u
    levels = _pyramid(unknown.astype(np.uint8))
    weights = [level.astype(np.float32)[..., None] for level in levels]
    f = np.zeros_like(u) if divergence is None else -_with_axis(np.asarray(divergence, np.float32)) * weights[0]
    pulls = [0.0] * len(weights) if pull is None else _coarser(pull, weights)
    # The first guess is where it is pulled to.
    residual = _residual(u, f, weights[0], 0.0)
    step = change = np.zeros_like(u)
    for _ in range(cycles):
        found = _cycle(residual, weights, pulls, 0)
        # Without what it shares with the step before, or the two would undo each other.
        found -= step * _length(change, found, step)
        step, change = found, _applied(found, weights[0], pulls[0])
        length = _length(step, residual, change)
        u += step * length
        residual -= change * length
    return u


def interpolate(values: np.ndarray, unknown: np.ndarray, *, cycles: int = 4) -> np.ndarray:
    """The smoothest continuation of (H, W, C) `values` into `unknown`; only the hole's surroundings are touched."""
    u = _with_axis(np.array(values, np.float32, order="C"))
    box = bounding_box(unknown, 1)
    if box is None:
        return u
    part, hole = u[box], unknown[box]
    u[box] = solve(first_guess(part, hole), hole, cycles=cycles)
    return u


def first_guess(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Values with the unknown ones filled from ever coarser averages of the known ones (push-pull)."""
    known = (~unknown).astype(np.float32)[..., None]
    return _pull(values.astype(np.float32) * known, known)


def _pull(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    if max(weight.shape[:2]) <= 1 or (weight > 0).all():
        return weighted / np.maximum(weight, 1e-6)
    even, even_weight = _even(weighted), _even(weight)
    half = (even.shape[1] // 2, even.shape[0] // 2)
    coarse = _pull(
        _with_axis(cv2.resize(even, half, interpolation=cv2.INTER_AREA)),
        _with_axis(cv2.resize(even_weight, half, interpolation=cv2.INTER_AREA)),
    )
    fine = _with_axis(cv2.resize(coarse, (even.shape[1], even.shape[0]), interpolation=cv2.INTER_LINEAR))
    fine = fine[: weight.shape[0], : weight.shape[1]]
    share = np.minimum(weight, 1)
    return np.where(weight > 0, weighted / np.maximum(weight, 1e-6) * share + fine * (1 - share), fine)


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice] | None:
    """(rows, columns) of the smallest rectangle around the True pixels, grown by `margin`; None if there are none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    h, w = mask.shape
    return (
        slice(max(int(rows[0]) - margin, 0), min(int(rows[-1]) + 1 + margin, h)),
        slice(max(int(columns[0]) - margin, 0), min(int(columns[-1]) + 1 + margin, w)),
    )
