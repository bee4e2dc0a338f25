"""The first stage of a job: every frame's region remembered, and the motion measured beside its hole."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from .clock import Clock
from .cuts import CutFinder
from .grain import grain_sample
from .heeding import heed
from .job import ReferenceSpec
from .light import Glimpse, change_of_light, glimpse_of, seen_gain
from .media import ClipInfo
from .media.picture import Picture
from .motion import MotionSettings, Step, View, eight_bits, flows, measure, view_of
from .references import read_reference, relit
from .shadows import Below
from .shot_store import ShotStore, key_of
from .side_by_side import Workers, in_order
from .survey import spread
from .tone import Tone

#: A change of light, as a logarithm, that would be mistaken for motion.
_DISTURBING = 0.015
#: Grain is looked at in every so many frames.
_GRAIN_EVERY = 4

_Frame = tuple[np.ndarray, np.ndarray]
#: Of a whole picture, see `Matte.read_shares`.
Share = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class _Seen:
    view: View
    glimpse: Glimpse | None


#: A frame, whether a shot begins with it, and what is to be compared: the frame before and itself; None, None: nothing.
_Pair = tuple[int, bool, _Seen | None, _Seen | None]


@dataclass(frozen=True)
class ShotReader:
    """What the stage works with.

    tone      how its numbers are worked on
    whole     keep whole flows, for a method that completes them shot by shot
    cuts, lighting, grain  whether to look for cuts, for changes of light, for grain
    grown_below  by how much the mattes were grown downwards
    say       takes messages for the user: level, text
    """

    store: ShotStore
    info: ClipInfo
    region: tuple[slice, slice]
    references: dict[int, ReferenceSpec]
    motion: MotionSettings
    tone: Tone
    whole: bool
    cuts: bool
    lighting: bool
    grain: bool
    grown_below: int
    clock: Clock
    say: Callable[[str, str], None]

    def frames(
        self, pictures: Iterable[Picture], mattes: Iterable[Share], needed: tuple[int, int], pool: Workers
    ) -> Iterator[tuple[int, bool]]:
        """The frames `needed`, first and last, each when it is remembered with the motion from the one before, and whether a shot
        begins with it.

        What the store has of an earlier run is not measured again; the frames are read again, because only so it is known that
        they are still the same. Raises `Forgotten` where they are not.
        """
        first, last = needed
        with closing(in_order(pool, self._step, self._pairs(pictures, mattes, first, last))) as steps:
            for frame, begins, step in steps:
                self.clock.tick("flow", frame - first + 1, last - first + 1)
                self.store.remember_step(frame, step, whole=self.whole)
                self.store.settle(frame, begins=begins, ends=frame == last)
                yield frame, begins

    def _pairs(self, pictures: Iterable[Picture], mattes: Iterable[Share], first: int, last: int) -> Iterator[_Pair]:
        finder = CutFinder() if self.cuts else None
        below, looked_at = Below(), {start + 1 for start in spread(first, last)}
        before: _Frame | None = None
        seen_before: _Seen | None = None
        for picture, (whole, share) in zip(pictures, mattes, strict=True):
            heed()
            # A copy, so that what is kept of a frame does not keep the whole picture.
            part, hole = np.ascontiguousarray(picture.rgb[self.region]), np.ascontiguousarray(whole[self.region])
            rgb, coded = self.tone.exposed(part), np.ascontiguousarray(self.tone.coded(part), self.store.dtype)
            is_cut = bool(finder and finder.is_cut(eight_bits(self.tone.exposed(picture.rgb)), whole))
            begins = is_cut or picture.index == first
            self.store.remember(picture.index, coded, hole, None if share is None else share[self.region], begins=begins)
            self._remember_reference(picture.index, coded, hole)
            if is_cut:
                self.say("info", f"A new shot begins at frame {picture.index}.")
            if begins:
                self.store.begin_shot(picture.index, coded, hole)
            if before is not None and not begins and picture.index in looked_at:
                below.look(*zip(before, (rgb, hole)))
            if begins or self.store.has_step(picture.index, whole=self.whole):
                seen_before = None
                yield picture.index, begins, None, None
            else:
                # The frame before was looked at already, unless what is remembered ends with it or a shot begins.
                seen_before, seen = seen_before or self._look(*before), self._look(rgb, hole)
                yield picture.index, begins, seen_before, seen
                seen_before = seen
            before = rgb, hole
        for text in below.advice(self.grown_below):
            self.say("warning", text)

    def _look(self, rgb: np.ndarray, hole: np.ndarray) -> _Seen:
        return _Seen(view_of(rgb, hole, colour=self.motion.estimator.colour), glimpse_of(rgb, hole) if self.lighting else None)

    def _step(self, pair: _Pair) -> tuple[int, bool, Step | None]:
        frame, begins, before, seen = pair
        if before is None or seen is None:
            return frame, begins, None
        view, grain, light = seen.view, None, None
        if self.grain and frame % _GRAIN_EVERY == 1:
            grain = grain_sample(self.store.picture(frame), view.hole, self.store.picture(frame - 1))
        if before.glimpse is not None and seen.glimpse is not None:
            light = change_of_light(before.glimpse, seen.glimpse)
            if np.abs(light).max() > _DISTURBING:
                view = view.lit(seen_gain(-light.mean(), seen.glimpse.linear))
        change = None if light is None else self.tone.coded_gain(light)
        return frame, begins, Step((flows if self.whole else measure)(before.view, view, self.motion), change, grain)

    def _remember_reference(self, frame: int, coded: np.ndarray, hole: np.ndarray) -> None:
        if frame not in self.references:
            return
        if not hole.any():
            self.say("warning", f"The reference {self.references[frame].path.name} does nothing: nothing is masked in its frame {frame}.")
        key = key_of(frame, invented=False)
        if key not in self.store.keys:
            given = read_reference(self.references[frame], self.info).part(self.region)
            given = replace(given, rgb=self.tone.coded(given.rgb))
            self.store.remember_key(key, relit(given, coded, hole, self.info.white))
        self.store.reference_keys[frame] = key
