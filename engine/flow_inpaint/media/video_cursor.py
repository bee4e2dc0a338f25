"""One decoder with a place in a video file."""
from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from ..errors import BadClip
from .video_index import Key, VideoIndex

_HOP = 8  # frames that are sooner decoded than skipped by seeking
_STEPS_BACK = 2  # an open GOP needs the key frame before; a gradual refresh one more


class VideoCursor:
    """Decodes towards a wanted frame. `upcoming` is the frame that it gives next."""

    def __init__(self, path: Path, index: VideoIndex):
        self._path = path
        self._index = index
        self._open()
        self.upcoming = 0

    @property
    def pixel_aspect(self) -> Fraction:
        return self._stream.sample_aspect_ratio or Fraction(1)

    def reaches(self, number: int) -> bool:
        """Whether decoding on is no more work than starting again at a key frame."""
        return self.upcoming <= number and self._index.key_frame(self._index.key_before(number)) <= self.upcoming + _HOP

    def walk_to(self, number: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Every frame on the way to `number` and that frame last. Raises `BadClip` when it cannot be decoded."""
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
        raise BadClip(f"{self._path}: frame {number} cannot be decoded, the file is damaged there; use a sound copy or leave that part out.")

    def close(self) -> None:
        self._container.close()

    def _open(self) -> None:
        self._container = open_video(self._path)
        self._stream = picture_stream(self._container)
        self._stream.thread_type = "AUTO"
        self._frames = self._decode(self._container.demux(self._stream))

    def _start_at(self, number: int) -> None:
        key = self._index.keys[number]
        self._frames = self._decode(self._packets_from(key))
        self.upcoming = self._index.key_frame(number)

    def _packets_from(self, key: Key) -> Iterator[av.Packet]:
        """The packets from `key` on. Where seeking does not get there, the file is read from its beginning."""
        for stamp in (key.pts, key.dts):
            if stamp is None:
                continue
            try:
                self._container.seek(stamp, stream=self._stream, backward=True)
            except av.FFmpegError:
                continue
            packets = self._container.demux(self._stream)
            packet = next(packets, None)
            if packet is not None and packet.size and self._place(packet) <= key.place:
                break
        else:
            self._container.close()
            self._open()
            packets = self._container.demux(self._stream)
            packet = next(packets)
        while packet.size and self._place(packet) < key.place:
            packet = next(packets)
        yield packet
        yield from packets

    def _place(self, packet: av.Packet) -> int:
        frame = None if packet.pts is None else self._index.find(packet.pts)
        return -1 if frame is None else int(self._index.place[frame])

    def _decode(self, packets: Iterator[av.Packet]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Whole frames with their numbers. A damaged packet gives none: its frame is missed when its turn comes."""
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except av.FFmpegError:
                continue
            if packet is None:
                return
            for frame in frames:
                number = None if frame.pts is None else self._index.find(frame.pts)
                if number is not None and not frame.is_corrupt:
                    yield number, frame


def open_video(path: Path) -> av.container.InputContainer:
    """The file with a video stream in it. Raises `BadClip` with the reason when it is not one."""
    try:
        container = av.open(str(path))
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
