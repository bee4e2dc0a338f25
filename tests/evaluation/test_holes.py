"""The tables' settings, against their definitions and against the referee's own code where that is at hand."""
from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from dataset_files import picture
from shared_data import shared

from flow_inpaint.evaluation import footage
from flow_inpaint.evaluation.holes import hidden, moving_shapes, painted, pasted, square


def test_the_square_is_a_quarter_in_the_middle():
    hole = square((48, 80))
    assert hole.sum() == 12 * 20 and hole[18:30, 30:50].all()


def test_nothing_of_what_a_hole_hides_is_left():
    hole = square((48, 80))
    given = painted(picture(1, (48, 80)), hole)
    assert (given[hole] == 127).all() and np.array_equal(given[~hole], picture(1, (48, 80))[~hole])


def test_a_pasted_object_is_brought_to_size_and_has_a_margin():
    truth, thing = picture(1, (48, 80)), np.full((24, 40, 3), 200, np.uint8)
    outline = np.zeros((24, 40), bool)
    outline[10:15, 20:30] = True
    given, hole = pasted(truth, thing, outline)
    inside = np.zeros((48, 80), bool)
    inside[20:30, 40:60] = True
    around = np.zeros((48, 80), bool)
    around[16:34, 36:64] = True
    assert (given[inside] == 200).all() and np.array_equal(given[~inside], truth[~inside]) and np.array_equal(hole, around)


def test_random_shapes_move_and_are_each_clips_own():
    one = moving_shapes("camel", 1, 5, (48, 80))
    assert one.shape == (5, 48, 80) and one.dtype == bool and one[2].any() and not np.array_equal(one[0], one[4])
    assert np.array_equal(one, moving_shapes("camel", 1, 5, (48, 80)))
    assert not np.array_equal(one, moving_shapes("goat", 1, 5, (48, 80)))
    assert not np.array_equal(one, moving_shapes("camel", 2, 5, (48, 80)))


def test_a_short_object_goes_round_again():
    frames = [picture(k, (48, 80)) for k in range(3)]
    outline = np.ones((48, 80), bool)
    things = ((np.full((48, 80, 3), value, np.uint8), outline) for value in (10, 20, 10, 20))
    made = list(hidden("object", frames, name="a", seed=1, count=3, objects=things))
    assert [int(given[0, 0, 0]) for _, given, _ in made] == [10, 20, 10] and all(hole.all() for *_, hole in made)


@pytest.mark.parametrize("setting", ["square", "object"])
def test_the_settings_are_the_referees(setting, tmp_path):
    spec = importlib.util.spec_from_file_location("judge", shared("judge", "judge.py"))
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    root, size = shared("davis"), (120, 216)
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    clip = next(iter(footage.of_data_set(root, chosen=[names[2]], size=size, frames=4)))
    short = tmp_path / "frames"
    short.mkdir()
    for path in sorted((root / names[2] / "frames").iterdir())[:4]:
        (short / path.name).symlink_to(path)
    judge.make(setting, short, tmp_path / "made", root / names[5], size[::-1])
    made = list(hidden(setting, clip.frames(), name=clip.name, seed=1, count=4, objects=clip.objects()))
    for kind, number in (("truth", 0), ("input", 1), ("masks", 2)):
        files = sorted((tmp_path / "made" / kind).iterdir())
        assert len(files) == 4
        for path, values in zip(files, made, strict=True):
            expected = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            expected = expected > 0 if kind == "masks" else expected[..., ::-1]
            # Two JPEG decoders may differ by one level.
            assert np.abs(expected.astype(int) - values[number].astype(int)).max() <= (0 if kind == "masks" else 2)
