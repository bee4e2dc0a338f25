"""Cuts, and what only looks like one."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from scenery import rectangle, view

from flow_inpaint.cuts import CutFinder

WIDTH, HEIGHT = 128, 72
NOTHING = np.zeros((HEIGHT, WIDTH), bool)
TINTS = {0: (1.0, 1.0, 1.0), 1: (0.5, 0.8, 1.2), 2: (1.1, 0.7, 0.35)}


def scene(number: int, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Scenes of different pictures and different colours."""
    return np.clip(view(WIDTH, HEIGHT, x, y, seed=number) * np.array(TINTS[number]), 0, 255).astype(np.uint8)


def cuts(pictures: Iterable[np.ndarray], hole: np.ndarray = NOTHING) -> list[int]:
    finder = CutFinder()
    return [k for k, picture in enumerate(pictures) if finder.is_cut(picture, hole)]


def shaded(picture: np.ndarray, gain: float, offset: float = 0.0) -> np.ndarray:
    return np.clip(picture * gain + offset, 0, 255).astype(np.uint8)


def test_every_cut_is_found_where_the_new_shot_begins() -> None:
    shots = [scene(0, k) for k in range(6)] + [scene(1, k) for k in range(9)] + [scene(2)] + [scene(0, 3 * k) for k in range(4)]
    assert cuts(shots) == [6, 15, 16]


def test_a_cut_in_a_pan() -> None:
    assert cuts([scene(0, 2 * k) for k in range(6)] + [scene(1, 2 * k) for k in range(6)]) == [6]


def test_a_cut_between_dark_pictures_with_grain() -> None:
    grain = np.random.default_rng(2)
    assert cuts([shaded(scene(k // 5, k) + grain.normal(0, 12, (HEIGHT, WIDTH, 3)), 0.2) for k in range(10)]) == [5]


def test_a_cut_in_a_pan_so_fast_that_all_frames_differ_much() -> None:
    """The difference at the cut is a fifth larger than that of the frames before it."""
    assert cuts([scene(0, 25 * k) for k in range(12)] + [scene(1, 25 * k) for k in range(6)]) == [12]


def flat(level: float) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def test_a_cut_between_pale_pictures() -> None:
    """Two foggy shots that differ little, but more than anything moves in either."""
    assert cuts([shaded(scene(k // 4, k), 0.5, 60) for k in range(8)]) == [4]


def test_light_that_flickers_more_and_more() -> None:
    """Colours and brightness change by as much as in a pale cut, but they always have."""
    assert cuts([flat(90 + 8 * (-1) ** k) for k in range(12)] + [flat(90 + 17 * (-1) ** k) for k in range(6)]) == []


def test_a_new_shot_has_its_own_measure() -> None:
    assert cuts([flat(90 + 8 * (-1) ** k) for k in range(13)] + [flat(220)] * 5 + [flat(190)] * 3) == [13, 18]


STEADY = {
    "still": [scene(0)] * 8,
    "slow pan": [scene(0, 2 * k, k) for k in range(12)],
    "fast pan": [scene(0, 25 * k) for k in range(12)],
    "pan that starts at once": [scene(0)] * 6 + [scene(0, 30 * k) for k in range(6)],
    "exposure drift": [shaded(scene(0), 1 - 0.04 * k) for k in range(16)],
    "flicker": [shaded(scene(0, k), 1 + 0.05 * (k % 2)) for k in range(12)],
    "light that is switched on and off": [shaded(scene(0, k), 0.4 + 0.6 * (k // 3 % 2)) for k in range(12)],
    "pan that gathers speed": [scene(0, 2.0 * k * k) for k in range(9)],
    "slow fade to black": [shaded(scene(0), 1 - k / 24) for k in range(25)],
    "slow dissolve": [shaded(scene(0) * (1 - k / 24) + scene(2) * (k / 24), 1) for k in range(25)],
    "noise": [shaded(scene(0) + np.random.default_rng(k).normal(0, 12, (HEIGHT, WIDTH, 3)), 1) for k in range(8)],
}


@pytest.mark.parametrize("what", STEADY)
def test_no_cut_is_found_in(what: str) -> None:
    assert cuts(STEADY[what]) == []


def test_the_first_picture_is_no_cut() -> None:
    assert cuts([scene(1)]) == []


def test_the_hole_is_left_out() -> None:
    """What is to be removed may change as it likes, even from black to white over most of the picture."""
    hole = rectangle(WIDTH, HEIGHT, 8, 8, 120, 64)
    blinking = [np.where(hole[..., None], np.uint8(255 * (k % 2)), scene(0)) for k in range(6)]
    assert cuts(blinking, hole) == [] and cuts(blinking) != []
    # The light changes a little at the same time.
    assert cuts([np.where(hole[..., None], np.uint8(255 * k), flat(90 + 8 * k)) for k in range(2)], hole) == []
    background = [np.where(hole[..., None], np.uint8(128), scene(k // 3)) for k in range(6)]
    assert cuts(background, hole) == [3]


def test_a_picture_that_is_all_hole_tells_nothing() -> None:
    assert cuts([scene(k % 3) for k in range(4)], ~NOTHING) == []


@pytest.mark.parametrize(("width", "height"), [(16, 16), (333, 17), (20, 200)])
def test_any_size(width: int, height: int) -> None:
    finder, hole = CutFinder(), np.zeros((height, width), bool)
    pictures = [np.full((height, width, 3), level, np.uint8) for level in (20, 22, 200)]
    assert [finder.is_cut(picture, hole) for picture in pictures] == [False, False, True]
