"""Everything remembered about a job's frames, on disk. What an earlier run has left there is there again, and true.

Nothing is taken on trust: every frame is compared with what is remembered of it when it is read again (`remember`), and from the
first that differs on everything is forgotten. Whatever a stage has made of frames that are the same would be made the same
again, so it is taken as it is. What no later frame can ask for is deleted (`drop_before`).
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from .errors import Forgotten
from .grain import Grain
from .motion import Step
from .packed import packed, unpacked
from .propagation.trace import GUARD, Hops, guard_band
from .sharpness import sharpness
from .shot_course import Course
from .work import Records, bytes_of
from .work_pictures import Pictures
from .work_reel import Reel
from .work_segments import Segments
from .work_shelf import Shelf

#: What is made of the frames one by one, what is made when those around them are known, and what is kept to the end.
_OF_FRAMES = ("holes", "shares", "guarded", "later", "earlier")
_OF_WINDOWS = ("unseen", "invented", "references_later", "references_earlier")
_OF_ALL_AROUND = ("windows", "made", "evidence", "by_camera")
_TO_THE_END = ("digests", "steps", *_OF_ALL_AROUND)
_BEFORE_ALL = -(2**31)
#: Pixels; what is beyond does not fit into the type that hops are kept in.
_LARGEST = 60000.0


@dataclass
class ShotStore:
    """By frame number. Region-sized pictures, hole-sized records.

    offset    the first frame
    floor     the first frame of which all is there that is not kept to the end
    forward, backward           flows from the frame before a frame and back, of one shot; only if a method wants whole shots
    holes     the hole, packed
    shares    how much of each of its pixels is replaced, 255: wholly; only if some are not
    guarded   flat indices of the hole and its guard
    later, earlier              hops into the next and the previous frame of the same shot: where they are, packed, and they; and
              those of the guarded hole by the camera's motion, or nothing
    unseen    flat indices of the hole pixels that no frame shows
    invented  where those come from
    references_later, references_earlier  where the hole's pixels lie in the next reference; only if there is one
    pictures        of the frames
    keys            pictures that pixels are carried from, of references and of frames in which something was invented, under
                    the numbers of `key_of`
    reference_keys  the key of each frame that has a reference
    grain           of each frame of a shot that has any
    light           of each frame, the logarithm of its gain over the shot's first frame, (3,)

    Kept to the end, and small:

    digests   of the pictures and the shares, 16 bytes
    steps     what else was measured between a frame and the one before: change of light, (3,) or empty; whether there is a
              sample of its grain; that
    windows   by the first frame: the last one, and the keys that its pixels come from (see `windows`)
    made      what the finished frame is made of (see `made_frames`)
    evidence  whether what the frame hides moves with the camera, as `Evidence`
    by_camera whether it is taken to
    """

    folder: Path
    shape: tuple[int, int]
    dtype: type[np.generic]
    offset: int
    floor: int = field(init=False)
    pictures: Reel = field(init=False)
    keys: Reel = field(init=False)
    forward: Pictures = field(init=False)
    backward: Pictures = field(init=False)
    reference_keys: dict[int, int] = field(init=False, default_factory=dict)
    grain: dict[int, Grain] = field(init=False, default_factory=dict)
    light: dict[int, np.ndarray] = field(init=False, default_factory=dict)
    _sharp: dict[int, float] = field(init=False, default_factory=dict)
    _begins: dict[int, tuple[np.ndarray, np.ndarray]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.pictures = Reel(self.folder, "pictures", (*self.shape, 3), self.dtype)
        self.keys = Reel(self.folder, "keys", (*self.shape, 3), np.float32, checked=True)
        flows = [Pictures(self.folder, name, (2, *self.shape), np.float32) for name in ("forward", "backward")]
        self.forward, self.backward = flows
        for name in (*_OF_FRAMES, *_OF_WINDOWS):
            setattr(self, name, Segments(self.folder, name))
        for name in _TO_THE_END:
            setattr(self, name, Records(self.folder, name))
        self._floors = Records(self.folder, "floor")
        self.floor = int(self._floors.read(0)[0][0]) if self._floors.has(0) else self.offset
        self._newest = max(self._last_of_all(), -1)
        self._course = Course(self.light, self.grain)

    def _last_of_all(self) -> int:
        frames = [getattr(self, name).last for name in (*_OF_FRAMES, *_OF_WINDOWS, *_TO_THE_END)]
        return max([*frames, *self.pictures.numbers, *self.forward.labels, *(key // 2 for key in self.keys.numbers)])

    def close(self) -> None:
        for part in (self.pictures, self.keys, self.forward, self.backward, self._floors):
            part.close()
        for name in (*_OF_FRAMES, *_OF_WINDOWS, *_TO_THE_END):
            getattr(self, name).close()

    # --- frames, in order ---

    def remember(
        self, frame: int, picture: np.ndarray, hole: np.ndarray, share: np.ndarray | None = None, *, begins: bool = False
    ) -> None:
        """Stores the region of a frame, or finds it there; frames come in order. picture (H, W, 3), hole (H, W) bool, share (H, W)
        uint8 as `Matte.read_shares` has it. begins: a shot begins with it, which is seen in the whole picture.

        Raises `Forgotten` where it is another than before.
        """
        picture = np.ascontiguousarray(picture, self.dtype)
        said = blake2b(bytes_of(picture), digest_size=16, person=b"begins" if begins else b"")
        if share is not None:
            share = share[hole]
            said.update(bytes_of(share))
        digest = np.frombuffer(said.digest(), np.uint8)
        if self.digests.has(frame):
            if not np.array_equal(self.digests.read(frame)[0], digest):
                self._forget(frame)
        elif frame <= self._newest:
            self._forget(frame)
        else:
            self.digests.write(frame, digest)
        if frame < self.floor:
            return
        if not self.pictures.holds(frame, picture):
            self.pictures.put(frame, picture)
        if not self.holes.has(frame):
            self.holes.write(frame, *packed(hole))
        if share is not None and not self.shares.has(frame):
            self.shares.write(frame, share)
        if not self.guarded.has(frame):
            self.guarded.write(frame, np.flatnonzero(guard_band(hole, GUARD)).astype(np.int32))

    def _forget(self, frame: int) -> None:
        """This frame and all later ones, with everything that may have been made of them. Raises `Forgotten`: whoever reads
        frames begins again. Digests last: they tell what is true."""
        if self.floor > self.offset:
            # Earlier frames of which something may be asked for are not there any more.
            raise Forgotten(everything=True)
        for name in (*_OF_WINDOWS, *_OF_ALL_AROUND):
            getattr(self, name).cut(_BEFORE_ALL)
        self.keys.forget(lambda key: key % 2 == 0 and key // 2 < frame)
        for shelf in self.folder.glob("shot-*"):
            shelf.unlink()
        for flows in (self.forward, self.backward):
            flows.cut(sum(label < frame for label in flows.labels))
        self.later.cut(frame - 1)
        for name in (*_OF_FRAMES, "steps"):
            getattr(self, name).cut(frame)
        self.pictures.forget(lambda number: number < frame)
        self.digests.cut(frame)
        raise Forgotten(everything=False)

    def has_step(self, frame: int, *, whole: bool) -> bool:
        """Whether all that is measured between a frame and the one before is there: hops, or `whole` flows, and the rest.

        Raises `Forgotten` where it is not, and cannot be measured again.
        """
        if frame <= self.floor and self.floor > self.offset:
            if not self.steps.has(frame):
                raise Forgotten(everything=True)
            return True
        hops = self.later.has(frame - 1) and self.earlier.has(frame)
        flows = whole and frame in self.forward and frame in self.backward
        return (hops or flows) and self.steps.has(frame)

    def remember_step(self, frame: int, step: Step | None, *, whole: bool) -> None:
        """Stores what was measured between a frame and the one before; None: they are not of one shot, or it is there already.
        Frames come in order."""
        if step is None:
            return
        if whole:
            for flows, found in zip((self.forward, self.backward), step.found):
                if frame not in flows:
                    flows.append(found, frame)
        else:
            self.remember_hops(frame - 1, *step.found)
        light = np.zeros(0) if step.light is None else step.light
        # Of a sample only its median is looked at.
        grain = np.zeros(0) if step.grain is None else np.median(step.grain, 0)
        self.steps.write(frame, light, np.array([step.grain is not None]), grain)

    def remember_hops(self, frame: int, later: Hops, earlier: Hops) -> None:
        """Stores the hops between a frame and the next."""
        for records, where, hops in ((self.later, frame, later), (self.earlier, frame + 1, earlier)):
            mask = np.zeros(self.shape, bool)
            mask.ravel()[hops.pixels] = True
            camera = hops.camera or Hops.none()
            # Half precision is finer than a hundredth of a pixel up to steps of sixteen.
            kept = (hops.u, hops.v, hops.drift, camera.u, camera.v, camera.drift)
            records.write(where, *packed(mask), *(np.clip(part, -_LARGEST, _LARGEST).astype(np.float16) for part in kept))

    def hops(self, frame: int, sign: int, *, by_camera: bool = False) -> Hops:
        """To the next frame (sign 1) or the previous one (-1); none where that is not of the same shot. by_camera: those of the
        guarded hole by the camera's motion, where one is known."""
        records = self.later if sign > 0 else self.earlier
        if not records.has(frame):
            return Hops.none()
        edges, bits, *parts = records.read(frame)
        pixels = np.flatnonzero(unpacked(edges, bits, self.shape)).astype(np.int32)
        flow, camera = [part.astype(np.float32) for part in parts[:3]], parts[3:]
        if by_camera and camera[0].size:
            at = np.searchsorted(pixels, self.guarded.read(frame)[0])
            for part, other in zip(flow, camera):
                part[at] = other
        return Hops(pixels, *flow)

    def found_hops(self, frame: int, sign: int) -> Hops:
        """To the next frame (sign 1) or the previous one (-1), as what the frame hides was found to move."""
        return self.hops(frame, sign, by_camera=self.moves_with_camera(frame))

    def hidden_hops(self, frame: int, sign: int) -> Hops:
        """Those of the guarded hole alone."""
        return self.found_hops(frame, sign).of(self.guarded.read(frame)[0])

    def has_camera(self, frame: int) -> bool:
        """Whether a camera's motion is known from a frame to one beside it."""
        return any(records.has(frame) and records.read(frame)[5].size for records in (self.later, self.earlier))

    def moves_with_camera(self, frame: int) -> bool:
        """Whether what a frame hides is taken to move with the camera."""
        return self.by_camera.has(frame) and bool(self.by_camera.read(frame)[0][0])

    def begin_shot(self, frame: int, picture: np.ndarray, hole: np.ndarray) -> None:
        """Says that a shot begins with this frame. Frames come in order."""
        self._begins[frame] = np.ascontiguousarray(picture, self.dtype), hole

    def beginning(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """The picture and the hole of a frame that a shot begins with."""
        return self._begins[frame]

    def settle(self, frame: int, *, begins: bool, ends: bool) -> None:
        """Adds up the light and the grain of a shot, when a frame's step is there. Frames come in order; ends: it is the job's last."""
        self._course.add(frame, None if begins or not self.steps.has(frame) else self.steps.read(frame), begins=begins, ends=ends)

    # --- keys ---

    def remember_key(self, key: int, picture: np.ndarray) -> None:
        """Stores a picture (H, W, 3) float32 to carry pixels from, under its `key_of`."""
        self.keys.put(key, picture)

    # --- what no later frame can ask for ---

    def drop_before(self, frame: int, keys: Collection[int]) -> None:
        """Deletes what there is of the frames before this one, but what is kept to the end, and of the keys of what was
        invented all but these."""
        if frame <= self.floor:
            return
        # Once the means to make it again are gone, no power cut may lose what was made.
        for name in _TO_THE_END:
            getattr(self, name).sync()
        self._floors.write(0, np.array([frame], np.int64))
        self._floors.sync()
        self.floor = frame
        for name in (*_OF_FRAMES, *_OF_WINDOWS):
            getattr(self, name).drop_before(frame)
        self.pictures.let_go(lambda number: number >= frame)
        self.keys.let_go(lambda key: key % 2 == 0 or key in keys)
        last = max((first for first in self._begins if first <= frame), default=frame)
        self._begins = {first: shown for first, shown in self._begins.items() if first >= last}
        # One by one: other threads go on adding to it.
        for gone in [k for k in list(self._sharp) if k < frame]:
            del self._sharp[gone]

    def drop_flows(self, last: int) -> None:
        """Deletes the flows of the shot that ends with this frame, when its hops are there."""
        for flows in (self.forward, self.backward):
            if flows.labels and flows.labels[-1] <= last:
                flows.cut(0)

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
        return self.pictures.picture(frame)

    def hole(self, frame: int) -> np.ndarray:
        """(H, W) bool."""
        return unpacked(*self.holes.read(frame), self.shape)

    def share(self, frame: int) -> np.ndarray | None:
        """How much of each pixel of the hole is replaced, (N,) uint8, 255: wholly; None: every one wholly."""
        return self.shares.read(frame)[0] if self.shares.has(frame) else None

    def hole_pixels(self, frame: int) -> np.ndarray:
        """Flat indices, int32, ascending."""
        return np.flatnonzero(self.hole(frame)).astype(np.int32)

    def holes_of(self, first: int, last: int) -> ShotHoles:
        """Those of the frames first..last."""
        return ShotHoles(self, first, last)

    def shelf(self, first: int) -> Shelf:
        """Where the arrays are kept that are as long as the shot which begins with this frame."""
        return Shelf(self.folder, f"shot-{first}")


def key_of(frame: int, *, invented: bool) -> int:
    """The number of the key that comes of a frame's reference, or of what was invented in it."""
    return 2 * frame + invented


def frame_of(key: np.ndarray) -> np.ndarray:
    """The frames of keys."""
    return key // 2


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
