"""Which frames are looked at, and how: small, so that a whole shot takes seconds."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ..media import Matte, Source
from ..motion import View, eight_bits, view_of
from ..poisson import bounding_box
from ..propagation.trace import GUARD, guard_band

#: Frames that are looked at, frames that are read (decoding is what takes the time), and pixels of a small picture.
_LOOKED_AT, _READ, _PIXELS = 100, 900, 240 * 135
#: How many samples the reach spans at least.
_STEPS = 4


@dataclass(frozen=True)
class Sample:
    """A frame made small.

    view     for measuring motion; its hole is whatever shows anything of the matte or of its guard
    colour   (h, w, 3) uint8
    hole     (h, w) bool
    hidden   (h, w) bool, the hole and the band around it that is no source
    """

    frame: int
    view: View
    colour: np.ndarray
    hole: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True)
class Stretch:
    """Frames that are looked at, in order, and the first and last of those whose reach lies within them."""

    frames: list[int]
    counted: tuple[int, int]


def plan(first: int, last: int, reach: int, besides: Iterable[int] = ()) -> list[Stretch]:
    """Evenly spaced frames of first..last: one stretch for a shot of usual length, several apart for a long one.

    besides  frames that are looked at too, if they lie in a stretch
    """
    count = last - first + 1
    step = max(1, min(-(-min(count, _READ) // _LOOKED_AT), reach // _STEPS))
    budget = min(_READ, step * _LOOKED_AT)
    if count <= budget:
        spans = [(first, last)]
    else:
        # What is within reach of a frame has to be in its stretch.
        length = min(max(budget // 4, 2 * reach + 10 * step), count)
        number = max(1, budget // length)
        places = (np.arange(number) + 0.5) / number if number == 1 else np.linspace(0, 1, number)
        begins = np.rint(first + places * (count - length)).astype(int)
        spans = [(int(begin), int(begin) + length - 1) for begin in begins]
    more = set(besides)
    return [
        Stretch(
            sorted({*range(a, b + 1, step), b, *(k for k in more if a <= k <= b)}),
            (a if a == first else a + reach, b if b == last else b - reach),
        )
        for a, b in spans
    ]


class RememberedMatte:
    """A matte whose frames are read once, however often they are asked for; between, only the bits of their box are kept."""

    def __init__(self, matte: Matte):
        self._matte = matte
        self._known: dict[int, tuple[tuple[int, int], tuple[slice, slice] | None, np.ndarray]] = {}

    def read(self, first: int, last: int) -> Iterator[np.ndarray]:
        """As `Matte.read`."""
        return (self._hole(frame) for frame in range(first, last + 1))

    def _hole(self, frame: int) -> np.ndarray:
        if frame not in self._known:
            (hole,) = self._matte.read(frame, frame)
            box = bounding_box(hole)
            self._known[frame] = hole.shape, box, np.packbits(hole[box] if box else hole[:0])
            return hole
        shape, box, bits = self._known[frame]
        hole = np.zeros(shape, bool)
        if box:
            part = hole[box]
            part[...] = np.unpackbits(bits, count=part.size).view(bool).reshape(part.shape)
        return hole


def read_samples(
    source: Source, matte: Matte | RememberedMatte, frames: Iterable[int], region: tuple[slice, slice], tick: Callable[[], None]
) -> Iterator[Sample]:
    """The region of these frames, small, read when it is asked for. `tick` is called before each."""
    shape = tuple(part.stop - part.start for part in region)
    scale = min(1.0, (_PIXELS / (shape[0] * shape[1])) ** 0.5)
    size = max(8, round(shape[1] * scale)), max(8, round(shape[0] * scale))
    for frame in frames:
        tick()
        picture, whole = next(iter(source.read(frame, frame))), next(iter(matte.read(frame, frame)))
        hole = np.ascontiguousarray(whole[region])
        colour = cv2.resize(eight_bits(picture.rgb[region]), size, interpolation=cv2.INTER_AREA)
        covered, near = (cv2.resize(x.astype(np.float32), size, interpolation=cv2.INTER_AREA) for x in (hole, guard_band(hole, GUARD)))
        yield Sample(frame, view_of(colour, near > 0), colour, covered > 0.5, (near > 0.5) | (covered > 0.5))
