"""Where a trainer's data comes from. A batch is a pure function of its number, so that going on at a step needs no replay."""
from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ..errors import BadParameter
from .chance import seed_of

if TYPE_CHECKING:
    from .config import DataSettings

Batch = dict[str, Tensor]
#: What a task may use of a batch: pictures, flow, and flow that is exact to the last pixel with what it hides.
FRAMES, MOTION, EXACT = "frames", "motion", "exact"
ALL = (FRAMES, MOTION, EXACT)


class Batches(Protocol):
    """An endless sequence of batches."""

    def batch(self, step: int) -> Batch:
        """N clips of T frames.

        key                (N,) int64, the number of each sample, by which a task draws its own chance (see `chance`)
        frames             (N, T, 3, H, W) float32 or uint8 RGB, 0..255
        forward            (N, T-1, 2, H, W) float32 or float16, frame t -> t+1
        backward           (N, T-1, 2, H, W), frame t+1 -> t
        occluded_forward, occluded_backward   (N, T-1, H, W) bool, of exact flow only
        estimated_forward, estimated_backward  as forward and backward, if asked for: what is found when the holes are not looked into
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


class Scenes:
    """Generated scenes by the numbers of samples. `pictures`: whether there are frames, or only what moves how."""

    def __init__(self, settings: DataSettings, seed: int, device: torch.device, *, pictures: bool):
        from . import scenes

        self._scenes, self._seed, self._device, self._pictures = scenes, seed_of(seed, "scenes"), device, pictures
        given = {}
        if settings.textures:
            from .banks import textures

            given["bank"] = textures(settings.textures, str(device))
        try:
            self._look = scenes.SceneSettings(size=settings.size, frames=settings.frames, **given, **dict(settings.scene))
        except (TypeError, ValueError) as error:
            raise BadParameter(f"The settings in data.scene cannot be used: {error}.") from error

    def samples(self, first: int, count: int) -> Batch:
        clips = self._scenes.generate(self._seed, count, self._look, self._device, first=first, pictures=self._pictures)
        names = ("forward", "backward", "occluded_forward", "occluded_backward")
        return {name: getattr(clips, name) for name in (("frames", *names) if self._pictures else names)}


class Mattes:
    """Generated holes by the numbers of steps."""

    def __init__(self, settings: DataSettings, seed: int, share: Share, device: torch.device):
        from . import mattes

        self._mattes, self._seed = mattes, seed_of(seed, "mattes")
        self._settings, self._share, self._device = settings, share, device
        self._given = {}
        if settings.objects:
            from .banks import object_mattes

            self._given["bank"] = object_mattes(settings.objects, str(device))

    def holes(self, step: int) -> Tensor:
        """(N, T, H, W) bool of this process's samples."""
        share, settings = self._share, self._settings
        count, at = (1, share.first_of_all(step)) if settings.one_matte else (share.batch, share.first(step))
        kind = settings.mattes[step % len(settings.mattes)]
        try:
            holes = self._mattes.generate_mattes(
                self._seed, count, settings.frames, settings.size, kind, self._device, first=at, **self._given
            )
        except ValueError as error:
            raise BadParameter(f"data.mattes cannot be used: {error}.") from error
        return holes.expand(share.batch, *holes.shape[1:])


class Samples:
    """Batches of generated scenes, of footage, or of both in a fixed order, with generated holes.

    Sample k is footage where k * share passes a whole number, so that the two alternate evenly in any part of a batch, and the
    samples of either have numbers without gaps: every process makes its own ones alone.
    """

    def __init__(
        self,
        settings: DataSettings,
        seed: int,
        share: Share,
        device: torch.device,
        *,
        footage: float,
        validation: bool,
        uses: Collection[str],
    ):
        from .estimates import Estimates
        from .footage import Footage

        self._share, self._device, self._footage_share = share, device, footage
        estimated = settings.estimated and MOTION in uses
        self._scenes = Scenes(settings, seed, device, pictures=estimated or FRAMES in uses) if footage < 1 else None
        self._footage = Footage(settings, seed, validation=validation, motion=MOTION in uses) if footage > 0 else None
        self._mattes = Mattes(settings, seed, share, device)
        self._estimates = Estimates(settings) if estimated else None

    def batch(self, step: int) -> Batch:
        share = self._share
        first = share.first(step)
        end = first + share.batch
        low, high = self._filmed_before(first), self._filmed_before(end)
        made = {"key": torch.arange(first, end, device=self._device), "holes": self._mattes.holes(step)}
        generated = self._scenes.samples(first - low, share.batch - (high - low)) if self._scenes and high - low < share.batch else {}
        filmed = self._footage.samples(low, high - low) if self._footage and high > low else {}
        filmed = {name: values.to(self._device) for name, values in filmed.items()}
        if generated and filmed:
            order = torch.tensor([self._filmed_before(k + 1) > self._filmed_before(k) for k in range(first, end)], device=self._device)
            # Frames that nobody asked for are there of footage alone.
            made |= {name: _mixed(generated[name], filmed[name], order) for name in filmed if name in generated}
        else:
            made |= generated or filmed
            if self._scenes and self._footage:
                made = {name: values for name, values in made.items() if not name.startswith("occluded")}
        return made if self._estimates is None else made | self._estimates.of(made["frames"], made["holes"])

    def _filmed_before(self, number: int) -> int:
        """How many of the samples below a number are footage."""
        # In whole numbers: the same on every machine.
        return number * round(self._footage_share * 1000) // 1000


def _mixed(generated: Tensor, filmed: Tensor, order: Tensor) -> Tensor:
    """Samples in order, True = filmed."""
    out = generated.new_empty(len(order), *generated.shape[1:])
    out[order], out[~order] = filmed.to(generated.dtype), generated
    return out


#: Name in `data.source` -> the share of footage.
SOURCES: dict[str, Callable[[DataSettings], float]] = {
    "scenes": lambda settings: 0.0,
    "clips": lambda settings: 1.0,
    "mixed": lambda settings: settings.share,
}


def footage_share(settings: DataSettings) -> float:
    """How much of the samples is footage."""
    return SOURCES[settings.source](settings) if settings.source in SOURCES else 0.0


def open_source(
    settings: DataSettings, seed: int, share: Share, device: torch.device, *, uses: Collection[str] = ALL, validation: bool = False
) -> Batches:
    """The batches that the settings name: one of `SOURCES`, or MODULE:NAME for a `Source` of one's own.

    uses        what of a batch is needed
    validation  of clips that are not learnt from, and made in this process
    """
    name = settings.source
    if name in SOURCES:
        if settings.loaders and not validation:
            from .loading import Loaded

            return Loaded(settings, seed, share, device, uses)
        return Samples(settings, seed, share, device, footage=footage_share(settings), validation=validation, uses=uses)
    module, _, attribute = name.partition(":")
    if not attribute or not all(module.split(".")):
        raise BadParameter(f"data.source cannot be '{name}': choose {', '.join(SOURCES)}, or MODULE:NAME for a source of your own.")
    try:
        source = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadParameter(f"data.source cannot be '{name}': {error}.") from error
    return source(settings, seed, share, device)
