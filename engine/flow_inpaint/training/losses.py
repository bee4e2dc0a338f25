"""What training minimises, and what is measured of a flow.

Flows are (N, 2k, H, W): one or several, x and y after each other. Masks, of holes or of what counts, are (N, k, H, W), one for
each flow, or (N, 1, H, W), one for all; bool or 0/1.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

#: Of FlowNet's levels, finest (a quarter of the size) to coarsest (a 64th), and its flows' unit in pixels.
LEVEL_WEIGHTS = (0.005, 0.01, 0.02, 0.08, 0.32)
FLOW_UNIT = 20.0
#: Change of the true flow between neighbouring pixels, in pixels, that makes a motion boundary, and how far around it is hard.
BOUNDARY, AROUND = 0.5, 5


def _pairs(flow: Tensor) -> Tensor:
    return flow.unflatten(1, (-1, 2))


def _difference(completed: Tensor, true: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(N, k, 2, H, W), and the mask as (N, k, H, W) bool. Outside it there are zeros, whatever was there, and no gradient."""
    difference = _pairs(completed.float() if completed.dtype in (torch.half, torch.bfloat16) else completed) - _pairs(true)
    mask = (mask > 0.5).expand(-1, difference.shape[1], -1, -1)
    return torch.where(mask[:, :, None], difference, 0.0), mask


def masked_l1(completed: Tensor, true: Tensor, hole: Tensor) -> Tensor:
    """Equation 1: the mean over the missing pixels of |u - u*| + |v - v*|; 0 where nothing is missing."""
    difference, hole = _difference(completed, true, hole)
    return difference.abs().sum() / hole.sum().clamp(min=1)


def hard_l1(completed: Tensor, true: Tensor, hole: Tensor, share: float = 0.5) -> Tensor:
    """The same over the worst `share` of each sample's missing pixels only (hard flow example mining)."""
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share} cannot be mined; it must be above 0 and at most 1")
    difference, hole = _difference(completed, true, hole)
    error, hole = difference.abs().sum(2).flatten(1), hole.flatten(1)
    missing = hole.sum(1, keepdim=True)
    kept = (missing * share).ceil().long()
    # What is not missing goes to the end.
    order = torch.where(hole, error.detach(), -1.0).argsort(1, descending=True)
    worst = torch.zeros_like(hole).scatter_(1, order, torch.arange(error.shape[1], device=error.device) < kept)
    return torch.where(worst, error, 0.0).sum() / kept.sum().clamp(min=1)


def completion_loss(completed: Tensor, true: Tensor, hole: Tensor, *, weight: float, share: float = 0.5) -> Tensor:
    """Equation 2: L1 + weight * L1 of the hard ones. The paper's weight is 2 for its first stage, then 1."""
    loss = masked_l1(completed, true, hole)
    return loss + weight * hard_l1(completed, true, hole, share) if weight else loss


def multi_scale_epe(
    flows: Sequence[Tensor],
    true: Tensor,
    counts: Tensor | None = None,
    *,
    weights: Sequence[float] = LEVEL_WEIGHTS,
    unit: float = FLOW_UNIT,
) -> Tensor:
    """FlowNet's loss for the flows that its levels give, finest first, against `true` (N, 2, H, W) in pixels.

    counts  (N, 1, H, W): where the true flow is known and matters; everywhere if not given
    unit    pixels to one unit of `flows`: 20 for FlowNetC and FlowNetS, 1/20 for FlowNetSD, 1 for the fusion

    The true flow is averaged to each level's size. Each level's end-point error is summed over its pixels, as published, and
    the whole is divided by the number of the coarsest level's pixels, so that the size of the pictures does not matter.
    """
    if len(flows) != len(weights):
        raise ValueError(f"{len(flows)} levels of flow came with {len(weights)} weights")
    counts = torch.ones_like(true[:, :1]) if counts is None else (counts > 0.5).to(true.dtype)
    known = torch.where(counts > 0, true / unit, 0.0)
    coarsest = min(flow.shape[2] * flow.shape[3] for flow in flows)
    total = true.new_zeros(())
    for flow, weight in zip(flows, weights):
        size = flow.shape[2:]
        share = F.adaptive_avg_pool2d(counts, size)
        target = F.adaptive_avg_pool2d(known, size) / share.clamp(min=1e-6)
        # The root's slope has no end at 0.
        error = ((flow.float() - target).square().sum(1, keepdim=True) + 1e-12).sqrt()
        total = total + weight * (size[0] * size[1] / coarsest) * (error * share).sum() / share.sum().clamp(min=1e-6)
    return total


# ---- measuring


def end_point_errors(completed: Tensor, true: Tensor) -> Tensor:
    """(N, k, H, W): the length of what is wrong."""
    return _pairs(completed - true).square().sum(2).sqrt()


def end_point_error(completed: Tensor, true: Tensor, counts: Tensor | None = None) -> Tensor:
    """The mean end-point error where `counts` says; 0 where it says nowhere."""
    if counts is None:
        return end_point_errors(completed, true).mean()
    difference, counts = _difference(completed, true, counts)
    return difference.square().sum(2).sqrt().sum() / counts.sum().clamp(min=1)


def hard_region(true: Tensor, *, boundary: float = BOUNDARY, around: int = AROUND) -> Tensor:
    """(N, k, H, W) bool: at most `around` pixels (in a square) from where the true flow changes by more than `boundary` pixels
    from one pixel to the next, down or to the right. The paper's Table 3 says 'hard' and 'smooth' without a number; this is ours."""
    flow = _pairs(true)
    dy = F.pad(flow[..., 1:, :] - flow[..., :-1, :], (0, 0, 0, 1))
    dx = F.pad(flow[..., 1:] - flow[..., :-1], (0, 1))
    steep = (dx.square() + dy.square()).sum(2).sqrt() > boundary
    return F.max_pool2d(steep.float(), 2 * around + 1, 1, around) > 0


@dataclass(frozen=True)
class RegionErrors:
    """Mean end-point errors in pixels, and how many pixels each is a mean of; nan of none."""

    all: float
    smooth: float
    hard: float
    pixels: int
    smooth_pixels: int
    hard_pixels: int


def region_errors(completed: Tensor, true: Tensor, hole: Tensor) -> RegionErrors:
    """Inside the hole: everywhere, and in its smooth and hard regions (`hard_region`) apart."""
    difference, hole = _difference(completed, true, hole)
    errors = difference.square().sum(2).sqrt()
    hard = hard_region(true)
    means, pixels = [], []
    for part in (hole, hole & ~hard, hole & hard):
        pixels.append(int(part.sum()))
        means.append(float(torch.where(part, errors, 0.0).double().sum() / pixels[-1]) if pixels[-1] else float("nan"))
    return RegionErrors(*means, *pixels)
