"""The training loop: any task, one process or several, gone on with at any moment from the last checkpoint.

Every step's data and chance follow from the seed and the step's number alone, so a run that was killed and resumed takes
the very steps that it would have taken; on a CPU the losses are the same to the last bit.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import Aborted, BadParameter
from . import checkpoint
from .chance import seed_of
from .config import Config
from .phase import PhaseRun
from .processes import Processes
from .record import Progress, Record
from .sources import EXACT, MOTION, footage_share
from .state import CHECKPOINT, restore, start
from .tasks import Task

#: Checkpoints are made early enough to be done within the budget, if they take so much longer than the last one.
_RESERVE = 2.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `finished`: all phases are done; otherwise its time was over."""

    finished: bool
    progress: Progress


class Trainer:
    """One run.

    tasks    a task for each phase
    out      the run's folder, see `record`
    stopped  is asked at every step: True saves and raises `Aborted`
    say      takes a line for the person at the screen
    """

    def __init__(
        self,
        config: Config,
        tasks: list[Task],
        out: Path,
        *,
        device: torch.device,
        processes: Processes = Processes(),
        stopped: Callable[[], bool] = lambda: False,
        say: Callable[[str], None] = lambda text: None,
        started: float | None = None,
    ):
        self.config, self.device, self.processes, self.stopped = config, device, processes, stopped
        self._tasks, self._out = tasks, out
        self._started = time.monotonic() if started is None else started
        for phase in config.phases:
            if phase.train.batch % processes.world:
                raise BadParameter(f"train.batch cannot be {phase.train.batch}: {processes.world} processes have to share it equally.")
        for task in tasks:
            if EXACT in task.uses and footage_share(config.data):
                raise BadParameter(
                    f"data.source cannot be '{config.data.source}' for {config.what}, which learns from exact flow, and nobody knows "
                    "that of footage: choose scenes; data.textures lets them have the looks of footage."
                )
        self.record = Record(config, tasks[0], out, processes, device, say)
        torch.manual_seed(seed_of(config.run.seed, "model"))
        self.model = tasks[0].build().to(device, memory_format=torch.channels_last if device.type == "cuda" else torch.preserve_format)

    @property
    def progress(self) -> Progress:
        return self.record.progress

    def run(self, *, resume: bool) -> Outcome:
        """Trains to the end of the last phase or of the budget. Raises `Aborted` once it has saved, when it is stopped."""
        saved = self._resumed() if resume and checkpoint.exists(self._out / CHECKPOINT) else None
        after = self.progress.total if saved else None
        if saved and self.progress.step == 0:
            # Between two phases: the next one begins as if it followed at once.
            restore(self.model, saved, "model")
            saved = None
        elif not saved and self.config.run.start:
            start(self.model, self._tasks[0], self.config.run.start)
        self.record.open(after)
        try:
            if footage_share(self.config.data) and not self._prepared():
                return Outcome(False, self.progress)
            while self.progress.phase < len(self.config.phases):
                index = self.progress.phase
                phase = PhaseRun(self, self.config.phases[index], self._tasks[index], saved)
                saved = None
                if not phase.run():
                    return Outcome(False, self.progress)
            return Outcome(True, self.progress)
        finally:
            self.record.close()

    def _resumed(self) -> dict[str, Tensor]:
        tensors, facts = checkpoint.load(self._out / CHECKPOINT)
        names = [phase.name for phase in self.config.phases]
        before = [phase["name"] for phase in facts["config"]["phases"]]
        if facts["config"]["what"] != self.config.what or before != names:
            raise BadParameter(
                f"{self._out} holds a run of {facts['config']['what']} with the phases {', '.join(before)}, which this configuration "
                f"does not go on with ({self.config.what}: {', '.join(names)}): choose another --out."
            )
        self.record.progress = Progress(**facts["progress"])
        self.record.say(f"Going on at step {self.progress.total}.")
        return tensors

    def _prepared(self) -> bool:
        """Whether the clips that are learnt from are ready, and it is not that the time is over."""
        from .footage import prepare

        def enough() -> bool:
            return self.stopped() or self.over()

        try:
            motion = any(MOTION in task.uses for task in self._tasks)
            prepare(self.config.data, motion=motion, processes=self.processes, stopped=enough, say=self.record.say)
        except Aborted:
            if self.stopped():
                raise
            return False
        return True

    def over(self) -> bool:
        """Whether the budget of this start of the command is used up."""
        budget = self.config.run.seconds
        return bool(budget) and time.monotonic() - self._started + _RESERVE * self.record.saving >= budget
