"""Runs of a moment, in this process or as a user starts them."""
from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import flow_inpaint
from flow_inpaint.training import checkpoint, log
from flow_inpaint.training.config import Config, DataSettings, Phase, RunSettings, TrainSettings
from flow_inpaint.training.state import CHECKPOINT
from flow_inpaint.training.tasks import Group
from flow_inpaint.training.trainer import Trainer

TOY = "data.source=toy_data:ToyBatches"
CPU = torch.device("cpu")


class Line:
    """A task of a moment: what is learnt is a picture's mean brightness, by a layer with a random choice of its own."""

    parts = ("square",)
    metrics = ("error",)
    uses = ("frames",)
    best = "error"

    def __init__(self, most: int = 1000):
        self.most = most
        self.begun = 0

    def build(self):
        return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 1))

    def begin(self, model):
        self.begun += 1

    def players(self, model):
        return {"model": [Group([*model[0].parameters()]), Group([*model[2].parameters()], 2.0)]}

    def loss(self, model, batch, player):
        if len(batch["key"]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        seen = batch["frames"][:, 0].mean((2, 3)) / 255
        square = (model(seen)[:, 0] - seen.sum(1)).square().mean()
        return square, {"square": square}

    def measure(self, model, batch):
        seen = batch["frames"][:, 0].mean((2, 3)) / 255
        error = (model(seen)[:, 0] - seen.sum(1)).abs()
        return {"error": (float(error.sum()), len(error))}, np.zeros((8, 8, 3), np.uint8)

    def conclude(self, means):
        return dict(means)

    def catalogued(self):
        return []


def wanted(*phases: TrainSettings, run: RunSettings | None = None, **data) -> Config:
    data = {"source": "toy_data:ToyBatches", "size": (16, 16), "frames": 2} | data
    run = run or RunSettings(log_every=1, validate_every=0, validation_samples=2, save_every=1e9)
    return Config("line", run, DataSettings(**data), tuple(Phase(f"p{number}", train, None) for number, train in enumerate(phases)))


def train(config: Config, out: Path, *, resume: bool = False, task: Line | None = None, stop_at: int | None = None, say=lambda text: None):
    """Trains; stopped after so many steps of this start."""
    asked = []

    def stopped() -> bool:
        asked.append(None)
        return stop_at is not None and len(asked) > stop_at

    tasks = [task or Line() for _ in config.phases]
    return Trainer(config, tasks, out, device=CPU, stopped=stopped, say=say).run(resume=resume)


def losses(out: Path) -> list[tuple[str, str, str]]:
    return [(row["phase"], row["step"], row["loss"]) for row in log.read(out / "log.csv")]


def same_checkpoint(one: Path, other: Path) -> None:
    (a, facts_a), (b, facts_b) = (checkpoint.load(out / CHECKPOINT) for out in (one, other))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert [facts["progress"]["total"] for facts in (facts_a, facts_b)] == [facts_a["progress"]["total"]] * 2


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "flow_inpaint", *words]


def environment() -> dict[str, str]:
    here = [str(Path(flow_inpaint.__file__).parents[1]), str(Path(__file__).parent)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(here), "OMP_NUM_THREADS": "1"}
