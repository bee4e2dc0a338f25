"""Filled holes steadied by the frames beside them."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenery import rectangle, view
from test_pipeline import Shot, disc

from flow_inpaint import writing
from flow_inpaint.composing import Filled, steadied
from flow_inpaint.propagation.trace import GUARD, Hops, guard_band
from flow_inpaint.shot import Look
from flow_inpaint.shot_store import ShotStore

WIDTH, HEIGHT = 48, 40
HOLE = rectangle(WIDTH, HEIGHT, 16, 12, 32, 26)
BOX = (slice(11, 27), slice(15, 33))
INSIDE = HOLE[BOX]
LOOK = Look(reach=8, candidates=1, steadiness=0.5, consistency=2.0, gradient=False, fill=lambda *_: None)


@pytest.fixture
def store(tmp_path: Path):
    """Three frames whose ground moves by (2, -1) from each to the next."""
    store = ShotStore(tmp_path, (HEIGHT, WIDTH), np.uint8, offset=0)
    pixels = np.flatnonzero(guard_band(HOLE, GUARD)).astype(np.int32)
    one = np.ones(pixels.size, np.float32)
    for k in range(3):
        store.remember(k, view(WIDTH, HEIGHT, -2 * k, k), HOLE)
        if k:
            store.remember_hops(k - 1, Hops(pixels, 2 * one, -one, 0 * one), Hops(pixels, -2 * one, one, 0 * one))
    yield store
    store.close()


def filled(k: int, shade: float = 1.0, more: float = 0.0) -> Filled:
    """What is really behind frame k's hole, with other numbers."""
    picture = view(WIDTH, HEIGHT, -2 * k, k)[BOX].astype(np.float32) * shade + more
    return Filled(k, BOX, INSIDE, picture, np.ones(INSIDE.shape, np.float32), np.zeros(INSIDE.shape, np.float32))


def core(picture: np.ndarray) -> np.ndarray:
    """Where both neighbours have something: a step of (2, -1) leads out of the box at its rim."""
    return picture[4:-4, 4:-4]


def test_a_pixel_is_looked_for_where_the_flow_leads(store) -> None:
    found = steadied(store, filled(1), [filled(0), filled(2)], LOOK)
    np.testing.assert_allclose(core(found.picture), core(filled(1).picture), atol=1.0)
    np.testing.assert_array_equal(found.picture[~INSIDE], filled(1).picture[~INSIDE])


@pytest.mark.parametrize(("steadiness", "share"), [(0.0, 0.0), (0.5, 0.5), (1.0, 2 / 3)])
def test_how_much_comes_from_beside(store, steadiness: float, share: float) -> None:
    found = steadied(store, filled(1), [filled(0, more=12), filled(2, more=12)], replace(LOOK, steadiness=steadiness))
    assert np.median(core(found.picture - filled(1).picture)) == pytest.approx(12 * share, abs=0.3)


def test_a_frame_at_the_end_and_one_without_a_hole_beside(store) -> None:
    assert np.median(core(steadied(store, filled(0), [None, filled(1, more=12)], LOOK).picture - filled(0).picture)) == pytest.approx(4, abs=0.3)
    np.testing.assert_array_equal(steadied(store, filled(2), [None, None], LOOK).picture, filled(2).picture)


def test_another_light_is_taken_out(store) -> None:
    """The frame after is twice as bright."""
    store.light = {0: np.zeros(3), 1: np.zeros(3), 2: np.full(3, np.log(2))}
    found = steadied(store, filled(1), [None, filled(2, shade=2.0)], LOOK)
    np.testing.assert_allclose(core(found.picture), core(filled(1).picture), atol=1.0)


def test_motion_that_is_doubtful_counts_less(store) -> None:
    doubtful = store.hops(1, 1)
    store.remember_hops(1, replace(doubtful, drift=np.full_like(doubtful.drift, 8.0)), store.hops(2, -1))
    found = steadied(store, filled(1), [None, filled(2, more=12)], LOOK)
    # Half a part, and of that one in 1 + (8 / 2) squared.
    assert np.median(core(found.picture - filled(1).picture)) == pytest.approx(12 * 0.5 / 17 / (1 + 0.5 / 17), abs=0.1)


def test_a_clean_frame_is_believed(store) -> None:
    store.reference_keys = {1: 0}
    given = filled(1)
    assert steadied(store, given, [filled(0, more=12), filled(2, more=12)], LOOK) is given
    assert steadied(store, given, [filled(0, more=12), None], replace(LOOK, references_only_unseen=True)) is not given


def test_there_is_less_of_the_grain_left(store) -> None:
    found = steadied(store, filled(1), [filled(0), filled(2)], LOOK)
    assert 0.6 < np.median(core(found.kept)) < 0.8 and (found.kept[~INSIDE] == 1).all()


def test_a_shot_flickers_less_and_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that changes from frame to frame, before a camera that pans."""
    # Without grain being looked for, noise is given back as if it were detail.
    monkeypatch.setattr(writing, "detailed", lambda store, own: own)
    chance, count = np.random.default_rng(2), 12
    clean = [view(96, 64, 3 * k) for k in range(count)]
    noisy = [np.clip(p + chance.normal(0, 6, p.shape), 0, 255).astype(np.uint8) for p in clean]
    shot = Shot(tmp_path, noisy, [disc(30 + 3 * k, 32, 9) for k in range(count)])
    errors = {}
    for steadiness in (0.0, 0.5):
        found, _ = shot.run(steadiness=steadiness, grain=0.0, candidates=1)
        # The disc moves as the texture does, the other way: what is behind it changes, so look at errors, not at pictures.
        errors[steadiness] = np.concatenate([(f.astype(float) - c)[h].ravel() for f, c, h in zip(found, clean, shot.holes)])
    assert errors[0.5].std() < 0.9 * errors[0.0].std()


def test_a_part_of_a_shot_is_the_same_as_in_the_whole(tmp_path: Path) -> None:
    shot = Shot(tmp_path, [view(96, 64, 3 * k) for k in range(24)], [disc(10 + 3 * k, 32, 9) for k in range(24)])
    whole, _ = shot.run(reach=5)
    part, _ = shot.run((9, 12), reach=5)
    for k, picture in enumerate(part):
        np.testing.assert_array_equal(picture, whole[9 + k])
