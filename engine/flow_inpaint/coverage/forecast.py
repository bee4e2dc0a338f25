"""How much of the hole other frames see: the whole job's tracing on a sample of small pictures."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..completion import continuation
from ..cuts import CutFinder
from ..flow import Estimator
from ..motion import MotionSettings, flows
from ..propagation.trace import UNSEEN, Hops, follow, hops, is_inside, nearest
from .sampling import Sample

#: Unseen pixels of a frame whose way is followed to find the best reference; they stand for the others.
_WALKERS = 150
#: A smaller share of the hole is not worth a reference.
_WORTH = 0.002
_STAY = Hops.none()

Step = tuple[Hops, Hops]
Each = Callable[[Callable[[tuple[Sample, Sample]], Step], Iterable[tuple[Sample, Sample]]], Iterable[Step]]


@dataclass(frozen=True)
class Coverage:
    """What a job's hole is filled from, as an estimate. Shares are 0..1 of the masked pixels.

    seen, referenced, unseen  by other frames, by the job's references, by nothing; together 1
    frames           how many frames were looked at
    worst            the frame with the largest part unseen (source numbering), None if nothing is masked
    reference        the frame whose painted hole would show the most of what is unseen; None if it is not worth it
    reference_shows  how much of the unseen that would be
    by_frame         [frame, share of its hole that is unseen] for the frames that were looked at and have a hole
    picture          where its picture was written
    """

    seen: float
    referenced: float
    unseen: float
    frames: int
    worst: int | None
    reference: int | None
    reference_shows: float
    by_frame: list[tuple[int, float]]
    picture: str | None = None


@dataclass
class Found:
    """`coverage`, and for the picture what is unseen of each sample, (h, w) bool by frame."""

    coverage: Coverage
    unseen: dict[int, np.ndarray] = field(default_factory=dict)


def forecast(
    stretches: Iterable[tuple[Iterable[Sample], tuple[int, int]]],
    reach: int,
    references: Iterable[int],
    estimator: Estimator,
    each: Each,
    tick: Callable[[], None],
    *,
    cuts: bool,
) -> Found:
    """Traces the holes of all samples and counts.

    stretches   samples in order of frames, and the first and last frame that count
    references  frames whose reference the job has
    each        maps a function over pairs, in order, while the next ones are still being read
    tick        is called many times a second
    cuts        whether to look for cuts
    """
    tally = _Tally()
    for coming, counted in stretches:
        samples: list[Sample] = []
        steps = list(each(partial(_step, estimator=estimator), itertools.pairwise(_kept(coming, samples))))
        begins = [0, *(_cuts(samples) if cuts else []), len(samples)]
        for begin, end in itertools.pairwise(begins):
            tally.add(_Shot(samples[begin:end], steps[begin : end - 1], reach), counted, references, tick)
        tally.looked += len(samples)
    return tally.found()


def _cuts(samples: Sequence[Sample]) -> list[int]:
    finder = CutFinder()
    return [k for k, sample in enumerate(samples) if finder.is_cut(sample.colour, sample.view.hole)]


def _kept(samples: Iterable[Sample], into: list[Sample]) -> Iterator[Sample]:
    for sample in samples:
        into.append(sample)
        yield sample


def _step(pair: tuple[Sample, Sample], estimator: Estimator) -> Step:
    a, b = pair
    if not (a.hidden.any() or b.hidden.any()):
        return _STAY, _STAY
    settings = MotionSettings(estimator, continuation(), refinement=1, scale=1.0)
    forward, backward = flows(a.view, b.view, settings)
    return hops(a.hidden, forward, backward), hops(b.hidden, backward, forward)


class _Shot:
    """The samples of one shot and the steps between them."""

    def __init__(self, samples: Sequence[Sample], steps: Sequence[Step], reach: int):
        self.samples, self._reach = samples, reach
        self._shape = samples[0].hole.shape
        self._hidden = [np.flatnonzero(sample.hidden) for sample in samples]
        self._later = {k: step[0] for k, step in enumerate(steps)}
        self._earlier = {k + 1: step[1] for k, step in enumerate(steps)}

    def unseen(self, k: int) -> np.ndarray:
        """Flat indices of sample k's hole pixels that no other sample within reach shows."""
        pixels = np.flatnonzero(self.samples[k].hole)
        missing = np.ones(pixels.size, bool)
        for way, others in ((self._later, range(k + 1, len(self.samples))), (self._earlier, range(k - 1, -1, -1))):
            near = [other for other in others if abs(self.samples[other].frame - self.samples[k].frame) <= self._reach]
            (links,) = follow(pixels, k, near, self._shape, self._hidden.__getitem__, way.__getitem__)
            missing &= links.frame == UNSEEN
        return pixels[missing]

    def spans(self, starts: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For N pixels of samples `starts`: the first and the last sample up to which each stays hidden on its way."""
        count = len(self.samples)
        forward = self._ends(starts, pixels, range(count), self._later)
        return self._ends(starts, pixels, range(count - 1, -1, -1), self._earlier), forward

    def _ends(self, starts: np.ndarray, pixels: np.ndarray, order: Sequence[int], way: Mapping[int, Hops]) -> np.ndarray:
        ends = starts.copy()
        y, x = (part.astype(np.float32) for part in np.divmod(pixels, self._shape[1]))
        alive = np.zeros(0, np.int64)
        for k, beside in itertools.pairwise(order):
            alive = np.concatenate([alive, np.flatnonzero(starts == k)])
            slot = np.searchsorted(way[k].pixels, nearest(x[alive], y[alive], self._shape))
            x[alive] += way[k].u[slot]
            y[alive] += way[k].v[slot]
            stays = is_inside(x[alive], y[alive], self._shape)
            stays &= self.samples[beside].hidden.ravel()[nearest(x[alive], y[alive], self._shape)]
            alive = alive[stays]
            ends[alive] = beside
        return ends


@dataclass
class _Tally:
    hole: int = 0
    unseen: float = 0.0
    referenced: float = 0.0
    looked: int = 0
    by_frame: list[tuple[int, float]] = field(default_factory=list)
    maps: dict[int, np.ndarray] = field(default_factory=dict)
    #: How many unseen pixels of all samples a frame would show, if its hole were painted.
    shows: dict[int, float] = field(default_factory=dict)

    def add(self, shot: _Shot, counted: tuple[int, int], references: Iterable[int], tick: Callable[[], None]) -> None:
        chance = np.random.default_rng(0)
        frames = [sample.frame for sample in shot.samples]
        given = np.array([frame in set(references) for frame in frames])
        before = np.concatenate([[0], np.cumsum(given)])
        shows = np.zeros(len(frames) + 1)
        for k, sample in enumerate(shot.samples):
            tick()
            size = int(sample.hole.sum())
            if not counted[0] <= sample.frame <= counted[1] or not size:
                continue
            missing = shot.unseen(k)
            chosen = chance.permutation(missing)[:_WALKERS]
            share = 0.0
            if chosen.size:
                first, last = shot.spans(np.full(chosen.size, k), chosen)
                left = before[last + 1] == before[first]
                share = 1 - float(left.mean())
                np.add.at(shows, first[left], missing.size / chosen.size)
                np.add.at(shows, last[left] + 1, -missing.size / chosen.size)
            self.hole += size
            self.referenced += share * missing.size
            self.unseen += (1 - share) * missing.size
            self.by_frame.append((sample.frame, (1 - share) * missing.size / size))
            self.maps[sample.frame] = np.isin(np.arange(sample.hole.size), missing).reshape(sample.hole.shape)
        for frame, number in zip(frames, np.cumsum(shows[:-1])):
            self.shows[frame] = self.shows.get(frame, 0.0) + float(number)

    def found(self) -> Found:
        if not self.hole:
            return Found(Coverage(1.0, 0.0, 0.0, self.looked, None, None, 0.0, []))
        unseen, referenced = self.unseen / self.hole, self.referenced / self.hole
        worst = max(self.by_frame, key=lambda pair: pair[1])[0]
        best = max(self.shows, key=lambda frame: self.shows[frame]) if unseen > _WORTH else None
        shows = min(self.shows[best] / self.unseen, 1.0) if best is not None else 0.0
        rounded = [(frame, round(share, 4)) for frame, share in self.by_frame]
        return Found(Coverage(1 - unseen - referenced, referenced, unseen, self.looked, worst, best, shows, rounded), self.maps)
