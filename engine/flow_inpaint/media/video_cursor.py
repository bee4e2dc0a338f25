"""One decoder with a place in a video file."""
from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.stream import Disposition

from ..errors import BadClip, BadFrame
from ..heeding import heed
from .containers import UNREADABLE, open_container
from .ffv1_checksums import checksums_hold
from .video_damage import Damage, is_disposable
from .video_index import Key, VideoIndex

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
#: FFmpeg looks at the hashes of HEVC's pictures only when asked, and gives a wrong picture out all the same, but with an error. Where there
#: are none it is not asked, because it would stumble over what players pass over.
_CHECKING = {"err_detect": "crccheck+explode"}
_THREADS = 4  # each one holds a few frames of its own
_HOP = 8  # frames that are sooner decoded than skipped by seeking
_STEPS_BACK = 2  # an open GOP needs the key frame before; a gradual refresh one more


class _Disturbed(Exception):
    """The decoder stumbled, and frames may be lost that are not damaged."""


class VideoCursor:
    """Decodes towards a wanted frame. `upcoming` is the frame that it gives next.

    lost   numbers of frames that cannot be decoded, as far as is known; shared by the cursors of a file
    whole  the index has the frames too that an edit list hides
    """

    def __init__(self, path: Path, index: VideoIndex, lost: set[int], whole: bool = False):
        self._path = path
        self._index = index
        self._whole = whole
        self._lost = lost
        self._one_by_one = False
        self._open()
        self._begin(self._container.demux(self._stream), 0)
        self.upcoming = 0

    @property
    def pixel_aspect(self) -> Fraction:
        return self._stream.sample_aspect_ratio or Fraction(1)

    def reaches(self, number: int) -> bool:
        """Whether decoding on is no more work than starting again at a key frame."""
        return self.upcoming <= number and self._index.key_frame(self._index.key_before(number)) <= self.upcoming + _HOP

    def walk_to(self, number: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Every whole frame on the way to `number` and that frame last. Raises `BadFrame` when it cannot be decoded."""
        if number not in self._lost:
            try:
                yield from self._walk(number)
                return
            except _Disturbed:
                # Decoders that work on several packets at once do not say which one is damaged.
                self._one_by_one = True
                self._from_the_beginning()
                self.upcoming = len(self._index)
            yield from self._walk(number)
            return
        raise undecodable(self._path, number)

    def _walk(self, number: int) -> Iterator[tuple[int, av.VideoFrame]]:
        key = self._index.key_before(number)
        if not self.reaches(number):
            self._start_at(key)
        for earlier in range(key - 1, key - 2 - _STEPS_BACK, -1):
            for found, frame in self._frames:
                self.upcoming = found + 1
                if found <= number:
                    yield found, frame
                if found == number:
                    return
                if found > number:
                    break
            if earlier < 0:
                break
            self._start_at(earlier)
        self._lost |= {number, *self._damage.spread(number)}
        raise undecodable(self._path, number)

    def close(self) -> None:
        self._container.close()

    def _open(self) -> None:
        self._container = open_video(self._path, self._whole)
        self._stream = picture_stream(self._container)
        self._decoder = _decoder(self._stream)
        if self._index.hashes:
            self._decoder.options = _CHECKING
        self._decoder.thread_type = "NONE" if self._one_by_one else "AUTO"
        self._decoder.thread_count = min(_THREADS, os.cpu_count() or 1)

    def _start_at(self, number: int) -> None:
        key = self._index.keys[number]
        self._begin(self._packets_from(key), key.place)
        self.upcoming = self._index.key_frame(number)

    def _begin(self, packets: Iterator[av.Packet], place: int) -> None:
        self._damage = Damage(self._index, place)
        self._frames = self._decode(packets)

    def _packets_from(self, key: Key) -> Iterator[av.Packet]:
        """The packets from `key` on. Where seeking does not get there, the file is read from its beginning."""
        started = False
        for packet in self._sought(key) or self._from_the_beginning():
            started = started or not packet.size or self._place(packet) >= key.place
            if started:
                yield packet

    def _sought(self, key: Key) -> Iterator[av.Packet] | None:
        """Packets that begin at `key` or before it, or None."""
        for stamp in (key.pts, key.dts):
            if stamp is None:
                continue
            try:
                self._container.seek(stamp, stream=self._stream, backward=True)
                packets = self._container.demux(self._stream)
                packet = next(packets)
            except (*UNREADABLE, StopIteration):
                continue
            if packet.size and self._place(packet) <= key.place:
                self._decoder.flush_buffers()
                return chain((packet,), packets)
        return None

    def _from_the_beginning(self) -> Iterator[av.Packet]:
        self._container.close()
        self._open()
        return self._container.demux(self._stream)

    def _place(self, packet: av.Packet) -> int:
        frame = None if packet.pts is None else self._index.find(packet.pts)
        return -1 if frame is None else int(self._index.place[frame])

    def _decode(self, packets: Iterator[av.Packet]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Whole frames with their numbers, in order. One that is damaged, or built on one, is missed when its turn comes.

        A frame is held back until all that it may be built on has come out too.
        """
        damage = self._damage
        held: deque[tuple[int, av.VideoFrame]] = deque()
        doubtful = False
        for packet in _readable(packets):
            heed()
            place = -1 if packet is None else self._place(packet)
            frames: list[av.VideoFrame] = []
            if packet is not None:
                if doubtful and packet.is_keyframe:
                    doubtful, frames = False, self._drained()
                sound = not doubtful and (not self._index.checksums or checksums_hold(bytes(packet)))
                damage.feed(place, is_disposable(packet, self._decoder), sound)
            try:
                frames += self._decoder.decode(packet)
            except av.FFmpegError as error:
                if not self._one_by_one:
                    raise _Disturbed from error
                damage.refused(place)
                # Pictures wait in the decoder now, and while any do, it says of no other one that its hash is wrong.
                doubtful = self._index.hashes
            for frame in frames:
                number = None if frame.pts is None else self._index.find(frame.pts)
                if number is not None:
                    damage.came_out(number, not frame.is_corrupt)
                    held.append((number, frame))
            while held and damage.is_known(held[0][0]):
                number, frame = held.popleft()
                if damage.is_whole(number):
                    yield number, frame
        damage.end()
        yield from ((number, frame) for number, frame in held if damage.is_whole(number))

    def _drained(self) -> list[av.VideoFrame]:
        """What waits in the decoder, which begins afresh."""
        try:
            return self._decoder.decode(None)
        except av.FFmpegError:
            return []
        finally:
            self._decoder.flush_buffers()


def _readable(packets: Iterator[av.Packet]) -> Iterator[av.Packet | None]:
    """The packets up to the end or the first that cannot be read, then None, which empties the decoder."""
    try:
        for packet in packets:
            if packet.size:
                yield packet
    except UNREADABLE:
        pass  # the frames that are missing now are named when their turn comes
    yield None


def _decoder(stream: av.VideoStream) -> av.VideoCodecContext:
    """The stream's own decoder, or the one that knows the alpha channel of VP8 and VP9."""
    marked = "1" in (stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE"))
    name = _ALPHA_DECODERS.get(stream.codec_context.name) if marked else None
    return av.CodecContext.create(name, "r") if name else stream.codec_context


def undecodable(path: Path, number: int) -> BadFrame:
    return BadFrame(f"{path}: frame {number} cannot be decoded, the file is damaged there; use a sound copy or other frames.", number)


def open_video(path: Path, whole: bool = False) -> av.container.InputContainer:
    """The file with a video stream in it; if `whole`, without its edit list. Raises `BadClip` with the reason when it is not one."""
    try:
        container = open_container(path, **({"ignore_editlist": "1"} if whole else {}))
    except FileNotFoundError as error:
        raise BadClip(f"{path} does not exist.") from error
    except PermissionError as error:
        raise BadClip(f"{path} may not be read: check its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadClip(f"{path} is not a video that can be opened ({getattr(error, 'strerror', None) or error}).") from error
    stream = picture_stream(container)
    if stream is None or stream.codec_context is None:
        sound = bool(container.streams.audio)
        container.close()
        if stream is not None:
            raise BadClip(f"{path} is made with a video codec that is not supported here: convert it first.")
        raise BadClip(f"{path} holds {'sound but ' if sound else ''}no video.")
    return container


def picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream that is not a cover picture."""
    return next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
