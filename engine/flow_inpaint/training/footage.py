"""Samples from data sets as users have them: windows of clips, cut out, mirrored and turned round in time.

The flow of a sample is what the estimator has found between the whole pictures, which is what the paper learns from.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..datasets import Clip, find_clips
from ..datasets.prepared import Prepared, cache_folder
from ..errors import BadParameter
from ..machine import Machine
from .chance import uniform

if TYPE_CHECKING:
    from .config import DataSettings
    from .processes import Processes

#: Without splits, one clip in so many is only for validation, where there are at least as many as the second number.
_HELD_OUT, _FEWEST = 10, 4


@dataclass(frozen=True)
class Library:
    """The clips of a data set that windows can be cut from, with (frames, height, width) of each."""

    prepared: Prepared
    clips: tuple[Clip, ...]
    shapes: tuple[tuple[int, int, int], ...]


class Footage:
    """Samples of footage by their numbers. `motion`: whether flows are wanted too."""

    def __init__(self, settings: DataSettings, seed: int, *, validation: bool, motion: bool):
        self._settings, self._seed, self._motion = settings, seed, motion
        self._library = _library(_asked(settings), validation)
        # Every window is as likely as any other.
        windows = [count - settings.frames + 1 for count, _, _ in self._library.shapes]
        self._ends = torch.tensor(windows).cumsum(0)

    def samples(self, first: int, count: int) -> dict[str, Tensor]:
        """Samples first .. first + count - 1: frames (N, T, 3, H, W) uint8; forward and backward (N, T-1, 2, H, W) float16."""
        made = [self._sample(number) for number in range(first, first + count)]
        return {name: torch.stack([sample[name] for sample in made]) for name in made[0]} if made else {}

    def _sample(self, number: int) -> dict[str, Tensor]:
        settings, library = self._settings, self._library
        key = torch.tensor([number])
        chosen, down, across, mirror, back = uniform(key, f"{self._seed}/footage", (5,))[0].tolist()
        window = min(int(chosen * int(self._ends[-1])), int(self._ends[-1]) - 1)
        at = int(torch.searchsorted(self._ends, window, right=True))
        start = window - (int(self._ends[at - 1]) if at else 0)
        clip, (_, height, width) = library.clips[at], library.shapes[at]
        (h, w), last = settings.size, start + settings.frames - 1
        top, left = (min(int(draw * (n - m + 1)), n - m) for draw, n, m in ((down, height, h), (across, width, w)))
        box = (..., slice(top, top + h), slice(left, left + w))
        frames = library.prepared.frames(clip, start, last).transpose(0, 3, 1, 2)[box]
        flows = library.prepared.flows(clip, start, last)[box] if self._motion else None
        mirrored, turned = mirror < settings.mirror, back < settings.reverse
        if mirrored:
            frames = frames[..., ::-1]
        if turned:
            frames = frames[::-1]
        sample = {"frames": torch.from_numpy(frames.copy())}
        if flows is not None:
            sample["forward"], sample["backward"] = augmented(flows, mirrored=mirrored, turned=turned)
        return sample


def augmented(flows: np.ndarray, *, mirrored: bool, turned: bool) -> tuple[Tensor, Tensor]:
    """Flows (T-1, 2, 2, H, W), forward and backward, of the same clip mirrored and turned round in time: two of (T-1, 2, H, W)."""
    if mirrored:
        flows = flows[..., ::-1] * np.array([-1, 1], flows.dtype)[:, None, None]
    if turned:
        # What led back leads on.
        flows = flows[::-1, ::-1]
    forward, backward = (torch.from_numpy(flows[:, way].copy()) for way in (0, 1))
    return forward, backward


def prepare(
    settings: DataSettings, *, motion: bool, processes: Processes, stopped: Callable[[], bool], say: Callable[[str], None]
) -> None:
    """Makes what the clips of the settings lack, and says which of them cannot be used. Raises `Aborted`, `BadClip`, `BadParameter`."""
    asked = _asked(settings)
    ready = _prepared(asked)
    every = [clip for part in _named(asked) for clip in part]
    ready.prepare(every, motion=motion, rank=processes.rank, world=processes.world, stopped=stopped, say=say)
    library, validation = _library(asked, False), _library(asked, True)
    windows = sum(count - settings.frames + 1 for count, _, _ in library.shapes)
    used = {clip.path for clip in (*library.clips, *validation.clips)}
    left_out = len(every) - len(used)
    height, width = settings.size
    held_out = 0 if validation.clips == library.clips else len(validation.clips)
    by = f", with flow by {ready.estimator}" if motion else ""
    less = f" Left out: {left_out} with fewer than {settings.frames} frames or less than {width}x{height} pixels." if left_out else ""
    say(f"Learning from {windows} windows of {len(library.clips)} clips{by}.{less} For validation: {held_out or 'the same'}.")


# --- the clips ---


@dataclass(frozen=True)
class _Asked:
    """What of the settings decides on the library; libraries of the same are the same."""

    clips: tuple[str, ...]
    split: str
    held_out: str
    height: int
    size: tuple[int, int]
    frames: int
    flow: str
    cache: str


def _asked(settings: DataSettings) -> _Asked:
    if not settings.clips:
        raise BadParameter(f"data.source = '{settings.source}' needs data.clips: the folder of a data set, or several.")
    return _Asked(*(getattr(settings, name) for name in _Asked.__dataclass_fields__))


@cache
def _prepared(asked: _Asked) -> Prepared:
    folder = Path(asked.cache) if asked.cache else cache_folder()
    for root in asked.clips:
        if folder.resolve().is_relative_to(Path(root).resolve()):
            raise BadParameter(f"data.cache cannot be {folder}: it lies within the data set {root}, which is left as it is.")
    return Prepared(folder, asked.height, asked.flow, Machine())


@cache
def _named(asked: _Asked) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Clips to learn from, and those that the settings hold out."""
    learnt = [clip for root in asked.clips for clip in find_clips(root, asked.split or None)]
    held_out = [clip for root in asked.clips for clip in find_clips(root, asked.held_out)] if asked.held_out else []
    return _without(learnt, held_out), tuple(held_out)


