"""How far a job is, and the host's wish to stop it."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import Aborted

#: Stages in the order in which a window of frames goes through them, and about what share of the time each takes (the mean of four
#: shots of 854x480 without networks); then the same with a method that completes the flow shot by shot.
STAGES = {"matte": 0.01, "flow": 0.53, "trace": 0.09, "fill": 0.1, "write": 0.27}
STAGES_WITH_COMPLETION = {"matte": 0.02, "flow": 0.2, "completion": 0.6, "trace": 0.02, "fill": 0.06, "write": 0.1}


@dataclass(frozen=True)
class Progress:
    stage: str
    done: int
    total: int
    fraction: float
    eta_s: float | None


class Clock:
    """Progress over all stages, and the host's wish to stop."""

    def __init__(self, on_progress: Callable[[Progress], None] = lambda progress: None, aborted: Callable[[], bool] = lambda: False):
        self._tell, self.stopped = on_progress, aborted
        self._start = time.monotonic()
        self._fraction = 0.0
        #: When and how far on there was for the first time something to do that an earlier run had not done.
        self._anew = self._start, 0.0
        #: How much of each stage is done, 0..1.
        self._parts: dict[str, float] = {}
        self.shares = STAGES

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def check(self) -> None:
        if self.stopped():
            raise Aborted("Stopped before the end; nothing was written.")

    def tick(self, stage: str, done: int, total: int) -> None:
        """Says that `done` of `total` frames are through a stage. Raises `Aborted`."""
        self.check()
        self._parts[stage] = max(self._parts.get(stage, 0.0), min(done / max(total, 1), 1.0))
        found = sum(share * self._parts.get(name, 0.0) for name, share in self.shares.items()) / sum(self.shares.values())
        self._fraction = max(self._fraction, min(found, 1.0))
        began, before = self._anew
        new = self._fraction - before
        eta = (time.monotonic() - began) * (1 - self._fraction) / new if new > min(0.05, 0.5 * (1 - before)) else None
        self._tell(Progress(stage, done, total, self._fraction, eta))

    def begin_anew(self) -> None:
        """Says that an earlier run has done what was done so far: it tells nothing about the time that is left."""
        self._anew = time.monotonic(), self._fraction

    def finish(self, *stages: str) -> None:
        """Says that nothing is left to do in these stages, whatever they were through."""
        for name in stages:
            self._parts[name] = 1.0


class Beats:
    """For a stage that goes over the frames several times: a sign of life to call at each step. `of` is how many steps a frame may
    take; what a window really takes is fitted to that."""

    def __init__(self, clock: Clock, stage: str, frames: int, of: int):
        self._clock, self._stage, self._of, self._total = clock, stage, of, frames * of
        self._done = self._until = 0

    def __call__(self) -> None:
        self._done = min(self._done + 1, max(self._until - 1, 1))
        self._clock.tick(self._stage, self._done, self._total)

    @contextmanager
    def until(self, frames: int) -> Iterator[Beats]:
        """For the work on frames, up to the `frames`th of the job."""
        self._until = max(frames * self._of, self._until)
        yield self
        self._done = self._until
        self._clock.tick(self._stage, self._done, self._total)
