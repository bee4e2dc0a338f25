"""Which packet shows which frame: the presentation order of a video file, found without decoding."""
from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from .containers import UNREADABLE, open_container
from .ffv1_checksums import checksums_hold
from .matroska_aspect import is_shortened

_PROBED = 3  # packets that are looked at to see whether a file has checksums
_LATE = 0.5  # frames: from here on, counting frames and counting time disagree


@dataclass(frozen=True)
class Key:
    """A packet at which decoding can start: its place in the file's decoding order, and its time stamps."""

    place: int
    pts: int
    dts: int | None


@dataclass(frozen=True)
class VideoIndex:
    """`pts[i]` is the time stamp of frame i, `place[i]` its packet's place in decoding order. Times are in `time_base`.

    `horizon[p]` is the last frame of those whose packets come before place p or at it. `checksums`: whether every packet
    has them (FFV1 version 3).
    """

    pts: np.ndarray
    place: np.ndarray
    keys: tuple[Key, ...]
    time_base: Fraction
    rate: Fraction
    horizon: np.ndarray
    checksums: bool

    def __len__(self) -> int:
        return len(self.pts)

    def find(self, pts: int) -> int | None:
        """The frame with this time stamp."""
        i = int(np.searchsorted(self.pts, pts))
        return i if i < len(self.pts) and self.pts[i] == pts else None

    def key_before(self, frame: int) -> int:
        """The number of the last key from which `frame` can be decoded: one shown before a key frame may need the key before."""
        number = bisect_right(self.keys, self.place[frame], key=lambda key: key.place) - 1
        while number > 0 and self.keys[number].pts > self.pts[frame]:
            number -= 1
        return max(number, 0)

    def find_place(self, place: int) -> int:
        """The frame whose packet is at `place`."""
        return int(np.flatnonzero(self.place == place)[0])

    def built_on(self, frame: int) -> range:
        """The places of the packets that `frame` may be made of, without its own."""
        return range(self.keys[self.key_before(frame)].place, int(self.place[frame]))

    def key_frame(self, number: int) -> int:
        """The frame that key `number` shows."""
        return int(np.searchsorted(self.pts, self.keys[number].pts))


def scan(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> VideoIndex:
    """Reads every packet's header once. Raises `BadClip` for what cannot be indexed exactly."""
    stamps: list[int] = []
    keys: list[Key] = []
    hidden = 0
    checksums = False
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if _never_shown(packet, stream):
                continue
            if packet.is_discard:
                hidden += 1
                continue
            if packet.pts is None:
                raise BadClip(f"{path} has no time stamp on frame {len(stamps)}: write it again as a constant frame rate MKV or MP4 first.")
            if not checksums and len(stamps) < _PROBED and stream.codec_context.name == "ffv1":
                checksums = checksums_hold(bytes(packet))
            if packet.is_keyframe:
                keys.append(Key(len(stamps), packet.pts, packet.dts))
            stamps.append(packet.pts)
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or "a stream begins there that the file does not announce"
        where = f"after frame {len(stamps) - 1}" if stamps else "at its beginning"
        raise BadClip(f"{path} is damaged {where} ({why}): copy or export it again.") from error
    if not stamps:
        raise BadClip(f"{path} holds no video frames.")
    if hidden or _hidden_by_edit_list(path, stream, len(stamps)):
        raise BadClip(f"{path} hides some of its frames (an edit list, as trimming without re-encoding leaves it): export it again first.")
    order = np.argsort(stamps, kind="stable")
    pts = np.asarray(stamps, np.int64)[order]
    if len(pts) > 1 and (np.diff(pts) == 0).any():
        twice = int(np.flatnonzero(np.diff(pts) == 0)[0])
        raise BadClip(f"{path} shows its frames {twice} and {twice + 1} at the same time: export it again at a constant frame rate.")
    if not keys:
        raise BadClip(f"{path} has no key frame to start decoding at: it is damaged or cut; export it again.")
    numbers = np.argsort(order, kind="stable")
    return VideoIndex(pts, order, tuple(keys), stream.time_base, _rate(pts, stream), np.maximum.accumulate(numbers), checksums)


def _never_shown(packet: av.Packet, stream: av.VideoStream) -> bool:
    """VP8 keeps reference frames that are decoded and never shown in packets of their own."""
    return stream.codec_context.name in ("vp8", "libvpx") and not bytes(packet)[0] >> 4 & 1


def _hidden_by_edit_list(path: Path, stream: av.VideoStream, found: int) -> bool:
    if not stream.frames or stream.frames <= found:
        return False
    with open_container(path, ignore_editlist="1") as whole:
        return sum(packet.size > 0 for packet in whole.demux(whole.streams[stream.index])) > found


def promised_frames(path: Path, container: av.container.InputContainer, stream: av.VideoStream, index: VideoIndex) -> int:
    """How many frames the file's header announces: more than the index has when the file was cut short."""
    if stream.frames:
        return stream.frames
    seconds = _header_duration(container, stream)
    if seconds is None:
        return len(index)
    missing = float((seconds - int(index.pts[-1]) * index.time_base) * index.rate - 1)
    # A last frame may be shown for longer than the others. Not so in a file whose end is known to be missing.
    if missing <= 1 and not (missing > 0.5 and is_shortened(path)):
        return len(index)
    return len(index) + max(int(missing), 1)


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
    candidates = named + [measured.limit_denominator(100000)]
    return min(candidates, key=lambda rate: np.count_nonzero(_lateness(pts, stream.time_base, rate) >= _LATE))


def _lateness(pts: np.ndarray, time_base: Fraction, rate: Fraction) -> np.ndarray:
    """By how many frames each frame differs from a constant rate."""
    return np.abs((pts - pts[0]) * float(time_base * rate) - np.arange(len(pts)))


def check_constant_rate(path: Path, index: VideoIndex, last: int) -> None:
    """Raises `BadClip` when, up to frame `last`, hosts that count time would show another frame than we do."""
    late = _lateness(index.pts[: last + 1], index.time_base, index.rate)
    if late.max() >= _LATE:
        frame = int(np.flatnonzero(late >= _LATE)[0])
        raise BadClip(
            f"{path} has a variable frame rate (frame {frame} is not shown at {frame} / {float(index.rate):g} s): "
            "convert it to a constant frame rate first."
        )
