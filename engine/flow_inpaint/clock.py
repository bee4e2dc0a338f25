"""How far a job is, and the host's wish to stop it."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import Aborted

#: Stages in order, and about what share of the time each takes (the mean of four shots of 854x480 without networks); then the same
#: with a method that completes the flow shot by shot.
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

    def __init__(self, on_progress: Callable[[Progress], None], aborted: Callable[[], bool]):
        self._tell, self.stopped = on_progress, aborted
        self._start = time.monotonic()
        self._fraction = 0.0
        self.shares = STAGES

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def check(self) -> None:
        if self.stopped():
            raise Aborted("Stopped before the end; nothing was written.")

    def tick(self, stage: str, done: int, total: int) -> None:
        """Says that `done` of `total` frames are through a stage. Raises `Aborted`."""
        self.check()
        before = 0.0
        for name, share in self.shares.items():
            if name == stage:
                self._fraction = max(self._fraction, min(before + share * done / max(total, 1), 1.0))
                break
            before += share
        passed = self.seconds()
        eta = passed * (1 / self._fraction - 1) if self._fraction > 0.05 else None
        self._tell(Progress(stage, done, total, self._fraction, eta))

    @contextmanager
    def beats(self, stage: str, expected: int) -> Iterator[Callable[[], None]]:
        """For a stage that goes over the frames several times: a sign of life to call at each step."""
        done = 0

        def beat() -> None:
            nonlocal done
            done = min(done + 1, expected - 1)
            self.tick(stage, done, expected)

        yield beat
        self.tick(stage, expected, expected)
