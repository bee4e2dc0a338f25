"""What a shot remembers and gives back."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenery import rectangle

from flow_inpaint.errors import Forgotten
from flow_inpaint.propagation.trace import BEYOND, GUARD, Hops, guard_band
from flow_inpaint.shot_store import ShotStore

SHAPE = (30, 40)
HOLE = rectangle(SHAPE[1], SHAPE[0], 10, 8, 20, 16)


@pytest.fixture
def store(tmp_path: Path):
    store = ShotStore(tmp_path, SHAPE, np.uint8, offset=300)
    store.remember(300, np.zeros((*SHAPE, 3), np.uint8), HOLE)
    yield store
    store.close()


def hops(seed: int, around: int, scale: float = 1.0) -> Hops:
    pixels = np.flatnonzero(guard_band(HOLE, around)).astype(np.int32)
    u, v, drift = (scale * np.random.default_rng(seed).normal(0, 5, (3, pixels.size))).astype(np.float32)
    return Hops(pixels, u, v, np.abs(drift))


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_hops_come_back(store, scale):
    """To a thousandth, and finite however large."""
    later, earlier = hops(1, BEYOND, scale), hops(2, GUARD, scale)
    later.u[:2] = 1e9, -1e9
    store.remember_hops(300, later, earlier)
    for given, found in ((later, store.hops(300, 1)), (earlier, store.hops(301, -1))):
        np.testing.assert_array_equal(given.pixels, found.pixels)
        assert found.pixels.dtype == np.int32
        for name in ("u", "v", "drift"):
            mine, theirs = np.clip(getattr(given, name), -60000, 60000), getattr(found, name)
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
            assert theirs.dtype == np.float32 and np.isfinite(theirs).all()
    assert store.hops(301, 1).pixels.size == store.hops(300, -1).pixels.size == 0


def test_hops_by_the_camera_of_the_guarded_hole_alone(store):
    store.remember(301, np.ones((*SHAPE, 3), np.uint8), HOLE)
    assert not store.has_camera(300)
    later, earlier, there, back = (hops(seed, around) for seed, around in ((1, BEYOND), (2, BEYOND), (3, GUARD), (4, GUARD)))
    store.remember_hops(300, replace(later, camera=there), replace(earlier, camera=back))
    assert store.has_camera(300) and store.has_camera(301)
    hidden = guard_band(HOLE, GUARD).ravel()[later.pixels]
    for frame, sign, flow, camera in ((300, 1, later, there), (301, -1, earlier, back)):
        found, as_flow = store.hops(frame, sign, by_camera=True), store.hops(frame, sign)
        np.testing.assert_array_equal(found.pixels, flow.pixels)
        for name in ("u", "v", "drift"):
            np.testing.assert_allclose(getattr(as_flow, name), getattr(flow, name), rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(getattr(found, name)[hidden], getattr(camera, name), rtol=1e-3, atol=1e-4)
            np.testing.assert_array_equal(getattr(found, name)[~hidden], getattr(as_flow, name)[~hidden])
        for taken in (False, True):
            store.by_camera.write(frame, np.array([taken]))
            assert store.moves_with_camera(frame) == taken
            np.testing.assert_array_equal(store.hidden_hops(frame, sign).u, (found if taken else as_flow).u[hidden])


def test_without_a_camera_hops_are_the_flow(store):
    later, earlier = hops(1, BEYOND), hops(2, BEYOND)
    store.remember_hops(300, later, earlier)
    np.testing.assert_array_equal(store.hops(300, 1).u, store.hops(300, 1, by_camera=True).u)
    assert not store.has_camera(300) and not store.moves_with_camera(300)


def test_hops_through_what_is_hidden_alone(store):
    store.remember(301, np.ones((*SHAPE, 3), np.uint8), HOLE)
    pixels = np.flatnonzero(guard_band(HOLE, BEYOND)).astype(np.int32)
    later, earlier = (Hops(pixels, *(sign * (pixels % 512).astype(np.float32) for _ in range(3))) for sign in (1, -1))
    store.remember_hops(300, later, earlier)
    for frame, sign in ((300, 1), (301, -1)):
        found = store.hidden_hops(frame, sign)
        np.testing.assert_array_equal(found.pixels, np.flatnonzero(guard_band(HOLE, GUARD)))
        np.testing.assert_array_equal([found.u, found.v, found.drift], [sign * (found.pixels % 512).astype(np.float32)] * 3)


def test_shares_come_back_and_other_ones_are_seen(tmp_path: Path) -> None:
    """Where a matte fades, two mattes may have the same hole."""
    picture, share = np.zeros((*SHAPE, 3), np.uint8), np.where(HOLE, np.uint8(255), np.uint8(0))
    share[8, 10:20] = np.arange(1, 11)
    store = ShotStore(tmp_path, SHAPE, np.uint8, offset=0)
    store.remember(0, picture, HOLE, share)
    store.remember(1, picture, HOLE)
    np.testing.assert_array_equal(store.share(0), share[HOLE])
    assert store.share(1) is None
    store.close()
    again = ShotStore(tmp_path, SHAPE, np.uint8, offset=0)
    again.remember(0, picture, HOLE, share)
    np.testing.assert_array_equal(again.share(0), share[HOLE])
    share[8, 10] += 1
    with pytest.raises(Forgotten):
        again.remember(0, picture, HOLE, share)
    again.close()
    anew = ShotStore(tmp_path, SHAPE, np.uint8, offset=0)
    anew.remember(0, picture, HOLE, share)
    np.testing.assert_array_equal(anew.share(0), share[HOLE])
    anew.close()


def test_another_cut_is_seen_though_the_region_is_the_same(tmp_path: Path) -> None:
    """Cuts are found in the whole picture, of which the store has a part."""
    picture = np.zeros((*SHAPE, 3), np.uint8)
    for begins, again in ((False, True), (True, False)):
        folder = tmp_path / str(begins)
        folder.mkdir()
        store = ShotStore(folder, SHAPE, np.uint8, offset=0)
        for frame in range(3):
            store.remember(frame, picture, HOLE, begins=frame == 0 or (frame == 2 and begins))
        store.close()
        store = ShotStore(folder, SHAPE, np.uint8, offset=0)
        store.remember(0, picture, HOLE, begins=True)
        store.remember(1, picture, HOLE)
        with pytest.raises(Forgotten):
            store.remember(2, picture, HOLE, begins=again)
        store.close()
