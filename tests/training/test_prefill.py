"""Smooth filling in batches, and chance that belongs to samples."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from flow_inpaint.completion.dfc_input import initial_frame, solve_exactly
from flow_inpaint.completion.dfc_input import resize_flow as resize_flow_numpy
from flow_inpaint.poisson import interpolate
from flow_inpaint.training import chance
from flow_inpaint.training.prefill import fill, prefilled, resize_flow, resize_hole

SIZES = [(60, 83), (64, 96), (33, 40)]


def flows(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Four flows (4, 2, H, W) and holes: inside, across the rim, scattered, none."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    flow = np.stack([np.sin(x / 9) * 5 + y * 0.1, np.cos(y / 7) * 4 - x * 0.05]).astype(np.float32)[None].repeat(4, 0)
    flow[0] += rng.normal(size=flow[0].shape)
    hole = np.zeros((4, height, width), bool)
    hole[0, 10:30, 10:38] = True
    hole[1, :20, 5:25] = hole[1, 25:28] = True
    hole[2] = rng.random((height, width)) < 0.3
    return flow, hole


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fill_is_the_smooth_interpolation(size):
    flow, hole = flows(*size)
    found = fill(torch.from_numpy(np.where(hole[:, None], 99, flow)), torch.from_numpy(hole), cycles=4).numpy()
    for one, given, unknown in zip(found, flow, hole, strict=True):
        exact = solve_exactly(given.transpose(1, 2, 0), unknown).transpose(2, 0, 1)
        ours = interpolate(given.transpose(1, 2, 0), unknown).transpose(2, 0, 1)
        np.testing.assert_allclose(one, exact, atol=0.01)
        np.testing.assert_allclose(one, ours, atol=0.015)
        np.testing.assert_array_equal(one[:, ~unknown], given[:, ~unknown])


def test_a_sample_does_not_depend_on_its_batch():
    flow, hole = (torch.from_numpy(x) for x in flows(60, 83))
    torch.testing.assert_close(fill(flow, hole)[1:2], fill(flow[1:2], hole[1:2]), rtol=0, atol=1e-5)


def test_fill_of_pictures_without_a_hole_or_without_anything_known():
    flow, hole = torch.randn(2, 3, 20, 30), torch.zeros(2, 20, 30, dtype=torch.bool)
    assert fill(flow, hole) is flow
    hole[1] = True
    found = fill(flow, hole)
    assert torch.equal(found[0], flow[0]) and not found[1].any()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_first_stage_sees_what_it_sees_at_work(size):
    flow, hole = flows(*size)
    small = (size[0] * 2 // 3, size[1] // 2)
    wide, unknown = torch.from_numpy(flow), torch.from_numpy(hole)
    holes = resize_hole(unknown, small)
    found = torch.cat([prefilled(resize_flow(wide, small, unknown), holes), holes[:, None].float()], 1).numpy()
    for one, given, mask in zip(found, flow, hole, strict=True):
        np.testing.assert_allclose(one, initial_frame(given, mask, small, hide=True, exact=True), atol=2e-3)


def test_resized_flow_is_that_of_opencv_and_has_a_gradient():
    flow = torch.from_numpy(flows(60, 83)[0]).requires_grad_()
    found = resize_flow(flow, (45, 50))
    for one, given in zip(found.detach().numpy(), flow.detach().numpy(), strict=True):
        np.testing.assert_allclose(one, resize_flow_numpy(given, (45, 50)), atol=1e-4)
    found.sum().backward()
    assert flow.grad.abs().sum() > 0


def test_chance_belongs_to_the_key():
    keys = torch.arange(4000)
    drawn = chance.uniform(keys, "this", (3,))
    assert torch.equal(drawn[100:103], chance.uniform(keys[100:103], "this", (3,)))
    assert not torch.equal(drawn, chance.uniform(keys, "that", (3,)))
    assert abs(drawn.mean() - 0.5) < 0.01 and abs(drawn.std() - 12**-0.5) < 0.01 and 0 <= drawn.min() and drawn.max() < 1
    assert np.abs(np.corrcoef(drawn.T.numpy()) - np.eye(3)).max() < 0.05
    field = chance.normal(keys[:4], "field", (50, 50))
    assert abs(field.mean()) < 0.05 and abs(field.std() - 1) < 0.05
    assert set(chance.below(keys, "which", 5).tolist()) == {0, 1, 2, 3, 4}
    assert chance.seed_of(1, "a") != chance.seed_of(1, "b") and 0 <= chance.seed_of("x") < 2**63
