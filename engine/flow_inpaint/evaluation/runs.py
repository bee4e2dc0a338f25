"""Runs of the trainer as something to evaluate: what of them has learnt, and the networks that cannot be exported."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadParameter

if TYPE_CHECKING:
    from ..completion.dfc_net import DFCNet

_STAGES = ("stage1", "stage2", "stage3")


def is_run(folder: Path) -> bool:
    """Whether a run has left a checkpoint there."""
    from ..training import checkpoint
    from ..training.state import CHECKPOINT

    return folder.is_dir() and checkpoint.exists(folder / CHECKPOINT)


def identity(run: Path) -> str:
    """Changes with every checkpoint: their indices hold the checksums of all that belongs to them."""
    from ..training.checkpoint import INDEX

    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(run.glob(f"*/{INDEX}")))).hexdigest()


def dfc_shape(run: Path) -> tuple[str, int] | None:
    """See `weight_choice.dfc_shape`."""
    done = _done(run, "dfc")
    if done is None:
        return None
    task = done[-1]["task"]
    learnt = max(task["stages"] if phase["task"]["stage"] == "joint" else _STAGES.index(phase["task"]["stage"]) + 1 for phase in done)
    return "single" if task["backbone"] == "resnet101" else "stages" if task["multi_scale"] else "plain", learnt


def dfc_net(run: Path) -> DFCNet:
    """The stages that have begun to learn."""
    _, learnt = dfc_shape(run) or ("", 0)
    return _model(run, "dfc").prefix(learnt).eval()


def mining(run: Path) -> str | None:
    """What table 3 calls a run of DFC-Net by the way it was trained; None for other runs."""
    done = _done(run, "dfc")
    if done is None:
        return None
    task = done[0]["task"]
    return f"p = {task['mining_share'] * 100:g}" if task["mining_weight"] else "without mining"


def deepfill_shape(run: Path) -> tuple[int, int] | None:
    """How many neighbours a run's DeepFill sees, and of how many networks in a row it is; None for other runs."""
    done = _done(run, "deepfill")
    return None if done is None else (done[-1]["task"]["frames"], done[-1]["task"]["stacked"])


def inpainter(run: Path) -> Any:
    """A run's DeepFill, a `training.tasks.deepfill.Inpainter`."""
    return _model(run, "deepfill")["inpainter"].eval()


def _model(run: Path, what: str) -> Any:
    from ..training.state import weights_of
    from ..training.tasks import kind

    settings, make = kind(what).load()
    model = make(settings(**(_done(run, what) or [])[-1]["task"])).build()
    model.load_state_dict(weights_of(run), strict=True)
    return model.requires_grad_(False)


def _done(run: Path, what: str) -> list[dict[str, Any]] | None:
    """The phases that a run has at least begun; None if it trains something else. Raises `BadParameter`."""
    from ..training import checkpoint
    from ..training.state import CHECKPOINT

    facts = checkpoint.facts(run / CHECKPOINT)
    if facts["config"]["what"] != what:
        return None
    progress = facts["progress"]
    done = facts["config"]["phases"][: progress["phase"] + (progress["step"] > 0)]
    if not done:
        raise BadParameter(f"The run in {run} has not taken a step yet.")
    return done
