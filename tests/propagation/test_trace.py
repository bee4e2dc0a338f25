"""From hidden pixels to the frames that show them."""
from __future__ import annotations

import numpy as np
import pytest
from scenery import rectangle

from flow_inpaint.propagation.trace import (
    GUARD,
    UNSEEN,
    Hops,
    Links,
    follow,
    guard_band,
    hops,
    is_inside,
    nearest,
    sample,
)

WIDTH, HEIGHT = 60, 40
HOLE = rectangle(WIDTH, HEIGHT, 20, 12, 32, 26)
GUARDED = guard_band(HOLE, GUARD)
NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def uniform(u: float, v: float) -> np.ndarray:
    return np.stack([np.full((HEIGHT, WIDTH), u, np.float32), np.full((HEIGHT, WIDTH), v, np.float32)])


def way(hole: np.ndarray, u: float, v: float, off: float = 0.0) -> Hops:
    """Hops along a uniform flow that the flow back disagrees with by `off` pixels."""
    return hops(hole, uniform(u, v), uniform(-u + off, -v))


def followed(
    holes: list[np.ndarray], u: float, v: float, off: float = 0.0, frame: int = 0, frames: range | None = None
) -> Links:
    """The links of one frame of a shot, which has `holes` and moves by (u, v) from each of `frames` to the next."""
    (links,) = follow(
        np.flatnonzero(holes[frame]).astype(np.int32),
        frame,
        range(frame + 1, len(holes)) if frames is None else frames,
        (HEIGHT, WIDTH),
        lambda k: np.flatnonzero(guard_band(holes[k], GUARD)).astype(np.int32),
        lambda k: way(guard_band(holes[k], GUARD), u, v, off),
    )
    return links


