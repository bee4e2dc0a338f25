"""What each phase of a training run holds in memory and computes a sample, counted on a processor from the shapes alone.

    python tests/benchmarks/training_memory.py CONFIG [--set SECTION.FIELD=VALUE ...] [--samples 1 2]

Every tensor that a step makes is followed until it is freed, the making of its data included, at two small batches in the
precision of a graphics card (bfloat16 for float16); both grow evenly with the batch. What libraries take for themselves on a card
(workspaces, scattered memory) comes on top: leave a third free.
"""
from __future__ import annotations

import argparse
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from flow_inpaint.training import config, scenes
from flow_inpaint.training.player import Player, autocast
from flow_inpaint.training.sources import Share, open_source
from flow_inpaint.training.tasks import kind

GIB = 1 << 30


class Held(TorchDispatchMode):
    """Counts the bytes of all tensors that live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._follow(tensor.untyped_storage())
        return made

    def _follow(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


@contextmanager
def as_on_a_card() -> Iterator[None]:
    """Scenes of a batch are made all at once there."""
    before = dict(scenes._AT_ONCE)
    scenes._AT_ONCE.clear()
    try:
        yield
    finally:
        scenes._AT_ONCE.update(before)


def step(wanted: config.Config, number: int, make: Any, samples: int) -> tuple[int, int]:
    """The most bytes of one step of a phase, weights and optimizer left out, and its operations."""
    phase, cpu = wanted.phases[number], torch.device("cpu")
    task = make(phase.task)
    torch.manual_seed(1)
    model = task.build()
    (name, groups), *_ = task.players(model).items()
    Player(name, "loss", groups, model, task, phase.train, device=cpu, precision="bfloat16", shared=False)
    source = open_source(wanted.data, 1, Share(samples), cpu, uses=task.uses)
    with as_on_a_card(), FlopCounterMode(display=False) as flops, Held() as held:
        batch = source.batch(0)
        with autocast(cpu, "bfloat16"):
            loss, _ = task.loss(model, batch, name)
        loss.backward()
    return held.most, flops.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    parser.add_argument("--samples", type=int, nargs=2, default=[1, 2])
    known = parser.parse_args()
    what = config._document(config._found(known.config))["what"]
    settings, make = kind(what).load()
    wanted = config.read(known.config, what, settings, known.changes)
    print(f"{'phase':10} {'batch':>5} {'GiB a sample':>13} {'GiB a step':>11} {'weights and optimizer GiB':>26} {'10^9 operations a sample':>25}")
    for number, phase in enumerate(wanted.phases):
        (few, one), (many, other) = (step(wanted, number, make, samples) for samples in known.samples)
        apart = known.samples[1] - known.samples[0]
        each, work = (many - few) / apart, (other - one) / apart
        model = make(phase.task).build()
        weights = sum(parameter.numel() for parameter in model.parameters())
        learnt = sum(p.numel() for groups in make(phase.task).players(model).values() for group in groups for p in group.parameters)
        # The weights; gradients, both moments of AdamW and the averages of what learns.
        fixed = 4 * (weights + learnt * (4 if phase.train.ema else 3))
        whole = few + each * (phase.train.batch - known.samples[0])
        row = f"{each / GIB:13.3f} {(whole + fixed) / GIB:11.1f} {fixed / GIB:26.2f} {work / 1e9:25.1f}"
        print(f"{phase.name:10} {phase.train.batch:5} {row}", flush=True)


if __name__ == "__main__":
    main()
