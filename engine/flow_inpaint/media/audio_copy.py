"""Sound, copied packet by packet without decoding it."""
from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from .containers import UNREADABLE
from .video_cursor import open_video


class AudioCopy:
    """The sound of a file from `start` (seconds in the file) on, moved to begin at 0. Cut at whole packets."""

    def __init__(self, path: Path, start: Fraction):
        self.damaged = False
        self._start = start
        self._container = open_video(path)
        self._streams = list(self._container.streams.audio)
        self._targets: dict[int, av.audio.AudioStream] = {}
        self._waiting: av.Packet | None = None

    @property
    def codecs(self) -> str:
        return ", ".join(sorted({stream.codec_context.name if stream.codec_context else "its kind of sound" for stream in self._streams}))

    def add_to(self, container: av.container.OutputContainer) -> bool:
        """Adds the audio streams; False when the container cannot hold one of them."""
        try:
            for stream in self._streams:
                target = container.add_stream_from_template(stream)
                target.metadata.update({key: value for key, value in stream.metadata.items() if key == "language"})
                self._targets[stream.index] = target
        except (ValueError, av.FFmpegError):
            return False
        self._packets = self._cut()
        return True

    def packets(self, until: Fraction) -> Iterator[av.Packet]:
        """The packets that begin before `until` (seconds in the result) and were not given yet."""
        while True:
            packet, self._waiting = self._waiting or next(self._packets, None), None
            if packet is None:
                return
            if packet.pts * packet.time_base >= until:
                self._waiting = packet
                return
            yield packet

    def close(self) -> None:
        self._container.close()

    def _cut(self) -> Iterator[av.Packet]:
        try:
            if self._start > 1:
                self._container.seek(int((self._start - 1) * av.time_base))
            for packet in self._container.demux(*self._streams):
                if packet.pts is None or packet.size == 0 or packet.is_discard:
                    continue
                offset = round(self._start / packet.time_base)
                if packet.pts < offset:
                    continue
                packet.pts -= offset
                packet.dts = packet.pts
                packet.stream = self._targets[packet.stream_index]
                yield packet
        except UNREADABLE:
            self.damaged = True
