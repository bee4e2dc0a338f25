"""Detail that averaging and sampling take from a hole, given back."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import psnr, rectangle
from test_composing import HOLE, LOOK, filled
from test_pipeline import Shot, disc

from flow_inpaint import writing
from flow_inpaint.composing import detailed, finished
from flow_inpaint.detail import raised
from flow_inpaint.grain import Grain
from flow_inpaint.propagation.blend import Candidate, Canvas
from flow_inpaint.shot_store import ShotStore

SIZE = 64
INSIDE = rectangle(SIZE, SIZE, 12, 12, 52, 52)
DEEP = rectangle(SIZE, SIZE, 18, 18, 46, 46)


def fine(*shape: int, seed: int = 0) -> np.ndarray:
    """A picture with detail at all scales, (H, W, 3) float32."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(0, 1, (*shape, 3)).astype(np.float32)
    return np.clip(128 + sum(12 * s * cv2.GaussianBlur(noise, (0, 0), s) for s in (0.7, 1.5, 3.0)), 0, 255)


def detail_of(picture: np.ndarray) -> np.ndarray:
    """What `Canvas.detail` says where nothing is sampled between pixels."""
    out = np.zeros(picture.shape[:2], np.float32)
    out[:, :-1] += (np.diff(picture, axis=1) ** 2).mean(2)
    out[:-1] += (np.diff(picture, axis=0) ** 2).mean(2)
    return out


def between_pixels(picture: np.ndarray) -> np.ndarray:
    """Moved by half a pixel and back, as a hole is that was carried and then steadied."""
    there, back = (np.float32([[1, 0, x], [0, 1, x]]) for x in (0.5, -0.5))
    size = picture.shape[1::-1]
    moved = cv2.warpAffine(picture, there, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.warpAffine(moved, back, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def test_what_sampling_between_pixels_takes_is_given_back() -> None:
    truth = fine(SIZE, SIZE)
    soft = between_pixels(truth)
    found, by = raised(soft, INSIDE, detail_of(truth))
    before, there, wanted = (detail_of(p)[DEEP].mean() for p in (soft, found, truth))
    assert before < 0.6 * wanted and 1.15 * before < there <= 1.05 * wanted
    assert psnr(found[DEEP], truth[DEEP]) > psnr(soft[DEEP], truth[DEEP]) + 1
    assert by.max() <= 0.3 and (by[~INSIDE] == 0).all()
    np.testing.assert_array_equal(found[~INSIDE], soft[~INSIDE])


def test_what_lacks_nothing_is_left_alone() -> None:
    truth = fine(SIZE, SIZE)
    found, by = raised(truth, INSIDE, detail_of(truth))
    assert by.max() < 0.02
    np.testing.assert_allclose(found, truth, atol=0.5)


@pytest.mark.parametrize("known", [0.0, 20.0])
def test_nothing_is_raised_where_nothing_is_known_and_where_hardly_anything_is_left(known: float) -> None:
    truth = fine(SIZE, SIZE)
    soft = cv2.GaussianBlur(truth, (0, 0), 1)
    found, _ = raised(soft, INSIDE, known * detail_of(soft))
    np.testing.assert_array_equal(found, soft)


def test_a_flat_picture_stays_flat() -> None:
    flat = np.full((SIZE, SIZE, 3), 90, np.float32)
    np.testing.assert_allclose(raised(flat, INSIDE, np.full((SIZE, SIZE), 100, np.float32))[0], flat, atol=1e-3)


def test_no_dark_ring_around_a_lamp() -> None:
    truth = np.full((SIZE, SIZE, 3), 0.3, np.float32)
    truth[28:36, 28:36] = 20.0
    soft = between_pixels(truth)
    found, by = raised(soft, INSIDE, detail_of(truth), white=1.0)
    assert by.max() > 0.1
    assert found.min() > 0.199 and found.max() < 20.11


def test_the_detail_of_sources_is_known_between_their_pixels_too() -> None:
    source, hole = fine(24, 24), rectangle(24, 24, 4, 4, 20, 20)
    pixels = np.flatnonzero(hole)
    y, x = np.divmod(pixels, 24)
    told = {}
    for off in (0.0, 0.5):
        canvas = Canvas(np.zeros((24, 24, 3), np.uint8), hole)
        one = np.ones(pixels.size, np.float32)
        canvas.add(source[None], Candidate(pixels, np.zeros(pixels.size, np.int32), x + np.float32(off), y + np.float32(off), one))
        told[off] = canvas.detail()
        assert (told[off][~hole] == 0).all()
    np.testing.assert_allclose(told[0.0][hole], detail_of(source)[hole], rtol=1e-4)
    assert told[0.5][hole].mean() == pytest.approx(detail_of(source)[hole].mean(), rel=0.05)


def test_in_another_light_there_is_as_much_more_detail() -> None:
    source, hole = fine(8, 8), rectangle(8, 8, 2, 2, 6, 6)
    pixels = np.flatnonzero(hole)
    y, x = (part.astype(np.float32) for part in np.divmod(pixels, 8))
    canvas = Canvas(np.zeros((8, 8, 3), np.uint8), hole)
    canvas.add(source[None], Candidate(pixels, np.zeros(16, np.int32), x, y, np.ones(16, np.float32), np.full((16, 3), 2.0)))
    np.testing.assert_allclose(canvas.detail()[hole], 4 * detail_of(source)[hole], rtol=1e-4)


def test_grain_is_no_detail(tmp_path: Path) -> None:
    """A flat wall in grainy footage: what is left of the grain is not taken for detail that is lacking; it is filled up as grain."""
    chance, sigma = np.random.default_rng(1), 8.0
    store = ShotStore(tmp_path, HOLE.shape, np.uint8, offset=0)
    store.grain = {0: Grain(np.full(3, sigma / 255), 0.0, 0.0)}
    given = filled(0)
    kept = np.full(given.hole.shape, 0.25, np.float32)
    noise = chance.normal(0, sigma, given.picture.shape).astype(np.float32)
    wall = replace(given, picture=100 + noise * np.sqrt(0.25), kept=kept, detail=np.full(given.hole.shape, 4 * sigma**2, np.float32))
    found = detailed(store, wall)
    np.testing.assert_allclose(found.picture, wall.picture, atol=2.5)
    assert 0.8 * sigma < finished(store, found, LOOK)[given.hole].std() < 1.2 * sigma
    store.close()


def test_a_shot_with_fine_detail_comes_out_sharper_and_nearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that pans by fractions of a pixel."""
    world, count = cv2.resize(fine(96, 220), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), 12
    pans = [np.float32([[1, 0, -2 * 3.4 * k], [0, 1, -2 * 0.3 * k]]) for k in range(count)]
    clean = [np.rint(cv2.resize(cv2.warpAffine(world, pan, (192, 128)), (96, 64), interpolation=cv2.INTER_AREA)).astype(np.uint8) for pan in pans]
    shot = Shot(tmp_path, clean, [disc(30 + 3 * k, 32, 9) for k in range(count)])
    scores = {}
    for name in ("with", "without"):
        if name == "without":
            monkeypatch.setattr(writing, "detailed", lambda store, own: own)
        found, _ = shot.run(grain=0.0)
        rows = [(f[h], c[h]) for f, c, h in zip(found, clean, shot.holes)][2:-2]
        scores[name] = psnr(*(np.concatenate(part) for part in zip(*rows)))
    assert scores["with"] > scores["without"] + 0.3
