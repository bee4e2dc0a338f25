"""What a video file shows, and when: its edit list, its frame rate, its own time stamps."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from .containers import open_container
from .matroska_aspect import is_shortened
from .video_index import Packets, VideoIndex, in_order, index_of, scan

_LATE = 0.5  # frames: from here on, a rate does not fit
_ROUNDED = Fraction(1, 1000)  # seconds: what a container with coarse time stamps does to a constant rate


@dataclass(frozen=True)
class Presentation:
    """Frame i of the clip is frame `shown[i]` of `index`, from the time `pts[i]` on; the last one until `end`. Times are in `time_base`.

    whole       the index is of the file without its edit list, which hides some of its frames, and it is to be opened so
    rate        the constant rate that fits best
    named_rate  the rate at which FFmpeg, and editors with it, count the file's frames
    start       the time at which they begin to count
    promised    how many frames the header announces: more than there are when the file was cut short
    container   FFmpeg's name for the kind of file
    """

    index: VideoIndex
    whole: bool
    shown: np.ndarray
    pts: np.ndarray
    end: int
    time_base: Fraction
    rate: Fraction
    named_rate: Fraction
    start: int
    promised: int
    container: str

    def __len__(self) -> int:
        return len(self.pts)

    def seconds(self, frame: int) -> Fraction:
        """When frame `frame` is shown; for the number of frames, when the last one ends."""
        return (self.end if frame == len(self.pts) else int(self.pts[frame])) * self.time_base

    def varies(self, last: int) -> bool:
        """Whether, up to frame `last`, the frames come at other times than a constant rate makes them, roundings aside."""
        return self._late(last, self.rate) > max(_ROUNDED, _rounding(self.time_base, self.rate))

    @property
    def steady(self) -> bool:
        """Whether counting frames and counting time at `named_rate` are the same."""
        return self._late(len(self.pts) - 1, self.named_rate) <= _rounding(self.time_base, self.named_rate)

    def at_places(self, places: Sequence[int]) -> list[int]:
        """The frames that an editor shows which counts time and not frames: in its pictures `places`, from 0.

        As measured with Blender: the last frame that has begun at the nearest tick of the file's clock. Places after the end
        show the last frame, which an editor counts as one or more, as long as it lasts.
        """
        last = len(self.pts) - 1
        if self.steady:
            return [min(place, last) for place in places]
        ticks = (self.named_rate.denominator * self.time_base.denominator) / (self.named_rate.numerator * self.time_base.numerator)
        wanted = np.floor(np.asarray(places, np.float64) * ticks + 0.5) + self.start
        return [int(frame) for frame in np.maximum(np.searchsorted(self.pts, wanted, side="right") - 1, 0)]

    @property
    def places(self) -> int:
        """How many pictures an editor counts that counts time."""
        return max(round((self.seconds(len(self.pts)) - self.start * self.time_base) * self.named_rate), 1)

    def _late(self, last: int, rate: Fraction) -> float:
        """Seconds."""
        return float(_lateness(self.pts[: last + 1], self.time_base, rate).max() / rate)


def present(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Presentation:
    """Looks through the file. Raises `BadClip` for what cannot be counted exactly."""
    packets = scan(path, container, stream)
    whole = _without_edit_list(path, stream, packets)
    if whole is None:
        if not packets.stamps:
            raise BadClip(f"{path} holds no video frames.")
        index = index_of(path, packets)
        shown = np.arange(len(index))
    else:
        index = index_of(path, whole)
        shown = _found_again(path, packets, whole, index)
    order = in_order(path, packets)
    pts = np.asarray(packets.stamps, np.int64)[order]
    rate = _rate(pts, stream)
    length = packets.durations[order[-1]] or max(round(1 / (rate * stream.time_base)), 1)
    return Presentation(
        index=index,
        whole=whole is not None,
        shown=shown,
        pts=pts,
        end=int(pts[-1]) + length,
        time_base=stream.time_base,
        rate=rate,
        named_rate=stream.guessed_rate or rate,
        start=stream.start_time or 0,
        promised=len(pts) + _missing(path, container, stream, pts, rate, len(index)),
        container=container.format.name,
    )


def _without_edit_list(path: Path, stream: av.VideoStream, shown: Packets) -> Packets | None:
    """All of the file's packets, when its edit list hides some."""
    if not shown.hidden and stream.frames <= len(shown.stamps):
        return None
    with open_container(path, ignore_editlist="1") as container:
        whole = scan(path, container, container.streams[stream.index])
    if len(whole.stamps) > len(shown.stamps):
        if not shown.stamps:
            raise BadClip(f"{path} hides all of its frames (an edit list): export it again first.")
        return whole
    if shown.hidden:
        raise BadClip(f"{path} hides some of its frames, and does not say which: export it again first.")
    return None


