"""Estimators against exact flow."""
from __future__ import annotations

import numpy as np
import pytest

from flow_inpaint.errors import Aborted
from flow_inpaint.evaluation import footage
from flow_inpaint.evaluation.bench import Method
from flow_inpaint.evaluation.estimating import EstimationBench, estimator


class Constant:
    """Says always the same flow. `colour`: of what it wants to see."""

    def __init__(self, u, v, colour=False):
        self.flow, self.colour, self.shapes = (u, v), colour, []

    def __call__(self, a, b):
        self.shapes.append(a.shape)
        return np.broadcast_to(np.array(self.flow, np.float32)[:, None, None], (2, *a.shape[:2]))


@pytest.fixture(scope="module")
def clip():
    return footage.generated(5, 1, (64, 96), 3)._make(0)


def figures_of(clip, method):
    bench = EstimationBench([method])
    with bench.opened(clip, "", lambda: False) as ready:
        ((figures, picture),) = bench.measure(method, ready, lambda: False)
        assert picture.shape == ready.frames[0].shape
    return figures


def test_the_error_of_a_known_answer(clip):
    constant = Constant(1.0, -2.0)
    figures = figures_of(clip, Method(("constant",), 0, lambda: constant))
    exact = clip.exact()
    errors = [np.hypot(1 - flow[:, 0], -2 - flow[:, 1]) for flow in (exact.forward, exact.backward)]
    hidden = [exact.occluded_forward, exact.occluded_backward]
    expected = np.concatenate([error[~where] for error, where in zip(errors, hidden)]).mean()
    assert figures["epe"] == pytest.approx(expected, rel=1e-5)
    assert figures["occluded"] == pytest.approx(np.concatenate([error[where] for error, where in zip(errors, hidden)]).mean(), rel=1e-5)
    assert constant.shapes == [(64, 96)] * 4


def test_estimators_get_the_pictures_that_they_look_at(clip):
    constant = Constant(0, 0, colour=True)
    figures_of(clip, Method(("constant",), 0, lambda: constant))
    assert constant.shapes == [(64, 96, 3)] * 4


def test_dis_is_better_than_nothing():
    clip = footage.generated(1, 2, (96, 160), 3)._make(1)
    nothing = figures_of(clip, Method(("nothing",), 0, lambda: Constant(0, 0)))
    assert figures_of(clip, estimator("dis", None, "cpu"))["epe"] < 0.7 * nothing["epe"]


def test_stopping(clip):
    bench, method = EstimationBench([]), estimator("dis", None, "cpu")
    with bench.opened(clip, "", lambda: False) as ready, pytest.raises(Aborted):
        bench.measure(method, ready, lambda: True)