def on_pixels(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.rint(y).astype(int), np.rint(x).astype(int)


@pytest.mark.parametrize(
    ("u", "v"), [(-2.3, 0), (-2.3, 0.7), (-0.4, 0), (0.31, 0.27), (-2.6, 0), (1.45, -0.6), (0.9, 0), (0, 3.8), (14, 0)]
)
def test_a_translation_lands_on_the_exact_place_in_the_first_frame_that_shows_it(u: float, v: float) -> None:
    """However slow, and however the steps are rounded: the source is where the pixel went, and never inside the hole."""
    links = followed([HOLE] * 60, u, v)
    ys, xs = np.divmod(links.pixels, WIDTH)
    wide = np.pad(GUARDED, 900)
    first = np.full(xs.size, UNSEEN)
    for step in range(59, 0, -1):
        y, x = on_pixels(xs + np.float32(step * u), ys + np.float32(step * v))
        first[~wide[y + 900, x + 900]] = step
    inside = is_inside(xs + first * u, ys + first * v, (HEIGHT, WIDTH))
    found = links.frame != UNSEEN
    assert inside.mean() > 0.9
    np.testing.assert_array_equal(found, inside)
    np.testing.assert_allclose(links.x[found], xs[found] + u * links.frame[found], atol=1e-3)
    np.testing.assert_allclose(links.y[found], ys[found] + v * links.frame[found], atol=1e-3)
    assert not GUARDED[on_pixels(links.x[found], links.y[found])].any()
    # Exactly on the guard's border the sum of the steps may round the other way.
    assert (np.abs(links.frame - first)[found] <= 1).all() and (links.frame == first)[found].mean() > 0.9


def test_a_hole_that_opens_later_is_traced_into_the_frame_that_opens() -> None:
    holes = [HOLE, HOLE, HOLE, NOTHING, HOLE]
    for frame in range(3):
        links = followed(holes, 0.25, -0.125, frame=frame)
        assert (links.frame == 3).all()
        ys, xs = np.divmod(links.pixels, WIDTH)
        np.testing.assert_allclose(links.x, xs + 0.25 * (3 - frame), atol=1e-4)
        np.testing.assert_allclose(links.y, ys - 0.125 * (3 - frame), atol=1e-4)
    assert followed(holes, 0.5, 0, frame=3).pixels.size == 0
    assert (followed(holes, 0.5, 0, frame=4).frame == UNSEEN).all()


def test_a_static_hole_is_seen_nowhere() -> None:
    assert (followed([HOLE] * 6, 0, 0).frame == UNSEEN).all()


def test_no_frame_is_looked_at_beyond_those_allowed() -> None:
    holes = [HOLE] * 4 + [NOTHING]
    assert (followed(holes, 0, 0, frames=range(1, 4)).frame == UNSEEN).all()
    assert (followed(holes, 0, 0, frames=range(1, 5)).frame == 4).all()
    assert (followed(holes, 0, 0, frames=range(1, 1)).frame == UNSEEN).all()


@pytest.mark.parametrize(("u", "v"), [(-30, 0), (40, 0), (0, -22), (0, 28)])
def test_what_leaves_the_picture_is_not_found(u: float, v: float) -> None:
    links = followed([HOLE, NOTHING], u, v)
    ys, xs = np.divmod(links.pixels, WIDTH)
    inside = is_inside(xs + u, ys + v, (HEIGHT, WIDTH))
    assert not inside.all()
    np.testing.assert_array_equal(links.frame, np.where(inside, 1, UNSEEN))


def test_what_left_the_picture_does_not_come_back() -> None:
    """A step of 40 pixels leads out, and one back in again, where nothing is hidden."""
    there_and_back = lambda k: way(GUARDED, 40 if k == 0 else -40, 0)  # noqa: E731
    hidden = {0: GUARDED, 1: GUARDED, 2: NOTHING}
    pixels = np.flatnonzero(HOLE).astype(np.int32)
    (links,) = follow(pixels, 0, range(1, 3), (HEIGHT, WIDTH), lambda k: np.flatnonzero(hidden[k]), there_and_back)
    assert (links.frame == UNSEEN).all()


def test_the_guard_is_no_source() -> None:
    links = followed([HOLE] * 20, -1, 0)
    found = links.frame != UNSEEN
    assert found.all() and not GUARDED[on_pixels(links.x, links.y)].any()
    np.testing.assert_array_equal(links.x, 20 - GUARD - 1)
    np.testing.assert_array_equal(GUARDED, rectangle(WIDTH, HEIGHT, 20 - GUARD, 12 - GUARD, 32 + GUARD, 26 + GUARD))


def test_each_frame_has_its_own_step() -> None:
    steps = [(0.5, 0), (-0.25, 0.5), (0.25, 0.25)]
    pixels = np.flatnonzero(HOLE).astype(np.int32)
    holes = [GUARDED, GUARDED, GUARDED, NOTHING]
    (links,) = follow(pixels, 0, range(1, 4), (HEIGHT, WIDTH), lambda k: np.flatnonzero(holes[k]), lambda k: way(GUARDED, *steps[k]))
    ys, xs = np.divmod(pixels, WIDTH)
    assert (links.frame == 3).all()
    np.testing.assert_allclose(links.x - xs, 0.5, atol=1e-5)
    np.testing.assert_allclose(links.y - ys, 0.75, atol=1e-5)


def test_drift_adds_up_along_the_way() -> None:
    for frame in range(3):
        links = followed([HOLE] * 3 + [NOTHING], 0.25, 0, off=0.3, frame=frame)
        np.testing.assert_allclose(links.drift, 0.3 * (3 - frame), atol=1e-3)


def test_backwards_in_time() -> None:
    links = followed([NOTHING, HOLE, HOLE, HOLE], 4.75, 0, frame=3, frames=range(2, -1, -1))
    ys, xs = np.divmod(links.pixels, WIDTH)
    np.testing.assert_allclose(links.x, xs + 4.75 * (3 - links.frame), atol=1e-3)
    assert set(links.frame) == {0, 1, 2}


def test_each_frame_hides_its_own_part() -> None:
    left, right = rectangle(WIDTH, HEIGHT, 4, 4, 12, 12), rectangle(WIDTH, HEIGHT, 40, 4, 50, 12)
    assert (followed([left, right, left], 0, 0).frame == 1).all()
    assert (followed([left, left, right], 0, 0).frame == 2).all()


def followed_on(around: int, most: int, frames: int = 60) -> list[Links]:
    """The links of a hole that stands still before a ground that moves by (-2.3, 0.4), with steps `around` it."""
    return follow(
        np.flatnonzero(HOLE).astype(np.int32),
        0,
        range(1, frames),
        (HEIGHT, WIDTH),
        lambda k: np.flatnonzero(GUARDED),
        lambda k: way(guard_band(HOLE, around), -2.3, 0.4),
        most=most,
    )


def test_ways_go_on_to_more_frames_that_see_a_pixel() -> None:
    first, *further = followed_on(around=20, most=3)
    alone = followed([HOLE] * 60, -2.3, 0.4)
    for mine, theirs in zip(vars(first).values(), vars(alone).values()):
        np.testing.assert_array_equal(mine, theirs)
    ys, xs = np.divmod(first.pixels, WIDTH)
    for rank, links in enumerate(further, 1):
        found = links.frame != UNSEEN
        assert found.mean() > 0.7
        np.testing.assert_array_equal(links.frame[found], first.frame[found] + rank)
        np.testing.assert_allclose(links.x[found], xs[found] - 2.3 * links.frame[found], atol=1e-3)
        np.testing.assert_allclose(links.y[found], ys[found] + 0.4 * links.frame[found], atol=1e-3)
        assert is_inside(links.x[found], links.y[found], (HEIGHT, WIDTH)).all()


def test_ways_end_where_there_are_no_steps() -> None:
    """Beyond the guard alone there is the frame in which a pixel gets out, and no other."""
    first, second = followed_on(around=GUARD, most=2)
    assert (first.frame != UNSEEN).all() and (second.frame == UNSEEN).all()


def test_a_frame_that_hides_a_pixel_again_is_passed_over() -> None:
    holes = [HOLE, NOTHING, HOLE, HOLE, NOTHING]
    links = follow(
        np.flatnonzero(HOLE).astype(np.int32), 0, range(1, 5), (HEIGHT, WIDTH),
        lambda k: np.flatnonzero(holes[k]), lambda k: way(GUARDED, 0, 0, off=0.25), most=3,
    )  # fmt: skip
    assert (links[0].frame == 1).all() and (links[1].frame == 4).all() and (links[2].frame == UNSEEN).all()
    np.testing.assert_allclose(links[1].drift, 1.0, atol=1e-3)


def test_a_turning_zooming_flow_is_followed() -> None:
    """Steps that differ from pixel to pixel: each is taken where the pixel is by then, not where it started."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    flow = np.stack([0.03 * (x - 26) - 0.05 * (y - 19), 0.05 * (x - 26) + 0.03 * (y - 19)])
    still = np.zeros_like(flow)
    shots = [GUARDED] * 40
    pixels = np.flatnonzero(HOLE).astype(np.int32)
    (links,) = follow(pixels, 0, range(1, 40), (HEIGHT, WIDTH), lambda k: np.flatnonzero(shots[k]), lambda k: hops(GUARDED, flow, still))
    ys, xs = np.divmod(pixels, WIDTH)
    turned = ((xs - 26) + 1j * (ys - 19)) * (1.03 + 0.05j) ** links.frame
    found = links.frame != UNSEEN
    assert found.mean() > 0.8
    off = np.abs(links.x + 1j * links.y - (26 + 19j) - turned)[found]
    assert off.max() < 1.0 and np.median(off) < 0.4


def test_the_outermost_pixels_are_as_large_as_all_others() -> None:
    x, y = np.array([-0.6, -0.4, 0, 7.4, 7.6, 3]), np.array([2, 2, 2, 2, 2, 4.6])
    np.testing.assert_array_equal(is_inside(x, y, (5, 8)), [False, True, True, True, False, False])
    np.testing.assert_array_equal(is_inside(y, x, (8, 5)), [False, True, True, True, False, False])
    np.testing.assert_array_equal(nearest(x[1:4], y[1:4], (5, 8)), [16, 16, 23])


def test_motion_that_is_a_little_wrong_loses_nothing_at_the_edge() -> None:
    edge = rectangle(WIDTH, HEIGHT, 0, 0, 12, HEIGHT)
    links = followed([edge, edge, NOTHING], -0.1, 0.1)
    assert (links.frame == 2).all()


def test_hops_say_how_far_both_directions_disagree() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    forward, back = uniform(2.5, -1.5), np.stack([-2.5 + 0.1 * x, 1.5 + 0 * y])
    found = hops(HOLE, forward, back)
    ys, xs = np.divmod(found.pixels, WIDTH)
    np.testing.assert_array_equal(found.pixels, np.flatnonzero(HOLE))
    np.testing.assert_allclose(found.drift, 0.1 * (xs + 2.5), atol=1e-4)
    np.testing.assert_array_equal(np.stack([found.u, found.v]), np.broadcast_to([[2.5], [-1.5]], (2, found.pixels.size)))
    assert np.isfinite(hops(HOLE, uniform(500, -500), back).drift).all()


@pytest.mark.parametrize("shape", [(9, 13), (1, 13), (9, 1), (1, 1)])
def test_samples_are_bilinear_up_to_the_edge(shape: tuple[int, int]) -> None:
    h, w = shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    image = np.stack([2 * x + 3 * y, -x, x * y])
    at_x, at_y = (np.random.default_rng(k).uniform(0, end - 1, 50).astype(np.float32) for k, end in enumerate((w, h)))
    at_x[:2], at_y[:2] = (0, w - 1), (h - 1, 0)
    np.testing.assert_allclose(sample(image, at_x, at_y), [2 * at_x + 3 * at_y, -at_x, at_x * at_y], atol=1e-3)
