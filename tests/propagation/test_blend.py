"""Carried pixels joined to a picture."""
from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scenery import psnr, rectangle, seen_at, view

from flow_inpaint.propagation import blend
from flow_inpaint.propagation.blend import Candidate, Canvas, weight_of

WIDTH, HEIGHT = 64, 48
INSIDE = rectangle(WIDTH, HEIGHT, 20, 12, 44, 36)
HOLES = {
    "inside": INSIDE,
    "left edge": rectangle(WIDTH, HEIGHT, 0, 12, 20, 36),
    "lower right corner": rectangle(WIDTH, HEIGHT, 40, 20, 64, 48),
    "top": rectangle(WIDTH, HEIGHT, 0, 0, 64, 16),
}


@pytest.fixture(params=HOLES)
def hole(request: pytest.FixtureRequest) -> np.ndarray:
    return HOLES[request.param]


def candidate(hole: np.ndarray, frame: int = 0, x: float = 0.0, y: float = 0.0, weight: float = 1.0) -> Candidate:
    """Every hole pixel from the place (x, y) beside it in one frame."""
    pixels = np.flatnonzero(hole)
    ys, xs = np.divmod(pixels, hole.shape[1])
    ones = np.ones(pixels.size, np.float32)
    return Candidate(pixels, np.full(pixels.size, frame, np.int32), (xs + x).astype(np.float32), (ys + y).astype(np.float32), ones * weight)


def spoilt(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    return np.where(hole[..., None], np.uint8(255), picture)


@pytest.mark.parametrize("gradient", [True, False], ids=["gradient", "linear"])
def test_a_still_camera_brings_the_very_pixels_back(hole: np.ndarray, gradient: bool) -> None:
    truth = view(WIDTH, HEIGHT)
    canvas = Canvas(spoilt(truth, hole), hole)
    canvas.add(truth[None], candidate(hole))
    found = canvas.finish(gradient)
    assert found.shape == truth.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, truth, atol=0.02)


@pytest.mark.parametrize("gradient", [True, False], ids=["gradient", "linear"])
def test_samples_between_pixels(gradient: bool) -> None:
    truth, moved = view(WIDTH, HEIGHT), view(WIDTH, HEIGHT, -2.5, 1.25)
    canvas = Canvas(spoilt(truth, INSIDE), INSIDE)
    canvas.add(moved[None], candidate(INSIDE, x=2.5, y=-1.25))
    assert psnr(canvas.finish(gradient)[INSIDE], truth[INSIDE]) > 36


def test_linear_samples_are_bilinear_to_the_last_pixel() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    plane = np.stack([x, y, x + y], -1)
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    at = candidate(everywhere, x=0.3, y=-0.4)
    canvas = Canvas(plane, everywhere)
    canvas.add(plane[None], at)
    wanted_x, wanted_y = np.clip(at.x, 0, WIDTH - 1), np.clip(at.y, 0, HEIGHT - 1)
    wanted = np.stack([wanted_x, wanted_y, wanted_x + wanted_y], -1).reshape(plane.shape)
    np.testing.assert_allclose(canvas.finish(False), wanted, atol=1e-3)


