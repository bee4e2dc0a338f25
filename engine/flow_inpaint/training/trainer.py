"""The training loop: any task, one process or several, gone on with at any moment from the last checkpoint.

Every step's data and chance follow from the seed and the step's number alone, so a run that was killed and resumed takes
the very steps that it would have taken; on a CPU the losses are the same to the last bit.
"""
from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import safetensors
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import Aborted, BadParameter, Failed, OutOfMemory
from . import checkpoint, log
from .config import Config, Phase, TrainSettings
from .keyed import seed_of
from .sources import Batch, Share, open_source
from .tasks import Group, Task

CHECKPOINT = "checkpoint"
#: Checkpoints are made early enough to be done within the budget, if they take so much longer than the last one.
_RESERVE = 2.0
_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Processes:
    """Where this process stands among those that torchrun has started; alone without it."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def most(self, values: list[float], device: torch.device) -> list[float]:
        """The largest of all processes' values."""
        return self._reduced(values, device, dist.ReduceOp.MAX) if self.world > 1 else values

    def means(self, values: list[float], device: torch.device) -> list[float]:
        if self.world == 1:
            return values
        return [total / self.world for total in self._reduced(values, device, dist.ReduceOp.SUM)]

    def _reduced(self, values: list[float], device: torch.device, how: Any) -> list[float]:
        shared = torch.tensor(values, dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
        dist.all_reduce(shared, how)
        return shared.tolist()


@contextmanager
def joined(device: str) -> Iterator[tuple[Processes, torch.device]]:
    """This process in its group, and its device; `device` is cuda, mps or cpu."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if device == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    if world == 1:
        yield Processes(), torch.device(device)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    own = torch.device("cuda", local) if device == "cuda" else torch.device("cpu")
    if device == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(minutes=30))
    try:
        yield Processes(rank, world), own
    finally:
        dist.destroy_process_group()


@dataclass
class Progress:
    """What a checkpoint remembers beside tensors. `step` counts within the phase, `total` over all."""

    phase: int = 0
    step: int = 0
    total: int = 0
    samples: int = 0
    seconds: float = 0.0
    phase_seconds: float = 0.0
    micro: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `finished`: all phases are done; otherwise its time was over."""

    finished: bool
    progress: Progress


class Trainer:
    """One run.

    tasks    a task for each phase
    out      the run's folder: checkpoint/, log.csv, validation.csv, curve.png, validation/*.png
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
        self._config, self._tasks, self._out = config, tasks, out
        self._device, self._processes = device, processes
        self._stopped = stopped
        self._say = say if processes.first else lambda text: None
        self._started = time.monotonic() if started is None else started
        self.progress = Progress()
        for phase in config.phases:
            if phase.train.batch % processes.world:
                raise BadParameter(f"train.batch cannot be {phase.train.batch}: {processes.world} processes have to share it equally.")
        torch.manual_seed(seed_of(config.run.seed, "model"))
        self.model = tasks[0].build().to(device, memory_format=torch.channels_last if device.type == "cuda" else torch.preserve_format)
        self._saving = 0.0
        self._board = _board(out) if processes.first else None

    def run(self, *, resume: bool) -> Outcome:
        """Trains to the end of the last phase or of the budget. Raises `Aborted` once it has saved, when it is stopped."""
        saved = self._resumed() if resume and checkpoint.exists(self._out / CHECKPOINT) else None
        after = self.progress.total if saved else None
        if saved and self.progress.step == 0:
            # Between two phases: the next one begins as if it followed at once.
            restore(self.model, saved, "model")
            saved = None
        elif not saved and self._config.run.start:
            start(self.model, self._tasks[0], self._config.run.start)
        if self._processes.first:
            self._out.mkdir(parents=True, exist_ok=True)
            columns = ("seconds", "samples_per_second", "rate", "loss", *self._tasks[0].parts)
            self._log = log.Table(self._out / "log.csv", columns, after=after)
            self._validations = log.Table(self._out / "validation.csv", ("seconds", *self._tasks[0].metrics), after=after)
        while self.progress.phase < len(self._config.phases):
            index = self.progress.phase
            player = _Phase(self, self._config.phases[index], self._tasks[index], saved)
            saved = None
            if not player.run():
                return Outcome(False, self.progress)
        return Outcome(True, self.progress)

    def _resumed(self) -> dict[str, Tensor]:
        tensors, facts = checkpoint.load(self._out / CHECKPOINT)
        names = [phase.name for phase in self._config.phases]
        before = [phase["name"] for phase in facts["config"]["phases"]]
        if facts["config"]["what"] != self._config.what or before != names:
            raise BadParameter(
                f"{self._out} holds a run of {facts['config']['what']} with the phases {', '.join(before)}, which this configuration "
                f"does not go on with ({self._config.what}: {', '.join(names)}): choose another --out."
            )
        self.progress = Progress(**facts["progress"])
        self._say(f"Going on at step {self.progress.total}.")
        return tensors

    # --- what phases use ---

    def over(self) -> bool:
        """Whether the budget of this start of the command is used up."""
        budget = self._config.run.seconds
        return bool(budget) and time.monotonic() - self._started + _RESERVE * self._saving >= budget

    def save(self, tensors: dict[str, Tensor]) -> None:
        if not self._processes.first:
            return
        begun = time.monotonic()
        broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
        if broken:
            raise _astray(f"before step {self.progress.total} ({broken[0]} is not finite)")
        facts = {"progress": asdict(self.progress), "config": self._config.document(), "device": _called(self._device)}
        checkpoint.save(self._out / CHECKPOINT, tensors, facts)
        self.draw()
        self._saving = time.monotonic() - begun

    def draw(self) -> None:
        task = self._tasks[0]
        tables = {
            "training loss": (self._out / "log.csv", ("loss", *task.parts)),
            "validation": (self._out / "validation.csv", task.metrics),
        }
        log.draw(self._out / "curve.png", tables)

    def record(self, phase: str, table: str, row: dict[str, float], text: str) -> None:
        if not self._processes.first:
            return
        keys = {"phase": phase, "step": self.progress.step, "total": self.progress.total, "seconds": round(self.progress.seconds, 2)}
        (self._log if table == "log" else self._validations).add(keys | row)
        if self._board:
            for name, value in row.items():
                self._board.add_scalar(f"{table}/{name}", value, self.progress.total)
        self._say(f"{phase} {self.progress.step}: {text}")

    def show(self, picture: np.ndarray) -> None:
        folder = self._out / "validation"
        folder.mkdir(exist_ok=True)
        ok, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        if ok:
            (folder / f"step-{self.progress.total:07d}.png").write_bytes(data.tobytes())


class _Phase:
    """One phase of a run: its optimizers, and the loop over its steps."""

    def __init__(self, trainer: Trainer, phase: Phase, task: Task, saved: dict[str, Tensor] | None):
        self._trainer, self._phase, self._task = trainer, phase, task
        self._model, self._device, self._processes = trainer.model, trainer._device, trainer._processes
        self._progress = trainer.progress
        self._run = trainer._config.run
        settings = phase.train
        self._local = settings.batch // self._processes.world
        # What memory allowed before a kill holds after it: the same parts of a batch have the same sums.
        before = self._progress.micro if saved is not None else 0
        self._progress.micro = min(before or settings.micro or self._local, self._local)
        self._precision = _precision(settings, self._device)
        if saved is None:
            task.begin(self._model)
        players = task.players(self._model)
        self._players = {
            name: _Player(name, "loss" if number == 0 else f"{name}_loss", groups, self, settings)
            for number, (name, groups) in enumerate(players.items())
        }
        learning = [parameter for player in self._players.values() for parameter in player.parameters]
        names = {parameter: name for name, parameter in self._model.named_parameters()}
        self._learning = {names[parameter]: parameter for parameter in learning}
        self._averages = {name: parameter.detach().clone() for name, parameter in self._learning.items()} if settings.ema else {}
        if saved is not None:
            self._load(saved)
        share = Share(self._local, self._processes.rank, self._processes.world)
        seed = seed_of(self._run.seed, "train", phase.name)
        self._batches = open_source(trainer._config.data, seed, share, self._device)

    def run(self) -> bool:
        """Whether the phase is done, and not only the time."""
        trainer, progress, settings = self._trainer, self._progress, self._phase.train
        saved = mark = time.monotonic()
        meter = _Meter()
        while progress.step < settings.steps:
            asked = [float(trainer._stopped()), float(trainer.over()), float(0 < settings.seconds <= progress.phase_seconds)]
            stopped, over, done = self._processes.most(asked, self._device)
            if stopped or over:
                trainer.save(self._tensors())
                if stopped:
                    raise Aborted(f"Stopped at step {progress.total}: the same command with --resume goes on.")
                return False
            if done:
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
                trainer.save(self._tensors())
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
        self._trainer.save(_named(self._model.state_dict(), "model"))

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
        rate = self._phase.train.rate_at(progress.step)
        # What a model draws for itself follows from the step as well.
        torch.manual_seed(seed_of(self._run.seed, self._phase.name, progress.step, self._processes.rank))
        numbers: dict[str, Tensor] = {}
        for player in self._players.values():
            if len(self._players) > 1:
                self._learn(player)
            numbers |= player.step(batch, progress.micro, rate, self._precision)
        with torch.no_grad():
            keep = self._phase.train.ema
            # A mean over few steps at first, so that the beginning is soon forgotten.
            keep = min(keep, (1 + progress.step) / (10 + progress.step))
            for name, average in self._averages.items():
                average.lerp_(self._learning[name].detach(), 1 - keep)
        return numbers

    def _learn(self, player: _Player) -> None:
        """Only this player's parameters have gradients."""
        for parameter in self._model.parameters():
            parameter.requires_grad_(False)
        for parameter in player.parameters:
            parameter.requires_grad_(True)

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
        self._trainer._say(f"Memory is short: going on with {self._progress.micro} samples at a time, {self._local} a step as before.")

    # --- what is said ---

    def _report(self, meter: _Meter) -> None:
        settings, progress = self._phase.train, self._progress
        means, speed = meter.means(), meter.steps * settings.batch / max(meter.seconds(), 1e-9)
        names = list(means)
        means = dict(zip(names, self._processes.means([means[name] for name in names], self._device), strict=True))
        if not all(math.isfinite(value) for value in means.values()):
            raise _astray(f"at step {progress.total} (the loss is not finite)")
        row = {"samples_per_second": round(speed, 2), "rate": settings.rate_at(progress.step - 1), **means}
        parts = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._trainer.record(self._phase.name, "log", row, f"{parts}; {speed:.3g} samples a second")

    def _validate(self) -> None:
        if not self._processes.first:
            return
        trainer, count = self._trainer, self._run.validation_samples
        size = min(self._progress.micro, count)
        batches = open_source(trainer._config.data, seed_of(self._run.seed, "validation"), Share(size), self._device)
        sums: dict[str, tuple[float, float]] = {}
        self._model.eval()
        with self._averaged(), torch.no_grad():
            for number in range(-(-count // size)):
                # In the precision of training where that is a reduced one: that is how it will be used.
                with _autocast(self._device, self._precision):
                    found, picture = self._task.measure(self._model, batches.batch(number))
                for name, (total, weight) in found.items():
                    before = sums.get(name, (0.0, 0.0))
                    sums[name] = before[0] + total, before[1] + weight
                if number == 0:
                    trainer.show(picture)
        self._model.train()
        metrics = self._task.conclude({name: total / weight if weight else math.nan for name, (total, weight) in sums.items()})
        metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._progress.metrics = metrics
        trainer.record(self._phase.name, "validation", metrics, ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        trainer.draw()

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
        tensors = _named(self._model.state_dict(), "model") | _named(self._averages, "average")
        for name, player in self._players.items():
            tensors |= _named(player.tensors(), f"player/{name}")
        return tensors

    def _load(self, saved: dict[str, Tensor]) -> None:
        restore(self._model, saved, "model")
        for name, average in self._averages.items():
            # Averages that are asked for only now begin with the weights.
            average.copy_(saved.get(f"average/{name}", self._learning[name].detach()))
        for name, player in self._players.items():
            player.restore(_under(saved, f"player/{name}"))


class _Player:
    """Parameters that learn together."""

    def __init__(self, name: str, called: str, groups: list[Group], phase: _Phase, settings: TrainSettings):
        self._called, self._settings = called, settings
        self.parameters = [parameter for group in groups for parameter in group.parameters]
        self._factors = [group.rate for group in groups]
        wanted = [{"params": group.parameters, "lr": settings.rate * group.rate} for group in groups]
        if settings.optimizer == "sgd":
            self._optimizer: torch.optim.Optimizer = torch.optim.SGD(wanted, momentum=settings.momentum, weight_decay=settings.weight_decay)
        else:
            self._optimizer = torch.optim.AdamW(wanted, weight_decay=settings.weight_decay)
        self._scaler = torch.amp.GradScaler(phase._device.type, enabled=phase._precision == "float16" and phase._device.type == "cuda")
        phase._learn(self)
        turn = _Turn(phase._model, phase._task, name)
        self._shared = phase._processes.world > 1
        self._turn = DistributedDataParallel(turn, broadcast_buffers=False) if self._shared else turn

    def step(self, batch: Batch, micro: int, rate: float, precision: str) -> dict[str, Tensor]:
        """One step of this player; its loss and the parts of it."""
        for group, factor in zip(self._optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        self._optimizer.zero_grad(set_to_none=True)
        count = len(batch["key"])
        numbers: dict[str, Tensor] = {}
        for start in range(0, count, micro):
            part = {name: values[start : start + micro] for name, values in batch.items()}
            share = len(part["key"]) / count
            last = start + micro >= count
            waits = nullcontext() if last or not self._shared else self._turn.no_sync()
            with waits:
                with _autocast(part["key"].device, precision):
                    loss, parts = self._turn(part)
                self._scaler.scale(loss * share).backward()
            found = {self._called: loss, **parts}
            for name, value in found.items():
                numbers[name] = numbers.get(name, 0) + value.detach().float() * share
        if self._settings.clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self._settings.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return numbers

    def tensors(self) -> dict[str, Tensor]:
        state = self._optimizer.state_dict()["state"]
        known = [(f"{number}/{name}", value) for number, values in state.items() for name, value in values.items()]
        tensors = {name: torch.as_tensor(value) for name, value in known if value is not None}
        scale = self._scaler.state_dict()
        return tensors | {f"scaler/{name}": torch.tensor(float(value)) for name, value in scale.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        document = self._optimizer.state_dict()
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, _, what = name.partition("/")
            if number.isdigit():
                state.setdefault(int(number), {})[what] = value
        self._optimizer.load_state_dict({"state": state, "param_groups": document["param_groups"]})
        scale = _under(tensors, "scaler")
        if scale and self._scaler.is_enabled():
            whole = {name: int(value) if name.startswith(("growth_interval", "_growth")) else float(value) for name, value in scale.items()}
            self._scaler.load_state_dict(whole)


class _Turn(nn.Module):
    """A player's loss as the forward pass of a module, which is what DistributedDataParallel wraps."""

    def __init__(self, model: nn.Module, task: Task, player: str):
        super().__init__()
        self.model, self._task, self._player = model, task, player

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return self._task.loss(self.model, batch, self._player)


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


def _astray(where: str) -> Failed:
    return Failed(f"Training went astray {where}: --resume goes back to the last checkpoint; lower train.rate.")


def _precision(settings: TrainSettings, device: torch.device) -> str:
    if settings.precision == "auto":
        return "float16" if device.type == "cuda" else "float32"
    return "bfloat16" if settings.precision == "float16" and device.type == "cpu" else settings.precision


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, _HALF.get(precision), enabled=precision in _HALF)


def _is_out_of_memory(error: BaseException) -> bool:
    # CUDA has a class of its own for it; other devices say it in words.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in str(error) for word in words)


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def restore(model: nn.Module, saved: dict[str, Tensor], prefix: str) -> None:
    try:
        model.load_state_dict(_under(saved, prefix), strict=True)
    except RuntimeError as error:
        what = "The checkpoint is of another network than the configuration asks for"
        raise BadParameter(f"{what}: set the same task.width, or choose another --out.") from error


def start(model: nn.Module, task: Task, paths: Iterable[str]) -> None:
    """Takes weights from runs (their folders) and exports (.safetensors): every name that the model has. Raises `BadParameter`."""
    own = model.state_dict()
    for name in paths:
        given = _weights_in(Path(name), task)
        known = {key: value for key, value in given.items() if key in own}
        wrong = next((key for key, value in known.items() if value.shape != own[key].shape), None)
        if not known or wrong:
            why = f" ({wrong} has another shape)" if wrong else ""
            raise BadParameter(f"run.start cannot be '{name}': it is of another network{why}.")
        model.load_state_dict({key: value.to(own[key].dtype) for key, value in known.items()}, strict=False)


def weights_of(run: Path) -> dict[str, Tensor]:
    """The weights in a run's checkpoint, averaged where they are."""
    tensors, _ = checkpoint.load(run / CHECKPOINT)
    return _under(tensors, "model") | _under(tensors, "average")


def _weights_in(path: Path, task: Task) -> dict[str, Tensor]:
    if checkpoint.exists(path / CHECKPOINT):
        return weights_of(path)
    if not path.is_file():
        raise BadParameter(f"run.start cannot be '{path}': it is neither a run's folder with a checkpoint nor a .safetensors file.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            role = (file.metadata() or {}).get("role", "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, safetensors.SafetensorError) as error:
        raise BadParameter(f"run.start cannot be '{path}': it cannot be read ({error}).") from error
    part = next((part for part in task.catalogued() if part.role == role), None)
    if part is None:
        raise BadParameter(f"run.start cannot be '{path}': it holds '{role or 'no role'}', which this task has no use for.")
    return {part.prefix + name: tensor for name, tensor in tensors.items()}


def _called(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _board(out: Path) -> Any:
    """TensorBoard, if it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))
