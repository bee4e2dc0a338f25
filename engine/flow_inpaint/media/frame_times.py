"""When each frame of a video result is shown: at a constant rate, or as in footage whose rate varies."""
from __future__ import annotations

from fractions import Fraction

from ..errors import BadClip
from .source import Source

_UNITS = {"matroska": Fraction(1, 1000)}  # containers that count in a unit of their own


class FrameTimes:
    """The times of the job frames first..last, counted in `unit` seconds from the first one.

    `vary`: they are the source's own. `before` is how many frames at `rate` have gone by in the source until then, for its
    timecode. Raises `BadClip` when the container cannot tell two frames apart.
    """

    def __init__(self, source: Source, first: int, last: int, rate: Fraction, container: str):
        info = source.info
        self._source, self._first, self._rate = source, info.indices[first], rate
        self.vary = info.time_base is not None and info.contiguous(first, last)
        self._lost = info.time_base is not None and not self.vary
        self.unit = _UNITS.get(container, info.time_base) if self.vary else 1 / rate
        self.before = self._first
        if self.vary:
            self._begin = source.seconds(self._first)
            self.before = round((self._begin - source.seconds(0)) * rate)
            self._check(last - first + 1, container)

    def stamp(self, number: int) -> int:
        """When result frame `number`, from 0, is shown; for their number, when the last one ends."""
        return round((self._source.seconds(self._first + number) - self._begin) / self.unit) if self.vary else number

    def notes(self, name: str) -> list[str]:
        path = self._source.info.path.name
        if self.vary:
            return [f"The frame rate of {path} varies: {name} keeps the time of every frame."]
        if self._lost:
            return [f"The frame rate of {path} varies, and its frames do not run on: {name} shows {float(self._rate):g} of them a second."]
        return []

    def _check(self, count: int, container: str) -> None:
        stamps = [self.stamp(k) for k in range(count)]
        for number, (one, other) in enumerate(zip(stamps, stamps[1:])):
            if one >= other:
                frame = self._first + number
                raise BadClip(
                    f"{self._source.info.path} shows frames {frame} and {frame + 1} less than a millisecond apart, "
                    f"which {container.capitalize()} cannot hold: choose ProRes (.mov) or images."
                )
