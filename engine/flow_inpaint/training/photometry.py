"""What lens, sensor and codec do to a picture."""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .chance import Draws
from .scene_motion import knots, spline

_KNOT = 5
#: JPEG's tables, which say what an eye does not miss: brightness and colour.
_LUMA = [
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92], [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]  # fmt: skip
_CHROMA = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_TO_YCC = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]


@dataclass(frozen=True, eq=False)
class Looks:
    """What was drawn for N clips, on the CPU; 0 where there is none of it.

    gain      (N, T, 3) factors
    vignette  (N,) how much darker the corners are
    softness  (N,) weight of a blurred picture
    grain     (N,) deviation in levels at mid grey
    colour    (N,) how much of the grain differs between the channels
    coarse    (N,) quantisation steps relative to JPEG's table
    """

    gain: Tensor
    vignette: Tensor
    softness: Tensor
    grain: Tensor
    colour: Tensor
    coarse: Tensor


def draw_looks(
    draws: Draws, frames: int, *, grain: float, exposure: float, colour_drift: float, softness: float, compression: float, vignette: float
) -> Looks:
    def some(probability: float, values: Tensor) -> Tensor:
        return torch.where(draws.happens(probability).view(-1, *[1] * (values.dim() - 1)), values, 0.0)

    common = some(exposure, draws.log_between(0.01, 0.15)[:, None] * spline(draws.normal(knots(frames, _KNOT)), frames, _KNOT))
    tint = some(colour_drift, draws.log_between(0.005, 0.04)[:, None, None] * spline(draws.normal(3, knots(frames, _KNOT)), frames, _KNOT))
    return Looks(
        gain=(common[..., None] + tint.transpose(1, 2)).exp(),
        vignette=some(vignette, draws.between(0.1, 0.5)),
        softness=some(softness, draws.between(0.2, 1.0)),
        grain=some(grain, draws.log_between(0.5, 7.0)),
        colour=draws.between(0.1, 0.8),
        coarse=some(compression, draws.log_between(0.15, 1.2)),
    )


def develop(frames: Tensor, looks: Looks, seeds: list[int]) -> Tensor:
    """(N, T, 3, H, W) as filmed, rounded to whole levels. Changes `frames`."""
    n, t, _, h, w = frames.shape
    device = frames.device

    def of(values: Tensor) -> Tensor:
        return values.float().to(device).view(n, 1, 1, 1, 1)

    if looks.softness.any():
        frames = frames.lerp_(_blurred(frames), of(looks.softness))
    if (looks.gain != 1).any() or looks.vignette.any():
        y, x = (torch.linspace(-1, 1, side, device=device) for side in (h, w))
        fall = 1 - of(looks.vignette) * (y[:, None].square() + x.square()) / 2
        frames.mul_(looks.gain.float().to(device)[..., None, None] * fall)
    if looks.grain.any():
        _add_grain(frames, looks, seeds)
    for k in torch.nonzero(looks.coarse).flatten().split(16):
        there = k.to(device) if len(k) < n else slice(None)
        frames[there] = _compressed(frames[there], looks.coarse[k].float().to(device))
    return frames.clamp_(0, 255).round_()


def _blurred(frames: Tensor) -> Tensor:
    """By 1 2 1 each way."""
    flat = F.pad(frames.flatten(0, 2)[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    flat = (flat[:, :-2] + flat[:, 2:]).add_(flat[:, 1:-1], alpha=2)
    return ((flat[..., :-2] + flat[..., 2:]).add_(flat[..., 1:-1], alpha=2) / 16).view_as(frames)


def _add_grain(frames: Tensor, looks: Looks, seeds: list[int]) -> None:
    """More of it where there is more light, and a little alike in neighbouring pixels."""
    n, t, _, h, w = frames.shape
    generator = torch.Generator(frames.device)
    noise = frames.new_zeros(n, t, h, w)
    for k in torch.nonzero(looks.grain).flatten().tolist():
        noise[k].normal_(generator=generator.manual_seed(seeds[k]))
    colour = looks.colour.float().to(frames.device).view(n, 1, 1, 1)
    grain = looks.grain.float().to(frames.device).view(n, 1, 1, 1)
    for c, shift in enumerate(((0, 0), (11, 5), (-7, 17))):
        # Another part of the same noise serves as this channel's own.
        own = noise.lerp(noise.roll(shift, (2, 3)), colour) if c else noise
        light = (frames[:, :, c].clamp(0, 255) / 128).sqrt_().mul_(0.7).add_(0.3)
        frames[:, :, c] += light.mul_(own).mul_(grain)


def _dct(size: int, device: torch.device) -> Tensor:
    k = torch.arange(size, device=device, dtype=torch.float32)
    rows = torch.cos((2 * k + 1) * k[:, None] * (math.pi / (2 * size))) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows


def _compressed(frames: Tensor, coarse: Tensor) -> Tensor:
    """Blocks of 8 x 8 in whole steps of their frequencies, colours at half the size, as codecs do."""
    n, t, _, h, w = frames.shape
    flat = F.pad(frames.flatten(0, 1), (0, -w % 16, 0, -h % 16), mode="replicate")
    turn = flat.new_tensor(_TO_YCC)
    luma, chroma = torch.einsum("ij,njhw->nihw", turn, flat).split((1, 2), 1)
    steps = coarse.repeat_interleave(t)
    large = flat.new_tensor(_LUMA)
    table = torch.full((8, 8), 99.0, device=flat.device)
    table[:4, :4] = flat.new_tensor(_CHROMA)
    luma = _quantised(luma - 128, large, steps) + 128
    chroma = F.interpolate(_quantised(F.avg_pool2d(chroma, 2), table, steps), scale_factor=2, mode="bilinear")
    out = torch.einsum("ij,njhw->nihw", torch.linalg.inv(turn), torch.cat([luma, chroma], 1))
    return out[..., :h, :w].unflatten(0, (n, t))


def _quantised(x: Tensor, table: Tensor, steps: Tensor) -> Tensor:
    dct = _dct(8, x.device)
    blocks = x.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
    step = table * steps.view(-1, 1, 1, 1, 1, 1)
    blocks = dct.T @ ((dct @ blocks @ dct.T / step).round_() * step) @ dct
    return blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
