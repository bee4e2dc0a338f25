"""Chance that belongs to a sample: the same numbers for the same key on any device, in any batch and on any process."""
from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

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
