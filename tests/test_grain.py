"""Grain: measured on flat places, made again, and given back to what averaging has made clean."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import rectangle, view
from test_pipeline import Shot, disc

from flow_inpaint.grain import Grain, grain_like, grain_of, grain_sample, without_grain
from flow_inpaint.propagation.blend import Candidate, Canvas

WIDTH, HEIGHT, COUNT = 192, 128, 12
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def smooth() -> np.ndarray:
    """A picture with slopes and some texture, float in 0..255."""
    y, x = np.indices((HEIGHT, WIDTH), np.float32)
    picture = np.repeat((80 + 60 * x / WIDTH + 30 * y / HEIGHT)[..., None], 3, 2)
    picture[:, :60] = view(60, HEIGHT) * 0.5 + 60
    return picture


def grainy(sigma: float, seed: int, common: float = 0.0, dtype: type = np.uint8) -> np.ndarray:
    chance = np.random.default_rng(seed)
    noise = np.sqrt(common) * chance.normal(0, sigma, (HEIGHT, WIDTH, 1)) + np.sqrt(1 - common) * chance.normal(0, sigma, (HEIGHT, WIDTH, 3))
    white = np.iinfo(dtype).max
    return np.clip(np.rint((smooth() + noise) * (white / 255)), 0, white).astype(dtype)


def measured(sigma: float, hole: np.ndarray = NOTHING, **how: object) -> Grain | None:
    return grain_of([grain_sample(grainy(sigma, seed, **how), hole, grainy(sigma, seed + 10, **how)) for seed in range(3)])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("sigma", "common"), [(3.0, 0.0), (3.0, 0.8), (8.0, 0.3)])
def test_the_grain_of_a_shot(sigma: float, common: float, dtype: type) -> None:
    found = measured(sigma, common=common, dtype=dtype)
    np.testing.assert_allclose(found.sigma * 255, sigma, rtol=0.12)
    assert found.common == pytest.approx(common, abs=0.12) and found.likeness < 0.06


@pytest.mark.parametrize(("sigma", "common"), [(2.5, 0.0), (6.0, 0.7)])
def test_grain_on_texture_before_a_camera_that_stands_still(sigma: float, common: float) -> None:
    chance = np.random.default_rng(3)
    texture = view(WIDTH, HEIGHT).astype(float) * 0.6 + 40 + chance.normal(0, 6, (HEIGHT, WIDTH, 1))

    def frame() -> np.ndarray:
        own, shared = chance.normal(0, sigma, (HEIGHT, WIDTH, 3)), chance.normal(0, sigma, (HEIGHT, WIDTH, 1))
        return np.rint(texture + np.sqrt(1 - common) * own + np.sqrt(common) * shared).clip(0, 255).astype(np.uint8)

    found = grain_of([grain_sample(frame(), NOTHING, frame()) for _ in range(3)])
    np.testing.assert_allclose(found.sigma * 255, sigma, rtol=0.15)
    assert found.common == pytest.approx(common, abs=0.12) and found.likeness < 0.06


def test_texture_that_hardly_moves_is_not_grain() -> None:
    """A fifth of a pixel a frame, where the difference of two frames is no grain either."""
    texture = [np.rint(view(WIDTH, HEIGHT, 0.2 * k) * 0.6 + 40).astype(np.uint8) for k in range(4)]
    assert grain_of([grain_sample(texture[k + 1], NOTHING, texture[k]) for k in range(3)]) is None


@pytest.mark.parametrize("sigma", [0.0, 0.8])
def test_clean_footage_has_none(sigma: float) -> None:
    assert measured(sigma) is None


def test_texture_is_not_grain() -> None:
    assert grain_of([grain_sample(view(WIDTH, HEIGHT, seed=seed), NOTHING, view(WIDTH, HEIGHT, 2.5, 1, seed=seed)) for seed in range(3)]) is None


def test_fine_texture_that_moves_along_is_not_grain() -> None:
    """As fine as grain, but the same in both frames."""
    picture = grainy(8, 0)
    assert grain_of([grain_sample(picture, NOTHING, np.roll(picture, (3, -5), (0, 1)))]) is None


def test_linear_footage_and_hidden_or_burnt_out_pictures_tell_nothing() -> None:
    picture = grainy(5, 0)
    assert grain_sample(picture.astype(np.float32) / 255, NOTHING, picture) is None
    assert grain_sample(picture, ~NOTHING, picture) is None
    assert grain_sample(np.full_like(picture, 255), NOTHING, picture) is None
    assert grain_sample(picture[:8, :8], NOTHING[:8, :8], picture[:8, :8]) is None
    assert grain_of([None, None]) is None and grain_of([]) is None


def test_what_stands_in_the_hole_has_no_say() -> None:
    hole = rectangle(WIDTH, HEIGHT, 90, 20, 170, 100)
    picture = grainy(3, 0)
    flat = np.where(hole[..., None], np.uint8(128), picture)
    np.testing.assert_array_equal(*(grain_sample(p, hole, grainy(3, 1)) for p in (flat, picture)))


def test_soft_grain_is_left_alone() -> None:
    """It cannot be told from a codec's traces and fine texture."""
    soft = [cv2.blur(grainy(20, seed), (3, 3)) for seed in range(4)]
    assert grain_of([grain_sample(soft[k], NOTHING, soft[k + 1]) for k in range(3)]) is None


