"""Completed flow against the truth, on clips whose answers are known or can be had in another way."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from flow_inpaint.completion.dfc_net import DFCNet
from flow_inpaint.completion.dfc_shot import complete_shot
from flow_inpaint.errors import Aborted
from flow_inpaint.evaluation.completing import CompletionBench, network, region_fill
from flow_inpaint.evaluation.flow_errors import Sums, add_completion
from flow_inpaint.evaluation.footage import Exact
from flow_inpaint.flow.dis import DIS

SIZE, COUNT = (48, 64), 4


@dataclass
class Panned:
    """A texture that moves to the left by 2 pixels a frame; its flow is known exactly, or is left to the estimator."""

    known: bool = True
    bent: float = 0.0
    name: str = "panned"
    count: int = COUNT
    identity: str = "panned"
    has_object: bool = False

    def frames(self):
        rng = np.random.default_rng(1)
        wide = cv2.resize(rng.integers(0, 256, (12, 40, 3), np.uint8), (160, SIZE[0]), interpolation=cv2.INTER_CUBIC)
        return iter([np.ascontiguousarray(wide[:, 2 * k : 2 * k + SIZE[1]]) for k in range(COUNT)])

    def objects(self):
        return iter(())

    def exact(self):
        if not self.known:
            return None
        rows, columns = np.indices(SIZE, np.float32)
        flow = np.stack([np.full(SIZE, -2, np.float32) + self.bent * (columns - 30) ** 2, 0.1 * rows])
        flows = np.repeat(flow[None], COUNT - 1, 0)
        hidden = np.zeros((COUNT - 1, *SIZE), bool)
        return Exact(flows, -flows, hidden, hidden)


def bench(methods, seen="true", shares=True):
    return CompletionBench(methods, 1, estimator=DIS(), named="dis", seen=seen, shares=shares)


def measured(method, footage, setting="square", **settings):
    made = bench([method], **settings)
    with made.opened(footage, setting, lambda: False) as ready:
        return [figures for figures, _ in made.measure(method, ready, lambda: False)]


def test_smooth_interpolation_finds_what_is_linear():
    (figures,) = measured(region_fill(), Panned())
    assert figures["epe"] < 0.02 and figures["hard"] is None and figures["smooth"] == figures["epe"]


def test_smooth_interpolation_misses_what_bends():
    (figures,) = measured(region_fill(), Panned(bent=0.01))
    # Forward and backward alike, and the hole's middle is what is furthest from the truth.
    assert 0.05 < figures["rest_50"] < figures["epe"] < figures["worst_50"] < figures["worst_10"] < 0.01 * 8**2 + 0.2


def test_true_flow_without_exact_flow_is_the_estimators():
    made = bench([region_fill()])
    with made.opened(Panned(known=False), "square", lambda: False) as ready:
        a, b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame, _ in zip(Panned().frames(), range(2)))
        assert np.array_equal(ready.true[0][0], DIS()(a, b)) and np.array_equal(ready.true[1][0], DIS()(b, a))
        assert np.array_equal(ready.given[0], ready.true[0])
        # A clip of any length must not fill the memory.
        assert all(isinstance(values, np.memmap) for values in (*ready.true, *ready.given, ready.holes))


def test_an_estimator_sees_nothing_of_what_is_hidden():
    """Flow as the pipeline has it does not depend on the hidden pixels, in no setting."""

    class Other(Panned):
        def frames(self):
            for k, frame in enumerate(super().frames()):
                changed = frame.copy()
                changed[18:30, 24:40] = 255 * (k % 2)
                yield changed

    flows = []
    for footage in (Panned(), Other()):
        made = bench([region_fill()], seen="estimated")
        with made.opened(footage, "square", lambda: False) as ready:
            flows.append(np.array(ready.given[0]))
            assert not np.array_equal(ready.given[0], ready.true[0])
    assert np.array_equal(*flows)


def test_one_pass_gives_every_stage():
    torch.manual_seed(3)
    net = DFCNet.build(3, width=1 / 16)
    method = network(("Stage-1", "Stage-2", "DFC-Net"), lambda: net, "random", "cpu")
    made = bench([method])
    with made.opened(Panned(bent=0.01), "random", lambda: False) as ready:
        found = [figures for figures, _ in made.measure(method, ready, lambda: False)]
        for stages, figures in enumerate(found, 1):
            forward, backward = complete_shot(*ready.given, ready.holes, net.prefix(stages), device="cpu")
            sums = Sums()
            for t in range(COUNT - 1):
                add_completion(sums, forward[t], ready.true[0][t], ready.holes[t])
                add_completion(sums, backward[t], ready.true[1][t], ready.holes[t + 1])
            expected = sums.means()
            assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert len({figures["epe"] for figures in found}) == 3
    assert [figures["seconds"] is None for figures in found] == [True, True, False]


def test_pictures_show_the_hole_where_it_is():
    made = bench([region_fill()])
    with made.opened(Panned(), "square", lambda: False) as ready:
        given, truth = made.surroundings(ready)
    assert given.shape == truth.shape == (*SIZE, 3) and (given[20:28, 28:36] == 127).all() and not (truth[20:28, 28:36] == 127).all()


def test_stopping():
    made, method = bench([region_fill()]), region_fill()
    with made.opened(Panned(), "square", lambda: False) as ready, pytest.raises(Aborted):
        made.measure(method, ready, lambda: True)


def test_stopping_while_a_clip_is_made_ready():
    with pytest.raises(Aborted), bench([]).opened(Panned(), "square", lambda: True):
        pass
