"""A mark on footage of a camera that stands still: no frame shows what is behind, and nothing may shimmer there."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenery import rectangle, view
from test_pipeline import Shot

WIDTH, HEIGHT, COUNT = 128, 80, 24
HOLE = rectangle(WIDTH, HEIGHT, 50, 30, 80, 48)
GRAIN = 3.0


@pytest.fixture(scope="module")
def footage() -> list[np.ndarray]:
    """The same picture again and again, each with a grain of its own."""
    chance = np.random.default_rng(5)
    still = view(WIDTH, HEIGHT).astype(np.float64)
    return [np.clip(np.rint(still + chance.normal(0, GRAIN, still.shape)), 0, 255).astype(np.uint8) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def made(footage, tmp_path_factory) -> list[np.ndarray]:
    pictures, result = Shot(tmp_path_factory.mktemp("shot"), footage, [HOLE] * COUNT).run(grain=0.0)
    assert result.unseen > 0.95
    return pictures


def steps(pictures: list[np.ndarray], where: np.ndarray) -> float:
    """How much the pixels there change from frame to frame, in grey levels."""
    return float(np.abs(np.diff(np.stack(pictures)[:, where].astype(np.float64), axis=0)).mean())


def test_the_filling_stands_still(made, footage) -> None:
    assert steps(made, HOLE) < 0.4 * steps(footage, HOLE)


def test_the_filling_does_not_drift_away(made) -> None:
    first, last = made[0][HOLE].astype(np.float64), made[-1][HOLE].astype(np.float64)
    assert np.abs(first - last).mean() < 2.5 * steps(made, HOLE)


def test_it_is_no_worse_than_a_still_filled_alone(made, footage, tmp_path: Path) -> None:
    shot = Shot(tmp_path, footage[:1], [HOLE])
    alone, _ = shot.run(grain=0.0)
    whole = np.sqrt(np.mean((np.stack(made)[:, HOLE].astype(float) - view(WIDTH, HEIGHT)[HOLE]) ** 2))
    assert whole < np.sqrt(np.mean((alone[0][HOLE].astype(float) - view(WIDTH, HEIGHT)[HOLE]) ** 2)) * 1.15
