"""Smooth filling of holes for whole batches, on any device: `poisson.interpolate` and `dfc_input` in PyTorch.

The method is that of `poisson`: multigrid, every coarse correction at its best length, and a conjugate gradient that
joins the cycles. Lengths are found for each sample by itself, so a sample's answer does not depend on its batch.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_SWEEPS = 2
_DAMPING = 0.8
_COARSEST = 6
#: As `dfc_input` does it.
_CYCLES = 6


@torch.no_grad()
def fill(values: Tensor, unknown: Tensor, *, cycles: int = 4) -> Tensor:
    """The smoothest continuation of (N, C, H, W) `values` into `unknown` (N, H, W) bool; the picture's edge is free.

    What the values hold where unknown does not matter, as long as it is finite. Where nothing is known there are zeros.
    """
    if not unknown.any():
        return values
    hole = unknown[:, None]
    u = torch.where(hole, _push_pull(values.float(), hole), values.float())
    weights = _pyramid(hole)
    residual = _residual(u, torch.zeros_like(u), weights[0])
    step = change = torch.zeros_like(u)
    for _ in range(cycles):
        found = _cycle(residual, weights, 0)
        # Without what it shares with the step before, or the two would undo each other.
        found = found - step * _length(change, found, step)
        step, change = found, _applied(found, weights[0])
        length = _length(step, residual, change)
        u = u + step * length
        residual = residual - change * length
    return torch.where(hole.flatten(1).all(1)[:, None, None, None], torch.zeros_like(u), u)


def resize_flow(flow: Tensor, size: tuple[int, int], hole: Tensor | None = None) -> Tensor:
    """`dfc_input.resize_flow` for (N, 2, H, W), differentiable; with a hole (N, H, W) bool, from what lies outside it only."""
    h0, w0 = flow.shape[-2:]
    if hole is None:
        out = bilinear(flow, size)
    else:
        known = (~hole)[:, None].to(flow.dtype)
        masked = torch.cat([flow * known, known], 1)
        out, near = bilinear(masked, size), F.interpolate(masked, size, mode="nearest")
        weight = out[:, 2:]
        out = torch.where(weight > 1e-3, out[:, :2] / weight.clamp(min=1e-3), near[:, :2])
    limit = flow.new_tensor([w0, h0])[:, None, None]
    return out.clamp(-limit, limit) * flow.new_tensor([size[1] / w0, size[0] / h0])[:, None, None]


def resize_hole(hole: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, H, W) bool by the nearest pixel."""
    return F.interpolate(hole[:, None].float(), size, mode="nearest")[:, 0] > 0


def prefilled(flow: Tensor, hole: Tensor) -> Tensor:
    """`dfc_input.prefill` for (N, 2, h, w) and (N, h, w) bool: Laplace's equation solved at half the size."""
    h, w = hole.shape[-2:]
    half = (max(h // 2, 1), max(w // 2, 1))
    small = fill(bilinear(flow, half), bilinear(hole[:, None].float(), half)[:, 0] > 0, cycles=_CYCLES)
    return torch.where(hole[:, None], bilinear(small, (h, w)), flow)


def bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if tuple(x.shape[-2:]) == tuple(size) else F.interpolate(x, size, mode="bilinear", align_corners=False)


# --- multigrid ---


def _neighbour_sum(u: Tensor) -> Tensor:
    # A replicated border makes a pixel its own neighbour beyond the edge: no flow through the picture's edge.
    around = F.pad(u, (1, 1, 1, 1), mode="replicate")
    return around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]


def _residual(u: Tensor, f: Tensor, weight: Tensor) -> Tensor:
    return (_neighbour_sum(u) - 4 * u + f) * weight


def _applied(u: Tensor, weight: Tensor) -> Tensor:
    return (4 * u - _neighbour_sum(u)) * weight


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)[:, None, None, None]


def _length(step: Tensor, residual: Tensor, change: Tensor) -> Tensor:
    energy = _dot(step, change)
    return torch.where(energy > 0, _dot(step, residual) / energy.clamp(min=1e-30), torch.zeros_like(energy))


def _even(x: Tensor, mode: str = "replicate") -> Tensor:
    h, w = x.shape[-2:]
    return F.pad(x, (0, w % 2, 0, h % 2), mode=mode) if h % 2 or w % 2 else x


def _pyramid(hole: Tensor) -> list[Tensor]:
    levels = [hole.float()]
    while max(levels[-1].shape[-2:]) > _COARSEST:
        coarse = (F.avg_pool2d(_even(levels[-1]), 2) == 1).float()
        # By size alone, not by whether anything is left: asking the device would make it wait.
        levels.append(coarse)
    return levels


def _cycle(f: Tensor, weights: list[Tensor], level: int) -> Tensor:
    """About the solution of A u = f with u = 0 in known pixels: one V-cycle from zero."""
    weight = weights[level]
    last = level + 1 == len(weights)
    u = f * (_DAMPING / 4)
    for _ in range(_SWEEPS * (8 if last else 1) - 1):
        u = u + _residual(u, f, weight) * (_DAMPING / 4)
    if last:
        return u
    left = _residual(u, f, weight)
    # The coarse pixel stands for four: the mean residual times four is their sum.
    coarse = F.avg_pool2d(_even(left, "constant"), 2) * 4
    correction = _cycle(coarse * weights[level + 1], weights, level + 1)
    step = bilinear(correction, (2 * coarse.shape[-2], 2 * coarse.shape[-1]))[..., : u.shape[-2], : u.shape[-1]] * weight
    change = _applied(step, weight)
    length = _length(step, left, change)
    u = u + step * length
    left = left - change * length
    u = u + left * (_DAMPING / 4)
    for _ in range(_SWEEPS - 1):
        u = u + _residual(u, f, weight) * (_DAMPING / 4)
    return u


def _push_pull(values: Tensor, hole: Tensor) -> Tensor:
    """Values with the unknown ones filled from ever coarser averages of the known ones."""
    known = (~hole).float()
    return _pull(values * known, known)


def _pull(weighted: Tensor, weight: Tensor) -> Tensor:
    if max(weight.shape[-2:]) <= 1:
        return weighted / weight.clamp(min=1e-6)
    even, even_weight = _even(weighted), _even(weight)
    half = F.avg_pool2d(even, 2), F.avg_pool2d(even_weight, 2)
    fine = bilinear(_pull(*half), (even.shape[-2], even.shape[-1]))[..., : weight.shape[-2], : weight.shape[-1]]
    share = weight.clamp(max=1)
    return torch.where(weight > 0, weighted / weight.clamp(min=1e-6) * share + fine * (1 - share), fine)
