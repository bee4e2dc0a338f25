"""A camera that stands still, told from one that hardly moves."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenery import rectangle, seen_at

from flow_inpaint.stillness import stands_still

WIDTH, HEIGHT, COUNT = 128, 80, 12
HOLE = rectangle(WIDTH, HEIGHT, 50, 30, 80, 48)


def seen(x: float = 0.0, y: float = 0.0, zoom: float = 1.0, roll: float = 0.0) -> np.ndarray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT, WIDTH])[:, None, None] / 2
    turned = (xs + 1j * ys) * zoom * np.exp(1j * roll)
    return seen_at(turned.real + x, turned.imag + y)


def verdict(pictures: list[np.ndarray], grain: float = 0.0, dtype: type = np.uint8) -> bool:
    chance, white = np.random.default_rng(1), 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    frames = [(np.clip(p + chance.normal(0, grain, p.shape), 0, 255) / 255 * white).astype(dtype) for p in pictures]
    return stands_still([(frame, HOLE) for frame in frames], white)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("grain", [0, 3, 8])
def test_a_camera_that_stands_still(grain: float, dtype: type) -> None:
    assert verdict([seen()] * COUNT, grain, dtype)


@pytest.mark.parametrize("grain", [0, 3])
@pytest.mark.parametrize("step", [{"x": 0.05}, {"y": 0.05}, {"x": 1.0}, {"x": 7.0, "y": -3.0}])
def test_a_camera_that_moves_however_slowly(step: dict[str, float], grain: float) -> None:
    assert not verdict([seen(**{axis: k * size for axis, size in step.items()}) for k in range(COUNT)], grain)


def test_zoom_and_roll_move_the_sides() -> None:
    assert not verdict([seen(zoom=1 + 0.002 * k) for k in range(COUNT)])
    assert not verdict([seen(roll=0.002 * k) for k in range(COUNT)])


def test_what_moves_before_the_camera_is_no_motion_of_it() -> None:
    pictures = []
    for k in range(COUNT):
        picture = seen()
        cv2.circle(picture, (10 + 8 * k, 20), 7, (250.0, 30.0, 20.0), -1)
        pictures.append(picture)
    assert verdict(pictures, 2)


def test_light_that_changes_is_no_motion() -> None:
    assert verdict([seen() * (1 - 0.01 * k) for k in range(COUNT)], 2)


def test_nothing_to_be_seen_stands_still() -> None:
    assert stands_still([(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), HOLE)] * 3, 255.0)
    assert stands_still([(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.ones((HEIGHT, WIDTH), bool))] * 3, 255.0)
