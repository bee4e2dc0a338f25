"""How the numbers of a picture are worked on: display values as they are, linear light on a curve as even as the eye.

In linear light a highlight outweighs everything beside it: joined there in the gradient domain, what was carried is
pulled by hundreds at one end of the hole and below zero at the other, and patches are compared by their brightest pixel
alone. On a power curve equal steps look equal. It goes on above 1 and below 0, so nothing is cut off, and a gain of
light is a gain there too.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .media import Source

_GAMMA = 2.2
#: Where the bright part of a linear picture may lie before it is brought nearer to 1 for working.
_DIMMEST, _BRIGHTEST = 0.125, 4.0
_WANTED = 0.7
_BRIGHT_PART = 95.0


@dataclass(frozen=True)
class Tone:
    """`linear`: whether the source's numbers are linear light (1.0 = white). `exposure`: what they are multiplied by for working."""

    linear: bool = False
    exposure: float = 1.0

    def exposed(self, rgb: np.ndarray) -> np.ndarray:
        """The source's numbers, those of linear light in a range where motion can be measured."""
        return rgb if self.exposure == 1.0 else rgb * np.float32(self.exposure)

    def coded(self, rgb: np.ndarray) -> np.ndarray:
        """The numbers that pixels are carried and joined in, in the source's type."""
        return _power(self.exposed(rgb), 1 / _GAMMA) if self.linear else rgb

    def decoded(self, coded: np.ndarray) -> np.ndarray:
        """Undoes `coded`, to within rounding."""
        return _power(coded, _GAMMA) / np.float32(self.exposure) if self.linear else coded

    def coded_gain(self, change: np.ndarray) -> np.ndarray:
        """The logarithm of a gain of light as one of coded numbers."""
        return change / _GAMMA if self.linear else change


def _power(values: np.ndarray, exponent: float) -> np.ndarray:
    return np.copysign(np.abs(values) ** np.float32(exponent), values)


def tone_of(source: Source, first: int, last: int) -> Tone:
    """The tone for the job frames first..last, from three of them: one for all, or motion would see the exposure change.

    Footage of usual exposure is left as it is.
    """
    if source.info.white != 1.0:
        return Tone()
    bright = max(_bright_part(next(source.read(k, k)).rgb) for k in sorted({first, (first + last) // 2, last}))
    if bright == 0 or _DIMMEST <= bright <= _BRIGHTEST:
        return Tone(linear=True)
    # A power of two changes no digit.
    return Tone(linear=True, exposure=2.0 ** max(-100, min(100, round(math.log2(_WANTED / bright)))))


def _bright_part(rgb: np.ndarray) -> float:
    return max(float(np.percentile(rgb[::4, ::4].max(axis=2), _BRIGHT_PART)), 0.0)
