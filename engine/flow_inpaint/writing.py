"""The last stage of a job: each frame composed of what its window has found, and written."""
from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import numpy as np

from .clock import Clock
from .composing import Filled, detailed, faded, fill, finished, steadied
from .errors import Forgotten
from .made_frames import MadeFrame, keep, kept, kept_until
from .media import Source
from .media.picture import Picture
from .passes.pictures import Origins
from .poisson import bounding_box
from .results import Results
from .shot import Look, origins_of, sources_of
from .shot_store import ShotStore
from .side_by_side import Workers, in_order, threes
from .tone import Tone
from .windows import Windows


@dataclass
class Writing:
    """Composes and writes the frames of a job, once each.

    region   rows and columns that are processed
    needed, wanted  first and last frame that are read, and that are written
    next     the first frame that is not written yet
    masked, unseen  pixels in those that are
    """

    source: Source
    region: tuple[slice, slice]
    needed: tuple[int, int]
    wanted: tuple[int, int]
    look: Look
    tone: Tone
    results: Results
    clock: Clock
    pool: Workers
    next: int = field(init=False)
    masked: int = field(init=False, default=0)
    unseen: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.next = self.wanted[0]

    def go_on(self, store: ShotStore, windows: Windows) -> None:
        """Writes what is not written yet. Raises `Forgotten` where the store has not enough for it; it may be called again then, with
        another store."""
        first, (begin, last) = self.next, self.wanted
        made_before = kept_until(store, first, last, told=self.results.tell_origins)
        if store.floor > max(made_before - self.look.reach - 2, store.offset):
            raise Forgotten(everything=True)
        job = _Frames(self, store, made_before)
        beside = first - 1, last + 1
        ready = windows.frames(*beside, lambda: self.next)
        # Each frame is filled by itself, and then looked at beside its neighbours, which the range may leave out.
        outside = ([k] if not self.needed[0] <= k <= self.needed[1] else [] for k in beside)
        with closing(in_order(self.pool, job.filled, chain(next(outside), ready, next(outside)))) as fills:
            tasks = zip(self.source.read(first, last), threes(fills))
            with (
                closing(in_order(self.pool, job.made, tasks)) as frames,
                Workers(1) as writer,
                closing(in_order(writer, partial(self._written, store), enumerate(frames, first))) as written,
            ):
                for done in written:
                    self.clock.tick("write", done - begin + 1, last - begin + 1)

    def _written(self, store: ShotStore, task: tuple[int, tuple[MadeFrame, tuple]]) -> int:
        """Writes a frame, in a thread of its own: an encoder keeps whoever calls it waiting, and others could be composed meanwhile.

        Frames come in order, and after one that could not be written no other one is."""
        frame, (made, encoded) = task
        if frame == self.next:
            if not store.made.has(frame):
                keep(store, frame, made)
            self.results.write(encoded)
            self.masked += int(made.hole.sum())
            self.unseen += made.unseen
            self.next += 1
        return frame


_Fill = tuple[Filled | None, Origins | None]


@dataclass(frozen=True)
class _Frames:
    """What is done with a frame, by any thread. made_before: the first frame that no earlier run has made."""

    job: Writing
    store: ShotStore
    made_before: int

    def filled(self, frame: int) -> _Fill:
        """Its hole, and where that comes from if anything says so."""
        job, store, look = self.job, self.store, self.job.look
        # The frame before the first that is made has to be known beside it.
        if frame < self.made_before - 1 or not job.needed[0] <= frame <= job.needed[1] or not store.hole(frame).any():
            return None, None
        found = sources_of(store, frame, look)
        told = job.results.tell_origins and job.wanted[0] <= frame <= job.wanted[1]
        origin = (job.region[0].start, job.region[1].start)
        return fill(store, frame, look, found), origins_of(store, frame, look, origin, found) if told else None

    def made(self, task: tuple[Picture, tuple[_Fill, _Fill, _Fill]]) -> tuple[MadeFrame, tuple]:
        """The frame, and it encoded."""
        picture, (before, own, after) = task
        made = kept(self.store, picture.index) if picture.index < self.made_before else self._made(picture.index, before, own, after)
        return made, self._encoded(picture, made)

    def _made(self, frame: int, before: _Fill, own: _Fill, after: _Fill) -> MadeFrame:
        store, look, (filled, origins) = self.store, self.job.look, own
        if filled is None:
            return MadeFrame(np.zeros(store.shape, bool), np.zeros((0, 3), store.dtype), 0)
        filled = detailed(store, steadied(store, filled, (before[0], after[0]), look))
        pixels = faded(store, frame, finished(store, filled, look)[filled.hole])
        return MadeFrame(store.hole(frame), pixels, store.unseen.read(frame)[0].size, origins)

    def _encoded(self, picture: Picture, made: MadeFrame) -> tuple:
        results, region = self.job.results, self.job.region
        box = bounding_box(made.hole)
        if box is None:
            return results.untouched(picture)
        corner = tuple(part.start + inner.start for part, inner in zip(region, box))
        result = picture.composite(self.job.tone.decoded(made.picture(box)), made.hole[box], origin=corner)
        return results.encoded(picture, result, made.hole, region, made.origins)
