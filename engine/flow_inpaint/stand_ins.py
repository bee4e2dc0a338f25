"""Pictures in the place of frames that cannot be read: damaged ones in the middle of a file, images missing from a sequence.

A frame is held, or made of the frames before and after it. Where the object was in those, its matte covers the new
frame too, so that the object is removed from it as well and comes back nowhere.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import cv2
import numpy as np

from .cuts import CutFinder
from .errors import BadClip, BadFrame
from .flow.dis import DIS
from .heeding import heed
from .job import ClipSpec
from .media import ClipInfo, Matte, Picture, Source, open_source
from .motion import eight_bits

#: How far a readable frame is looked for, in frames.
_FAR = 250
_NAMED = 12


def open_footage(spec: ClipSpec, damaged: str) -> Source | MendedSource:
    """The source of a job. `damaged`: the parameter of that name. Raises what `open_source` raises."""
    return open_source(spec) if damaged == "refuse" else MendedSource(open_source(spec, tolerant=True), damaged)


class MendedSource:
    """A source whose every frame can be read. Its pictures, `info`, `seconds` and the rest are those of the source."""

    def __init__(self, source: Source, how: str):
        self._source, self._how = source, how
        self._dis = DIS()
        self._good: dict[int, bool] = {}
        self._made: tuple[int, Picture] | None = None

    @property
    def info(self) -> ClipInfo:
        return self._source.info

    @property
    def notes(self) -> list[str]:
        """Which frames were made, as far as they were asked for."""
        bad = sorted(k for k, good in self._good.items() if not good)
        if not bad:
            return []
        named = ", ".join(map(str, bad[:_NAMED])) + (f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")
        what = "show the frame before again" if self._how == "hold" else "are made of the frames around them"
        return [f"{len(bad)} of the frames of {self.info.path} cannot be read and {what}: {named}."]

    def read(self, first: int, last: int) -> Iterator[Picture]:
        """As `Source.read`. Raises `BadClip` where nothing near can be read either."""
        self._source.read(first, last)  # whether there are such frames
        return (self._picture(k) for k in range(first, last + 1))

    def around(self, frame: int) -> tuple[int, int] | None:
        """The frames that stand in for a frame, on either side (twice the same one at an end); None: it can be read."""
        if self._readable(frame):
            return None
        count = self.info.count
        before = next((k for k in range(frame - 1, max(frame - _FAR, 0) - 1, -1) if self._readable(k)), None)
        after = next((k for k in range(frame + 1, min(frame + _FAR, count)) if self._readable(k)), None)
        if before is None and after is None:
            raise BadClip(f"{self.info.path}: neither frame {frame} nor any near it can be read; use a sound copy or other frames.")
        return (after if before is None else before), (before if after is None else after)

    def close(self) -> None:
        self._source.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _readable(self, frame: int) -> bool:
        heed()
        if frame not in self._good:
            try:
                next(self._source.read(frame, frame))
                self._good[frame] = True
            except BadFrame:
                self._good[frame] = False
        return self._good[frame]

    def _picture(self, frame: int) -> Picture:
        if self._good.get(frame, True):
            try:
                picture = next(self._source.read(frame, frame))
                self._good[frame] = True
                return picture
            except BadFrame:
                self._good[frame] = False
        if self._made is None or self._made[0] != frame:
            self._made = frame, self._stand_in(frame)
        return self._made[1]

    def _stand_in(self, frame: int) -> Picture:
        before, after = self.around(frame)
        if self._how == "hold" or before == after:
            return next(self._source.read(before, before)).renumbered(frame)
        one, other = (next(self._source.read(k, k)) for k in (before, after))
        nothing = np.zeros(one.rgb.shape[:2], bool)
        cuts = CutFinder()
        if [cuts.is_cut(eight_bits(picture.rgb), nothing) for picture in (one, other)][1]:
            return (one if frame - before <= after - frame else other).renumbered(frame)
        between = self._between(one.rgb, other.rgb, (frame - before) / (after - before))
        return one.renumbered(frame).composite(between, ~nothing)

    def _between(self, one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
        """The picture at `share` of the way from one to the other, in their type: what moves is on its way."""
        greys = [cv2.cvtColor(eight_bits(rgb), cv2.COLOR_RGB2GRAY) for rgb in (one, other)]
        forward, backward = self._dis(*greys), self._dis(*greys[::-1])
        # Seen from the new picture, near enough: the motion of what is at the same place in the old ones.
        there = (1 - share) * forward - share * backward
        y, x = np.mgrid[: one.shape[0], : one.shape[1]].astype(np.float32)
        back = x - share * there[0], y - share * there[1]
        motion = [cv2.remap(part, *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in there]
        parts = [
            cv2.remap(rgb.astype(np.float32), x + way * motion[0], y + way * motion[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for rgb, way in ((one, -share), (other, 1 - share))
        ]
        low, high = np.minimum(one.min(), other.min()), np.maximum(one.max(), other.max())
        mixed = np.clip(parts[0] * (1 - share) + parts[1] * share, low, high)
        return np.rint(mixed).astype(one.dtype) if np.issubdtype(one.dtype, np.integer) else mixed.astype(one.dtype)


class MendedMatte:
    """The matte of a source that may have stand-ins: over those it covers what it covers around them."""

    def __init__(self, matte: Matte, source: MendedSource):
        self._matte, self._source = matte, source

    @property
    def files(self) -> frozenset:
        return self._matte.files

    @property
    def notes(self) -> list[str]:
        return self._matte.notes

    def read(self, first: int, last: int) -> Iterator[np.ndarray]:
        """As `Matte.read`."""
        return (hole for hole, _ in self.read_shares(first, last))

    def read_shares(self, first: int, last: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """As `Matte.read_shares`."""
        for frame, (hole, share) in zip(range(first, last + 1), self._matte.read_shares(first, last), strict=True):
            beside = self._source.around(frame)
            if beside is not None:  # what moves may be anywhere on its way
                for other, as_much in self._matte.read_shares(min(beside), max(beside)):
                    hole |= other
                    share = None if share is None else np.maximum(share, as_much)
            yield hole, share


def mended(matte: Matte, source: Source | MendedSource) -> Matte | MendedMatte:
    """The matte as it has to be over the source."""
    return MendedMatte(matte, source) if isinstance(source, MendedSource) else matte
