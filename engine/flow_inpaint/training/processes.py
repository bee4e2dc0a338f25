"""Several processes that train as one, as torchrun starts them."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist


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
