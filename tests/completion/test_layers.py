"""The completion of a flow whose border shows things at different depths."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenery import rectangle

from flow_inpaint.completion import layers, smooth

WIDTH, HEIGHT = 120, 80
HOLE = rectangle(WIDTH, HEIGHT, 40, 24, 80, 56)


def moving(*, left: tuple[float, float], right: tuple[float, float], edge: int = 60, blur: int = 0) -> np.ndarray:
    """(2, H, W): one motion left of an edge and another right of it, with `blur` pixels between them."""
    there = np.zeros((HEIGHT, WIDTH), np.float32)
    there[:, edge:] = 1
    if blur:
        there = cv2.blur(there, (blur, 1))
    return np.stack([(1 - there) * a + there * b for a, b in zip(left, right)]).astype(np.float32)


def completed(flow: np.ndarray, hole: np.ndarray = HOLE) -> np.ndarray:
    return layers.complete(np.where(hole, np.float32(1000), flow), hole)


def off(found: np.ndarray, flow: np.ndarray, where: np.ndarray = HOLE) -> np.ndarray:
    """End-point errors, pixels."""
    return np.hypot(*(found - flow))[where]


@pytest.mark.parametrize("blur", [0, 7])
def test_two_motions_meet_inside_and_do_not_mix(blur: int) -> None:
    """A motion's border is as blurred as an estimator leaves it, and what lies between the two is taken for neither."""
    flow = moving(left=(4, 0), right=(-2, 1))
    given = moving(left=(4, 0), right=(-2, 1), blur=blur)
    found = completed(given)
    one, other = (np.hypot(found[0] - u, found[1] - v)[HOLE] < (0.5 if blur else 0.01) for u, v in ((4, 0), (-2, 1)))
    assert (one | other).mean() > 0.97
    assert (off(found, flow) < 0.5).mean() > 0.93
    mixed = smooth.complete(np.where(HOLE, np.float32(1000), given), HOLE)
    assert (off(mixed, flow) < 0.5).mean() < 0.5


def test_three_motions() -> None:
    flow = moving(left=(4, 0), right=(-2, 1))
    flow[:, 40:, 60:] = np.array([1, -5], np.float32)[:, None, None]
    assert (off(completed(flow), flow) < 0.1).mean() > 0.9


