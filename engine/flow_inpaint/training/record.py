"""What a run leaves in its folder, and what it knows of itself.

    checkpoint/          what it goes on from
    best/                the weights that did best in the phase's validations, without what only training needs
    log.csv, validation.csv, curve.png, validation/*.png
    tensorboard/         the same for TensorBoard, where that is installed
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from ..errors import Failed
from ..media.output_place import writing
from . import checkpoint, log
from .config import Config
from .processes import Processes
from .state import BEST, CHECKPOINT
from .tasks import Task


@dataclass
class Progress:
    """What a checkpoint remembers beside tensors. `step` counts within the phase, `total` over all; `best` is the lowest of
    the phase's validations."""

    phase: int = 0
    step: int = 0
    total: int = 0
    samples: int = 0
    seconds: float = 0.0
    phase_seconds: float = 0.0
    micro: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    best: float | None = None


class Record:
    """A run's folder. Of several processes only the first one writes."""

    def __init__(
        self, config: Config, task: Task, out: Path, processes: Processes, device: torch.device, say: Callable[[str], None]
    ):
        self._config, self._task, self._out = config, task, out
        self._writes, self._device = processes.first, device
        self.say = say if processes.first else lambda text: None
        self.progress = Progress()
        #: Seconds that the last checkpoint took.
        self.saving = 0.0

    def open(self, after: int | None) -> None:
        """Begins anew, or goes on behind step `after`. Raises `Failed` for a folder that cannot be written to."""
        if not self._writes:
            return
        columns = ("seconds", "samples_per_second", "rate", "loss", *self._task.parts)
        with writing(self._out):
            self._out.mkdir(parents=True, exist_ok=True)
            self._tables = {
                "log": log.Table(self._out / "log.csv", columns, after=after),
                "validation": log.Table(self._out / "validation.csv", ("seconds", *self._task.metrics), after=after),
            }
        self._board = _board(self._out, after) if self._config.run.tensorboard else None

    def close(self) -> None:
        if self._writes and self._board:
            self._board.close()

    def save(self, tensors: dict[str, Tensor]) -> None:
        """A checkpoint to go on from."""
        begun = time.monotonic()
        self._save(CHECKPOINT, tensors)
        if self._writes:
            self.draw()
        self.saving = time.monotonic() - begun

    def save_best(self, weights: dict[str, Tensor]) -> None:
        self._save(BEST, weights)

    def _save(self, name: str, tensors: dict[str, Tensor]) -> None:
        if not self._writes:
            return
        broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
        if broken:
            raise astray(f"before step {self.progress.total} ({broken[0]} is not finite)")
        device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else self._device.type
        facts = {"progress": asdict(self.progress), "config": self._config.document(), "device": device}
        checkpoint.save(self._out / name, tensors, facts)

    def draw(self) -> None:
        tables = {
            "training loss": (self._out / "log.csv", ("loss", *self._task.parts)),
            "validation": (self._out / "validation.csv", self._task.metrics),
        }
        log.draw(self._out / "curve.png", tables)

    def add(self, phase: str, table: str, row: dict[str, float], text: str) -> None:
        """A line of the table "log" or "validation"."""
        if not self._writes:
            return
        progress = self.progress
        keys = {"phase": phase, "step": progress.step, "total": progress.total, "seconds": round(progress.seconds, 2)}
        self._tables[table].add(keys | row)
        if self._board:
            for name, value in row.items():
                self._board.add_scalar(f"{table}/{name}", value, progress.total)
        self.say(f"{phase} {progress.step}: {text}")

    def show(self, picture: np.ndarray) -> None:
        """A picture (H, W, 3) uint8 RGB of a validation."""
        folder = self._out / "validation"
        folder.mkdir(exist_ok=True)
        ok, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        if ok:
            (folder / f"step-{self.progress.total:07d}.png").write_bytes(data.tobytes())
        if self._board:
            self._board.add_image("validation", picture, self.progress.total, dataformats="HWC")


def astray(where: str) -> Failed:
    return Failed(f"Training went astray {where}: --resume goes back to the last checkpoint; lower train.rate.")


def _board(out: Path, after: int | None) -> Any:
    """TensorBoard, if it is installed; what a killed run wrote beyond its last checkpoint is taken back."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"), purge_step=None if after is None else after + 1)
