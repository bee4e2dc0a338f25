"""Batches made ahead by processes of their own, the same ones as without them."""
from __future__ import annotations

import signal
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import Failed, FlowInpaintError
from .sources import Batch, Batches, Share, open_source

if TYPE_CHECKING:
    from .config import DataSettings

_AHEAD = 2
#: What is not sent from one process to another unless a task uses it.
_LARGE = {"frames": "frames", "occluded_forward": "exact", "occluded_backward": "exact", "forward": "motion", "backward": "motion"}


class Loaded:
    """A source whose batches `data.loaders` processes make on the CPU, a few steps ahead."""

    def __init__(self, settings: DataSettings, seed: int, share: Share, device: torch.device, uses: Collection[str]):
        self._steps, self._loaders, self._device = _Steps(settings, seed, share, tuple(uses)), settings.loaders, device
        self._next = -1
        self._held: Batch = {}
        self._running: Iterator[Batch | FlowInpaintError] | None = None

    def batch(self, step: int) -> Batch:
        if step == self._next - 1:
            # Again, because memory ran out.
            return self._held
        if self._running is None or step != self._next:
            self._running, self._next = self._started(step), step
        try:
            found = next(self._running)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise Failed("A process that made data ended before its time, perhaps for want of memory: set data.loaders lower.") from error
        if isinstance(found, FlowInpaintError):
            raise found
        self._next = step + 1
        self._held = {name: values.to(self._device, non_blocking=True) for name, values in found.items()}
        return self._held

    def _started(self, step: int) -> Iterator[Batch | FlowInpaintError]:
        return iter(
            DataLoader(
                self._steps,
                batch_size=None,
                sampler=_From(step),
                num_workers=self._loaders,
                prefetch_factor=_AHEAD,
                pin_memory=self._device.type == "cuda",
                # A fork of a process with threads or a graphics card would not live long.
                multiprocessing_context="spawn",
                worker_init_fn=_begin,
            )
        )


class _Steps(Dataset[Batch]):
    """Batches by their step, made where they are asked for."""

    def __init__(self, settings: DataSettings, seed: int, share: Share, uses: tuple[str, ...]):
        self._plan = (replace(settings, loaders=0), seed, share, torch.device("cpu"))
        self._uses = uses
        self._source: Batches | None = None

    def __getitem__(self, step: int) -> Batch | FlowInpaintError:
        try:
            if self._source is None:
                self._source = open_source(*self._plan, uses=self._uses)
            batch = self._source.batch(step)
        except FlowInpaintError as error:
            # As a value: what is raised here reaches the other process wrapped in a traceback.
            return error
        return {name: values for name, values in batch.items() if _LARGE.get(name, self._uses[0]) in self._uses}


class _From:
    """Every step from one on."""

    def __init__(self, first: int):
        self._first = first

    def __iter__(self) -> Iterator[int]:
        return count(self._first)


def _begin(_number: int) -> None:
    # Ctrl-C goes to all processes of a terminal, and only the trainer knows what to do: it ends these itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