@pytest.mark.parametrize(("x", "y"), [(-20, -12), (20, 12)])
def test_sources_at_the_pictures_edge_keep_their_slope(x: int, y: int) -> None:
    """A hole in the middle that comes from a corner. Nothing beyond the corner is known, and no step may come of that."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    slope = np.stack([3 * columns + 2 * rows] * 3, -1).astype(np.float32)
    canvas = Canvas(spoilt(slope, INSIDE), INSIDE)
    canvas.add(slope[None] - 3 * x - 2 * y + 5, candidate(INSIDE, x=x, y=y))
    found = canvas.finish(True, 1000)
    np.testing.assert_allclose(found, slope, atol=2)


def test_gradient_removes_an_offset_of_exposure_and_linear_does_not(hole: np.ndarray) -> None:
    truth = view(WIDTH, HEIGHT)
    brighter = truth.astype(np.float32) + 20
    found = {}
    for gradient in (True, False):
        canvas = Canvas(spoilt(truth, hole), hole)
        canvas.add(brighter[None], candidate(hole))
        found[gradient] = canvas.finish(gradient)
    assert np.abs(found[True] - truth).max() < 1.5
    np.testing.assert_allclose(found[False][hole], brighter[hole], atol=1e-3)


@pytest.mark.parametrize("factor", [0.4, 1.6])
@pytest.mark.parametrize("white", [255.0, 1.0])
def test_where_one_source_follows_another_no_dark_cloud_grows_and_no_glow(white: float, factor: float) -> None:
    """An object's shadow, or its lamps' light, lies beside the mattes that sources end at; each end would change all beyond it."""
    lit = np.full((96, 64, 3), 0.6 * white, np.float32)
    hole = rectangle(64, 96, 0, 0, 64, 80)
    canvas = Canvas(np.where(hole[..., None], np.float32(0), lit), hole)
    for top, bottom in ((0, 40), (40, 60), (60, 80)):
        shaded = lit.copy()
        shaded[top - 6 if top else 0 : top] *= factor
        canvas.add(shaded[None], candidate(rectangle(64, 96, 0, top, 64, bottom)))
    found = canvas.finish(True, white)
    np.testing.assert_allclose(found[:20], lit[:20], atol=0.03 * white)
    # Still there is no edge where they follow each other.
    assert np.abs(np.diff(found[..., 0], axis=0)).max() < 0.25 * white


@pytest.mark.parametrize("white", [255.0, 1.0])
def test_what_is_darker_all_around_is_darker_light(white: float) -> None:
    clean = np.full((96, 128, 3), 0.6 * white, np.float32)
    hole = rectangle(128, 96, 30, 20, 98, 70)
    canvas = Canvas(clean * np.float32(0.7), hole)
    canvas.add(clean[None], candidate(hole))
    np.testing.assert_allclose(canvas.finish(True, white)[45, 64], 0.42 * white, atol=0.06 * white)


def test_pixels_outside_the_hole_are_kept(hole: np.ndarray) -> None:
    picture = view(WIDTH, HEIGHT)
    for gradient in (True, False):
        canvas = Canvas(picture, hole)
        canvas.add(view(WIDTH, HEIGHT, seed=1)[None], candidate(hole))
        np.testing.assert_array_equal(canvas.finish(gradient)[~hole], picture[~hole])
    np.testing.assert_array_equal(picture, view(WIDTH, HEIGHT))


def test_candidates_are_weighed() -> None:
    stack = np.stack([np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 100, 40)])
    canvas = Canvas(stack[0], INSIDE)
    canvas.add(stack, candidate(INSIDE, frame=1, weight=3))
    canvas.add(stack, candidate(INSIDE, frame=2, weight=1))
    np.testing.assert_allclose(canvas.finish(False)[INSIDE], 85, atol=1e-3)


def test_missing_and_what_becomes_of_it() -> None:
    truth, left = view(WIDTH, HEIGHT), rectangle(WIDTH, HEIGHT, 20, 12, 30, 36)
    canvas = Canvas(spoilt(truth, INSIDE), INSIDE)
    np.testing.assert_array_equal(canvas.missing(), INSIDE)
    nothing = np.zeros(0, np.int32)
    canvas.add(truth[None], Candidate(nothing, nothing, nothing, nothing, nothing))
    np.testing.assert_array_equal(canvas.missing(), INSIDE)
    canvas.add(truth[None], candidate(left))
    np.testing.assert_array_equal(canvas.missing(), INSIDE & ~left)
    canvas.add(truth[None], candidate(left))
    found = canvas.finish(True)
    np.testing.assert_allclose(found[left & (np.arange(WIDTH) < 27)], truth[left & (np.arange(WIDTH) < 27)], atol=20)
    rest = found[INSIDE & ~left]
    # The surroundings run on: no white from the hole, and smoother than any texture.
    detail = [np.abs(np.diff(picture[14:34, 34:42].astype(float), axis=1)).mean() for picture in (found, truth)]
    assert rest.max() < truth.max() and detail[0] < 0.5 * detail[1]


@pytest.mark.parametrize("gradient", [True, False])
def test_no_candidate_at_all_continues_the_surroundings(gradient: bool) -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    np.testing.assert_allclose(Canvas(spoilt(picture, INSIDE), INSIDE).finish(gradient), 90, atol=1e-2)


def test_a_post_in_front_of_the_hole_does_not_bleed_into_it() -> None:
    """The matte ends at a white post. The carried background is grey to the hole's rim, and has to stay so."""
    picture = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    picture[:, 44:48] = 250
    canvas = Canvas(spoilt(picture, INSIDE), INSIDE)
    canvas.add(np.full((1, HEIGHT, WIDTH, 3), 100, np.uint8), candidate(INSIDE))
    assert np.abs(canvas.finish(True)[INSIDE] - 100).max() < 8


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255.0), (np.uint16, 65535.0), (np.float32, 1.0)])
def test_every_depth_gives_the_same_picture(dtype: type[np.generic], white: float) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    truth = (seen_at(x, y) / 255 * white).astype(dtype)
    brighter = np.clip(truth * 1.0 + 0.06 * white, 0, white).astype(dtype)
    canvas = Canvas(np.where(INSIDE[..., None], dtype(white), truth), INSIDE)
    canvas.add(brighter[None], candidate(INSIDE))
    assert np.abs(canvas.finish(True, white) / white * 255 - truth / white * 255)[INSIDE].mean() < 2