def test_each_motion_goes_on_changing_as_it_does_outside() -> None:
    """The left one is a camera's that rolls and comes closer."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    flow = moving(left=(6, 0), right=(-4, 1))
    flow[:, :, :60] += np.stack([0.01 * x - 0.02 * y, 0.02 * x + 0.01 * y])[:, :, :60]
    found = completed(flow)
    assert np.quantile(off(found, flow, HOLE & (x < 55)), 0.95) < 0.25


def test_one_motion_that_changes_steadily_is_no_two() -> None:
    """A floor seen from the side moves the faster the nearer it is, by more than the two motions above lie apart."""
    y = np.mgrid[:HEIGHT, :WIDTH][0].astype(np.float32)
    flow = np.stack([0.2 * y, np.zeros_like(y)])
    np.testing.assert_array_equal(completed(flow), smooth.complete(np.where(HOLE, np.float32(1000), flow), HOLE))
    assert off(completed(flow), flow).max() < 0.1


@pytest.mark.parametrize("apart", [0.0, 0.6])
def test_motions_that_hardly_differ_are_continued_smoothly(apart: float) -> None:
    flow = moving(left=(2, 0), right=(2 + apart, 0))
    np.testing.assert_array_equal(completed(flow), smooth.complete(np.where(HOLE, np.float32(1000), flow), HOLE))


def test_a_speck_is_no_motion_of_its_own() -> None:
    """A few wrong pixels at the border, less than a twentieth of it."""
    flow = moving(left=(2, 0), right=(2, 0))
    flow[:, 14:22, 44:50] = 30
    np.testing.assert_array_equal(completed(flow), smooth.complete(np.where(HOLE, np.float32(1000), flow), HOLE))


def test_noise_does_not_make_motions() -> None:
    flow = moving(left=(2, 0), right=(2, 0)) + np.random.default_rng(0).normal(0, 1, (2, HEIGHT, WIDTH)).astype(np.float32)
    np.testing.assert_array_equal(completed(flow), smooth.complete(np.where(HOLE, np.float32(1000), flow), HOLE))


@pytest.mark.parametrize("hole", [(0, 0, 60, 30), (80, 50, 120, 80), (0, 30, 120, 50), (28, 38, 31, 41)], ids=str)
def test_holes_at_the_edge_of_the_picture_and_small_ones(hole: tuple[int, int, int, int]) -> None:
    flow, unknown = moving(left=(4, 0), right=(-2, 1), edge=30), rectangle(WIDTH, HEIGHT, *hole)
    found = completed(flow, unknown)
    assert np.isfinite(found).all() and found.dtype == np.float32 and found.flags.c_contiguous
    assert (off(found, flow, unknown) < 0.2).mean() > 0.85


def test_the_known_part_is_kept_and_nothing_is_changed_in_place() -> None:
    flow = moving(left=(4, 0), right=(-2, 1))
    before = flow.copy()
    np.testing.assert_array_equal(layers.complete(flow, HOLE)[:, ~HOLE], flow[:, ~HOLE])
    np.testing.assert_array_equal(flow, before)


@pytest.mark.parametrize("unknown", [np.zeros((HEIGHT, WIDTH), bool), np.ones((HEIGHT, WIDTH), bool)], ids=["nothing", "everything"])
def test_where_nothing_is_known_or_nothing_unknown_the_flow_stays(unknown: np.ndarray) -> None:
    flow = moving(left=(4, 0), right=(-2, 1))
    np.testing.assert_array_equal(layers.complete(flow, unknown), flow)


def test_no_chance_has_a_say() -> None:
    """Frames are measured by several threads, and a part of a shot has to come out as the whole."""
    flow = moving(left=(4, 0), right=(-2, 1)) + np.random.default_rng(1).normal(0, 0.3, (2, HEIGHT, WIDTH)).astype(np.float32)
    first = completed(flow)
    cv2.setRNGSeed(77)
    np.testing.assert_array_equal(completed(flow), first)


#: A hole large enough that the motion beside its border is seen to change steadily: what differs within some pixels is an outline.
LARGE = rectangle(280, 240, 80, 60, 200, 180)


def street() -> np.ndarray:
    """(2, 240, 280): a wall moves as one, and the floor before it the faster the nearer: two motions with a gap between them, where the
    hole hides what is between, and no outline."""
    y = np.mgrid[:240, :280][0].astype(np.float32)
    return np.stack([1 + 0.05 * np.maximum(y - 90, 0), np.zeros_like(y)])


def test_a_wall_and_the_floor_before_it_are_one_layer() -> None:
    given = np.where(LARGE, np.float32(1000), street())
    np.testing.assert_array_equal(layers.complete(given, LARGE), smooth.complete(given, LARGE))


def test_something_before_a_wall_and_a_floor_is_a_layer_and_they_are_one() -> None:
    flow, thing = street(), rectangle(280, 240, 0, 0, 140, 240)
    flow[:, thing] = np.array([-9, 0], np.float32)[:, None]
    found = completed(flow, LARGE)
    assert (off(found, flow, LARGE & thing) < 0.2).mean() > 0.8
    assert (off(found, flow, LARGE & ~thing) < 0.7).mean() > 0.7


@pytest.mark.parametrize("side", [150, 240, 400])
def test_a_large_hole_is_looked_at_in_a_smaller_picture(side: int) -> None:
    """Two motions that are sharp to the pixel outside, and meet within a few pixels of the right place inside."""
    size = side + 100
    hole = rectangle(size, size, 50, 50, 50 + side, 50 + side)
    x = np.mgrid[:size, :size][1]
    edge = size // 2 + 3
    flow = np.where(x < edge, np.float32([4, 0])[:, None, None], np.float32([-2, 1])[:, None, None])
    found = completed(flow, hole)
    np.testing.assert_array_equal(found[:, ~hole], flow[:, ~hole])
    assert off(found, flow, hole & (np.abs(x - edge) > 5)).max() < 0.01


def test_a_thin_hole_may_be_a_large_one() -> None:
    """One pixel wide lines, of which a smaller picture may have none."""
    hole = np.zeros((601, 601), bool)
    hole[1::4, 1:-1] = True
    x = np.mgrid[:601, :601][1]
    flow = np.where(x < 300, np.float32([4, 0])[:, None, None], np.float32([-2, 1])[:, None, None])
    found = completed(flow, hole)
    assert np.isfinite(found).all() and (off(found, flow, hole) < 0.1).mean() > 0.98
