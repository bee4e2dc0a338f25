"""Where a trainer's data comes from. A batch is a pure function of its number, so that going on at a step needs no replay."""
from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ..errors import BadParameter
from .chance import seed_of

if TYPE_CHECKING:
    from .config import DataSettings

Batch = dict[str, Tensor]


class Batches(Protocol):
    """An endless sequence of batches."""

    def batch(self, step: int) -> Batch:
        """N clips of T frames.

        key                (N,) int64, the number of each sample, by which a task draws its own chance (see `chance`)
        frames             (N, T, 3, H, W) float32 RGB, 0..255
        forward            (N, T-1, 2, H, W) float32, frame t -> t+1
        backward           (N, T-1, 2, H, W) float32, frame t+1 -> t
        occluded_forward, occluded_backward   (N, T-1, H, W) bool
        holes              (N, T, H, W) bool
        """
        ...


@dataclass(frozen=True)
class Share:
    """This process's part of every batch: `batch` samples of `batch * world`, after those of the lower ranks."""

    batch: int
    rank: int = 0
    world: int = 1

    def first(self, step: int) -> int:
        """The number of the first sample at a step."""
        return (step * self.world + self.rank) * self.batch

    def first_of_all(self, step: int) -> int:
        """The number of the first sample of all processes at a step."""
        return step * self.world * self.batch


#: Makes batches: (settings, seed, share, device).
Source = Callable[["DataSettings", int, Share, torch.device], Batches]


class SceneBatches:
    """Generated scenes with generated mattes."""

    def __init__(self, settings: DataSettings, seed: int, share: Share, device: torch.device):
        from . import mattes, scenes

        self._scenes, self._mattes = scenes, mattes
        try:
            self._look = scenes.SceneSettings(size=settings.size, frames=settings.frames, **dict(settings.scene))
        except (TypeError, ValueError) as error:
            raise BadParameter(f"The settings in data.scene cannot be used: {error}.") from error
        self._settings, self._seed, self._share, self._device = settings, seed, share, device

    def batch(self, step: int) -> Batch:
        share, settings = self._share, self._settings
        first = share.first(step)
        clips = self._scenes.generate(seed_of(self._seed, "scenes"), share.batch, self._look, self._device, first=first)
        count, at = (1, share.first_of_all(step)) if settings.one_matte else (share.batch, first)
        kind = settings.mattes[(step % len(settings.mattes))]
        try:
            holes = self._mattes.generate_mattes(
                seed_of(self._seed, "mattes"), count, settings.frames, settings.size, kind, self._device, first=at
            )
        except ValueError as error:
            raise BadParameter(f"data.mattes cannot be used: {error}.") from error
        return {
            "key": torch.arange(first, first + share.batch, device=self._device),
            "frames": clips.frames,
            "forward": clips.forward,
            "backward": clips.backward,
            "occluded_forward": clips.occluded_forward,
            "occluded_backward": clips.occluded_backward,
            "holes": holes.expand(share.batch, *holes.shape[1:]),
        }


#: Name in `data.source` -> what makes the batches.
SOURCES: dict[str, Source] = {"scenes": SceneBatches}


def open_source(settings: DataSettings, seed: int, share: Share, device: torch.device) -> Batches:
    """The batches that the settings name: one of `SOURCES`, or MODULE:NAME for a `Source` of one's own."""
    name = settings.source
    if name in SOURCES:
        return SOURCES[name](settings, seed, share, device)
    module, colon, attribute = name.partition(":")
    if not colon:
        raise BadParameter(f"data.source cannot be '{name}': choose {', '.join(SOURCES)}, or MODULE:NAME for a source of your own.")
    try:
        source = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadParameter(f"data.source cannot be '{name}': {error}.") from error
    return source(settings, seed, share, device)
