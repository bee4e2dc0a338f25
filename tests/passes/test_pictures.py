"""The passes of one frame, worked out by hand."""
from __future__ import annotations

import numpy as np
import pytest

from flow_inpaint.media.picture import ArrayPicture
from flow_inpaint.passes.pictures import Origins, origins, patch
from flow_inpaint.propagation.blend import Candidate
from flow_inpaint.sources import Kind, Taken

WIDTH, HEIGHT = 6, 5
FRAMES = np.zeros((4, HEIGHT, WIDTH, 3), np.uint8)


def taken(kind: Kind, rows: list[tuple[int, int, float, float, float, float]], stack: np.ndarray = FRAMES) -> Taken:
    """rows: pixel, frame, x, y, weight, drift."""
    pixels, frame, x, y, weight, drift = (np.array(column) for column in zip(*rows))
    numbers = (part.astype(np.float32) for part in (x, y, weight))
    return Taken(kind, stack, Candidate(pixels, frame, *numbers), frame, drift.astype(np.float32))


def found(*those: Taken, hole: list[int], origin: tuple[int, int] = (0, 0)) -> Origins:
    covered = np.zeros(HEIGHT * WIDTH, bool)
    covered[hole] = True
    return origins(those, covered.reshape(HEIGHT, WIDTH), 2, origin=origin, reach=10, consistency=2.0, white=255.0)


def at(made: Origins, pixel: int) -> tuple[float, ...]:
    return tuple(float(part.ravel()[pixel]) for part in (made.frame, made.x, made.y, made.code, made.confidence))


def test_the_candidate_that_counts_most_is_named_in_the_whole_pictures_pixels():
    near = taken(Kind.FOOTAGE, [(8, 3, 2.25, 1.5, 1.0, 0.0), (9, 3, 3.0, 1.0, 0.2, 0.0)])
    far = taken(Kind.FOOTAGE, [(8, 0, 4.0, 4.0, 0.5, 0.0), (9, 0, 0.75, 3.0, 0.5, 0.0)])
    made = found(near, far, hole=[8, 9], origin=(100, 200))
    assert at(made, 8) == (3, 202.25, 101.5, 1, 1)
    assert at(made, 9)[:4] == (0, 200.75, 103, 1)


def test_nothing_is_said_outside_the_hole():
    made = found(taken(Kind.FOOTAGE, [(8, 3, 2.0, 1.0, 1.0, 0.0)]), hole=[8])
    assert all(at(made, pixel) == (0, 0, 0, 0, 1) for pixel in range(HEIGHT * WIDTH) if pixel != 8)


def test_kinds():
    made = found(
        taken(Kind.FOOTAGE, [(8, 3, 2.0, 1.0, 1.0, 0.0)]),
        taken(Kind.REFERENCE, [(9, 1, 3.0, 1.0, 4.0, 0.0)]),
        taken(Kind.INVENTED, [(10, 0, 4.0, 1.0, 1.0, 0.0)]),
        hole=[8, 9, 10, 11],
    )
    assert [at(made, pixel)[3] for pixel in (8, 9, 10, 11)] == [1, 0.75, 0.5, 0.5]
    assert at(made, 10) == (0, 4, 1, 0.5, 0)
    # Without any candidate: continued from its surroundings, at its own place.
    assert at(made, 11) == (2, 5, 1, 0.5, 0)


def test_confidence_falls_with_drift_and_distance():
    made = found(taken(Kind.FOOTAGE, [(8, 3, 2.0, 1.0, 1.0, 2.0), (9, 0, 3.0, 1.0, 1.0, 0.0)]), hole=[8, 9])
    assert at(made, 8)[4] == pytest.approx(1 / 2)
    assert at(made, 9)[4] == pytest.approx(10 / 11)


def test_confidence_falls_where_the_candidates_disagree():
    stack = FRAMES.copy()
    stack[3] = 51
    made = found(taken(Kind.FOOTAGE, [(8, 3, 2.0, 1.0, 1.0, 0.0)], stack), taken(Kind.FOOTAGE, [(8, 1, 2.0, 1.0, 1.0, 0.0)], stack), hole=[8])
    assert at(made, 8)[4] == pytest.approx(np.exp(-(0.1**2) / 0.08**2), rel=1e-4)


@pytest.mark.parametrize("dtype, white", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_patch_over_the_source_is_the_result(dtype, white):
    chance = np.random.default_rng(1)
    source = (chance.random((HEIGHT, WIDTH, 3)) * white).astype(dtype)
    result, hole = source.copy(), np.zeros((3, 3), bool)
    hole[1, 1] = True
    region = (slice(1, 4), slice(2, 5))
    result[2, 3], result[0, 0] = 0, white
    rgb, alpha = patch(ArrayPicture(0, result), ArrayPicture(0, source), hole, region)
    assert rgb.dtype == alpha.dtype == dtype
    covered = alpha == white
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[:3, :3] = wanted[:5, 1:6] = True  # two pixels around the two that differ
    np.testing.assert_array_equal(covered, wanted)
    assert not alpha[~covered].any()
    np.testing.assert_array_equal(np.where(covered[..., None], rgb, source), result)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_beside_the_patch_the_colours_go_on_where_hosts_scale_before_they_apply_alpha(dtype):
    source = np.full((40, 40, 3), 7, dtype)
    result = source.copy()
    result[20, 10:12] = 9
    rgb, _ = patch(ArrayPicture(0, result), ArrayPicture(0, source), np.zeros((1, 1), bool), (slice(0, 1), slice(0, 1)))
    coloured = np.argwhere(rgb.any(2))
    wanted = ([10, 0], [30, 21]) if dtype == np.uint8 else ([18, 8], [22, 13])
    assert coloured.min(0).tolist() == wanted[0] and coloured.max(0).tolist() == wanted[1]