def test_the_weight_falls_with_distance_and_drift() -> None:
    near, far, doubtful, hopeless = weight_of(np.array([1, 10, 1, 10]), np.array([0.1, 0.1, 8.0, 80.0]), 2.0)
    assert near > far > hopeless > 0 and near > doubtful > hopeless
    level = weight_of(np.array([1, 4]), np.zeros(2), 2.0)
    np.testing.assert_allclose(level[1] / level[0], 0.4)
    np.testing.assert_allclose(weight_of(np.array([1]), np.array([2.0]), 2.0), level[0] / 2)
    assert weight_of(np.array([1]), np.array([4.0]), 8.0) > weight_of(np.array([1]), np.array([4.0]), 1.0)


def test_a_large_hole_takes_memory_for_what_it_is_filled_with_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for all that is looked at on the way, of all of its pixels at once, nor for the picture around it."""
    stack = np.random.default_rng(0).integers(0, 255, (2, 500, 800, 3), np.uint8)
    hole = np.zeros((500, 800), bool)
    hole[100:400, 200:600] = True
    pixels = np.flatnonzero(hole).astype(np.int32)
    y, x = (part.astype(np.float32) + 0.3 for part in np.divmod(pixels, 800))
    ones = np.ones(pixels.size, np.float32)
    found = []
    for at_once in (1 << 13, pixels.size):
        monkeypatch.setattr(blend, "_AT_ONCE", at_once)
        tracemalloc.start()
        canvas = Canvas(stack[0], hole)
        for gain in (None, np.full((pixels.size, 3), 0.9)):
            canvas.add(stack, Candidate(pixels, np.ones(pixels.size, np.int64), x, y, ones, gain))
        sampled = tracemalloc.get_traced_memory()[1]
        pictures = canvas.finish(gradient=True), canvas.kept_grain()
        found.append((pictures, sampled, tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
    for a, b in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_array_equal(a, b)
    kept = 17 * 4 * pixels.size + 12 * hole.size
    assert found[0][1] < 1.5 * kept < found[1][1] / 2
    assert found[0][2] < 4.5 * kept
