"""Noise that any device makes alike: cells of a grid as random numbers, and fields like those in photographs."""
from __future__ import annotations

import math

import torch
from torch import Tensor


def scramble(x: Tensor) -> Tensor:
    """int32 -> int32 of which every bit looks random."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * 0x7FEB352D
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = x * (0x846CA68B - (1 << 32))
    return x ^ ((x >> 16) & 0xFFFF)


def scramble_cells(column: Tensor, row: Tensor, seed: Tensor) -> Tensor:
    """int32 for every cell of a grid."""
    return scramble(scramble(column * 73856093 ^ seed) ^ row * 19349663)


def as_unit(x: Tensor) -> Tensor:
    """What `scramble` gave, as float32 in 0..1."""
    return (x & 0xFFFFFF).float() * (1 / (1 << 24))


def again(x: Tensor) -> Tensor:
    """Another number for each of the same things."""
    return scramble(x + 0x3C6EF372)


def fractal(seeds: Tensor, slope: Tensor, smooth: Tensor, stretch: Tensor, angle: Tensor, size: tuple[int, int]) -> Tensor:
    """Noise whose amplitude falls with frequency as in photographs (about 1/f): (M, 2, h, w), two fields of deviation 1.

    seeds    (M,) int32
    slope    (M,) 1 = photograph; larger is smoother
    smooth   (M,) deviation in pixels of a Gaussian blur
    stretch  (M,) how much longer than wide the grain is, along `angle` (M,)

    It repeats without a seam.
    """
    h, w = size
    device = seeds.device
    fy = torch.fft.fftfreq(h, device=device)[:, None]
    fx = torch.fft.fftfreq(w, device=device)
    slope, smooth, stretch, angle = (x.float()[:, None, None] for x in (slope, smooth, stretch, angle))
    along = fx * angle.cos() + fy * angle.sin()
    across = fy * angle.cos() - fx * angle.sin()
    power = (along * stretch).square_().add_((across / stretch).square_())
    # Nothing is larger than the picture: the lowest frequencies do not dwarf the rest.
    power += (0.5 / max(h, w)) ** 2
    squares = fx.square() + fy.square()
    amplitude = power.log_().mul_(-slope / 2).sub_(squares * (2 * math.pi**2 * smooth.square())).exp_()
    amplitude[:, 0, 0] = 0
    amplitude *= (2.0**0.5 * h * w) / amplitude.square().sum((1, 2), keepdim=True).sqrt_()
    numbers = torch.arange(h * w, dtype=torch.int32, device=device).view(h, w)
    phase = as_unit(scramble(scramble(numbers) ^ seeds[:, None, None])) * (2 * math.pi)
    fields = torch.fft.ifft2(torch.polar(amplitude, phase))
    return torch.view_as_real(fields).permute(0, 3, 1, 2)
