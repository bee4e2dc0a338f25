"""What a job's mattes say before any picture is read: which frames and which part of them matter."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from .clock import Clock
from .coverage import RememberedMatte
from .effect import Value
from .errors import BadClip
from .job import Job
from .media import ClipInfo, Matte, open_matte
from .poisson import bounding_box

_LEAST_SURROUNDINGS = 64
#: Where in a job frames stand for the others.
_PLACES = (0.5, 0.2, 0.8, 0.35, 0.65)


def frame_range(job: Job, info: ClipInfo) -> tuple[int, int]:
    """First and last job frame that are asked for."""
    first, last = job.frames or (0, info.count - 1)
    if last >= info.count:
        raise BadClip(f"Frames {first}-{last} are asked for, and {info.path.name} has frames 0-{info.count - 1}.")
    return first, last


def context_of(params: Mapping[str, Value]) -> int:
    """How many frames before and after a frame it depends on: those within reach, and of those that it is steadied by too."""
    return int(params["reach"]) + (float(params["steadiness"]) > 0)


def spread(first: int, last: int) -> list[int]:
    """Frames that stand for first..last, each with the one after it: one in the middle, then others around it."""
    return list(dict.fromkeys(first + round((last - 1 - first) * share) for share in _PLACES)) if last > first else []


def _needed(first: int, last: int, context: int, count: int) -> tuple[int, int]:
    """OpenFX's getFramesNeeded: the frames that the range depends on."""
    return max(first - context, 0), min(last + context, count - 1)


def matte_of(job: Job, info: ClipInfo) -> Matte:
    """The job's matte over a source. See `open_matte` for what it raises."""
    grow, below, feather = (int(job.params[name]) for name in ("mask_grow", "mask_grow_below", "mask_feather"))
    return open_matte(job.mask, info, grow, float(job.params["mask_threshold"]), below, feather)


@dataclass
class Survey:
    """What the mattes say before any picture is read.

    region  OpenFX's getRegionsOfInterest: rows and columns that are processed; None: nothing is masked in the wanted frames
    needed  first and last frame that are read, so that the wanted ones see far enough
    pixels  how many are masked in the wanted frames
    digest  stands for every pixel of the mattes that were read
    """

    region: tuple[slice, slice] | None
    needed: tuple[int, int]
    pixels: int
    digest: str = ""

    @property
    def size(self) -> int:
        """Pixels of the region; not where it is None."""
        rows, columns = self.region
        return (rows.stop - rows.start) * (columns.stop - columns.start)


def survey(
    matte: Matte | RememberedMatte,
    info: ClipInfo,
    wanted: tuple[int, int],
    context: int,
    clock: Clock,
    references: Iterable[int] = (),
    most: int | None = None,
) -> Survey:
    """Reads the mattes of the wanted frames and of those around them that may be a source. Raises `BadClip` where nothing is left to
    fill from.

    context     see `context_of`
    references  frames that have a reference, which are read too
    most        how many mattes are read at most, evenly spaced; the others are taken to be as these are
    """
    needed = _needed(*wanted, context, info.count)
    needed = min([needed[0], *references]), max([needed[1], *references])
    rows, columns = np.zeros(info.height, bool), np.zeros(info.width, bool)
    pixels = largest = 0
    everything = True
    step = 1 if most is None else -(-(needed[1] - needed[0] + 1) // most)
    counted = 0
    digest = blake2b(digest_size=16)
    for frame in range(needed[0], needed[1] + 1, step):
        (hole,) = matte.read(frame, frame)
        counted += wanted[0] <= frame <= wanted[1]
        clock.tick("matte", frame - needed[0] + 1, needed[1] - needed[0] + 1)
        digest.update(np.packbits(hole).data)
        box = bounding_box(hole)
        if box is None:
            everything = False
            continue
        rows[box[0]], columns[box[1]] = True, True
        largest = max(largest, *(part.stop - part.start for part in box))
        covered = int(hole.sum())
        everything &= covered == hole.size
        if wanted[0] <= frame <= wanted[1]:
            pixels += covered
    if everything:
        raise BadClip("The matte covers the whole picture in every frame, so nothing is left to fill it from: check its channel, or invert it.")
    if not pixels and step > 1:
        return survey(matte, info, wanted, context, clock, references)
    if not pixels:
        return Survey(None, wanted, 0)
    # A hole shows its background once it has moved by its own size: that much around it may be a source.
    around = max(largest, _LEAST_SURROUNDINGS)
    pixels = round(pixels * (wanted[1] - wanted[0] + 1) / max(counted, 1))
    return Survey((_widened(rows, around), _widened(columns, around)), needed, pixels, digest.hexdigest())


def _widened(marked: np.ndarray, by: int) -> slice:
    at = np.flatnonzero(marked)
    return slice(max(int(at[0]) - by, 0), min(int(at[-1]) + 1 + by, marked.size))
