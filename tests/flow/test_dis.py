"""DIS behind our interface."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from scenery import view

from flow_inpaint.flow import ESTIMATORS
from flow_inpaint.flow.dis import DIS
from flow_inpaint.machine import Machine


def grey(width: int, height: int, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return cv2.cvtColor(view(width, height, x, y), cv2.COLOR_RGB2GRAY)


def test_x_is_right_and_y_is_down() -> None:
    flow = DIS()(grey(128, 96), grey(128, 96, -3, 2))
    assert flow.shape == (2, 96, 128) and flow.dtype == np.float32 and flow.flags.c_contiguous
    np.testing.assert_allclose(np.median(flow, axis=(1, 2)), [3, -2], atol=0.1)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 90), (90, 16), (33, 31), (1, 1)])
def test_small_pictures(width: int, height: int) -> None:
    flow = DIS()(grey(width, height), grey(width, height, -1, 0))
    assert flow.shape == (2, height, width) and np.isfinite(flow).all()
    if min(width, height) > 1:
        np.testing.assert_allclose(np.median(flow, axis=(1, 2)), [1, 0], atol=0.3)


def test_one_estimator_serves_many_threads() -> None:
    pairs = [(grey(96, 64), grey(96, 64, -k / 2, k / 4)) for k in range(8)]
    alone = [DIS()(*pair) for pair in pairs]
    shared = DIS()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for wanted, found in zip(alone, pool.map(lambda pair: shared(*pair), pairs), strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_is_the_one_called_dis() -> None:
    assert isinstance(ESTIMATORS["dis"].make(Machine()), DIS)


def test_what_was_measured_before_does_not_matter() -> None:
    """OpenCV's object changes its settings for a small picture."""
    pair = [cv2.cvtColor(view(160, 120, x), cv2.COLOR_RGB2GRAY) for x in (0, 3.3)]
    used = DIS()
    used(*(picture[:30, :40] for picture in pair))
    np.testing.assert_array_equal(used(*pair), DIS()(*pair))
