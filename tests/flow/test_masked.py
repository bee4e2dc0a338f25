"""Motion beside a hole, from what is visible alone."""
from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from scenery import rectangle, view

from flow_inpaint.completion.smooth import complete
from flow_inpaint.flow.dis import DIS
from flow_inpaint.flow.masked import BAND, box_of, estimate_pair, grown, match

WIDTH, HEIGHT = 160, 120
HOLE_A, HOLE_B = rectangle(WIDTH, HEIGHT, 60, 40, 95, 80), rectangle(WIDTH, HEIGHT, 66, 42, 101, 82)


def forward(*pair: np.ndarray, **how: Any) -> np.ndarray:
    return estimate_pair(*pair, **how)[0]


def grey(x: float = 0.0, y: float = 0.0, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return cv2.cvtColor(view(width, height, x, y), cv2.COLOR_RGB2GRAY)


def painted(picture: np.ndarray, hole: np.ndarray, with_what: int) -> np.ndarray:
    """The worst that can be in a hole: flat, with sharp edges that move along with it."""
    return np.where(hole, np.uint8(with_what), picture)


def flow_of(a: np.ndarray, b: np.ndarray, hole_a: np.ndarray = HOLE_A, hole_b: np.ndarray = HOLE_B, refinement: int = 3) -> np.ndarray:
    return forward(a, b, hole_a, hole_b, estimator=DIS(), complete=complete, refinement=refinement)


def error(flow: np.ndarray, where: np.ndarray, x: float, y: float) -> float:
    """Mean distance from the true flow, pixels."""
    return float(np.hypot(flow[0] - x, flow[1] - y)[where].mean())


def beside(hole: np.ndarray) -> np.ndarray:
    return grown(hole, 10) & ~hole


@pytest.mark.parametrize(("x", "y"), [(2.3, -1.4), (-0.4, 0.3), (5.5, 3.25)])
def test_motion_beside_a_badly_painted_hole(x: float, y: float) -> None:
    a, b = painted(grey(), HOLE_A, 0), painted(grey(-x, -y), HOLE_B, 0)
    found = flow_of(a, b)
    where = beside(HOLE_A) & ~grown(HOLE_B, 2)
    assert error(found, where, x, y) < 0.05
    assert error(found, where, x, y) < 0.5 * error(flow_of(a, b, refinement=0), where, x, y)
    assert error(found, HOLE_A, x, y) < 0.1


def test_without_refinement_the_estimator_is_not_believed_near_the_hole() -> None:
    """An estimator that is wrong by 50 pixels in the whole band makes no difference: the band is continued from outside."""
    band = grown(HOLE_A | HOLE_B, BAND)

    def wrong(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(band, np.float32(50), np.float32(3)) * np.ones((2, 1, 1), np.float32)

    found = forward(grey(), grey(), HOLE_A, HOLE_B, estimator=wrong, complete=complete, refinement=0)
    np.testing.assert_allclose(found, 3, atol=1e-3)


@pytest.mark.parametrize("refinement", [0, 3, 8])
def test_hidden_pixels_have_no_say(refinement: int) -> None:
    """What the estimator made of them is held fixed; then anything at all may stand in both holes."""
    a, b = grey(), grey(-2, 1)
    fixed = DIS()(a, b)
    found = []
    for seed in range(2):
        noise = np.random.default_rng(seed).integers(0, 256, (2, HEIGHT, WIDTH), np.uint8)
        pair = np.where(HOLE_A, noise[0], a), np.where(HOLE_B, noise[1], b)
        how = {"estimator": lambda a, b: fixed.copy(), "complete": complete, "refinement": refinement}
        found.append(forward(*pair, HOLE_A, HOLE_B, **how))
    # Sampling between pixels lets a thousandth of a neighbour in.
    np.testing.assert_allclose(*found, atol=2e-3)


def test_a_hole_that_moves_with_its_object_does_not_drag_the_background() -> None:
    """The object moves by (9, 0) over a background that stands still, and its outline is in both pictures."""
    a_hole, b_hole = rectangle(WIDTH, HEIGHT, 50, 40, 90, 80), rectangle(WIDTH, HEIGHT, 59, 40, 99, 80)
    a, b = painted(grey(), a_hole, 255), painted(grey(), b_hole, 255)
    assert error(flow_of(a, b, a_hole, b_hole), beside(a_hole) & ~b_hole, 0, 0) < 0.05


def test_both_directions_agree() -> None:
    a, b = painted(grey(), HOLE_A, 0), painted(grey(-2.5, -1), HOLE_B, 0)
    forward, backward = estimate_pair(a, b, HOLE_A, HOLE_B, estimator=DIS(), complete=complete, refinement=3)
    assert forward.dtype == backward.dtype == np.float32 and forward.shape == backward.shape == (2, HEIGHT, WIDTH)
    assert error(forward, HOLE_A, 2.5, 1) < 0.1 and error(backward, HOLE_B, -2.5, -1) < 0.1


def test_a_change_of_brightness_is_no_motion() -> None:
    a = grey() // 2 + 50
    b = a + 25
    found = match(a, b, HOLE_A, HOLE_B, np.zeros((2, HEIGHT, WIDTH), np.float32), steps=5)[0]
    assert error(found, beside(HOLE_A), 0, 0) < 0.05
    assert error(flow_of(painted(a, HOLE_A, 0), painted(b, HOLE_B, 0)), beside(HOLE_A), 0, 0) < 0.1


def test_matching_goes_the_right_way_and_counts_what_it_saw() -> None:
    flow, support = match(grey(), grey(-0.8, 0.6), HOLE_A, HOLE_B, np.zeros((2, HEIGHT, WIDTH), np.float32), steps=6)
    inner = rectangle(WIDTH, HEIGHT, 16, 16, WIDTH - 16, HEIGHT - 16) & ~grown(HOLE_A | HOLE_B, 2)
    assert error(flow, inner, 0.8, -0.6) < 0.06
    assert support[20, 20] > 0.99 and support[60, 80] < 0.01 and 0.3 < support[60, 58] < 0.7


def test_a_start_too_far_away_for_one_step_is_caught_at_half_size() -> None:
    found = forward(
        grey(), grey(-1, 0), HOLE_A, HOLE_A, estimator=lambda a, b: np.full((2, *a.shape), -2, np.float32), complete=complete, refinement=1
    )
    assert error(found, beside(HOLE_A), 1, 0) < 0.6


def test_pixels_deep_in_the_hole_are_not_moved_by_matching() -> None:
    start = np.full((2, HEIGHT, WIDTH), 1.5, np.float32)
    hole = rectangle(WIDTH, HEIGHT, 40, 30, 120, 90)
    flow, _ = match(grey(), grey(-4, 0), hole, hole, start, steps=4)
    np.testing.assert_array_equal(flow[:, 60, 80], [1.5, 1.5])
    np.testing.assert_array_equal(start, 1.5)


def test_without_a_hole_the_estimator_is_left_alone() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    a, b = grey(), grey(-2, 0)
    np.testing.assert_array_equal(flow_of(a, b, nothing, nothing), DIS()(a, b))


@pytest.mark.parametrize(("width", "height"), [(16, 16), (85, 47), (200, 18)])
def test_small_and_odd_pictures(width: int, height: int) -> None:
    hole = rectangle(width, height, width // 3, height // 3, width // 2, height // 2)
    a, b = painted(grey(width=width, height=height), hole, 0), painted(grey(-1, 0, width=width, height=height), hole, 0)
    found = flow_of(a, b, hole, hole)
    assert found.shape == (2, height, width) and np.isfinite(found).all()
    if min(width, height) > 40:
        assert error(found, hole, 1, 0) < 0.3


def test_a_hole_at_the_edge_and_one_over_everything() -> None:
    for hole in (rectangle(WIDTH, HEIGHT, 0, 0, 50, HEIGHT), np.ones((HEIGHT, WIDTH), bool)):
        found = flow_of(painted(grey(), hole, 0), painted(grey(-2, 0), hole, 0), hole, hole)
        assert np.isfinite(found).all() and np.abs(found).max() < 20
    edge = rectangle(WIDTH, HEIGHT, 0, 0, 50, HEIGHT)
    assert error(flow_of(painted(grey(), edge, 0), painted(grey(-2, 0), edge, 0), edge, edge), edge, 2, 0) < 0.3


def test_masks_are_grown_by_a_square() -> None:
    np.testing.assert_array_equal(grown(rectangle(30, 20, 10, 8, 12, 9), 3), rectangle(30, 20, 7, 5, 15, 12))
    assert box_of(np.zeros((20, 30), bool), 4) == (slice(0, 20), slice(0, 30))
    assert box_of(rectangle(30, 20, 10, 8, 12, 9), 3) == (slice(5, 12), slice(7, 15))