@cache
def _parts(asked: _Asked) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Clips to learn from, and to validate with."""
    learnt, held_out = _named(asked)
    if asked.held_out:
        return learnt, held_out
    # Only of those that windows can be cut from: others would validate nothing.
    usable = [clip for clip in learnt if _fits(asked, clip)]
    if len(usable) < _FEWEST:
        return learnt, ()
    middle = _HELD_OUT // 2 if len(usable) >= _HELD_OUT else len(usable) // 2
    held_out = tuple(usable[middle::_HELD_OUT])
    return _without(learnt, held_out), held_out


def _without(clips: Sequence[Clip], others: Sequence[Clip]) -> tuple[Clip, ...]:
    paths = {clip.path for clip in others}
    return tuple(clip for clip in clips if clip.path not in paths)


def _fits(asked: _Asked, clip: Clip) -> bool:
    count, height, width = _shapes(asked)[clip.path]
    return count >= asked.frames and height >= asked.size[0] and width >= asked.size[1]


@cache
def _shapes(asked: _Asked) -> dict[Path, tuple[int, int, int]]:
    """(frames, height, width) of every clip by its path."""
    return {clip.path: _prepared(asked).shape(clip) for part in _named(asked) for clip in part}


@cache
def _library(asked: _Asked, validation: bool) -> Library:
    learnt, held_out = _parts(asked)
    clips, shapes = (held_out or learnt) if validation else learnt, _shapes(asked)
    usable = tuple(clip for clip in clips if _fits(asked, clip))
    if not usable:
        where = ", ".join(asked.clips)
        if not clips:
            raise BadParameter(f"data.held_out leaves no clips of {where} to learn from.")
        which = "No clip that data.held_out names in" if validation and held_out else "No clip of"
        height, width = asked.size
        count, h, w = max((shapes[clip.path] for clip in clips), key=lambda shape: shape[0])
        raise BadParameter(
            f"{which} {where} has {asked.frames} frames of {width}x{height} pixels (data.frames, data.size); the longest has {count} of "
            f"{w}x{h} with data.height = {asked.height}."
        )
    return Library(_prepared(asked), usable, tuple(shapes[clip.path] for clip in usable))
