"""The camera's motion: found, turned into a flow, and taken out before motion is measured again."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenery import rectangle, seen_at, view

from flow_inpaint.completion.smooth import complete
from flow_inpaint.flow.camera import beside_camera, camera_motion, flow_of
from flow_inpaint.flow.dis import DIS
from flow_inpaint.flow.masked import estimate_pair, grown

WIDTH, HEIGHT = 240, 160
ALL = np.ones((HEIGHT, WIDTH), bool)
HOLE = rectangle(WIDTH, HEIGHT, 80, 50, 150, 110)
TURN = np.array([[1.02, -0.03, 6.0], [0.03, 1.02, -4.0], [2e-5, -1e-5, 1.0]])


def pan(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def grey(x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return cv2.cvtColor(view(WIDTH, HEIGHT, x, y), cv2.COLOR_RGB2GRAY)


def turned() -> np.ndarray:
    """What TURN makes of `grey()`."""
    y, x = np.indices((HEIGHT, WIDTH), np.float64)
    back = np.linalg.inv(TURN) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    seen = seen_at(*(back[:2] / back[2]).reshape(2, HEIGHT, WIDTH))
    return cv2.cvtColor(np.rint(seen).astype(np.uint8), cv2.COLOR_RGB2GRAY)


def off(flow: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    return float(np.hypot(*(flow - truth))[where].mean())


@pytest.mark.parametrize("camera", [pan(0, 0), pan(-31.5, 7), TURN], ids=["still", "pan", "turn"])
def test_the_motion_that_most_of_the_picture_shares(camera: np.ndarray) -> None:
    truth = flow_of(camera, ALL.shape)
    noisy = truth + np.random.default_rng(0).normal(0, 0.3, truth.shape).astype(np.float32)
    noisy[:, :, :90] = np.array([9, -14], np.float32)[:, None, None]
    found = camera_motion(noisy, ALL)
    assert off(flow_of(found, ALL.shape), truth, ALL) < 0.3


def test_a_flow_is_where_each_pixel_goes() -> None:
    flow = flow_of(TURN, ALL.shape)
    assert flow.shape == (2, HEIGHT, WIDTH) and flow.dtype == np.float32
    x, y, depth = TURN @ (30, 20, 1)
    np.testing.assert_allclose(flow[:, 20, 30], (x / depth - 30, y / depth - 20), atol=1e-3)


def test_no_camera_where_nothing_moves_alike() -> None:
    chaos = np.random.default_rng(0).uniform(-40, 40, (2, HEIGHT, WIDTH)).astype(np.float32)
    assert camera_motion(chaos, ALL) is None
    assert camera_motion(np.zeros_like(chaos), rectangle(WIDTH, HEIGHT, 0, 0, 9, 9)) is None


def test_no_camera_with_the_horizon_in_the_picture() -> None:
    through = np.array([[1, 0, 0], [0, 1, 0], [-1 / 200, 0, 1]], np.float64)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    depth = 1 - x / 200
    near = depth > 0.05
    flow = np.where(near, np.stack([x / np.where(near, depth, 1) - x, y / np.where(near, depth, 1) - y]), 0).astype(np.float32)
    assert np.linalg.matrix_rank(through) == 3 and camera_motion(flow, near) is None


@pytest.mark.parametrize("what", ["grey", "colour"])
def test_what_is_left_is_measured_and_added(what: str) -> None:
    """An estimator that finds a residual of (1.5, -1) everywhere: the flow leads through the camera's motion of the place beside."""
    a = grey() if what == "grey" else view(WIDTH, HEIGHT)
    left = np.stack([np.full(ALL.shape, 1.5, np.float32), np.full(ALL.shape, -1, np.float32)])
    found = beside_camera(TURN, a, a, HOLE, HOLE, lambda one, other: left)
    x, y, depth = TURN @ (31.5, 19, 1)
    np.testing.assert_allclose(found[:, 20, 30], (x / depth - 30, y / depth - 20), atol=1e-3)


def test_the_estimator_sees_the_same_in_both_wherever_anything_is_hidden() -> None:
    shown = []
    camera, hole_b = pan(20, 0), rectangle(WIDTH, HEIGHT, 130, 60, 200, 120)

    def estimator(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        shown.append((one.copy(), other.copy()))
        return np.zeros((2, HEIGHT, WIDTH), np.float32)

    noise = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH), np.uint8)
    pictures = grey(), grey(-20, 0)
    beside_camera(camera, *pictures, HOLE, hole_b, estimator)
    beside_camera(camera, np.where(HOLE, noise[0], pictures[0]), np.where(hole_b, noise[1], pictures[1]), HOLE, hole_b, estimator)
    for clean, dirty in zip(*shown, strict=True):
        np.testing.assert_array_equal(clean, dirty)
    one, other = shown[0]
    hidden = HOLE | np.roll(hole_b, -20, 1)
    hidden[:, -20:] = True
    np.testing.assert_array_equal(one[hidden], other[hidden])
    # What only one frame hides is what the other shows there, not something smooth.
    only = HOLE & ~grown(np.roll(hole_b, -20, 1), 3) & ~grown(~HOLE, 3)
    assert np.abs(one[only].astype(int) - grey()[only]).mean() < 2


@pytest.mark.parametrize("move", [(20.0, -5.0), (-24.0, 4.0)])
def test_a_fast_pan_is_found_right_up_to_the_hole(move: tuple[float, float]) -> None:
    width, height = 320, 240
    hole = rectangle(width, height, 110, 80, 210, 160)
    pictures = view(width, height), view(width, height, -move[0], -move[1])
    a, b = (np.where(hole, np.uint8(0), cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)) for p in pictures)
    truth = np.array(move, np.float32)[:, None, None]
    x, y = np.indices((height, width))[::-1] + truth
    stays = (x >= 8) & (x < width - 8) & (y >= 8) & (y < height - 8)
    near = grown(hole, 16) & ~hole & stays
    how = {"estimator": DIS(), "complete": complete, "refinement": 3}
    once, again = (estimate_pair(a, b, hole, hole, short_sighted=s, **how)[0] for s in (False, True))
    assert off(once, truth, near) > 2 and off(again, truth, near) < 0.1 and off(again, truth, hole) < 0.2


def test_what_moves_beside_the_hole_keeps_its_own_motion() -> None:
    """A strip along the hole's left side moves by (-6, 3) while the camera stands still."""
    strip = rectangle(WIDTH, HEIGHT, 20, 0, 78, HEIGHT)
    moved = cv2.cvtColor(view(WIDTH, HEIGHT, 6, -3, seed=5), cv2.COLOR_RGB2GRAY)
    still = cv2.cvtColor(view(WIDTH, HEIGHT, seed=5), cv2.COLOR_RGB2GRAY)
    a = np.where(HOLE, np.uint8(0), np.where(strip, still, grey()))
    b = np.where(HOLE, np.uint8(0), np.where(np.roll(strip, -6, 1), moved, grey()))
    found = estimate_pair(a, b, HOLE, HOLE, estimator=DIS(), complete=complete, refinement=3, short_sighted=True)[0]
    inner = rectangle(WIDTH, HEIGHT, 40, 56, 68, 104)
    assert off(found, np.array([-6, 3], np.float32)[:, None, None], inner) < 0.4
    other_side = rectangle(WIDTH, HEIGHT, 156, 56, 180, 104)
    assert off(found, np.zeros((2, 1, 1), np.float32), other_side) < 0.1
