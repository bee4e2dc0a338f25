"""Samples from data sets as users have them: windows of clips, cut out, mirrored and turned round in time.

The flow of a sample is what the estimator has found between the whole pictures, which is what the paper learns from.
"""
from __future__ import annotations

from collections.abc import Callable
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
    learnt, held_out = _parts(asked)
    ready.prepare([*learnt, *held_out], motion=motion, rank=processes.rank, world=processes.world, stopped=stopped, say=say)
    library = _library(asked, False)
    windows = sum(count - settings.frames + 1 for count, _, _ in library.shapes)
    left_out = len(learnt) - len(library.clips)
    height, width = settings.size
    by = f", with flow by {ready.estimator}" if motion else ""
    less = f" Left out: {left_out} with fewer than {settings.frames} frames or less than {width}x{height} pixels." if left_out else ""
    say(f"Learning from {windows} windows of {len(library.clips)} clips{by}.{less} For validation: {len(held_out) or 'the same'}.")


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
def _parts(asked: _Asked) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
    """Clips to learn from, and to validate with."""
    learnt = [clip for root in asked.clips for clip in find_clips(root, asked.split or None)]
    if asked.held_out:
        held_out = [clip for root in asked.clips for clip in find_clips(root, asked.held_out)]
        seen = {clip.path for clip in held_out}
        return tuple(clip for clip in learnt if clip.path not in seen), tuple(held_out)
    if len(learnt) < _FEWEST:
        return tuple(learnt), ()
    middle = _HELD_OUT // 2 if len(learnt) >= _HELD_OUT else len(learnt) // 2
    return (
        tuple(clip for number, clip in enumerate(learnt) if number % _HELD_OUT != middle),
        tuple(clip for number, clip in enumerate(learnt) if number % _HELD_OUT == middle),
    )


@cache
def _library(asked: _Asked, validation: bool) -> Library:
    ready, (learnt, held_out) = _prepared(asked), _parts(asked)
    clips = (held_out or learnt) if validation else learnt
    shapes = [ready.shape(clip) for clip in clips]
    height, width = asked.size
    fits = [count >= asked.frames and h >= height and w >= width for count, h, w in shapes]
    if not any(fits):
        where = ", ".join(asked.clips)
        if not clips:
            raise BadParameter(f"data.held_out leaves no clips of {where} to learn from.")
        count, h, w = max(shapes, key=lambda shape: shape[0])
        raise BadParameter(
            f"No clip of {where} has {asked.frames} frames of {width}x{height} pixels (data.frames, data.size); the longest has {count} of "
            f"{w}x{h} with data.height = {asked.height}."
        )
    chosen = [(clip, shape) for clip, shape, fit in zip(clips, shapes, fits, strict=True) if fit]
    return Library(ready, tuple(clip for clip, _ in chosen), tuple(shape for _, shape in chosen))
