"""The losses against numbers worked out by hand. What they are good for in training is in test_tasks.py."""
from __future__ import annotations

import math

import pytest
import torch
from flow_inpaint.training.losses import PYRAMID, enlarged, hard_regions, length, masked_l1, mined_l1, pyramid_epe, totals
from torch import Tensor


def flow_of(*pixels: tuple[float, float]) -> Tensor:
    """(1, 2, 1, n)."""
    return torch.tensor(pixels).float().T[None, :, None, :]


FOUND = flow_of((1, 0), (0, -2), (3, 1), (2, 4), (100, 100))
TRUE = torch.zeros_like(FOUND)
HOLE = torch.tensor([1, 1, 1, 1, 0]).bool().view(1, 1, 5)


def test_equation_1_is_the_mean_over_missing_pixels() -> None:
    assert masked_l1(FOUND, TRUE, HOLE).tolist() == [(1 + 2 + 4 + 6) / 4]


def test_equation_1_pulls_every_missing_pixel_alike_and_no_other() -> None:
    found = FOUND.clone().requires_grad_()
    masked_l1(found, TRUE, HOLE).sum().backward()
    assert torch.equal(found.grad, FOUND.sign() * HOLE / 4)


@pytest.mark.parametrize(("share", "wanted"), [(0.5, (6 + 4) / 2), (0.25, 6), (0.3, (6 + 4) / 2), (0.7, (6 + 4 + 2) / 3), (1.0, 13 / 4)])
def test_equation_2_mines_the_worst(share: float, wanted: float) -> None:
    assert float(mined_l1(FOUND, TRUE, HOLE, share)) == pytest.approx(wanted)


def test_mined_pixels_pull_harder() -> None:
    found = FOUND.clone().requires_grad_()
    (masked_l1(found, TRUE, HOLE) + 2 * mined_l1(found, TRUE, HOLE, 0.5)).sum().backward()
    torch.testing.assert_close(found.grad.abs().amax(1).flatten(), torch.tensor([0.25, 0.25, 1.25, 1.25, 0]))


def test_every_sample_is_mined_by_itself() -> None:
    found, true, hole = torch.cat([FOUND, FOUND * 100]), torch.cat([TRUE, TRUE]), torch.cat([HOLE, HOLE])
    hole[1, ..., 1:] = False
    assert masked_l1(found, true, hole).tolist() == [13 / 4, 100]
    assert mined_l1(found, true, hole, 0.5).tolist() == [5, 100]


# ---- FlowNet's


def levels(value: float, size: int = 64) -> list[Tensor]:
    return [torch.full((1, 2, size // 2**k, size // 2**k), value) for k in range(2, 7)]


def everywhere(size: int = 64) -> tuple[Tensor, Tensor]:
    return torch.zeros(1, 2, size, size), torch.ones(1, size, size, dtype=torch.bool)


def test_levels_weigh_as_published() -> None:
    """There each level is a sum over its pixels: 256, 64, 16, 4 and 1 of them in a picture of 64 x 64."""
    published = [weight * pixels for weight, pixels in zip((0.005, 0.01, 0.02, 0.08, 0.32), (256, 64, 16, 4, 1), strict=True)]
    assert [weight / PYRAMID[0] for weight in PYRAMID] == pytest.approx([weight / published[0] for weight in published])
    for wrong, weight in enumerate(PYRAMID):
        flows = [flow * (level == wrong) for level, flow in enumerate(levels(1.0))]
        assert float(pyramid_epe(flows, *everywhere())) == pytest.approx(math.sqrt(2) * weight, rel=1e-4)


def test_the_true_flow_is_averaged_and_in_the_network_s_units() -> None:
    true, valid = everywhere()
    true[:, :, ::2] = 40
    assert float(pyramid_epe(levels(1.0), true, valid, unit=1 / 20)) == pytest.approx(0, abs=1e-5)
    assert float(pyramid_epe(levels(20.0), true, valid)) == pytest.approx(0, abs=1e-5)


def test_the_size_of_the_picture_does_not_matter() -> None:
    small, large = (float(pyramid_epe(levels(1.0, size), *everywhere(size))) for size in (64, 256))
    assert small == pytest.approx(large, rel=1e-4)


def test_what_is_not_known_pulls_nothing() -> None:
    true, valid = everywhere(128)
    valid[..., 64:] = False
    flows = [flow.requires_grad_() for flow in levels(0.5, 128)]
    loss = pyramid_epe(flows, true, valid)
    loss.sum().backward()
    assert float(loss.detach()) == pytest.approx(math.sqrt(0.5) * sum(PYRAMID), rel=1e-4)
    assert flows[0].grad[..., :16].abs().min() > 0 and not flows[0].grad[..., 16:].any()


# ---- measuring


def test_the_masked_end_point_error() -> None:
    wrong = length(flow_of((3, 4), (0, 1), (0, -5)))
    torch.testing.assert_close(wrong.flatten(), torch.tensor([5.0, 1, 5]))
    assert totals(wrong, torch.tensor([True, True, False]).view(1, 1, 3)) == pytest.approx((6, 2))
    assert totals(wrong, torch.zeros(1, 1, 3, dtype=torch.bool)) == (0, 0)


def test_hard_is_within_four_pixels_of_a_jump_of_more_than_one() -> None:
    flow = torch.zeros(2, 2, 20, 40)
    flow[0, 0, :, 20:], flow[1, 1, 10:] = 1.5, -1.5
    hard = hard_regions(flow)
    assert hard.shape == (2, 20, 40) and hard.dtype == torch.bool
    assert hard[0, 7].nonzero().flatten().tolist() == list(range(16, 24))
    assert hard[1, :, 7].nonzero().flatten().tolist() == list(range(6, 14))
    assert not hard_regions(flow / 1.5).any(), "a jump of one pixel is none"


def test_an_enlarged_flow_keeps_its_pixels() -> None:
    assert torch.equal(enlarged(torch.full((1, 2, 4, 6), 3.0), (8, 12)), torch.full((1, 2, 8, 12), 3.0))
