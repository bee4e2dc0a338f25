"""The quick fill."""
from __future__ import annotations

import numpy as np
from scenery import rectangle, view

from flow_inpaint.fill import FILLS
from flow_inpaint.fill.telea import fill
from flow_inpaint.machine import Machine

HOLE = rectangle(60, 40, 20, 12, 36, 28)


def test_a_flat_picture_is_continued() -> None:
    picture = np.full((40, 60, 3), (30, 90, 200), np.float32)
    np.testing.assert_allclose(fill(np.where(HOLE[..., None], 255, picture), HOLE), picture, atol=4)


def test_only_the_hole_is_touched_and_hidden_pixels_do_not_matter() -> None:
    picture = view(60, 40).astype(np.float32) + 0.25
    before = picture.copy()
    found = fill(picture, HOLE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[~HOLE], picture[~HOLE])
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(fill(np.where(HOLE[..., None], 7, picture), HOLE), fill(np.where(HOLE[..., None], 99, picture), HOLE))


def test_levels_beyond_eight_bits_go_on() -> None:
    found = fill(np.full((40, 60, 3), 300, np.float32), HOLE)
    np.testing.assert_allclose(found[HOLE], 300, atol=0.01)


def test_nothing_known_and_nothing_unknown() -> None:
    picture = view(60, 40).astype(np.float32)
    np.testing.assert_array_equal(fill(picture, np.ones((40, 60), bool)), picture)
    np.testing.assert_array_equal(fill(picture, np.zeros((40, 60), bool)), picture)


def test_is_the_one_called_telea() -> None:
    assert FILLS["telea"].make(Machine()) is fill
