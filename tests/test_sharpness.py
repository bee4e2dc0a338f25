"""Frames out of focus are no sources for frames in focus, nor the other way round."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import rectangle, view
from test_pipeline import Shot, disc

from flow_inpaint import sources
from flow_inpaint.sharpness import likeness, sharpness

WIDTH, HEIGHT, COUNT = 192, 128, 16
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


def test_blur_takes_it_down_and_light_does_not() -> None:
    picture = view(WIDTH, HEIGHT)
    levels = [sharpness(blurred(picture, sigma), NOTHING) for sigma in (0, 1, 2, 4)]
    assert all(a > b + 0.05 for a, b in zip(levels, levels[1:]))
    darker = (picture.astype(np.uint16) * 100 + 900).astype(np.uint16)
    assert sharpness(darker, NOTHING) == pytest.approx(levels[0], abs=0.01)
    assert sharpness((picture / 255).astype(np.float32), NOTHING) == pytest.approx(levels[0], abs=0.01)


def test_what_the_hole_hides_does_not_count() -> None:
    hole = rectangle(WIDTH, HEIGHT, 30, 30, 70, 70)
    picture = view(WIDTH, HEIGHT)
    painted = picture.copy()
    painted[hole] = np.random.default_rng(0).integers(0, 256, (hole.sum(), 3))
    assert sharpness(painted, hole) == sharpness(picture, hole)


def test_nothing_to_be_seen() -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert np.isnan(sharpness(grey, NOTHING)) and np.isnan(sharpness(view(WIDTH, HEIGHT), ~NOTHING))
    np.testing.assert_array_equal(likeness(np.nan, np.array([1.0, np.nan])), [1, 1])
    np.testing.assert_array_equal(likeness(1.0, np.array([1.05, np.nan])), [1, 1])


def test_the_more_unlike_the_less() -> None:
    weights = likeness(-1.0, np.array([-1.0, -1.1, -1.3, -0.7, -2.0]))
    assert weights[0] == weights[1] == 1 and weights[2] == weights[3] == pytest.approx(0.2, abs=0.01) and weights[4] < 0.02


def test_a_shot_whose_focus_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = [blurred(view(WIDTH, HEIGHT, 3 * k), (0, 0, 2.0)[k % 3]) for k in range(COUNT)]
    shot = Shot(tmp_path, truth, [disc(50 + 6 * k, 64, 22, WIDTH, HEIGHT) for k in range(COUNT)])
    found = shot.quality(shot.run()[0])
    monkeypatch.setattr(sources, "likeness", lambda own, others: np.ones(others.shape, np.float32))
    assert found > shot.quality(shot.run()[0]) + 1
