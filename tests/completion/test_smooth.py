"""The smooth completion of a flow."""
from __future__ import annotations

import numpy as np
import pytest
from scenery import rectangle

from flow_inpaint.completion.smooth import complete


def affine(width: int, height: int) -> np.ndarray:
    """(2, H, W): the flow of a camera that turns, zooms and shifts."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([3 + 0.05 * x - 0.02 * y, -1 + 0.02 * x + 0.04 * y])


@pytest.mark.parametrize("hole", [(20, 10, 45, 40), (0, 0, 30, 30), (60, 20, 85, 47), (0, 12, 85, 30)], ids=str)
def test_a_uniform_flow_is_continued_unchanged(hole: tuple[int, int, int, int]) -> None:
    flow, unknown = np.stack([np.full((47, 85), 2.5, np.float32), np.full((47, 85), -7, np.float32)]), rectangle(85, 47, *hole)
    np.testing.assert_allclose(complete(np.where(unknown, 1000, flow), unknown), flow, atol=1e-3)


def test_a_turning_and_zooming_camera_is_continued_inside() -> None:
    flow, unknown = affine(85, 47), rectangle(85, 47, 20, 10, 60, 40)
    np.testing.assert_allclose(complete(np.where(unknown, 1000, flow), unknown), flow, atol=0.05)


def test_each_channel_is_completed_from_its_own_border() -> None:
    unknown = rectangle(60, 40, 15, 10, 45, 30)
    flow = np.zeros((2, 40, 60), np.float32)
    flow[0] = 5
    found = complete(np.where(unknown, 99, flow), unknown)
    np.testing.assert_allclose(found, flow, atol=1e-3)
    assert found.flags.c_contiguous and found.shape == flow.shape and found.dtype == np.float32


def test_the_known_part_is_kept() -> None:
    flow, unknown = np.random.default_rng(0).normal(0, 5, (2, 40, 60)).astype(np.float32), rectangle(60, 40, 15, 10, 45, 30)
    before = flow.copy()
    np.testing.assert_array_equal(complete(flow, unknown)[:, ~unknown], flow[:, ~unknown])
    np.testing.assert_array_equal(flow, before)


@pytest.mark.parametrize("unknown", [np.zeros((40, 60), bool), np.ones((40, 60), bool)], ids=["all known", "nothing known"])
def test_nothing_to_do_or_to_go_by(unknown: np.ndarray) -> None:
    flow = affine(60, 40)
    np.testing.assert_array_equal(complete(flow, unknown), flow)
