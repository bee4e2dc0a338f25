"""Filling by example."""
from __future__ import annotations

import numpy as np
import pytest
from scenery import psnr, rectangle, view

from flow_inpaint.fill import FILLS
from flow_inpaint.fill.exemplar import fill
from flow_inpaint.machine import Machine
from flow_inpaint.fill.telea import fill as telea

WIDTH, HEIGHT = 96, 72
HOLE = rectangle(WIDTH, HEIGHT, 40, 28, 60, 46)


def bricks(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) float32: a wall that repeats every 12 x 8 pixels."""
    y, x = np.mgrid[:height, :width]
    shifted = x + 6 * (y // 4 % 2)
    joint = (y % 4 == 0) | (shifted % 12 == 0)
    return np.where(joint[..., None], [210.0, 205.0, 190.0], [150.0, 70.0, 50.0]).astype(np.float32)


def hidden(picture: np.ndarray, hole: np.ndarray, level: float = 0.0) -> np.ndarray:
    return np.where(hole[..., None], np.float32(level), picture)


@pytest.mark.parametrize(
    "hole", [HOLE, rectangle(WIDTH, HEIGHT, 0, 20, 16, 40), rectangle(WIDTH, HEIGHT, 30, 54, 50, 72)], ids=["inside", "left edge", "bottom"]
)
def test_a_pattern_that_repeats_is_continued(hole: np.ndarray) -> None:
    found = fill(hidden(bricks(), hole), hole)
    assert psnr(found[hole], bricks()[hole]) > 25
    assert psnr(found[hole], bricks()[hole]) > psnr(telea(hidden(bricks(), hole), hole)[hole], bricks()[hole]) + 6


def test_the_fill_is_as_sharp_as_its_surroundings() -> None:
    noise = np.random.default_rng(1).normal(128, 40, (HEIGHT, WIDTH, 3)).astype(np.float32)
    grain = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 2
    found = fill(hidden(grain, HOLE), HOLE)

    def detail(picture: np.ndarray) -> float:
        return float(np.diff(picture, axis=1)[HOLE[:, 1:]].std())

    assert 0.65 < detail(found) / detail(grain) < 1.25
    assert detail(telea(hidden(grain, HOLE), HOLE)) < 0.5 * detail(grain)


def test_only_the_hole_is_touched_and_hidden_pixels_do_not_matter() -> None:
    picture = view(WIDTH, HEIGHT).astype(np.float32)
    before = picture.copy()
    found = fill(picture, HOLE)
    np.testing.assert_array_equal(found[~HOLE], picture[~HOLE])
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(fill(hidden(picture, HOLE, 250), HOLE), fill(hidden(picture, HOLE, 3), HOLE))


def test_the_same_picture_is_filled_the_same_way() -> None:
    picture = view(WIDTH, HEIGHT, seed=2).astype(np.float32)
    np.testing.assert_array_equal(fill(picture, HOLE), fill(picture.copy(), HOLE.copy()))


def test_another_picture_of_the_shot_shows_what_is_missing() -> None:
    """The other picture is the truth itself. What it hides is not taken from it."""
    truth = view(WIDTH, HEIGHT, seed=3).astype(np.float32)
    other = truth.copy()
    away = rectangle(WIDTH, HEIGHT, 0, 0, 14, 14)
    other[away] = 255
    alone = fill(hidden(truth, HOLE), HOLE)
    helped = fill(hidden(truth, HOLE), HOLE, [(other, away)])
    assert psnr(helped[HOLE], truth[HOLE]) > psnr(alone[HOLE], truth[HOLE]) + 6
    not_shown = fill(hidden(truth, HOLE), HOLE, [(truth, HOLE)])
    assert psnr(not_shown[HOLE], truth[HOLE]) < psnr(helped[HOLE], truth[HOLE]) - 6


@pytest.mark.parametrize(("width", "height"), [(6, 6), (7, 7), (16, 16), (16, 64), (85, 47), (9, 200)])
def test_small_and_odd_pictures(width: int, height: int) -> None:
    hole = rectangle(width, height, width // 3, height // 3, width // 2, height // 2)
    picture = np.full((height, width, 3), (40, 90, 140), np.float32)
    found = fill(hidden(picture, hole), hole)
    assert found.shape == picture.shape
    np.testing.assert_allclose(found, picture, atol=2)


def test_a_hole_that_leaves_no_whole_patch_is_filled_smoothly() -> None:
    hole = ~rectangle(40, 40, 18, 18, 22, 22)
    picture = np.full((40, 40, 3), (40, 90, 140), np.float32)
    np.testing.assert_allclose(fill(hidden(picture, hole), hole), picture, atol=1)


def test_nothing_known_and_nothing_unknown() -> None:
    picture = view(40, 40).astype(np.float32)
    everything = np.ones((40, 40), bool)
    assert np.isfinite(fill(picture, everything)).all()
    np.testing.assert_array_equal(fill(picture, ~everything), picture)
    other = np.full((40, 40, 3), 77, np.float32)
    np.testing.assert_allclose(fill(picture, everything, [(other, ~everything)]), 77, atol=2)


def test_the_host_is_told_that_it_is_alive() -> None:
    beats = []
    fill(bricks(), HOLE, (), lambda: beats.append(1))
    assert len(beats) >= 9


def test_is_the_one_called_exemplar() -> None:
    assert FILLS["exemplar"].make(Machine()) is fill
