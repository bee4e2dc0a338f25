"""Losses, each sample's by itself: their mean over any parts of a batch is that of the whole batch, on one process or on many."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .prefill import bilinear

#: Of the flows at a quarter, an eighth and so on; and of a fusion network's, from full size on. FlowNet's authors weigh the finest
#: with 0.005, then 0.01, 0.02, 0.08 and 0.32, but sum over each level's pixels, of which the next has a quarter. For means that is this,
#: but for a common factor.
PYRAMID = (0.32, 0.16, 0.08, 0.08, 0.08)
#: A flow that changes by more than so many pixels, within so many pixels, is hard to guess.
_JUMP, _NEAR = 1.0, 9


def masked_l1(prediction: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    """The paper's eq. 1 for each sample: (N, 2, h, w) flows, hole (N, h, w) bool -> (N,)."""
    error = _error(prediction, truth, hole)
    return error.sum(1) / _count(hole)


def mined_l1(prediction: Tensor, truth: Tensor, hole: Tensor, share: float) -> Tensor:
    """The paper's eq. 2 for each sample: the same over the `share` of the hole's pixels whose error is largest."""
    error = _error(prediction, truth, hole).sort(1, descending=True).values
    taken = (hole.flatten(1).sum(1) * share).ceil().clamp(min=1)
    hard = torch.arange(error.shape[1], device=error.device) < taken[:, None]
    return (error * hard).sum(1) / taken


def _error(prediction: Tensor, truth: Tensor, hole: Tensor) -> Tensor:
    return ((prediction.float() - truth).abs().sum(1) * hole).flatten(1)


def _count(mask: Tensor) -> Tensor:
    return mask.flatten(1).sum(1).clamp(min=1)


def pyramid_epe(flows: Sequence[Tensor], truth: Tensor, valid: Tensor, *, unit: float = 1.0, weights: Sequence[float] = PYRAMID) -> Tensor:
    """End-point errors of flows (finest first, in units of 1/`unit` pixels) against truth (N, 2, H, W) where `valid` (N, H, W) -> (N,).

    Errors are measured in the network's own units, as its authors do.
    """
    known = valid[:, None].float()
    total = truth.new_zeros(len(truth))
    for flow, weight in zip(flows, weights, strict=False):
        size = flow.shape[-2:]
        amount = F.adaptive_avg_pool2d(known, size)
        target = F.adaptive_avg_pool2d(truth * known, size) / amount.clamp(min=1e-6)
        error = length(flow.float() - target * unit)
        total = total + weight * (error * amount[:, 0]).flatten(1).sum(1) / amount.flatten(1).sum(1).clamp(min=1)
    return total


def length(x: Tensor) -> Tensor:
    """(N, 2, h, w) -> (N, h, w), with a gradient at 0 too."""
    return torch.sqrt((x * x).sum(1) + 1e-12)


def totals(values: Tensor, where: Tensor) -> tuple[float, float]:
    """Sum and count of (N, h, w) values in (N, h, w) bool."""
    return float((values * where).sum()), float(where.sum())


def hard_regions(truth: Tensor) -> Tensor:
    """(N, h, w) bool: within a few pixels of a place where the flow (N, 2, h, w) jumps."""
    high, low = (F.max_pool2d(sign * truth, _NEAR, 1, _NEAR // 2) * sign for sign in (1, -1))
    return ((high - low) > _JUMP).any(1)


def enlarged(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow in pixels of the full size, brought to that size."""
    return bilinear(flow.float(), size)
