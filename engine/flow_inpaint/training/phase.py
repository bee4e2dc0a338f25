"""One phase of a run: its optimizers, the loop over its steps, and what is measured on the way."""
from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import Aborted, OutOfMemory
from .chance import seed_of
from .config import Phase
from .player import Player, autocast, learn_only, precision_of
from .record import astray
from .sources import Batch, Share, open_source
from .state import named, restore, under
from .tasks import Task

if TYPE_CHECKING:
    from .trainer import Trainer


class PhaseRun:
    """A phase while it runs, from its beginning or from where it was saved."""

    def __init__(self, trainer: Trainer, phase: Phase, task: Task, saved: dict[str, Tensor] | None):
        self._trainer, self._phase, self._task = trainer, phase, task
        self._model, self._device, self._processes = trainer.model, trainer.device, trainer.processes
        self._record, self._progress = trainer.record, trainer.progress
        self._run, self._data = trainer.config.run, trainer.config.data
        settings = phase.train
        self._local = settings.batch // self._processes.world
        # What memory allowed before a kill holds after it: the same parts of a batch have the same sums.
        before = self._progress.micro if saved is not None else 0
        self._progress.micro = min(before or settings.micro or self._local, self._local)
        self._precision = precision_of(settings, self._device)
        if saved is None:
            task.begin(self._model)
        players = task.players(self._model)
        self._players = {
            name: Player(
                name, "loss" if number == 0 else f"{name}_loss", groups, self._model, task, settings,
                device=self._device, precision=self._precision, shared=self._processes.world > 1,
            )
            for number, (name, groups) in enumerate(players.items())
        }  # fmt: skip
        learning = [parameter for player in self._players.values() for parameter in player.parameters]
        names = {parameter: name for name, parameter in self._model.named_parameters()}
        self._spent = 0.0
        self._learning = {names[parameter]: parameter for parameter in learning}
        self._averages = {name: parameter.detach().clone() for name, parameter in self._learning.items()} if settings.ema else {}
        if saved is not None:
            self._load(saved)
        share = Share(self._local, self._processes.rank, self._processes.world)
        seed = seed_of(self._run.seed, "train", phase.name)
        self._batches = open_source(self._data, seed, share, self._device, uses=task.uses)

    def run(self) -> bool:
        """Whether the phase is done, and not only the time."""
        trainer, progress, settings = self._trainer, self._progress, self._phase.train
        saved = mark = time.monotonic()
        meter = _Meter()
        while progress.step < settings.steps:
            # All processes have one clock, and so one rate.
            spent = progress.phase_seconds / settings.seconds if settings.seconds else 0.0
            asked = [float(trainer.stopped()), float(trainer.over()), spent]
            stopped, over, self._spent = self._processes.most(asked, self._device)
            if stopped or over:
                self._record.save(self._tensors())
                if stopped:
                    raise Aborted(f"Stopped at step {progress.total}: the same command with --resume goes on.")
                return False
            if self._spent >= 1:
                break
            numbers = self._step()
            progress.step += 1
            progress.total += 1
            progress.samples += settings.batch
            meter.add(numbers)
            now = time.monotonic()
            progress.seconds += now - mark
            progress.phase_seconds += now - mark
            mark = now
            if progress.step % self._run.log_every == 0 or progress.step == settings.steps:
                self._report(meter)
                meter = _Meter()
            if self._run.validate_every and progress.step % self._run.validate_every == 0 and progress.step < settings.steps:
                self._validate()
                meter.pause(time.monotonic() - now)
            if time.monotonic() - saved >= self._run.save_every:
                begun = time.monotonic()
                self._record.save(self._tensors())
                saved = time.monotonic()
                meter.pause(saved - begun)
        self._finish()
        return True

    def _finish(self) -> None:
        self._validate()
        with torch.no_grad():
            for name, average in self._averages.items():
                self._learning[name].copy_(average)
        progress = self._progress
        progress.phase, progress.step, progress.phase_seconds, progress.micro = progress.phase + 1, 0, 0.0, 0
        progress.best = None
        self._record.save(named(self._model.state_dict(), "model"))

    # --- a step ---

    def _step(self) -> dict[str, Tensor]:
        while True:
            try:
                batch = self._batches.batch(self._progress.step)
                return self._attempt(batch)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                caught = error
            # Here and not above: the exception holds on to everything that was in memory.
            self._step_down(caught.with_traceback(None))

    def _attempt(self, batch: Batch) -> dict[str, Tensor]:
        progress = self._progress
        rate = self._phase.train.rate_at(progress.step, self._spent)
        # What a model draws for itself follows from the step as well.
        torch.manual_seed(seed_of(self._run.seed, self._phase.name, progress.step, self._processes.rank))
        numbers: dict[str, Tensor] = {}
        for player in self._players.values():
            if len(self._players) > 1:
                learn_only(self._model, player.parameters)
            numbers |= player.step(batch, progress.micro, rate)
        with torch.no_grad():
            keep = self._phase.train.ema
            # A mean over few steps at first, so that the beginning is soon forgotten.
            keep = min(keep, (1 + progress.step) / (10 + progress.step))
            for name, average in self._averages.items():
                average.lerp_(self._learning[name].detach(), 1 - keep)
        return numbers

    def _step_down(self, error: BaseException) -> None:
        micro = self._progress.micro
        if self._processes.world > 1:
            # The others wait for this one's gradients; it cannot take a step back alone.
            fewer = max(micro // 2, 1)
            raise OutOfMemory(f"There is not enough memory for {micro} samples at a time: set train.micro to {fewer}.") from error
        if micro <= 1:
            raise OutOfMemory("There is not enough memory for a single sample: set a smaller data.size or task.width.") from error
        self._progress.micro = micro // 2
        for parameter in self._model.parameters():
            parameter.grad = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._record.say(f"Memory is short: going on with {self._progress.micro} samples at a time, {self._local} a step as before.")

    # --- what is said ---

    def _report(self, meter: _Meter) -> None:
        settings, progress = self._phase.train, self._progress
        means, speed = meter.means(), meter.steps * settings.batch / max(meter.seconds(), 1e-9)
        names = list(means)
        means = dict(zip(names, self._processes.means([means[name] for name in names], self._device), strict=True))
        if not all(math.isfinite(value) for value in means.values()):
            raise astray(f"at step {progress.total} (the loss is not finite)")
        row = {"samples_per_second": round(speed, 2), "rate": settings.rate_at(progress.step - 1, self._spent), **means}
        parts = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._record.add(self._phase.name, "log", row, f"{parts}; {speed:.3g} samples a second")

    def _validate(self) -> None:
        if not self._processes.first:
            return
        count = self._run.validation_samples
        size = min(self._progress.micro, count)
        seed = seed_of(self._run.seed, "validation")
        batches = open_source(self._data, seed, Share(size), self._device, uses=self._task.uses, validation=True)
        sums: dict[str, tuple[float, float]] = {}
        self._model.eval()
        with self._averaged(), torch.no_grad():
            for number in range(-(-count // size)):
                # In the precision of training where that is a reduced one: that is how it will be used.
                with autocast(self._device, self._precision):
                    found, picture = self._task.measure(self._model, batches.batch(number))
                for name, (total, weight) in found.items():
                    before = sums.get(name, (0.0, 0.0))
                    sums[name] = before[0] + total, before[1] + weight
                if number == 0:
                    self._record.show(picture)
        self._model.train()
        metrics = self._task.conclude({name: total / weight if weight else math.nan for name, (total, weight) in sums.items()})
        metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._progress.metrics = metrics
        self._record.add(self._phase.name, "validation", metrics, ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        self._record.draw()
        self._keep_best(metrics)

    def _keep_best(self, metrics: dict[str, float]) -> None:
        progress, name = self._progress, self._task.best
        found = metrics.get(name) if name else None
        if name and progress.best is not None and (found is None or found > progress.best):
            return
        # Where no number says what is best, the last is.
        progress.best = found
        with self._averaged():
            self._record.save_best(named(self._model.state_dict(), "model"))

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The model with its averaged weights, where there are any."""
        own = {name: self._learning[name].detach().clone() for name in self._averages}
        with torch.no_grad():
            for name, average in self._averages.items():
                self._learning[name].copy_(average)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, values in own.items():
                    self._learning[name].copy_(values)

    # --- what a checkpoint holds ---

    def _tensors(self) -> dict[str, Tensor]:
        tensors = named(self._model.state_dict(), "model") | named(self._averages, "average")
        for name, player in self._players.items():
            tensors |= named(player.tensors(), f"player/{name}")
        return tensors

    def _load(self, saved: dict[str, Tensor]) -> None:
        restore(self._model, saved, "model")
        for name, average in self._averages.items():
            # Averages that are asked for only now begin with the weights.
            average.copy_(saved.get(f"average/{name}", self._learning[name].detach()))
        for name, player in self._players.items():
            player.restore(under(saved, f"player/{name}"))


class _Meter:
    """Means over steps. Numbers stay on their device until they are asked for, so that it need not wait."""

    def __init__(self) -> None:
        self.steps = 0
        self._sums: dict[str, Tensor] = {}
        self._begun = time.monotonic()

    def add(self, numbers: dict[str, Tensor]) -> None:
        self.steps += 1
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0) + value

    def means(self) -> dict[str, float]:
        return {name: float(total) / self.steps for name, total in self._sums.items()}

    def pause(self, seconds: float) -> None:
        """What was spent on something else."""
        self._begun += seconds

    def seconds(self) -> float:
        return time.monotonic() - self._begun


def _is_out_of_memory(error: BaseException) -> bool:
    # CUDA has a class of its own for it; other devices say it in words.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in str(error) for word in words)
