from __future__ import annotations

import math

import pytest
import torch
from flow_inpaint.training.losses import (
    LEVEL_WEIGHTS, completion_loss, end_point_error, end_point_errors, hard_l1, hard_region, masked_l1, multi_scale_epe, region_errors,
)  # fmt: skip
from torch import Tensor


def flow_of(*pixels: tuple[float, float]) -> Tensor:
    """(1, 2, 1, n)."""
    return torch.tensor(pixels).float().T[None, :, None, :]


TRUE = flow_of((0, 0), (0, 0), (0, 0), (0, 0), (0, 0))
FOUND = flow_of((1, 0), (0, -2), (3, 1), (2, 4), (100, 100))
HOLE = torch.tensor([1, 1, 1, 1, 0]).bool().view(1, 1, 1, 5)


# ---- equation 1


def test_masked_l1_is_the_mean_over_missing_pixels() -> None:
    assert float(masked_l1(FOUND, TRUE, HOLE)) == (1 + 2 + 4 + 6) / 4
    assert float(masked_l1(FOUND, TRUE, HOLE.float())) == 13 / 4


def test_masked_l1_of_nothing_is_nothing() -> None:
    found = FOUND.clone().requires_grad_()
    loss = masked_l1(found, TRUE, torch.zeros_like(HOLE))
    loss.backward()
    assert loss == 0 and not found.grad.any()


def test_masked_l1_does_not_look_outside_the_hole_even_where_nothing_is_known() -> None:
    true = TRUE.clone()
    true[..., 4] = math.nan
    found = FOUND.clone().requires_grad_()
    loss = masked_l1(found, true, HOLE)
    loss.backward()
    assert float(loss.detach()) == 13 / 4 and found.grad.isfinite().all() and not found.grad[..., 4].any()


def test_masked_l1_pulls_every_missing_pixel_alike() -> None:
    found = FOUND.clone().requires_grad_()
    masked_l1(found, TRUE, HOLE).backward()
    assert torch.equal(found.grad, FOUND.sign() * HOLE / 4)


def test_two_flows_have_a_hole_each_or_share_one() -> None:
    found, true = torch.cat([FOUND, FOUND * 2], 1), torch.cat([TRUE, TRUE], 1)
    assert float(masked_l1(found, true, HOLE)) == (13 + 26) / 8
    apart = torch.cat([HOLE, torch.zeros_like(HOLE)], 1)
    apart[0, 1, 0, 0] = True
    assert float(masked_l1(found, true, apart)) == (13 + 2) / 5


# ---- equation 2


def test_hard_examples_are_the_worst_half() -> None:
    assert float(hard_l1(FOUND, TRUE, HOLE)) == (4 + 6) / 2
    assert float(hard_l1(FOUND, TRUE, HOLE, 0.25)) == 6
    assert float(hard_l1(FOUND, TRUE, HOLE, 0.3)) == 5
    assert float(hard_l1(FOUND, TRUE, HOLE, 1.0)) == float(masked_l1(FOUND, TRUE, HOLE))


def test_hard_examples_are_chosen_in_every_sample() -> None:
    found, true, hole = torch.cat([FOUND, FOUND * 100]), torch.cat([TRUE, TRUE]), torch.cat([HOLE, HOLE])
    hole[1, ..., 1:] = False
    assert float(hard_l1(found, true, hole)) == pytest.approx((4 + 6 + 100) / 3)
    hole[1] = False
    assert float(hard_l1(found, true, hole)) == 5
    hole[:] = False
    assert float(hard_l1(found, true, hole)) == 0


def test_completion_loss_adds_the_hard_ones_with_their_weight() -> None:
    assert float(completion_loss(FOUND, TRUE, HOLE, weight=2)) == 13 / 4 + 2 * 5
    assert float(completion_loss(FOUND, TRUE, HOLE, weight=0)) == 13 / 4


def test_hard_examples_pull_harder() -> None:
    found = FOUND.clone().requires_grad_()
    completion_loss(found, TRUE, HOLE, weight=2).backward()
    pull = found.grad.abs().amax(1).flatten()
    torch.testing.assert_close(pull, torch.tensor([0.25, 0.25, 1.25, 1.25, 0]))


def test_losses_have_the_gradients_of_their_values() -> None:
    made = torch.Generator().manual_seed(0)
    found, true = (torch.randn(2, 4, 3, 5, dtype=torch.float64, generator=made) for _ in range(2))
    hole = torch.rand(2, 2, 3, 5, generator=made) < 0.6
    found.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: completion_loss(x, true, hole, weight=2), (found,))


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        hard_l1(FOUND, TRUE, HOLE, share)


