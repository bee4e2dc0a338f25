"""Which packet holds which frame: the order of a video file's pictures, found without decoding."""
from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from ..errors import BadClip
from ..heeding import heed
from .containers import UNREADABLE
from .ffv1_checksums import checksums_hold

_PROBED = 3  # packets that are looked at to see whether a file has checksums
#: The beginning of a suffix SEI with a decoded picture hash (H.265, D.2.19): MD5, of three planes or one.
_HASHES = (b"\x50\x01\x84\x31\x00", b"\x50\x01\x84\x11\x00")


@dataclass(frozen=True)
class Key:
    """A packet at which decoding can start: its place in the file's decoding order, and its time stamps."""

    place: int
    pts: int
    dts: int | None


@dataclass(frozen=True)
class VideoIndex:
    """`pts[i]` is the time stamp of frame i, `place[i]` its packet's place in decoding order.

    `horizon[p]` is the last frame of those whose packets come before place p or at it. `checksums`: whether every packet
    has them (FFV1 version 3). `hashes`: whether packets have those of the pictures they make (HEVC).
    """

    pts: np.ndarray
    place: np.ndarray
    keys: tuple[Key, ...]
    horizon: np.ndarray
    checksums: bool
    hashes: bool

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


@dataclass
class Packets:
    """The packets of a video stream that show a frame, in decoding order, and the number of those that an edit list hides.

    `positions` are their places in the file, -1 where the container does not tell; `durations` are 0 where it does not.
    """

    stamps: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    hidden: int = 0
    checksums: bool = False
    hashes: bool = False


def scan(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Packets:
    """Reads every packet's header once. Raises `BadClip` where the file is damaged or tells no times."""
    found = Packets()
    stamps = found.stamps
    try:
        for packet in container.demux(stream):
            heed()
            if packet.size == 0:
                continue
            if _never_shown(packet, stream):
                continue
            if packet.is_discard:
                found.hidden += 1
                continue
            if packet.pts is None:
                raise BadClip(f"{path} has no time stamp on frame {len(stamps)}: write it again as a constant frame rate MKV or MP4 first.")
            if not found.checksums and len(stamps) < _PROBED and stream.codec_context.name == "ffv1":
                found.checksums = checksums_hold(bytes(packet))
            if not found.hashes and len(stamps) < _PROBED and stream.codec_context.name == "hevc":
                found.hashes = any(begin in bytes(packet) for begin in _HASHES)
            if packet.is_keyframe:
                found.keys.append(Key(len(stamps), packet.pts, packet.dts))
            stamps.append(packet.pts)
            found.durations.append(packet.duration or 0)
            found.positions.append(-1 if packet.pos is None else packet.pos)
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or "a stream begins there that the file does not announce"
        where = f"after frame {len(stamps) - 1}" if stamps else "at its beginning"
        raise BadClip(f"{path} is damaged {where} ({why}): copy or export it again.") from error
    return found


def in_order(path: Path, packets: Packets) -> np.ndarray:
    """The packets' places in the order in which they are shown. Raises `BadClip` when two are shown at once."""
    order = np.argsort(packets.stamps, kind="stable")
    same = np.flatnonzero(np.diff(np.asarray(packets.stamps, np.int64)[order]) == 0)
    if len(same):
        twice = int(same[0])
        raise BadClip(f"{path} shows its frames {twice} and {twice + 1} at the same time: export it again at a constant frame rate.")
    return order


def index_of(path: Path, packets: Packets) -> VideoIndex:
    """The index of packets of which there is at least one. Raises `BadClip` for what cannot be indexed exactly."""
    order = in_order(path, packets)
    if not packets.keys:
        raise BadClip(f"{path} has no key frame to start decoding at: it is damaged or cut; export it again.")
    numbers = np.argsort(order, kind="stable")
    pts = np.asarray(packets.stamps, np.int64)[order]
    return VideoIndex(pts, order, tuple(packets.keys), np.maximum.accumulate(numbers), packets.checksums, packets.hashes)


def _never_shown(packet: av.Packet, stream: av.VideoStream) -> bool:
    """VP8 keeps reference frames that are decoded and never shown in packets of their own."""
    return stream.codec_context.name in ("vp8", "libvpx") and not bytes(packet)[0] >> 4 & 1
