"""What a shot remembers and gives back."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenery import rectangle

from flow_inpaint.propagation.trace import BEYOND, GUARD, UNSEEN, Hops, Links, guard_band
from flow_inpaint.shot_store import ShotStore

SHAPE = (30, 40)
HOLE = rectangle(SHAPE[1], SHAPE[0], 10, 8, 20, 16)
PIXELS = np.flatnonzero(HOLE).astype(np.int32)


@pytest.fixture
def store(tmp_path: Path):
    store = ShotStore(tmp_path, SHAPE, np.uint8, offset=300)
    store.remember(300, np.zeros((*SHAPE, 3), np.uint8), HOLE)
    yield store
    store.close()


def links(frames: np.ndarray, seed: int) -> Links:
    x, y, drift = np.random.default_rng(seed).uniform(0, 29, (3, PIXELS.size)).astype(np.float32)
    return Links(PIXELS, frames.astype(np.int32), x, y, drift)


def test_links_come_back(store):
    """In their order, far away in time and not there at all; drift to the precision that it is kept in."""
    later = [links(np.where(PIXELS % 3 == 0, UNSEEN, 301 + 254 * (PIXELS % 2)), 1), links(np.full(PIXELS.size, UNSEEN), 2)]
    earlier = [links(300 - 240 + PIXELS % 100, 3)]
    later[0].drift[:2] = 1e9, 0
    store.remember_links(300, later, earlier)
    for given, found in zip((later, earlier), store.links(300)):
        assert len(given) == len(found)
        for mine, theirs in zip(given, found):
            for name in ("pixels", "frame", "x", "y"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
                assert getattr(theirs, name).dtype == getattr(mine, name).dtype
            np.testing.assert_allclose(np.minimum(mine.drift, 60000), theirs.drift, rtol=1e-3, atol=1e-3)
            assert np.isfinite(theirs.drift).all() and theirs.drift.dtype == np.float32


def test_hops_through_what_is_hidden_alone(store):
    store.remember(301, np.ones((*SHAPE, 3), np.uint8), HOLE)
    pixels = np.flatnonzero(guard_band(HOLE, BEYOND)).astype(np.int32)
    later, earlier = (Hops(pixels, *(sign * pixels.astype(np.float32) for _ in range(3))) for sign in (1, -1))
    store.remember_hops(300, later, earlier)
    for frame, sign in ((300, 1), (301, -1)):
        found = store.hidden_hops(frame, sign)
        np.testing.assert_array_equal(found.pixels, np.flatnonzero(guard_band(HOLE, GUARD)))
        np.testing.assert_array_equal([found.u, found.v, found.drift], [sign * found.pixels.astype(np.float32)] * 3)
