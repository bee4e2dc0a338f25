"""Both ways out of a hole made to end at the same thing."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenery import rectangle, seen_at
from test_pipeline import Shot

from flow_inpaint.propagation.closing import error_of_a_step, moved, steps_of
from flow_inpaint.propagation.trace import UNSEEN, Links

WIDTH, HEIGHT = 96, 80
HOLE = rectangle(WIDTH, HEIGHT, 28, 24, 68, 56)
BEFORE, AFTER = 3, 5
STEPS = tuple(np.where(HOLE, count, 0) for count in (BEFORE, AFTER))


def bump(size: float) -> np.ndarray:
    """(H, W) an error that is largest in the middle of the hole and none at its border."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    return np.where(HOLE, size * np.sin(np.pi * (x - 27) / 41) * np.sin(np.pi * (y - 23) / 33), 0)


def carried(dx: np.ndarray, dy: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(H, W) uint8, the texture looked at that far beside."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    return np.rint(np.where(HOLE, seen_at(x + dx, y + dy, seed=seed).mean(-1), seen_at(x, y).mean(-1))).astype(np.uint8)


def both(u: np.ndarray, v: np.ndarray, **other: int) -> tuple[np.ndarray, np.ndarray]:
    """What frames before and after show through a flow that is wrong by so much a step, the one back by the opposite."""
    return carried(-BEFORE * u, -BEFORE * v), carried(AFTER * u, AFTER * v, **other)


def test_the_error_is_found() -> None:
    u, v = bump(0.8), bump(-0.5)
    found = error_of_a_step(*both(u, v), HOLE, STEPS)
    inner = rectangle(WIDTH, HEIGHT, 34, 30, 62, 50)
    assert np.hypot(found[0] - u, found[1] - v)[inner].mean() < 0.25 * np.hypot(u, v)[inner].mean()
    assert not found[:, ~HOLE].any()


def test_no_error_is_none() -> None:
    found = error_of_a_step(*both(bump(0), bump(0)), HOLE, STEPS)
    assert np.abs(found).max() < 0.02


def test_what_is_not_alike_says_nothing() -> None:
    """After the hole something else is there than before it: no motion explains that."""
    found = error_of_a_step(*both(bump(0), bump(0), seed=5), HOLE, STEPS)
    assert found is None or np.hypot(*found)[HOLE].mean() < 0.1


def test_what_one_side_shows_follows_its_neighbours() -> None:
    u, v = bump(0.8), bump(0.0)
    left = rectangle(WIDTH, HEIGHT, 28, 24, 44, 56)
    steps = np.where(left, 0, STEPS[0]), STEPS[1]
    before, after = both(u, v)
    found = error_of_a_step(np.where(left, 0, before).astype(np.uint8), after, HOLE, steps)
    there, beside = found[0][36:44, 38:42].mean(), u[36:44, 38:42].mean()
    assert 0.15 * beside < there < beside


@pytest.mark.parametrize("seen", [STEPS[0] * 0, STEPS[0] * (np.arange(WIDTH) < 29)])
def test_one_side_alone_says_nothing(seen: np.ndarray) -> None:
    assert error_of_a_step(*both(bump(1), bump(1)), HOLE, (seen, STEPS[1])) is None


def links(frame: list[int], x: list[float], y: list[float]) -> Links:
    return Links(np.arange(len(frame), dtype=np.int32), np.int32(frame), np.float32(x), np.float32(y), np.zeros(len(frame), np.float32))


def shift(every: list[Links], sign: int, hidden: dict[int, list[int]] = {}) -> list[Links]:  # noqa: B006
    error = np.array([[0.5, 0.5, 0.5], [0.0, -0.25, 0.0]])
    return moved(every, 10, sign, error, (20, 30), lambda k: np.array(hidden.get(k, []), np.int32))


def test_links_go_back_as_many_errors_as_they_have_steps() -> None:
    (found,) = shift([links([12, 14, UNSEEN], [9, 9, 9], [5, 5, 5])], 1)
    assert found.x.tolist() == [8, 7, 9] and found.y.tolist() == [5, 6, 5]
    assert found.frame.tolist() == [12, 14, UNSEEN] and found.x.dtype == np.float32


def test_links_to_earlier_frames_go_the_other_way() -> None:
    (found,) = shift([links([8, 6, 9], [9, 9, 9], [5, 5, 5])], -1)
    assert found.x.tolist() == [10, 11, 9.5] and found.y.tolist() == [5, 4, 5]


def test_beyond_the_hole_nothing_is_added() -> None:
    """The second link of a pixel is further on in the visible: it moves as far as the first."""
    found = shift([links([12] * 3, [9] * 3, [5] * 3), links([15, 16, UNSEEN], [20] * 3, [5] * 3)], 1)
    assert (found[1].x - [20] * 3).tolist() == [-1, -1, 0]


def test_no_link_is_led_into_a_hole_or_out_of_the_picture() -> None:
    (found,) = shift([links([12, 12, 12], [9, 9, 0.25], [5, 5, 5])], 1, {12: [5 * 30 + 8], 13: [5 * 30 + 9]})
    assert found.x.tolist() == [9, 8, 0.25] and found.y.tolist() == [5, 5.5, 5]


def test_steps() -> None:
    assert steps_of(links([12, 7, UNSEEN], [0] * 3, [0] * 3), 10).tolist() == [2, 3, 0]


def test_motion_that_the_surroundings_do_not_tell(tmp_path: Path) -> None:
    """Rows of the ground move the faster the nearer they are to the middle row; above and below the hole all is slow.
    In the middle of the clip most of the hole is seen before and after."""
    y, x = np.mgrid[:96, :160].astype(float)
    speed = 3 + 2 * np.exp(-(((y - 48) / 10) ** 2))
    hole = rectangle(160, 96, 60, 30, 90, 66)
    truth = [np.rint(seen_at(x - speed * (k - 12), y)).astype(np.uint8) for k in range(24)]
    shot = Shot(tmp_path, truth, [hole] * len(truth))
    quality = {match: shot.quality(shot.run(match_sides=match)[0][8:16], 8) for match in (False, True)}
    assert quality[True] > quality[False] + 1