@pytest.mark.parametrize(("common", "likeness"), [(0.0, 0.0), (0.6, 0.3), (1.0, 0.4)])
def test_made_grain_is_like_what_was_measured(common: float, likeness: float) -> None:
    made = grain_like(Grain(np.array([0.01, 0.02, 0.03]), common, likeness), 7, (200, 300))
    assert made.dtype == np.float32 and made.shape == (200, 300, 3)
    np.testing.assert_allclose(made.std((0, 1)), [0.01, 0.02, 0.03], rtol=0.03)
    unit = made / made.std((0, 1))
    assert (unit[..., 0] * unit[..., 2]).mean() == pytest.approx(common, abs=0.03)
    assert (unit[:, 1:] * unit[:, :-1]).mean() == pytest.approx(likeness, abs=0.03)
    assert (unit[1:] * unit[:-1]).mean() == pytest.approx(likeness, abs=0.03)


def test_grain_is_the_same_for_the_same_frame_and_new_in_the_next() -> None:
    grain = Grain(np.full(3, 0.02), 0.5, 0.2)
    np.testing.assert_array_equal(grain_like(grain, 3, (40, 50)), grain_like(grain, 3, (40, 50)))
    a, b = grain_like(grain, 3, (80, 90)), grain_like(grain, 4, (80, 90))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03


def test_how_much_grain_averaging_and_sampling_leave() -> None:
    canvas = Canvas(np.zeros((4, 8, 3), np.uint8), rectangle(8, 4, 2, 1, 6, 2))
    stack = np.zeros((2, 4, 8, 3), np.uint8)
    pixels = np.array([10, 11, 12], np.int32)

    def candidate(frame: int, x: list[float], weight: list[float]) -> Candidate:
        return Candidate(pixels, np.full(3, frame), np.array(x, np.float32), np.ones(3, np.float32), np.array(weight, np.float32))

    canvas.add(stack, candidate(0, [2, 3.5, 4], [1, 1, 3]))
    canvas.add(stack, candidate(1, [2, 3, 4], [1, 0.001, 1]))
    kept = canvas.kept_grain()
    # Two frames alike; one frame between two pixels; three to one; no candidate; outside.
    np.testing.assert_allclose(kept[1, 2:6], [0.5, 0.5, 10 / 16, 0], atol=2e-3)
    assert (kept[0] == 1).all()


def noise_of(pictures: list[np.ndarray], truth: list[np.ndarray], holes: list[np.ndarray]) -> np.ndarray:
    """Standard deviation in the holes, of what is fine: neighbours' differences cancel what is merely displaced."""
    fine = [np.diff(p.astype(float) - t, axis=1)[h[:, 1:] & h[:, :-1]] for p, t, h in zip(pictures, truth, holes)]
    return np.concatenate(fine).std() / np.sqrt(2)


def test_a_hole_gets_the_grain_of_its_shot(tmp_path: Path) -> None:
    """A disc crosses a flat, grainy shot. What lies behind it is the mean of two frames."""
    sigma = 5.0
    clean = np.repeat(np.linspace(90, 150, WIDTH)[None, :, None], 3, 2) * np.ones((HEIGHT, 1, 1))
    chance = np.random.default_rng(0)
    truth = [np.rint(clean + chance.normal(0, sigma, (HEIGHT, WIDTH, 3))).astype(np.uint8) for _ in range(COUNT)]
    shot = Shot(tmp_path, truth, [disc(40 + 10 * k, 64, 20, WIDTH, HEIGHT) for k in range(COUNT)])
    found = {grain: shot.run(grain=grain)[0] for grain in (0.0, 1.0)}
    clean_frames = [clean] * COUNT
    assert noise_of(found[0.0], clean_frames, shot.holes) < 0.85 * sigma
    assert noise_of(found[1.0], clean_frames, shot.holes) == pytest.approx(sigma, rel=0.12)
    for picture, source, hole in zip(found[1.0], shot.frames, shot.holes):
        np.testing.assert_array_equal(picture[~hole], source[~hole])


def test_what_is_invented_has_grain_that_changes(tmp_path: Path) -> None:
    """A mark that no frame shows anything behind: as grainy as its surroundings in each frame, and anew in each."""
    pictures = [grainy(5.0, seed) for seed in range(COUNT)]
    hole = rectangle(WIDTH, HEIGHT, 100, 40, 150, 80)
    shot = Shot(tmp_path, pictures, [hole] * COUNT)
    made = np.stack(shot.run()[0])[:, hole].astype(float)
    around = np.stack(pictures)[:, ~hole].astype(float)
    assert np.diff(made, axis=0).std() == pytest.approx(np.diff(around, axis=0).std(), rel=0.12)
    clean = np.stack(shot.run(grain=0.0)[0])[:, hole].astype(float)
    assert np.diff(clean, axis=0).std() < 0.5 * np.diff(around, axis=0).std()
    assert noise_of(list(shot.run()[0]), [smooth()] * COUNT, shot.holes) == pytest.approx(5.0, rel=0.2)


def test_smoothing_takes_grain_away_and_leaves_edges() -> None:
    grain = Grain(np.full(3, 5 / 255), 0.0, 0.0)
    step = np.where(np.arange(80)[None, :, None] < 40, 60.0, 180.0) * np.ones((60, 1, 3))
    noisy = (step + np.random.default_rng(0).normal(0, 5, step.shape)).astype(np.float32)
    where = rectangle(80, 60, 10, 0, 80, 60)
    found = without_grain(noisy, where, grain, 255.0)
    np.testing.assert_array_equal(found[~where], noisy[~where])
    assert (found - step)[5:-5, 15:35].std() < 2.5
    assert np.abs(found - step)[5:-5, 38:42].mean() < 6


def test_a_clean_shot_stays_as_it_is(tmp_path: Path) -> None:
    shot = Shot(tmp_path, [view(WIDTH, HEIGHT, 3 * k) for k in range(6)], [disc(60 + 9 * k, 64, 20, WIDTH, HEIGHT) for k in range(6)])
    for a, b in zip(*(shot.run(grain=grain)[0] for grain in (0.0, 1.0)), strict=True):
        np.testing.assert_array_equal(a, b)
