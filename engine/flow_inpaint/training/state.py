"""Weights by name: into and out of checkpoints, from runs and from exports."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor, nn

from ..errors import BadParameter
from . import checkpoint
from .tasks import Task

#: Folders of a run: what it goes on from, and the weights that did best.
CHECKPOINT, BEST = "checkpoint", "best"


def named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def restore(model: nn.Module, saved: dict[str, Tensor], prefix: str) -> None:
    try:
        model.load_state_dict(under(saved, prefix), strict=True)
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


def weights_of(run: Path, which: str | None = None) -> dict[str, Tensor]:
    """The weights that a run has learnt, see `learnt`."""
    return learnt(run, which)[0]


def learnt(run: Path, which: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights that a run has learnt, averaged where they are, and the facts of their checkpoint.

    which  "best" or "last"; None: the best of the phase that the run is in, or the last where that has not been validated yet
    """
    if which is None:
        which = "best" if checkpoint.exists(run / BEST) and _phase_of(run / BEST) >= _phase_of(run / CHECKPOINT) else "last"
    folder = run / {"best": BEST, "last": CHECKPOINT}[which]
    if which == "best" and not checkpoint.exists(folder):
        raise BadParameter(f"The run in {run} has not been validated yet, so it has no best weights: take the last ones.")
    tensors, facts = checkpoint.load(folder)
    return under(tensors, "model") | under(tensors, "average"), facts


def _phase_of(folder: Path) -> int:
    """The phase in which a checkpoint was made; one between two phases belongs to the first of them."""
    progress = checkpoint.facts(folder)["progress"]
    return progress["phase"] - (progress["step"] == 0)


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