def _found_again(path: Path, packets: Packets, whole: Packets, index: VideoIndex) -> np.ndarray:
    """The numbers in the whole file of the frames that the edit list shows, in the order in which it does."""
    numbers = np.argsort(index.place, kind="stable")
    places = {position: place for place, position in enumerate(whole.positions)}
    positions = [packets.positions[k] for k in in_order(path, packets)]
    if len(places) < len(whole.positions) or not places.keys() >= set(positions):
        raise BadClip(f"{path} hides some of its frames (an edit list, as trimming without re-encoding leaves it): export it again first.")
    return np.array([numbers[places[position]] for position in positions])


def _missing(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, pts: np.ndarray, rate: Fraction, there: int
) -> int:
    """How many frames more than are there the file's header announces."""
    if stream.frames and container.format.name == "avi" and stream.base_rate:
        # It counts places of equal length, those too that a recorder left empty where it could not follow.
        there = max(there, round((int(pts[-1]) - (stream.start_time or 0)) * stream.time_base * stream.base_rate) + 1)
    if stream.frames:
        return max(stream.frames - there, 0)
    seconds = _header_duration(container, stream)
    if seconds is None:
        return 0
    missing = float((seconds - int(pts[-1]) * stream.time_base) * rate - 1)
    # A last frame may be shown for longer than the others: a little, or as long as it likes where they differ anyway.
    # Not so in a file whose end is known to be missing.
    longer = missing <= 1 or _lateness(pts, stream.time_base, rate).max() >= _LATE
    if longer:
        if not is_shortened(path):
            return 0
        # Frames are stored in another order than they are shown in, so that some are missing between the last ones too.
        missing = max(missing, float((seconds - int(pts[0]) * stream.time_base) * (stream.average_rate or rate) - len(pts)))
        if missing <= 0.5:
            return 0
    return max(int(missing), 1)


def _header_duration(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    """When the video ends as a Matroska file announces it. The stream's own tag may be stale, the whole file's end is not."""
    if "matroska" not in container.format.name or not container.duration:
        return None
    whole = Fraction(container.duration, av.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)\0*", stream.metadata.get("DURATION", ""))
    if tag:
        return min(whole, 3600 * int(tag[1]) + 60 * int(tag[2]) + Fraction(tag[3]))
    return whole if len(container.streams) == 1 else None


def _rate(pts: np.ndarray, stream: av.VideoStream) -> Fraction:
    """The frame rate that fits the time stamps best: the ones that the file names, or the measured one."""
    named = [rate for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
    if len(pts) == 1:
        return named[0] if named else Fraction(25)
    measured = Fraction(len(pts) - 1) / (Fraction(int(pts[-1] - pts[0])) * stream.time_base)
    # Some headers spread the length of the last frame over all of them: a rate that is off by little can be no rate at all.
    return min([*named, measured.limit_denominator(100000)], key=lambda rate: _misfit(pts, stream.time_base, rate))


def _misfit(pts: np.ndarray, time_base: Fraction, rate: Fraction) -> tuple[int, bool]:
    """How many frames a rate puts out of place, and whether it misses any time stamp by more than a rounding."""
    late = _lateness(pts, time_base, rate)
    return int(np.count_nonzero(late >= _LATE)), bool(late.max() / rate > max(_ROUNDED, _rounding(time_base, rate)))


def _rounding(time_base: Fraction, rate: Fraction) -> Fraction:
    """By how many seconds a frame may be off because time is counted in units of `time_base`; a unit as long as a frame rounds nothing."""
    return min(time_base, 1 / (2 * rate))


def _lateness(pts: np.ndarray, time_base: Fraction, rate: Fraction) -> np.ndarray:
    """By how many frames each frame differs from a constant rate."""
    return np.abs((pts - pts[0]) * float(time_base * rate) - np.arange(len(pts)))
