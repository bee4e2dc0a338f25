"""Chance that belongs to a sample: the same numbers on any device, in any batch, on any process, however many are made at once.

Two ways to it: numbers by a sample's key and a word, on the key's own device (`uniform` and its kin); and `Draws`, a long row of
numbers handed out in a fixed order, on the CPU.
"""
from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
#: Constants of SplitMix64 (Steele, Lea, Flood 2014), as signed numbers.
_GOLDEN, _FIRST, _SECOND = (number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def seed_of(*words: object) -> int:
    """A seed of 63 bits for anything that has a name, the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def uniform(keys: Tensor, salt: str, shape: tuple[int, ...] = ()) -> Tensor:
    """(N,) int64 keys -> (N, *shape) float32 in 0..1, the end excluded. Another salt gives independent numbers."""
    count = math.prod(shape)
    place = torch.arange(1, count + 1, device=keys.device)
    state = _mixed(keys ^ seed_of(salt))[:, None] + place * _GOLDEN
    # 24 bits are what float32 holds.
    return (_shifted(_mixed(state), 40).float() / (1 << 24)).reshape(len(keys), *shape)


def normal(keys: Tensor, salt: str, shape: tuple[int, ...] = ()) -> Tensor:
    """The same with mean 0 and deviation 1."""
    length = torch.sqrt(-2 * torch.log(1 - uniform(keys, f"{salt}/length", shape)))
    return length * torch.cos(2 * math.pi * uniform(keys, f"{salt}/angle", shape))


def below(keys: Tensor, salt: str, end: int) -> Tensor:
    """(N,) integers in 0..end-1."""
    return (uniform(keys, salt) * end).long().clamp(max=end - 1)


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shifted to the right as an unsigned number."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


# --- numbers in a row ---


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
