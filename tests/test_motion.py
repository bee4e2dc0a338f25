"""Motion of a pair of frames: cropped, at another size, and from visible pixels alone."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scenery import rectangle, view

from flow_inpaint import motion
from flow_inpaint.completion.smooth import complete
from flow_inpaint.flow.dis import DIS
from flow_inpaint.motion import MotionSettings, View, eight_bits, margin, measure, view_of
from flow_inpaint.propagation.trace import BEYOND, GUARD, Hops, guard_band

WIDTH, HEIGHT = 200, 150
HOLE_A, HOLE_B = rectangle(WIDTH, HEIGHT, 90, 60, 120, 90), rectangle(WIDTH, HEIGHT, 94, 62, 124, 92)
X, Y = 2.4, -1.3


@dataclass
class Told:
    """An estimator that says what a test wants to hear."""

    answer: Callable[[np.ndarray, np.ndarray], np.ndarray]
    colour = False
    short_sighted = False

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.answer(a, b)


def settings(scale: float = 1.0, refinement: int = 3) -> MotionSettings:
    return MotionSettings(DIS(), complete, refinement, scale)


def pair(hole_a: np.ndarray = HOLE_A, hole_b: np.ndarray = HOLE_B, level: int = 0) -> tuple[View, View]:
    """Two views of a texture that moves by (X, Y), with something dark in the holes."""
    pictures = view(WIDTH, HEIGHT), view(WIDTH, HEIGHT, -X, -Y)
    return tuple(view_of(np.where(hole[..., None], np.uint8(level), p), hole) for p, hole in zip(pictures, (hole_a, hole_b)))


def off(hops: Hops, x: float, y: float) -> float:
    return float(np.hypot(hops.u - x, hops.v - y).mean())


@pytest.mark.parametrize(("scale", "bound"), [(1.0, 0.05), (0.5, 0.15)])
def test_hops_of_both_frames(scale: float, bound: float) -> None:
    later, earlier = measure(*pair(), settings(scale))
    assert off(later, X, Y) < bound and off(earlier, -X, -Y) < bound
    assert later.drift.mean() < 2 * bound and earlier.drift.mean() < 2 * bound
    np.testing.assert_array_equal(later.pixels, np.flatnonzero(guard_band(HOLE_A, BEYOND)))
    np.testing.assert_array_equal(earlier.pixels, np.flatnonzero(guard_band(HOLE_B, BEYOND)))
    assert later.pixels.dtype == np.int32 and later.u.dtype == later.v.dtype == later.drift.dtype == np.float32


def test_steps_of_the_guarded_hole_alone() -> None:
    """They are those of the wider surroundings."""
    wide, _ = measure(*pair(), settings(1.0))
    narrow, _ = measure(*pair(), replace(settings(1.0), beyond=False))
    np.testing.assert_array_equal(narrow.pixels, np.flatnonzero(guard_band(HOLE_A, GUARD)))
    for name in ("pixels", "u", "v", "drift"):
        np.testing.assert_array_equal(getattr(narrow, name), getattr(wide.of(narrow.pixels), name))


def test_steps_by_the_camera_are_those_of_most_of_the_picture() -> None:
    """A quarter of the picture moves on its own. What the camera makes of the guarded hole alone is the rest's motion."""
    left = np.arange(WIDTH) < WIDTH // 4
    one, other = (np.stack([np.where(left, 9, sign * s) * np.ones((HEIGHT, 1)) for s in (X, Y)]).astype(np.float32) for sign in (1, -1))

    def told(camera: bool) -> tuple[Hops, Hops]:
        answers = iter([one.copy(), other.copy()])
        return measure(*pair(), replace(settings(refinement=0), estimator=Told(lambda *_: next(answers)), camera=camera))

    for found, hole, sign in zip(told(True), (HOLE_A, HOLE_B), (1, -1)):
        np.testing.assert_array_equal(found.camera.pixels, np.flatnonzero(guard_band(hole, GUARD)))
        assert off(found.camera, sign * X, sign * Y) < 0.05 and found.camera.drift.max() < 0.1
    assert all(found.camera is None for found in told(False))


