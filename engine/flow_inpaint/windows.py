"""A job's frames in windows: motion is measured a little ahead of what is written, and what is done with is deleted.

A window is some frames of one shot, or a whole shorter shot. Its frames are traced when all that is within their reach is read;
then what none of them shows is invented, going on from the window before; then they are given out, to be filled and written. So
the room on disk follows from the reach and the length of a window, not from the length of the job.

Some things want a whole shot: a method that completes its flows, and references, which are carried from wherever they are. For
those the motion of the whole shot is measured first, and all of it is kept until the shot is done.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from .clock import Beats, Clock
from .completion import Completion
from .errors import Forgotten
from .motion import MotionSettings
from .references import link_references
from .shot import Each, Look, complete_shot, invent, look_behind, trace_shot, window_end
from .shot_course import settled_until
from .shot_store import ShotStore

#: Frames of a window, which share their key frames. What is invented in one window is carried on into the next.
WINDOW = 80


@dataclass(frozen=True)
class Stages:
    """What a window goes through.

    completion  completes the flows of whole shots; None: they are complete
    motion      how motion is measured
    references  the frames that have one
    valid       (H, W) bool of a reference: where it says something
    each        maps a function over frames
    note        takes the name of a stage that begins
    """

    look: Look
    completion: Completion | None
    motion: MotionSettings
    references: Collection[int]
    valid: Callable[[int], np.ndarray]
    each: Each
    note: Callable[[str], None]

    @property
    def whole(self) -> bool:
        """Whether they want whole shots."""
        return self.completion is not None or bool(self.references)


class Windows:
    """Goes through the frames of a job once, in order."""

    def __init__(self, store: ShotStore, arrivals: Iterator[tuple[int, bool]], needed: tuple[int, int], stages: Stages, clock: Clock):
        """arrivals: the frames `needed`, first and last, as they are read, and whether a shot begins with each (`ShotReader`)."""
        self._store, self._arrivals, self._needed, self._stages, self._clock = store, arrivals, needed, stages, clock
        frames = needed[1] - needed[0] + 1
        self._trace = Beats(clock, "trace", frames, 1 + stages.look.follow_camera + 2 * bool(stages.references))
        self._fill = Beats(clock, "fill", frames, 3)
        self._read = needed[0] - 1
        #: First frames of the shots that have been found, and of the last one that was looked at as a whole.
        self._begins: list[int] = []
        self._prepared: int | None = None
        #: Of the windows so far that something may still be asked for: the last frame, and the keys that are carried from.
        self._live: list[tuple[int, list[int]]] = []
        #: Whether all windows so far were made ready by an earlier run.
        self._again = True

    def frames(self, first: int, last: int, written: Callable[[], int]) -> Iterator[int]:
        """The frames first..last, each when all is known that it is to be filled from.

        written  tells the first frame that is not written yet: what only frames before it are made of is deleted

        Raises `Forgotten`, and what the stages raise.
        """
        begin = self._needed[0]
        while begin <= min(last, self._needed[1]):
            end = self._window(begin, written)
            yield from range(max(begin, first), min(end, last) + 1)
            begin = end + 1
        self._clock.finish("flow", "completion", "trace", "fill")

    def _window(self, begin: int, written: Callable[[], int]) -> int:
        """Makes the window ready that begins with a frame; returns its last one."""
        store, look = self._store, self._stages.look
        if self._read < begin:
            self._read_on()
        shot = max(first for first in self._begins if first <= begin)
        if not self._stages.whole or begin == shot:
            self._drop(min(written(), begin) - look.reach - 2)
        last = self._whole_shot(shot) if self._stages.whole else self._ahead(begin, shot)
        last = min(begin + WINDOW - 1, last)
        found = self._found(begin)
        if found is None:
            if self._again and begin > self._needed[0]:
                self._clock.begin_anew()
            self._again = False
            if self._is_gone(max(begin - look.reach - 1, shot)):
                raise Forgotten(everything=True)
            if not self._stages.whole:
                self._traced(begin, last, shot)
            end = window_end(store, begin, last)
            self._stages.note("fill")
            with self._fill.until(end - self._needed[0] + 1) as pulse:
                keys = invent(store, begin, end, shot, look, pulse)
            store.windows.write(begin, np.array([end, *keys], np.int64))
        else:
            end, keys = found
            for beats, frame in ((self._trace, end), (self._fill, end)):
                with beats.until(frame - self._needed[0] + 1):
                    pass
        self._live.append((end, keys))
        self._stages.note("write")
        return end

    def _found(self, begin: int) -> tuple[int, list[int]] | None:
        """The last frame and the keys of a window that an earlier run has made ready, if all of it is there that may be asked for."""
        store = self._store
        if not store.windows.has(begin):
            return None
        end, *keys = store.windows.read(begin)[0].tolist()
        live = range(max(begin, store.floor), end + 1)
        there = all(store.unseen.has(k) and store.invented.has(k) for k in live) and (not live or all(key in store.keys for key in keys))
        return (end, keys) if there else None

    def _is_gone(self, frame: int) -> bool:
        """Whether some of what was remembered of this frame or a later one has been deleted."""
        return self._store.floor > max(frame, self._store.offset)

    # --- reading ---

    def _read_on(self) -> None:
        """Reads a frame."""
        self._stages.note("flow")
        self._read, begins = next(self._arrivals)
        if begins:
            self._begins.append(self._read)

    def _end_of(self, shot: int) -> int | None:
        """The last frame of a shot; None: it is not known yet."""
        later = [first for first in self._begins if first > shot]
        return later[0] - 1 if later else self._needed[1] if self._read == self._needed[1] else None

    def _ahead(self, begin: int, shot: int) -> int:
        """Reads as far as a window needs; returns the last frame of its shot, or one that lies beyond the window."""
        last = begin + WINDOW - 1
        far = max(last + self._stages.look.reach, settled_until(shot, last))
        while (end := self._end_of(shot)) is None and self._read < far:
            self._read_on()
        return last if end is None else end

    def _whole_shot(self, shot: int) -> int:
        """Reads a shot to its end and looks at it as a whole; returns its last frame."""
        while (end := self._end_of(shot)) is None:
            self._read_on()
        if self._prepared != shot:
            self._prepared = shot
            if not self._is_gone(shot):
                self._prepare(shot, end)
            self._store.drop_flows(end)
        return end

    # --- stages ---

    def _prepare(self, first: int, last: int) -> None:
        """What is done with whole shots. What an earlier run has done of it is not done again."""
        begin, frames = first - self._needed[0], last - first + 1

        def pulse(share: float) -> None:
            self._clock.tick("completion", round(begin + share * frames), self._needed[1] - self._needed[0] + 1)

        if self._stages.completion:
            self._stages.note("completion")
            complete_shot(self._store, first, last, self._stages.completion, self._stages.motion, pulse, self._clock.stopped)
        self._traced(first, last, first)

    def _traced(self, first: int, last: int, shot: int) -> None:
        """Frames of a shot that begins with the frame `shot`."""
        look, each = self._stages.look, self._stages.each
        self._stages.note("trace")
        with self._trace.until(last - self._needed[0] + 1) as pulse:
            if look.follow_camera:
                end = self._end_of(shot)
                look_behind(self._store, first, last, (shot, last + look.reach if end is None else end), look, each, pulse)
            trace_shot(self._store, first, last, look, each, pulse)
            link_references(self._store, first, last, self._stages.references, self._stages.valid, pulse)

    def _drop(self, floor: int) -> None:
        """Lets go of all that only frames before `floor` are made of."""
        if floor > self._needed[0]:
            self._live = [(end, keys) for end, keys in self._live if end >= floor]
            self._store.drop_before(floor, {key for _, keys in self._live for key in keys})
