"""Random numbers that belong to one sample, however many are made at once, and noise that any device makes alike."""
from __future__ import annotations

import math

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def sample_seed(seed: int, sample: int) -> int:
    """One seed of a sample's own: splitmix64 of both numbers."""
    state = (seed * 0x9E3779B97F4A7C15 + (sample + 1) * 0xD1B54A32D192ED03) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = ((state ^ (state >> shift)) * factor) & _MASK
    return (state ^ (state >> 31)) >> 1


class Draws:
    """Uniform numbers of several samples, handed out in a fixed order; every method's result leads with `lead`."""

    def __init__(self, values: Tensor):
        self._values = values
        self._next = 0
        self.lead = tuple(values.shape[:-1])

    @classmethod
    def of_samples(cls, seed: int, first: int, batch: int, *counts: int) -> list[Draws]:
        """For samples first .. first + batch - 1 independent sets of so many numbers each."""
        generator = torch.Generator()
        rows = [
            torch.rand(sum(counts), dtype=torch.float64, generator=generator.manual_seed(sample_seed(seed, k)))
            for k in range(first, first + batch)
        ]
        return [cls(part) for part in torch.stack(rows).split(counts, 1)]

    def per(self, groups: int) -> Draws:
        """The same numbers shared out among `groups` things of each sample."""
        return Draws(self._values.unflatten(-1, (groups, -1)))

    def unit(self, *shape: int) -> Tensor:
        """Uniform in 0..1."""
        count = math.prod(shape)
        taken = self._values[..., self._next : self._next + count]
        if taken.shape[-1] < count:
            raise IndexError(f"only {self._values.shape[-1]} random numbers were drawn")
        self._next += count
        return taken.reshape(*self.lead, *shape)

    def between(self, low: float | Tensor, high: float | Tensor, *shape: int) -> Tensor:
        return low + (high - low) * self.unit(*shape)

    def log_between(self, low: float, high: float, *shape: int) -> Tensor:
        """Every octave between the two is equally likely."""
        return low * (high / low) ** self.unit(*shape)

    def normal(self, *shape: int) -> Tensor:
        """Of deviation 1, without the farthest tails."""
        return torch.erfinv(self.unit(*shape) * 1.996 - 0.998) * math.sqrt(2)

    def sign(self, *shape: int) -> Tensor:
        return torch.where(self.unit(*shape) < 0.5, -1.0, 1.0).double()

    def angle(self, *shape: int) -> Tensor:
        return self.unit(*shape) * (2 * math.pi)

    def happens(self, probability: float | Tensor, *shape: int) -> Tensor:
        return self.unit(*shape) < probability

    def pick(self, weights: list[float], *shape: int) -> Tensor:
        """The number of one of the weights."""
        limits = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        return torch.bucketize(self.unit(*shape) * limits[-1], limits[:-1].contiguous(), right=True)

    def seeds(self, *shape: int) -> Tensor:
        """For `scramble`, int32."""
        return (self.unit(*shape) * 2**31).int()


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
