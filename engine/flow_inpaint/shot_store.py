"""Everything remembered about a job's frames, on disk. What an earlier run has left there is there again, and true.

Nothing is taken on trust: every frame is compared with what is remembered when it is read again (`remember`), and from the
first that differs on everything is forgotten. Whatever a stage has made of frames that are the same would be made the same
again, so it is taken as it is.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .grain import Grain, grain_of
from .motion import Step
from .poisson import bounding_box
from .propagation.trace import GUARD, Hops, guard_band
from .sharpness import sharpness
from .work import Pictures, Records, bytes_of
from .work_shelf import Shelf

#: What is made of the frames one by one, and what is made when all of them are known.
_OF_FRAMES = ("holes", "guarded", "later", "earlier", "steps")
_OF_SHOTS = ("unseen", "invented", "references_later", "references_earlier")
_BEFORE_ALL = -(2**31)
#: Pixels; what is beyond does not fit into the type that hops are kept in.
_LARGEST = 60000.0


@dataclass
class ShotStore:
    """By frame number. Region-sized pictures, hole-sized records.

    offset    the frame number of the first picture
    forward, backward           flows between a frame, numbered as pictures are, and the next; only if a method wants whole shots
    holes     the hole, packed
    guarded   flat indices of the hole and its guard
    later, earlier              hops into the next and the previous frame of the same shot: where they are, packed, and they
    steps     what else was measured between a frame and the one before: change of light, (3,) or empty; whether there is a
              sample of its grain; that
    unseen    flat indices of the hole pixels that no frame shows
    invented  where those come from
    references_later, references_earlier  where the hole's pixels lie in the next reference; only if there is one
    keys            pictures that pixels are carried from: of references and of frames in which something was invented
    reference_keys  the key of each frame that has a reference
    grain           of each frame of a shot that has any
    light           of each frame, the logarithm of its gain over the shot's first frame, (3,)
    """

    folder: Path
    shape: tuple[int, int]
    dtype: type[np.generic]
    offset: int
    pictures: Pictures = field(init=False)
    keys: Pictures = field(init=False)
    reference_keys: dict[int, int] = field(init=False, default_factory=dict)
    grain: dict[int, Grain] = field(init=False, default_factory=dict)
    light: dict[int, np.ndarray] = field(init=False, default_factory=dict)
    forward: Pictures = field(init=False)
    backward: Pictures = field(init=False)
    _sharp: dict[int, float] = field(init=False, default_factory=dict)
    #: How many keys this run has asked for.
    _asked: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.folder, "pictures", (*self.shape, 3), self.dtype)
        self.keys = Pictures(self.folder, "keys", (*self.shape, 3), np.float32, checked=True)
        flows = [Pictures(self.folder, name, (2, *self.shape), np.float32, checked=True) for name in ("forward", "backward")]
        self.forward, self.backward = flows
        for name in (*_OF_FRAMES, *_OF_SHOTS):
            setattr(self, name, Records(self.folder, name))

    def close(self) -> None:
        for part in (self.pictures, self.keys, self.forward, self.backward):
            part.close()
        for name in (*_OF_FRAMES, *_OF_SHOTS):
            getattr(self, name).close()

    @property
    def key_frames(self) -> list[int]:
        """The frame of each key."""
        return self.keys.labels

    # --- frames, in order ---

    def remember(self, frame: int, picture: np.ndarray, hole: np.ndarray) -> None:
        """Stores the region of a frame, or finds it there; frames come in order. picture (H, W, 3), hole (H, W) bool."""
        number = frame - self.offset
        if number < self.pictures.count:
            # Bytes, because what is no number is not equal to itself.
            if bytes_of(self.pictures.stack()[number]) != bytes_of(np.ascontiguousarray(picture, self.dtype)):
                self._forget(frame)
        if number == self.pictures.count:
            self.pictures.append(picture)
        if not self.holes.has(frame):
            self.holes.write(frame, *_packed(hole))
        if not self.guarded.has(frame):
            self.guarded.write(frame, np.flatnonzero(guard_band(hole, GUARD)).astype(np.int32))

    def _forget(self, frame: int) -> None:
        """This frame and all later ones, with everything that may have been made of them. Pictures last: they tell what is true."""
        for name in _OF_SHOTS:
            getattr(self, name).cut(_BEFORE_ALL)
        self.keys.cut(self._asked)
        for shelf in self.folder.glob("shot-*"):
            shelf.unlink()
        number = frame - self.offset
        for flows in (self.forward, self.backward):
            flows.cut(min(max(number - 1, 0), flows.count))
        self.later.cut(frame - 1)
        for name in _OF_FRAMES:
            getattr(self, name).cut(frame)
        self.pictures.cut(number)

    def has_step(self, frame: int, *, whole: bool) -> bool:
        """Whether all that is measured between a frame and the one before is there: hops, or `whole` flows, and the rest."""
        if whole:
            there = min(self.forward.count, self.backward.count) >= frame - self.offset
        else:
            there = self.later.has(frame - 1) and self.earlier.has(frame)
        return there and self.steps.has(frame)

    def remember_step(self, frame: int, step: Step | None, *, whole: bool) -> None:
        """Stores what was measured between a frame and the one before; None: they are not of one shot, or it is there already.
        Frames come in order."""
        if whole and frame > self.offset:
            nothing = np.zeros((2, *self.shape), np.float32)
            for flows, found in zip((self.forward, self.backward), (nothing, nothing) if step is None else step.found):
                if flows.count < frame - self.offset:
                    flows.append(found)
        elif step is not None:
            self.remember_hops(frame - 1, *step.found)
        if step is not None:
            light = np.zeros(0) if step.light is None else step.light
            self.steps.write(frame, light, np.array([step.grain is not None]), np.zeros(0) if step.grain is None else step.grain)

    def remember_hops(self, frame: int, later: Hops, earlier: Hops) -> None:
        """Stores the hops between a frame and the next."""
        for records, where, hops in ((self.later, frame, later), (self.earlier, frame + 1, earlier)):
            mask = np.zeros(self.shape, bool)
            mask.ravel()[hops.pixels] = True
            # Half precision is finer than a hundredth of a pixel up to steps of sixteen.
            parts = (np.clip(part, -_LARGEST, _LARGEST).astype(np.float16) for part in (hops.u, hops.v, hops.drift))
            records.write(where, *_packed(mask), *parts)

    def hops(self, frame: int, sign: int) -> Hops:
        """To the next frame (sign 1) or the previous one (-1); none where that is not of the same shot."""
        records = self.later if sign > 0 else self.earlier
        if not records.has(frame):
            return Hops(np.zeros(0, np.int32), *(np.zeros(0, np.float32) for _ in range(3)))
        edges, bits, *parts = records.read(frame)
        return Hops(np.flatnonzero(_unpacked(edges, bits, self.shape)).astype(np.int32), *(part.astype(np.float32) for part in parts))

    def hidden_hops(self, frame: int, sign: int) -> Hops:
        """Those of the guarded hole alone, to the next frame (sign 1) or the previous one (-1)."""
        return self.hops(frame, sign).of(self.guarded.read(frame)[0])

    def settle_shot(self, first: int, last: int) -> None:
        """Adds up the light and the grain of the frames first..last of a shot, when all its steps are there."""
        samples = []
        for frame in range(first, last + 1):
            if not self.steps.has(frame):
                continue
            light, sampled, grain = self.steps.read(frame)
            if light.size:
                self.light[frame] = self.light.get(frame - 1, np.zeros(3)) + light
            if sampled[0]:
                samples.append(grain)
        found = grain_of(samples)
        if found is not None:
            self.grain.update(dict.fromkeys(range(first, last + 1), found))

    # --- keys, in order ---

    def known_key(self, frame: int) -> int | None:
        """The number of the next key, if an earlier run has made it: the same questions in the same order have the same answers."""
        if self._asked < self.keys.count and self.keys.labels[self._asked] == frame:
            self._asked += 1
            return self._asked - 1
        return None

    def remember_key(self, frame: int, picture: np.ndarray) -> int:
        """Stores a picture (H, W, 3) float32 to carry pixels from and returns its number."""
        self.keys.cut(self._asked)
        self._asked += 1
        return self.keys.append(picture, frame)

    # --- what is remembered ---

    def gain(self, source: np.ndarray, frame: int) -> np.ndarray | None:
        """What pixels of the frames `source` (N,) are multiplied by to be in the light of `frame`: (N, 3) float32; None: 1 for all."""
        if not self.light or not source.size:
            return None
        frames = np.unique(source)
        gains = np.array([self.light.get(frame, np.zeros(3)) - self.light.get(int(k), np.zeros(3)) for k in frames])
        if np.abs(gains).max() < _SAME_LIGHT:
            return None
        return np.exp(gains).astype(np.float32)[np.searchsorted(frames, source)]

    def sharp(self, frames: np.ndarray) -> np.ndarray:
        """How sharp frames (N,) are, (N,), see `sharpness`."""
        found, at = np.unique(frames, return_inverse=True)
        for frame in found.tolist():
            if frame not in self._sharp:
                self._sharp[frame] = sharpness(self.picture(frame), self.hole(frame))
        return np.array([self._sharp[frame] for frame in found.tolist()])[at]

    def picture(self, frame: int) -> np.ndarray:
        """(H, W, 3)."""
        return self.pictures.stack()[frame - self.offset]

    def hole(self, frame: int) -> np.ndarray:
        """(H, W) bool."""
        return _unpacked(*self.holes.read(frame), self.shape)

    def hole_pixels(self, frame: int) -> np.ndarray:
        """Flat indices, int32, ascending."""
        return np.flatnonzero(self.hole(frame)).astype(np.int32)

    def holes_of(self, first: int, last: int) -> ShotHoles:
        """Those of the frames first..last."""
        return ShotHoles(self, first, last)

    def shelf(self, first: int) -> Shelf:
        """Where the arrays are kept that are as long as the shot which begins with this frame."""
        return Shelf(self.folder, f"shot-{first}")


def _packed(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the box of a mask (H, W) bool, (4,), and its pixels in it as packed bits."""
    box = bounding_box(mask) or (slice(0, 0), slice(0, 0))
    return np.array([edge for part in box for edge in (part.start, part.stop)], np.int32), np.packbits(mask[box])


def _unpacked(edges: np.ndarray, bits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    top, bottom, left, right = edges.tolist()
    out = np.zeros(shape, bool)
    size = (bottom - top) * (right - left)
    out[top:bottom, left:right] = np.unpackbits(bits, count=size).view(bool).reshape(bottom - top, right - left)
    return out


class ShotHoles:
    """The holes of a shot, read when they are asked for."""

    def __init__(self, store: ShotStore, first: int, last: int):
        self._store, self._first = store, first
        self.shape = (last - first + 1, *store.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> np.ndarray:
        if not 0 <= frame < len(self):
            raise IndexError(frame)
        return self._store.hole(self._first + frame)


#: A difference of light, as a logarithm, that nobody sees and that is not worth touching a pixel for.
_SAME_LIGHT = 0.004
