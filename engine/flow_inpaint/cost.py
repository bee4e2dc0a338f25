"""What a job takes in time, memory and room on disk, before it is done.

Room on disk follows from what is remembered of each pixel. Time and memory are mostly the motion's: some pairs of the job's own
frames are measured and timed, by the processor's time, so that other work on the machine does not count. The constants for the rest
are from two cores of a server (`tests/benchmarks/forecast.py`), and how fast this machine is beside it is timed too; what networks
take is not in it.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .coverage import RememberedMatte
from .light import change_of_light, glimpse_of
from .media import Source
from .media.video_reader import frames_kept
from .motion import MotionSettings, measure, view_of
from .poisson import interpolate
from .shot import KEYS
from .side_by_side import one_thread_each, workers
from .survey import Survey, spread
from .windows import WINDOW
from .work_segments import SEGMENT

Pair = tuple[list[np.ndarray], list[np.ndarray]]
"""Two neighbouring frames, (H, W, 3) each, and their holes, (H, W) bool."""

#: Pairs that are timed at most, and the seconds after which no other one is begun.
_PAIRS, _ENOUGH = 3, 2.0

#: Bytes that are remembered of each pixel: of a hole, its hops both ways and where they are; of its guard too, its index, and its hops by
#: the camera's motion.
_HOPS, _GUARDED, _BY_CAMERA, _GUARD = 12.5, 4, 12, 1.06
#: Of each that nothing shows: that it is so, and where it comes from; of each pixel of a key; of a whole flow, and its completion.
_UNSEEN, _KEY, _FLOWS = 20, 12, 32
#: A window of frames shares its keys: one, and one more for each so many frames of it. Where little is unseen, it lies about in places
#: that lead nowhere, and takes as many as there may be, however few frames there are.
_FRAMES_A_KEY, _LITTLE = 20, 0.1
#: Of a finished frame: bytes for whatever it is, and for each pixel of the hole that says where it comes from.
_LINE, _ORIGIN = 700, 20
#: Frames that are on their way to be written when a window is begun, and those that share a file with one that is needed.
_UNDER_WAY, _BESIDE = 2 * (workers() + 2), SEGMENT // 2

#: Microseconds of processor time for a pixel: of the hole, traced (over so many frames of reach), looked behind, composed, sampled in one
#: frame each way, and matched; of what is seen nowhere, invented by each fill in a key; of the picture, read or written. And seconds for
#: a frame, whatever its size, and for one that is steadied by those beside it.
_TRACED, _REACH, _LOOKED, _COMPOSED, _SAMPLED, _MATCHED, _CARRIED, _FRAME, _STEADIED = 1.4, 40, 1.2, 2.6, 0.9, 1.5, 0.04, 0.03, 0.17
_INVENTED = {"exemplar": 85.0, "telea": 8.0, "deepfill": 85.0}
#: What a core is worth when others work beside it, and the seconds that `slowness` takes where the constants are from.
_SHARED, _PIECE = 0.87, 0.0105

#: MiB of the program itself, its libraries among them; bytes for each pixel of the region, by the size motion is measured at, and
#: of the hole, for each worker; and what is left of that when the pictures of a first window are mapped.
PROGRAM_MIB = 125
_OF_REGION, _OF_HOLE, _LEFT = {"full": 350, "half": 65}, 450, 0.45
#: Whole pictures: how many a decoder holds; how many decoders there are, because frames are read for motion and again to be written; RGB
#: ones at a time; and for each worker, those to be composed and those that are.
_DECODING, _DECODERS, _RGB, _COMPOSING = 9, 2, 2, 2
#: What an encoder holds: pictures, and bytes for each pixel besides. That of images is done by the workers.
_ENCODING = {"ffv1": (9, 20), "h264": (0, 108), "prores": (0, 28)}


@dataclass(frozen=True)
class Known:
    """What is known of a job.

    surveyed  its frames and the part of them that is worked on; not None
    wanted    how many frames are written
    size      pixels of a picture
    stored    bytes of one as its file's samples
    video     the source is a video file
    format    the output's
    hole      masked ones, on average
    unseen    the share of them that nothing shows
    itemsize  bytes of a sample
    reach     frames that are searched both ways
    candidates  frames that are blended both ways
    match_sides both sides of the hole are matched
    follow_camera  what is hidden may move with the camera
    steadied  frames are steadied by those beside them
    around    pixels around a hole that steps are kept of
    whole     whole flows are kept
    shots     whole shots are kept
    origins   it is kept where pixels come from
    fill      the name of the method that invents
    flow_size the parameter of that name
    """

    surveyed: Survey
    wanted: int
    size: int
    stored: int
    video: bool
    format: str
    hole: float
    unseen: float
    itemsize: int
    reach: int
    candidates: int
    match_sides: bool
    follow_camera: bool
    around: int
    whole: bool
    shots: bool = False
    origins: bool = False
    steadied: bool = False
    fill: str = "exemplar"
    flow_size: str = "full"

    @property
    def needed(self) -> int:
        return self.surveyed.needed[1] - self.surveyed.needed[0] + 1

    @property
    def region(self) -> int:
        return self.surveyed.size

    @property
    def of_a_worker(self) -> float:
        return of_a_worker(self.region, self.hole, self.flow_size)

    @property
    def workers(self) -> int:
        return workers(self.of_a_worker)

    @property
    def keys(self) -> float:
        """How many keys are likely."""
        return self._keys_of(self.needed)

    @property
    def at_once(self) -> int:
        """Of how many frames all is kept at a time. How long its shots are is not known: as if it were one."""
        within = WINDOW + 2 * self.reach + _UNDER_WAY + _BESIDE
        return self.needed if self.whole or self.shots else min(self.needed, within)

    @property
    def keys_at_once(self) -> float:
        return self._keys_of(self.at_once)

    def _keys_of(self, frames: int) -> float:
        if not self.unseen:
            return 0
        windows = -(-frames // WINDOW)
        return KEYS * windows if self.unseen < _LITTLE else min(windows + frames / _FRAMES_A_KEY, KEYS * windows)


def of_a_worker(region: int, hole: float, flow_size: str) -> float:
    """Bytes that a frame takes that is worked on: pixels of the region, masked ones of them, and the parameter `flow_size`."""
    return region * _OF_REGION[flow_size] + hole * _OF_HOLE


def passing(frames: int, size: int) -> float:
    """Seconds for frames of so many pixels in which nothing is masked."""
    return 2e-6 * frames * size * _CARRIED


def disk_of(known: Known) -> float:
    """Bytes of the work folder when it is largest: what is kept of some frames at a time, and what of every finished one."""
    pixel = (_GUARDED + _BY_CAMERA * known.follow_camera) * _GUARD + _UNSEEN * known.unseen
    # As if the hole were a square in the middle of the region.
    stepped = min((known.hole**0.5 + 2 * known.around) ** 2, known.region) if known.hole else 0
    frame = known.region * (3 * known.itemsize + _FLOWS * known.whole) + known.hole * pixel + stepped * _HOPS
    made = known.hole * (3 * known.itemsize + _ORIGIN * known.origins) + _LINE
    return known.at_once * frame + known.keys_at_once * known.region * _KEY + known.wanted * made


def seconds_of(known: Known, pair: float, slowness: float) -> float:
    """By the clock, on this machine when it does nothing else. `pair`: processor seconds of a pair, see `seconds_of_a_pair`; `slowness`:
    see there."""
    searched = min(known.reach, known.needed / 1.25) / _REACH
    traced = (known.needed + known.wanted) * known.hole * _TRACED * searched
    looked = known.needed * known.hole * _LOOKED * searched * known.follow_camera
    written = known.wanted * (known.hole * (_COMPOSED + _SAMPLED * known.candidates + _MATCHED * known.match_sides) + known.size * _CARRIED)
    frames = known.wanted * (_FRAME + _STEADIED * known.steadied)
    together = (known.needed - 1) * pair + slowness * (frames + 1e-6 * (traced + looked + written))
    # What is invented goes from one key to the next.
    alone = slowness * 1e-6 * known.keys * known.unseen * known.hole * _INVENTED[known.fill]
    return together / max(known.workers * _SHARED, 1) + alone


def memory_of(known: Known) -> float:
    """Bytes of the process when it is largest, with what it has mapped of the work folder."""
    mapped = min(known.needed, 2 * known.reach + 1) * known.region * 3 * known.itemsize
    working = known.workers * known.of_a_worker
    # Jobs of several windows take about both together: what motion took is not all given back before pictures are mapped (BENCHMARKS.md).
    left = _LEFT if known.needed <= WINDOW else 1
    return PROGRAM_MIB * 2**20 + max(working, left * working + mapped) + _whole_pictures(known)


def _whole_pictures(known: Known) -> float:
    """Bytes of those, whatever part of them is worked on."""
    pictures, bytes_of_a_pixel = _ENCODING.get(known.format, (known.workers, 0))
    pictures += _COMPOSING * (known.workers + 2)
    if known.video:
        # What is kept of those that were read last is kept once.
        held = [_DECODING + frames_kept(known.stored), *[_DECODING] * (_DECODERS - 1)]
        pictures += sum(min(frames, known.needed) for frames in held)
    return pictures * known.stored + known.size * (bytes_of_a_pixel + 3 * known.itemsize * _RGB)


def pair(source: Source, matte: RememberedMatte, region: tuple[slice, slice], first: int) -> Pair:
    """The region of a frame and the next."""
    frames = [picture.rgb[region] for picture in source.read(first, first + 1)]
    return frames, [np.ascontiguousarray(hole[region]) for hole in matte.read(first, first + 1)]


def seconds_of_a_pair(
    source: Source, matte: RememberedMatte, surveyed: Survey, settings: MotionSettings, lighting: bool, tick: Callable[[], None]
) -> float:
    """Processor seconds that the motion between two frames takes: the mean of some pairs, evenly over the job."""
    taken: list[float] = []
    began = time.monotonic()
    with one_thread_each():
        for first in spread(*surveyed.needed)[:_PAIRS]:
            tick()
            if taken and time.monotonic() - began > _ENOUGH:
                break
            frames, holes = pair(source, matte, surveyed.region, first)
            start = time.thread_time()
            seen = [view_of(frame, hole, colour=settings.estimator.colour) for frame, hole in zip(frames, holes)]
            looked = time.thread_time() - start
            if lighting:
                change_of_light(*(glimpse_of(frame, hole) for frame, hole in zip(frames, holes)))
            measure(*seen, settings)
            # Each frame is looked at once, and here both were.
            taken.append(time.thread_time() - start - looked / 2)
    return sum(taken) / len(taken) if taken else 0.0


def slowness() -> float:
    """How many times as long as where the constants are from it takes this machine to do a piece of work of the kind that they are for."""
    rows, columns = np.mgrid[:240, :320].astype(np.float32)
    picture, hole = np.stack([rows, columns, rows + columns], -1), np.hypot(rows - 120, columns - 160) < 70
    taken = []
    with one_thread_each():
        for _ in range(20):
            start = time.thread_time()
            interpolate(picture, hole)
            taken.append(time.thread_time() - start)
    # Not the least: a machine that others use is as slow to a job as it is on average.
    return sum(taken) / len(taken) / _PIECE
