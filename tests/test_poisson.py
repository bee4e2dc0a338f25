"""The solver against a direct one, and what it may touch."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import spsolve

from flow_inpaint.poisson import bounding_box, first_guess, interpolate, solve

SIZES = [(17, 23), (32, 32), (33, 50), (64, 96), (1, 40), (40, 1), (2, 3), (16, 100)]
HOLES = {
    "speckles": lambda h, w: np.random.default_rng(1).random((h, w)) < 0.5,
    "mostly unknown": lambda h, w: np.random.default_rng(2).random((h, w)) < 0.97,
    "blobs": lambda h, w: gaussian_filter(np.random.default_rng(0).random((h, w)), min(h, w) / 16) > 0.5,
    "inside": lambda h, w: box(h, w, h // 4, 3 * h // 4, w // 4, 3 * w // 4),
    "at the edge": lambda h, w: box(h, w, 0, h // 2, w // 4, 3 * w // 4),
    "in the corner": lambda h, w: box(h, w, 0, h // 2, 0, w // 2),
    "from edge to edge": lambda h, w: box(h, w, 0, h, w // 5, 4 * w // 5),
}


def box(h: int, w: int, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    hole = np.zeros((h, w), bool)
    hole[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    return hole


def directly(values: np.ndarray, unknown: np.ndarray, divergence: np.ndarray, pull: np.ndarray | None = None) -> np.ndarray:
    """The same equations, one row for each unknown pixel."""
    h, w = unknown.shape
    place = np.full((h, w), -1)
    place[unknown] = np.arange(unknown.sum())
    matrix = sparse.lil_matrix((int(unknown.sum()),) * 2)
    right = divergence[unknown].astype(float)
    for row, (y, x) in enumerate(np.argwhere(unknown)):
        if pull is not None:
            matrix[row, row] -= pull[y, x]
            right[row] -= pull[y, x] * values[y, x]
        for ny, nx in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= ny < h and 0 <= nx < w:
                matrix[row, row] -= 1
                if unknown[ny, nx]:
                    matrix[row, place[ny, nx]] += 1
                else:
                    right[row] -= values[ny, nx]
    out = values.astype(float)
    out[unknown] = spsolve(matrix.tocsr(), right).reshape(right.shape)
    return out


@pytest.fixture(params=SIZES, ids=str)
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


@pytest.fixture(params=HOLES)
def unknown(request: pytest.FixtureRequest, size: tuple[int, int]) -> np.ndarray:
    hole = HOLES[request.param](*size)
    hole[0, 0], hole[-1, -1] = True, False
    return hole


def noise(size: tuple[int, int], spread: float = 50.0) -> np.ndarray:
    return np.random.default_rng(3).normal(100, spread, (*size, 2)).astype(np.float32)


def test_solves_the_linear_system(size: tuple[int, int], unknown: np.ndarray) -> None:
    values, divergence = noise(size), np.random.default_rng(4).normal(0, 5, (*size, 2))
    wanted = directly(values, unknown, divergence)
    np.testing.assert_allclose(solve(values, unknown, divergence, cycles=25), wanted, atol=1e-3 * max(np.abs(wanted).max(), 100))
    np.testing.assert_array_equal(solve(values, unknown, divergence)[~unknown], values[~unknown])


def test_what_is_pulled_to_the_first_guess(size: tuple[int, int], unknown: np.ndarray) -> None:
    values, divergence, pull = noise(size), noise(size, 5.0), np.random.default_rng(6).random(size) * 0.1
    found = solve(values, unknown, divergence, pull=pull[..., 0] if pull.ndim == 3 else pull, cycles=20)
    np.testing.assert_allclose(found[..., 0], directly(values[..., 0], unknown, divergence[..., 0], pull), atol=0.05)


def test_what_comes_from_the_border_dies_away() -> None:
    """In a strip by r for each pixel, where r + 1 / r = 2 + pull."""
    values, unknown = np.zeros((8, 80, 1)), np.ones((8, 80), bool)
    values[:, 0], unknown[:, 0] = 1, False
    found = solve(values, unknown, pull=np.full(unknown.shape, 0.01), cycles=12)[4, :40, 0]
    ratio = 1.005 - np.sqrt(1.005**2 - 1)
    np.testing.assert_allclose(found, ratio ** np.arange(40), atol=2e-3)


def test_interpolation_is_the_smoothest(size: tuple[int, int], unknown: np.ndarray) -> None:
    values = noise(size)
    np.testing.assert_allclose(interpolate(values, unknown), directly(values, unknown, np.zeros_like(values)), atol=1.5)


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("size", [(97, 131), (128, 128), (256, 256), (200, 300)], ids=str)
def test_a_step_of_brightness_is_gone_with_the_default_cycles(size: tuple[int, int], hole: str) -> None:
    """The blend starts from carried pixels that may all be too bright: a solver that converges slowly leaves a seam."""
    unknown = HOLES[hole](*size)
    found = solve(np.where(unknown, 100, 0)[..., None], unknown)
    assert np.abs(found).max() < 4


def test_the_pictures_edge_is_free() -> None:
    values = np.full((20, 30, 1), 7, np.float32)
    unknown = box(20, 30, 0, 20, 0, 29)
    np.testing.assert_allclose(interpolate(values + 50 * unknown[..., None], unknown), 7, atol=1e-3)


def test_a_slope_is_continued_between_its_ends() -> None:
    values = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None], (40, 40))[..., None].copy()
    unknown = box(40, 40, 12, 28, 0, 40)
    spoilt = np.where(unknown[..., None], -999, values)
    np.testing.assert_allclose(interpolate(spoilt, unknown, cycles=6), values, atol=0.05)


def test_what_lies_in_the_hole_does_not_matter(unknown: np.ndarray, size: tuple[int, int]) -> None:
    values = noise(size)
    changed = np.where(unknown[..., None], noise(size, 5000), values)
    np.testing.assert_array_equal(interpolate(changed, unknown), interpolate(values, unknown))
    np.testing.assert_array_equal(first_guess(changed, unknown), first_guess(values, unknown))


def test_known_pixels_stay_as_they_are(unknown: np.ndarray, size: tuple[int, int]) -> None:
    values = noise(size)
    before = values.copy()
    for found in (interpolate(values, unknown), first_guess(values, unknown)):
        assert found.dtype == np.float32 and found.shape == values.shape
        np.testing.assert_array_equal(found[~unknown], values[~unknown])
    np.testing.assert_array_equal(values, before)


def test_the_first_guess_stays_between_the_known_values(unknown: np.ndarray, size: tuple[int, int]) -> None:
    values = noise(size)
    found, known = first_guess(values, unknown), values[~unknown]
    assert (found >= known.min(0) - 1e-2).all() and (found <= known.max(0) + 1e-2).all()
    np.testing.assert_allclose(first_guess(np.full((*size, 1), 9.0), unknown), 9, rtol=1e-5)


def test_nothing_known() -> None:
    everything, values = np.ones((20, 31), bool), noise((20, 31))
    np.testing.assert_array_equal(solve(values, everything, noise((20, 31))), values)
    assert np.isfinite(interpolate(values, everything)).all()
    np.testing.assert_array_equal(interpolate(values, everything), interpolate(values + 1, everything))


def test_nothing_unknown() -> None:
    values = noise((20, 31))
    for found in (solve(values, np.zeros((20, 31), bool)), interpolate(values, np.zeros((20, 31), bool))):
        np.testing.assert_array_equal(found, values)


def test_a_grey_picture_may_come_without_an_axis() -> None:
    found = interpolate(np.full((12, 12), 3.0), box(12, 12, 4, 8, 4, 8))
    assert found.shape == (12, 12, 1)
    np.testing.assert_allclose(found, 3, atol=1e-5)


@pytest.mark.parametrize(
    ("margin", "rows", "columns"), [(0, slice(4, 6), slice(2, 9)), (3, slice(1, 9), slice(0, 10)), (99, slice(0, 20), slice(0, 10))]
)
def test_bounding_box(margin: int, rows: slice, columns: slice) -> None:
    assert bounding_box(box(20, 10, 4, 6, 2, 9), margin) == (rows, columns)
    assert bounding_box(np.zeros((20, 10), bool), margin) is None
