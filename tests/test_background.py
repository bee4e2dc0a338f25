"""What is hidden: does it move as what is beside the hole, or with the camera?"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenery import rectangle, seen_at, view
from test_pipeline import Shot

from flow_inpaint.background import EVERY, Evidence, Shown, beside, evidence_of, moves_with_camera

WIDTH, HEIGHT = 80, 60
HOLE = rectangle(WIDTH, HEIGHT, 20, 15, 60, 45)


def shown(apart: float, both: np.ndarray = HOLE, brighter: float = 0) -> Shown:
    """Both sides show the same, `apart` pixels from each other."""
    earlier, later = view(WIDTH, HEIGHT)[..., 1], view(WIDTH, HEIGHT, apart)[..., 1]
    return Shown(earlier, np.clip(later + brighter, 0, 255).astype(np.uint8), both)


def test_what_brings_the_same_together_is_better() -> None:
    for_it, against_it = evidence_of(shown(3), shown(0), HOLE), evidence_of(shown(0), shown(3), HOLE)
    assert for_it.told == against_it.told == 1
    assert for_it.better == pytest.approx(-against_it.better) and for_it.better > 1


def test_a_change_of_exposure_speaks_against_neither() -> None:
    assert evidence_of(shown(3), shown(0, brighter=20), HOLE).better == pytest.approx(evidence_of(shown(3), shown(0), HOLE).better, abs=0.1)


def test_only_what_both_guesses_show_from_both_sides_is_told() -> None:
    left, middle = HOLE & (np.arange(WIDTH) < 45), HOLE & (np.arange(WIDTH) >= 35)
    assert evidence_of(shown(3, left), shown(0, middle), HOLE).told == pytest.approx(0.25)
    assert evidence_of(shown(3, HOLE & False), shown(0), HOLE) == Evidence(0.0, 0.0)


FOR_IT, AGAINST_IT = Evidence(0.9, 1.0), Evidence(0.5, -0.3)


@pytest.mark.parametrize(("first", "last"), [(0, 99), (48, 99), (0, 51)])
def test_most_of_the_time_around_a_frame_decides(first: int, last: int) -> None:
    """In the middle of a shot and near its ends; one frame says little, and what is far away nothing."""
    for_it, against_it = (dict.fromkeys(range(first, last + 1, EVERY), says) for says in (FOR_IT, AGAINST_IT))
    assert moves_with_camera(50, for_it, 40) and not moves_with_camera(50, against_it, 40)
    assert moves_with_camera(50, {**for_it, 51: Evidence(0.9, -0.5)}, 40)
    assert not moves_with_camera(50, {**against_it, 51: Evidence(0.9, 0.5)}, 40)


@pytest.mark.parametrize("reach", [1, 7, 40, 200])
def test_what_lies_outside_the_reach_says_nothing(reach: int) -> None:
    """Neither in frames that are too far away, nor by frames that are too far from those."""
    around = beside(reach)
    assert 0 <= around < reach and around <= 12
    far = {k: AGAINST_IT if abs(k - 48) <= around else FOR_IT for k in range(0, 99, EVERY)}
    assert not moves_with_camera(48, far, reach)


def test_a_little_of_the_hole_does_not_decide() -> None:
    for says in (Evidence(0.02, 1.0), Evidence(0.9, 0.15)):
        assert not moves_with_camera(50, dict.fromkeys(range(0, 99, EVERY), says), 40)
    assert not moves_with_camera(50, {}, 40)


def between_things_in_front(folder: Path) -> Shot:
    """What is taken out has something above and below it that moves along and stays. Its motion, continued into the hole, is wrong."""
    width, height, count = 160, 96, 36
    y, x = np.mgrid[:height, :width].astype(float)
    truth, holes = [], []
    for k in range(count):
        left = 14 + 3 * k
        hole = rectangle(width, height, left, 34, left + 24, 62)
        stays = rectangle(width, height, left, 18, left + 24, 78) & ~hole
        truth.append(np.rint(np.where(stays[..., None], seen_at(x - 3 * k, y, seed=5), seen_at(x + 2 * k, y))).astype(np.uint8))
        holes.append(hole)
    return Shot(folder, truth, holes)


def test_what_lies_between_things_in_front(tmp_path: Path) -> None:
    shot = between_things_in_front(tmp_path)
    quality = {follow: shot.quality(shot.run(follow_camera=follow)[0][12:24], 12) for follow in (False, True)}
    assert quality[True] > quality[False] + 3


def test_a_part_of_a_shot_is_as_the_whole(tmp_path: Path) -> None:
    """Where nothing has to be invented, and with a reach that ends far from the ends of the shot."""
    shot = between_things_in_front(tmp_path)
    whole, (part, result) = shot.run(reach=10)[0][17:19], shot.run((17, 18), reach=10)
    assert result.unseen == 0
    assert not np.array_equal(whole[0], shot.run(reach=10, follow_camera=False)[0][17])
    for one, other in zip(part, whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("half", "completion", "least"), [(24, "smooth", 28), (24, "layers", 24), (30, "layers", 40)])
def test_what_moves_on_its_own_is_left_to_the_flow(tmp_path: Path, half: int, completion: str, least: float) -> None:
    """Behind the box a wide band of the picture moves against the camera. One that ends where motion is taken for known again is seen
    beside the camera's by layers, which then do less well than smooth interpolation."""
    width, height, count = 160, 96, 24
    y, x = np.mgrid[:height, :width].astype(float)
    band = np.abs(y - 48) < half
    scenes = [np.where(band[..., None], seen_at(x - 2.0 * k, y), seen_at(x + 1.5 * k, y, seed=3)) for k in range(count)]
    shot = Shot(tmp_path, [np.rint(scene).astype(np.uint8) for scene in scenes], [rectangle(width, height, 60, 36, 90, 60)] * count)
    found = {follow: shot.run(follow_camera=follow, completion=completion)[0][8:16] for follow in (False, True)}
    for one, other in zip(*found.values()):
        np.testing.assert_array_equal(one, other)
    assert shot.quality(found[True], 8) > least
