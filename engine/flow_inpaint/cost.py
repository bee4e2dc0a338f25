"""What a job takes in time, memory and room on disk, before it is done.

Room on disk follows from what is remembered of each pixel. Time and memory are mostly the motion's: some pairs of the job's own
frames are measured and timed, by the processor's time, so that other work on the machine does not count. The constants for the rest
are from two cores of a server (`tests/benchmarks/forecast.py`); what networks take is not in it.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .coverage import RememberedMatte
from .light import change_of_light, glimpse_of
from .media import Source
from .motion import MotionSettings, measure, view_of
from .side_by_side import one_thread_each, workers
from .survey import Survey

#: Pairs that are timed at most, and the seconds after which no other one is begun.
_PAIRS, _ENOUGH = 3, 2.0

#: Bytes that are remembered of each pixel of a hole: hops and their index (and of its guard, so much more), links both ways.
_GUARDED, _GUARD, _LINKED = 36, 1.06, 40
#: Of each that nothing shows: that it is so, and where it comes from; of each pixel of a key; of a whole flow, and its completion.
_UNSEEN, _KEY, _FLOWS = 20, 12, 32
_CHUNK, _KEYS = 80, 2

#: Nanoseconds of processor time: tracing, composing and inventing for a pixel of the hole; reading, comparing and writing one.
_TRACED, _COMPOSED, _INVENTED, _CARRIED = 1450, 1300, 60_000, 110
#: What a core is worth when others work beside it, and what they wait for.
_SHARED = 0.87

#: MiB of the program itself; bytes for each pixel of the region, of the hole and of the picture, for each worker.
PROGRAM_MIB = 150
_OF_REGION, _OF_HOLE, _OF_PICTURE = 120, 900, 40


@dataclass(frozen=True)
class Known:
    """What is known of a known.

    surveyed  its frames and the part of them that is worked on; not None
    wanted    how many frames are written
    size      pixels of a picture
    hole      masked ones, on average
    unseen    the share of them that nothing shows
    itemsize  bytes of a sample
    reach     frames that are searched both ways
    whole     whole flows are kept
    """

    surveyed: Survey
    wanted: int
    size: int
    hole: float
    unseen: float
    itemsize: int
    reach: int
    whole: bool

    @property
    def needed(self) -> int:
        return self.surveyed.needed[1] - self.surveyed.needed[0] + 1

    @property
    def region(self) -> int:
        rows, columns = self.surveyed.region
        return (rows.stop - rows.start) * (columns.stop - columns.start)

    @property
    def keys(self) -> int:
        return -(-self.needed // _CHUNK) * _KEYS if self.unseen > 0.01 else 0


def passing(frames: int, size: int) -> float:
    """Seconds for frames of so many pixels in which nothing is masked."""
    return 1e-9 * frames * size * _CARRIED


def disk_of(known: Known) -> float:
    """Bytes of the work folder when it is largest."""
    pixel = _GUARDED * _GUARD + _LINKED + _UNSEEN * known.unseen
    frame = known.region * (3 * known.itemsize + _FLOWS * known.whole) + known.hole * pixel
    return known.needed * frame + known.keys * known.region * _KEY


def seconds_of(known: Known, pair: float) -> float:
    """By the clock, on this machine when it does nothing else. `pair`: processor seconds of a pair, see `seconds_of_a_pair`."""
    side_by_side = (known.needed - 1) * pair + 1e-9 * known.hole * (known.needed * _TRACED * min(known.reach / 40, 1) + known.wanted * _COMPOSED)
    alone = 1e-9 * (known.keys * known.unseen * known.hole * _INVENTED + (known.needed + known.wanted) * known.size * _CARRIED)
    return side_by_side / (max(workers() - 1, 1) if workers() > 2 else workers() * _SHARED) + alone


def memory_of(known: Known) -> float:
    """Bytes of the process when it is largest, with what it has mapped of the work folder."""
    mapped = min(known.needed, 2 * known.reach + 1) * known.region * 3 * known.itemsize
    each = known.region * _OF_REGION + known.hole * _OF_HOLE + known.size * _OF_PICTURE
    return PROGRAM_MIB * 2**20 + mapped + each * workers()


def seconds_of_a_pair(
    source: Source, matte: RememberedMatte, surveyed: Survey, settings: MotionSettings, lighting: bool, tick: Callable[[], None]
) -> float:
    """Processor seconds that the motion between two frames takes: the mean of some pairs, evenly over the known."""
    taken: list[float] = []
    began = time.monotonic()
    with one_thread_each():
        for first in _spread(*surveyed.needed):
            tick()
            if taken and time.monotonic() - began > _ENOUGH:
                break
            frames = [picture.rgb[surveyed.region] for picture in source.read(first, first + 1)]
            holes = [np.ascontiguousarray(hole[surveyed.region]) for hole in matte.read(first, first + 1)]
            start = time.thread_time()
            seen = [view_of(frame, hole, colour=settings.estimator.colour) for frame, hole in zip(frames, holes)]
            looked = time.thread_time() - start
            if lighting:
                change_of_light(*(glimpse_of(frame, hole) for frame, hole in zip(frames, holes)))
            measure(*seen, settings)
            # Each frame is looked at once, and here both were.
            taken.append(time.thread_time() - start - looked / 2)
    return sum(taken) / len(taken) if taken else 0.0


def _spread(first: int, last: int) -> Iterator[int]:
    """First frames of pairs: the middle, then what lies around it."""
    yield from dict.fromkeys(first + round((last - 1 - first) * share) for share in (0.5, 0.2, 0.8)[:_PAIRS]) if last > first else ()
