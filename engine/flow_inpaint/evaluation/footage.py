"""The clips that tables are made of, at the table's size: of a data set, or generated with exact flow."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..datasets import Clip, find_clips, open_clip, read_annotation
from ..errors import BadClip, BadParameter, MissingWeights

#: In the setting 'object', what is pasted over a clip comes from the one so many places further in the order of names.
_NEXT = 3
_SMALLEST = 32


@dataclass(frozen=True)
class Exact:
    """What is known exactly: flows (T-1, 2, H, W) frame t -> t+1 and back, and (T-1, H, W) bool, what is hidden in the other frame."""

    forward: np.ndarray
    backward: np.ndarray
    occluded_forward: np.ndarray
    occluded_backward: np.ndarray


class Footage(Protocol):
    """A clip. `identity`: other footage has another one. `has_object`: whether something can be pasted over it."""

    name: str
    count: int
    identity: str
    has_object: bool

    def frames(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB each."""
        ...

    def objects(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Endless: pictures and outlines (h, w) bool of another clip's object."""
        ...

    def exact(self) -> Exact | None:
        """Its true flow, where that is known."""
        ...


class DataSetClip:
    """A data set's clip, its first frames. `other`: the clip whose object may be pasted over it."""

    def __init__(self, clip: Clip, other: Clip | None, size: tuple[int, int] | None, most: int | None):
        self.name, self._clip, self._other, self._size = clip.name, clip, other, size
        with open_clip(clip) as reader:
            self.count = min(reader.count, most or reader.count)
            height, width = size or reader.size
        if self.count < 2:
            raise BadClip(f"{clip.path} has a single frame: tables need clips of at least 2; leave it out with --sequences.")
        if min(height, width) < _SMALLEST:
            raise BadClip(f"{clip.path} is {width}x{height}: tables need pictures of at least {_SMALLEST}x{_SMALLEST}.")
        self.has_object = other is not None
        files = clip.frames[: self.count] or (clip.path,)
        if other is not None:
            files += (*other.frames, *(path for path in other.annotations or () if path))
        self.identity = _stamp(files)

    def frames(self) -> Iterator[np.ndarray]:
        with open_clip(self._clip) as reader:
            for picture in reader.read(0, self.count - 1):
                yield picture if self._size is None else cv2.resize(picture, self._size[::-1], interpolation=cv2.INTER_AREA)

    def objects(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        assert self._other is not None and self._other.annotations is not None
        drawn = [k for k, path in enumerate(self._other.annotations) if path]
        with open_clip(self._other) as reader:
            while True:
                for k in drawn:
                    outline = read_annotation(self._other.annotations[k]) > 0
                    yield next(iter(reader.read(k, k))), outline

    def exact(self) -> None:
        return None


class GeneratedClip:
    """A generated clip (see `training.scenes`), number `index` of a seed."""

    has_object = False

    def __init__(self, seed: int, index: int, size: tuple[int, int], count: int):
        self.name, self.count, self._size = f"generated-{seed}-{index}", count, size
        self.identity = self.name
        self._seed, self._index = seed, index
        self._made: tuple[np.ndarray, Exact] | None = None

    def frames(self) -> Iterator[np.ndarray]:
        return iter(self._all()[0])

    def objects(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return iter(())

    def exact(self) -> Exact:
        return self._all()[1]

    def _all(self) -> tuple[np.ndarray, Exact]:
        if self._made is None:
            from ..training import scenes

            look = scenes.SceneSettings(size=self._size, frames=self.count)
            clips = scenes.generate(self._seed, 1, look, first=self._index)
            frames = np.clip(np.rint(clips.frames[0].permute(0, 2, 3, 1).numpy()), 0, 255).astype(np.uint8)
            flows = (clips.forward, clips.backward, clips.occluded_forward, clips.occluded_backward)
            self._made = frames, Exact(*(values[0].numpy() for values in flows))
        return self._made


class Collection:
    """The footage of a table, one clip after the other, so that only one is ever in memory. `make` makes one by its number."""

    def __init__(self, title: str, names: Sequence[str], make: Callable[[int], Footage]):
        self.title, self.names, self._make = title, list(names), make

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Footage]:
        return (self._make(k) for k in range(len(self.names)))


def of_data_set(
    root: Path | str,
    *,
    split: str | None = None,
    chosen: Sequence[str] = (),
    size: tuple[int, int] | None = None,
    frames: int | None = None,
) -> Collection:
    """The clips of a data set (see `datasets.find_clips`).

    chosen  only these, by name; what is pasted over them still comes from any of the data set's
    size    (height, width); None: their own
    frames  so many from the beginning, at most

    Raises `BadClip` for what cannot be read or found.
    """
    clips = find_clips(root, split)
    by_name = {clip.name: number for number, clip in enumerate(clips)}
    missing = [name for name in chosen if name not in by_name]
    if missing:
        few = ", ".join(list(by_name)[:8]) + (" and others" if len(by_name) > 8 else "")
        raise BadClip(f"There is no clip '{missing[0]}' in {root}: it has {few}.")
    wanted = [by_name[name] for name in chosen] or list(range(len(clips)))

    def make(k: int) -> DataSetClip:
        return DataSetClip(clips[wanted[k]], _other(clips, wanted[k]), size, frames)

    return Collection(Path(root).name, [clips[number].name for number in wanted], make)


def generated(seed: int, clips: int, size: tuple[int, int], frames: int) -> Collection:
    """Generated clips. Raises `BadParameter` for what makes no clip, `MissingWeights` without PyTorch."""
    if min(size) < _SMALLEST or frames < 2 or clips < 1:
        raise BadParameter(f"{clips} generated clips of {frames} frames of {size[1]}x{size[0]} cannot be made: 1, 2 and 32x32 at least.")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingWeights(f"Generated clips need PyTorch ({error}): pip install 'flow-inpaint[networks]' brings it.") from error
    names = [f"generated-{seed}-{k}" for k in range(clips)]
    return Collection(f"generated clips, seed {seed}", names, lambda k: GeneratedClip(seed, k, size, frames))


def _other(clips: Sequence[Clip], own: int) -> Clip | None:
    """The clip some places further, or the next one after it, that has annotations; None if no other has."""
    for step in range(len(clips)):
        other = clips[(own + _NEXT + step) % len(clips)]
        if other is not clips[own] and other.annotations:
            return other
    return None


def _stamp(files: Sequence[Path]) -> str:
    """A digest of names, sizes and dates, which changes when the files do."""
    try:
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError as error:
        raise BadClip(f"{error.filename} cannot be read: {error.strerror}.") from error
    return hashlib.sha256(repr(facts).encode()).hexdigest()
