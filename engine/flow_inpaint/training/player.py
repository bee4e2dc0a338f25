"""The optimizer's side of a step: parameters that learn together, in mixed precision, a part of the batch at a time."""
from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .config import TrainSettings
from .sources import Batch
from .state import under
from .tasks import Group, Task

_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def precision_of(settings: TrainSettings, device: torch.device) -> str:
    if settings.precision == "auto":
        return "float16" if device.type == "cuda" else "float32"
    return "bfloat16" if settings.precision == "float16" and device.type == "cpu" else settings.precision


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, _HALF.get(precision), enabled=precision in _HALF)


def learn_only(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Only these of its parameters have gradients."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)


class Player:
    """Parameters that learn together."""

    def __init__(
        self,
        name: str,
        called: str,
        groups: list[Group],
        model: nn.Module,
        task: Task,
        settings: TrainSettings,
        *,
        device: torch.device,
        precision: str,
        shared: bool,
    ):
        self._called, self._settings, self._precision, self._shared = called, settings, precision, shared
        self.parameters = [parameter for group in groups for parameter in group.parameters]
        self._factors = [group.rate for group in groups]
        wanted = [{"params": group.parameters, "lr": settings.rate * group.rate} for group in groups]
        if settings.optimizer == "sgd":
            self._optimizer: torch.optim.Optimizer = torch.optim.SGD(wanted, momentum=settings.momentum, weight_decay=settings.weight_decay)
        else:
            self._optimizer = torch.optim.AdamW(wanted, weight_decay=settings.weight_decay)
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16" and device.type == "cuda")
        learn_only(model, self.parameters)
        turn = _Turn(model, task, name)
        self._turn = DistributedDataParallel(turn, broadcast_buffers=False) if shared else turn

    def step(self, batch: Batch, micro: int, rate: float) -> dict[str, Tensor]:
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
                with autocast(part["key"].device, self._precision):
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
        scale = under(tensors, "scaler")
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