# ---- FlowNet's


def levels(value: float, size: int = 64) -> list[Tensor]:
    return [torch.full((1, 2, size // 2**k, size // 2**k), value) for k in range(2, 7)]


def test_every_level_counts_as_published() -> None:
    true = torch.zeros(1, 2, 64, 64)
    # 1, 1 is wrong by the square root of 2 everywhere; levels have 256, 64, 16, 4 and 1 pixels.
    wanted = math.sqrt(2) * (0.005 * 256 + 0.01 * 64 + 0.02 * 16 + 0.08 * 4 + 0.32)
    assert float(multi_scale_epe(levels(1.0), true)) == pytest.approx(wanted, rel=1e-5)
    assert LEVEL_WEIGHTS == (0.005, 0.01, 0.02, 0.08, 0.32)


def test_the_true_flow_is_averaged_and_in_units_of_twenty_pixels() -> None:
    true = torch.zeros(1, 2, 64, 64)
    true[:, :, ::2] = 40
    assert float(multi_scale_epe(levels(1.0), true)) == pytest.approx(0, abs=1e-5)
    assert float(multi_scale_epe(levels(20.0), true, unit=1.0)) == pytest.approx(0, abs=1e-5)


def test_the_size_of_the_picture_does_not_matter() -> None:
    small, large = (float(multi_scale_epe(levels(1.0, n), torch.zeros(1, 2, n, n))) for n in (64, 256))
    assert small == pytest.approx(large, rel=1e-4)


def test_only_what_counts_is_averaged() -> None:
    true = torch.zeros(1, 2, 64, 64)
    true[..., 32:] = math.nan
    counts = torch.zeros(1, 1, 64, 64)
    counts[..., :32] = 1
    flows = [flow.requires_grad_() for flow in levels(0.5)]
    loss = multi_scale_epe(flows, true, counts)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5 * float(multi_scale_epe(levels(1.0), torch.zeros(1, 2, 64, 64))), rel=1e-4)
    assert flows[0].grad[..., :8].abs().min() > 0 and not flows[0].grad[..., 8:].any()
    assert float(multi_scale_epe(levels(0.5), true, torch.zeros_like(counts))) == 0


def test_a_perfect_flow_has_a_gradient_all_the_same() -> None:
    flows = [flow.requires_grad_() for flow in levels(0.0)]
    multi_scale_epe(flows, torch.zeros(1, 2, 64, 64)).backward()
    assert all(flow.grad.isfinite().all() for flow in flows)


def test_levels_and_weights_must_match() -> None:
    with pytest.raises(ValueError, match="4 levels"):
        multi_scale_epe(levels(1.0)[:4], torch.zeros(1, 2, 64, 64))


# ---- measuring


def test_end_point_errors() -> None:
    found = flow_of((3, 4), (0, 1), (0, 0))
    true = flow_of((0, 0), (0, 0), (0, 5))
    assert end_point_errors(found, true).flatten().tolist() == [5, 1, 5]
    assert float(end_point_error(found, true)) == pytest.approx(11 / 3)
    assert float(end_point_error(found, true, torch.tensor([1, 1, 0]).view(1, 1, 1, 3))) == 3
    assert float(end_point_error(found, true, torch.zeros(1, 1, 1, 3))) == 0


def step(size: float) -> Tensor:
    """(1, 2, 20, 40) whose x jumps in the middle."""
    flow = torch.zeros(1, 2, 20, 40)
    flow[:, 0, :, 20:] = size
    return flow


def test_hard_is_near_motion_boundaries() -> None:
    hard = hard_region(step(2.0))
    assert hard.shape == (1, 1, 20, 40)
    assert hard[0, 0, 0].nonzero().flatten().tolist() == list(range(14, 25))
    assert not hard_region(step(0.4)).any()
    assert hard_region(step(0.4), boundary=0.3, around=0).sum() == 20
    ramp = torch.linspace(0, 10, 40).expand(1, 2, 20, 40)
    assert not hard_region(ramp).any()


def test_regions_are_measured_apart() -> None:
    true = step(2.0)
    found = true.clone()
    found[:, 0, :, :10] += 1
    found[:, 0, :, 15:25] += 3
    hole = torch.ones(1, 1, 20, 40)
    errors = region_errors(found, true, hole)
    assert errors.hard == pytest.approx(30 / 11) and errors.smooth == pytest.approx(10 / 29)
    assert errors.all == pytest.approx(40 / 40) and (errors.pixels, errors.hard_pixels) == (800, 220)
    assert math.isnan(region_errors(found, torch.zeros_like(true), hole).hard)
