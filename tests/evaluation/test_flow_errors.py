"""Flow errors on flows whose errors can be worked out by hand."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from flow_inpaint.evaluation.flow_errors import (
    Sums,
    add_completion,
    add_estimation,
    end_point_errors,
    mean_of,
    near_jumps,
    thin_structures,
    worst,
)
from flow_inpaint.training.losses import hard_regions


def flow(u=0.0, v=0.0, size=(40, 60)):
    out = np.zeros((2, *size), np.float32)
    out[0], out[1] = u, v
    return out


def test_the_end_point_error_is_a_distance():
    assert np.all(end_point_errors(flow(4, 1), flow(1, -3)) == 5)


def test_the_worst_share_of_the_errors():
    errors = np.array([1.0, 9, 3, 7, 5, 2, 8, 4, 6, 10])
    large, rest = worst(errors, 30)
    assert sorted(large) == [8, 9, 10] and sorted(rest) == [1, 2, 3, 4, 5, 6, 7]
    assert [len(worst(errors, percent)[0]) for percent in (70, 50, 10)] == [7, 5, 1]


def test_a_share_of_few_pixels_is_at_least_one():
    large, rest = worst(np.array([1.0, 2.0]), 10)
    assert list(large) == [2] and list(rest) == [1]
    assert [part.size for part in worst(np.zeros(0), 10)] == [0, 0]


def test_hard_places_are_near_jumps_of_the_true_flow():
    truth = flow()
    truth[0, :, 30:] = 2
    expected = np.zeros(truth.shape[1:], bool)
    expected[:, 26:34] = True
    assert np.array_equal(near_jumps(truth), expected)
    assert not near_jumps(flow(np.linspace(0, 6, 60)[None])).any()


def test_hard_places_are_those_of_the_training():
    truth = torch.nn.functional.interpolate(torch.randn(1, 2, 5, 7, generator=torch.Generator().manual_seed(1)) * 4, (40, 56))
    assert np.array_equal(near_jumps(truth[0].numpy()), hard_regions(truth)[0].numpy()) and near_jumps(truth[0].numpy()).any()


@pytest.mark.parametrize("width, thin", [(1, True), (8, True), (9, False), (20, False)])
@pytest.mark.parametrize("speed", [3, -3])
def test_thin_is_what_is_narrower_than_nine_pixels(width, thin, speed):
    truth = flow(1)
    truth[1, :, 20 : 20 + width] = speed
    assert thin_structures(truth)[:, 20 : 20 + width].all() == thin
    assert thin_structures(truth).sum() == (width * 40 if thin else 0)


def test_what_hardly_moves_otherwise_is_not_thin():
    truth = flow(1)
    truth[0, :, 20:23] = 1.9
    assert not thin_structures(truth).any()


def test_a_completed_flow_counts_in_its_hole_alone():
    truth, hole = flow(), np.zeros((40, 60), bool)
    truth[0, :, 30:] = 2
    hole[0, 20:40] = True
    # 10 pixels too slow by 1 on the left, 10 too fast by 3 on the right, and nonsense outside the hole.
    answer = np.where(np.arange(60) < 30, -1.0, 5.0)[None, None].repeat(40, 1).repeat(2, 0).astype(np.float32)
    answer[1] = 0
    answer[:, 1:] = 1000
    sums = Sums()
    add_completion(sums, answer, truth, hole)
    found = sums.means()
    assert found["epe"] == 2 and found["worst_50"] == 3 and found["rest_50"] == 1
    assert found["hard"] == (4 * 1 + 4 * 3) / 8 and found["smooth"] == (6 * 1 + 6 * 3) / 12
    assert found["worst_70"] == pytest.approx((10 * 3 + 4) / 14) and found["rest_70"] == 1 and found["worst_10"] == 3


def test_errors_of_several_flows_are_pooled_by_pixels():
    sums = Sums()
    sums.add("epe", np.array([1.0, 1.0, 1.0]))
    sums.add("epe", np.array([5.0]))
    sums.add("thin", np.zeros(0))
    assert sums.means() == {"epe": 2.0, "thin": None}


def test_an_estimated_flow_is_told_apart_by_its_speed():
    # Of a picture as high as Sintel's, so that its limits are pixels.
    truth = flow(size=(436, 60))
    truth[0, :, 20:40], truth[0, :, 40:] = 20, 50
    occluded = np.zeros((436, 60), bool)
    occluded[:, :5] = True
    answer = truth + np.array([3, 4], np.float32)[:, None, None] * (np.arange(60) >= 40)
    answer[:, :, :5] += 8
    sums = Sums()
    add_estimation(sums, answer, truth, occluded)
    found = sums.means()
    assert (found["slow"], found["medium"], found["fast"]) == (0, 0, 5)
    assert found["occluded"] == pytest.approx(8 * 2**0.5) and found["epe"] == pytest.approx(5 * 20 / 55)
    assert found["edges"] == pytest.approx(5 * 4 / 16) and found["thin"] is None


def test_the_limits_of_speed_go_with_the_pictures_height():
    sums = Sums()
    add_estimation(sums, flow(12, size=(109, 60)), flow(11, size=(109, 60)), np.zeros((109, 60), bool))
    assert sums.means()["fast"] == 1 and sums.means()["medium"] is None


def test_every_clip_counts_alike():
    assert mean_of([{"epe": 1.0, "hard": None}, {"epe": 4.0, "hard": 2.0}]) == {"epe": 2.5, "hard": 2.0}
    assert mean_of([{"hard": None}]) == {"hard": None} and mean_of([]) == {}
