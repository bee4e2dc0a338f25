"""What can be learnt: one file a network, and one line in `TASKS`."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from ...errors import BadParameter
from ..sources import Batch

#: Sum and weight of each metric, so that means can be taken over any number of batches.
Sums = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Group:
    """Parameters that learn at `rate` times the learning rate."""

    parameters: list[nn.Parameter]
    rate: float = 1.0


@dataclass(frozen=True)
class Part:
    """A part of the model that has weights of its own in the catalogue. `prefix`: of its names in the model."""

    role: str
    architecture: str
    width: float
    prefix: str


class Task(Protocol):
    """A phase's view of what is learnt. The model is the same in all phases of a run.

    parts    names of what `loss` tells beside the loss
    metrics  names of what `conclude` gives
    uses     what it needs of a batch: `sources.FRAMES`, `MOTION`, and `EXACT` if footage will not do
    best     the metric whose lowest value says which weights are best; None where no number does
    """

    parts: tuple[str, ...]
    metrics: tuple[str, ...]
    uses: tuple[str, ...]
    best: str | None

    def build(self) -> nn.Module:
        """The whole model, initialised by torch's random numbers."""
        ...

    def begin(self, model: nn.Module) -> None:
        """Called once when the phase begins, not when it goes on: copies weights from one part to another, say."""
        ...

    def players(self, model: nn.Module) -> Mapping[str, list[Group]]:
        """What learns, as one player, or as several who take turns at every step in this order. The rest is frozen."""
        ...

    def loss(self, model: nn.Module, batch: Batch, player: str) -> tuple[Tensor, dict[str, Tensor]]:
        """A player's loss and its parts: means over samples, so that the mean over parts of a batch is that of the batch."""
        ...

    def measure(self, model: nn.Module, batch: Batch) -> tuple[Sums, np.ndarray]:
        """What is measured on validation data, and a picture (H, W, 3) uint8 RGB of it."""
        ...

    def conclude(self, means: Mapping[str, float]) -> dict[str, float]:
        """Metrics by name from the means of what was measured."""
        ...

    def catalogued(self) -> list[Part]:
        """What can be exported, and loaded from an export."""
        ...


@dataclass(frozen=True)
class Kind:
    """A task by name: the class of its settings, and what makes it from them. Nothing heavy is imported before."""

    load: Callable[[], tuple[type, Callable[[Any], Task]]]
    hint: str


def _dfc() -> tuple[type, Callable[[Any], Task]]:
    from .dfc import DFCSettings, DFCTask

    return DFCSettings, DFCTask


def _flownet2() -> tuple[type, Callable[[Any], Task]]:
    from .flownet2 import FlowNet2Settings, FlowNet2Task

    return FlowNet2Settings, FlowNet2Task


def _deepfill() -> tuple[type, Callable[[Any], Task]]:
    from .deepfill import DeepFillSettings, DeepFillTask

    return DeepFillSettings, DeepFillTask


TASKS: dict[str, Kind] = {
    "dfc": Kind(_dfc, "DFC-Net, the flow inside holes"),
    "flownet2": Kind(_flownet2, "FlowNet2, the flow between frames"),
    "deepfill": Kind(_deepfill, "DeepFill, what no frame sees"),
}


def kind(what: str) -> Kind:
    if what not in TASKS:
        raise BadParameter(f"WHAT cannot be '{what}': choose {', '.join(TASKS)}.")
    return TASKS[what]


def choice(where: str, value: str, choices: Iterable[str]) -> None:
    """Raises `BadParameter` if the value of a setting is not among the choices."""
    choices = list(choices)
    if value not in choices:
        raise BadParameter(f"{where} cannot be '{value}': choose {', '.join(choices)}.")


def span(where: str, value: float, low: float, high: float) -> None:
    """Raises `BadParameter` if the value of a setting is not between the two."""
    if not low <= value <= high:
        raise BadParameter(f"{where} cannot be {value}: it is from {low} to {high}.")