def test_half_size_is_measured_at_half_size_and_given_in_full_pixels() -> None:
    sizes = []

    def estimator(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sizes.append(a.shape)
        return np.stack([np.full(a.shape, 3, np.float32), np.full(a.shape, -2, np.float32)])

    later, _ = measure(*pair(), MotionSettings(Told(estimator), complete, 0, 0.5))
    assert set(sizes) == {(HEIGHT // 2, WIDTH // 2)}
    np.testing.assert_allclose([later.u.mean(), later.v.mean()], [6, -4], atol=1e-3)


def test_half_a_pixel_of_hole_hides_the_whole_pixel_at_half_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def estimate(a: np.ndarray, b: np.ndarray, hole_a: np.ndarray, hole_b: np.ndarray, **how: object) -> tuple[np.ndarray, np.ndarray]:
        np.testing.assert_array_equal(hole_a, rectangle(WIDTH // 2, HEIGHT // 2, 45, 30, 61, 46))
        return (np.zeros((2, *a.shape), np.float32),) * 2

    monkeypatch.setattr(motion, "estimate_pair", estimate)
    odd = rectangle(WIDTH, HEIGHT, 91, 61, 121, 91)
    measure(*pair(odd, odd), settings(0.5))


def test_what_would_be_too_small_is_measured_in_full() -> None:
    small = rectangle(50, 70, 20, 20, 30, 30)

    def estimator(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        assert a.shape == (70, 50)
        return np.zeros((2, 70, 50), np.float32)

    measure(*(view_of(view(50, 70), small) for _ in range(2)), MotionSettings(Told(estimator), complete, 0, 0.5))


def test_a_crop_gives_the_same_hops_as_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(*pair(), settings())
    monkeypatch.setattr(motion, "_LEAST_MARGIN", 40)
    sizes = []
    dis = DIS()

    def estimator(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sizes.append(a.shape)
        return dis(a, b)

    cropped = measure(*pair(), MotionSettings(Told(estimator), complete, 3, 1.0))
    assert set(sizes) == {(32 + 80, 34 + 80)}
    for found, wanted, hole in zip(cropped, whole, (HOLE_A, HOLE_B), strict=True):
        near = np.flatnonzero(guard_band(hole, 20)).astype(np.int32)
        found, wanted = found.of(near), wanted.of(near)
        np.testing.assert_allclose(found.u, wanted.u, atol=0.15)
        np.testing.assert_allclose(found.v, wanted.v, atol=0.15)


def test_the_margin_grows_with_the_hole() -> None:
    assert margin((slice(0, 10), slice(5, 20))) == 128
    assert margin((slice(0, 200), slice(5, 20))) == margin((slice(5, 20), slice(0, 200))) == 200
    assert margin((slice(0, 2000), slice(0, 3))) == 384


def test_what_is_hidden_does_not_matter() -> None:
    for dark, bright in zip(pair(level=0), pair(level=255)):
        np.testing.assert_array_equal(dark.grey, bright.grey)
    for dark, bright in zip(measure(*pair(level=0), settings()), measure(*pair(level=255), settings())):
        np.testing.assert_array_equal(dark.u, bright.u)


def test_nothing_masked() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), bool)

    def fails(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        raise AssertionError("nothing is to be measured")

    for hops in measure(*pair(nothing, nothing), MotionSettings(Told(fails), complete, 3, 1.0)):
        assert hops.pixels.size == hops.u.size == hops.v.size == hops.drift.size == 0
    later, earlier = measure(*pair(HOLE_A, nothing), settings())
    assert off(later, X, Y) < 0.05 and earlier.pixels.size == 0


def test_a_view_is_grey_and_its_hole_is_painted_smoothly() -> None:
    picture = np.full((40, 60, 3), (200, 100, 50), np.uint8)
    hole = rectangle(60, 40, 20, 10, 40, 30)
    seen = view_of(np.where(hole[..., None], np.uint8(0), picture), hole)
    assert seen.grey.dtype == np.uint8 and (np.abs(seen.grey.astype(int) - round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1).all()
    np.testing.assert_array_equal(view_of(picture, ~hole & hole).grey, view_of(picture, hole).grey)
    np.testing.assert_array_equal(view_of(picture, np.ones((40, 60), bool)).grey, view_of(picture, ~hole & hole).grey)


def test_pictures_of_every_depth_are_measured_alike() -> None:
    levels = np.array([[[0, 64, 255]]], np.uint8)
    np.testing.assert_array_equal(eight_bits(levels), levels)
    np.testing.assert_array_equal(eight_bits(levels.astype(np.uint16) * 256 + 3), levels)
    linear = ((levels / 255) ** 2.2).astype(np.float32)
    np.testing.assert_array_equal(eight_bits(linear), levels)
    np.testing.assert_array_equal(eight_bits(np.float32([[[np.nan, -3, 50]]])), [[[0, 0, 255]]])
    assert eight_bits(levels[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(("width", "height"), [(16, 16), (85, 47), (33, 130)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_small_and_odd_pictures(width: int, height: int, scale: float) -> None:
    hole = rectangle(width, height, width // 3, height // 3, width // 2, height // 2)
    a, b = (view_of(np.where(hole[..., None], np.uint8(0), view(width, height, x)), hole) for x in (0, -1))
    later, earlier = measure(a, b, settings(scale))
    assert np.isfinite([later.u, later.v, later.drift]).all() and later.pixels.size == guard_band(hole, BEYOND).sum()
    if width > 16:
        assert off(later, 1, 0) < 0.4 and off(earlier, -1, 0) < 0.4


@pytest.mark.parametrize(("short_sighted", "beside_camera", "asked"), [(True, True, 4), (True, False, 2), (False, True, 2)])
def test_only_a_short_sighted_estimator_is_asked_again(short_sighted: bool, beside_camera: bool, asked: int) -> None:
    calls, dis = [], DIS()

    def counted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        calls.append(1)
        return dis(a, b)

    estimator = Told(counted)
    estimator.short_sighted = short_sighted
    measure(*pair(), MotionSettings(estimator, complete, 3, 1.0, beside_camera))
    assert len(calls) == asked
