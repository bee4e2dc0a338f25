"""Sound, copied packet by packet without decoding it."""
from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av

from .containers import UNREADABLE
from .video_cursor import open_video

#: What a track is called.
LABELS = ("language", "title")


class AudioCopy:
    """The sound of a file from `start` (seconds in the file) on, moved to begin at 0. Cut at whole packets.

    Each track is read for itself: in a file they may lie far apart, and to wait for one would mean to remember all of the others.
    """

    def __init__(self, path: Path, start: Fraction):
        self._tracks: list[_Track] = []
        with open_video(path) as container:
            numbers = range(len(container.streams.audio))
        try:
            for number in numbers:
                self._tracks.append(_Track(path, number, start))
        except BaseException:
            self.close()
            raise

    @property
    def damaged(self) -> bool:
        return any(track.damaged for track in self._tracks)

    def __len__(self) -> int:
        return len(self._tracks)

    def add_to(self, container: av.container.OutputContainer) -> list[str]:
        """Adds the tracks that the container can hold; the codecs of the others, which are left out."""
        held, refused = [], []
        for track in self._tracks:
            if track.add_to(container):
                held.append(track)
            else:
                refused.append(track)
                track.close()
        self._tracks = held
        return sorted({track.codec for track in refused})

    def packets(self, until: Fraction) -> Iterator[av.Packet]:
        """The packets that begin before `until` (seconds in the result) and were not given yet."""
        for track in self._tracks:
            yield from track.packets(until)

    def close(self) -> None:
        for track in self._tracks:
            track.close()


class _Track:
    def __init__(self, path: Path, number: int, start: Fraction):
        self.damaged = False
        self._path, self._number, self._start = path, number, start
        self._waiting: av.Packet | None = None
        self._container = open_video(path)
        self._stream = self._container.streams.audio[number]

    @property
    def codec(self) -> str:
        return self._stream.codec_context.name if self._stream.codec_context else "its kind of sound"

    def add_to(self, container: av.container.OutputContainer) -> bool:
        """False when the container cannot hold the track."""
        kind = container.format.name
        if not self._fits(kind):
            return False
        target = container.add_stream_from_template(self._stream)
        target.metadata.update({key: value for key, value in self._stream.metadata.items() if key in LABELS})
        self._packets = self._cut(target, kind)
        return True

    def packets(self, until: Fraction) -> Iterator[av.Packet]:
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

    def _fits(self, kind: str) -> bool:
        """Tried with the first packet: some containers say only when they are finished that they cannot hold it."""
        try:
            with open_video(self._path) as source, av.open(io.BytesIO(), "w", format=kind) as trial:
                stream = source.streams.audio[self._number]
                target = trial.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.size:
                        packet.pts = packet.dts = 0
                        packet.stream = target
                        trial.mux_one(packet)
                        break
        except (ValueError, *UNREADABLE):
            return False
        return True

    def _cut(self, target: av.audio.AudioStream, kind: str) -> Iterator[av.Packet]:
        try:
            packets = self._timed()
            first = next(packets, None)
            if first is None:
                return
            early = self._early(first, kind)
            if self._start > 1:
                self._container.seek(int((self._start - 1) * av.time_base))
                packets = self._timed()
            else:
                packets = chain((first,), packets)
            for packet in packets:
                offset = round(self._start / packet.time_base)
                before = 2 * (packet.duration or 0) - 1 if early is None else early
                if packet.pts < offset - before or (packet.is_discard and packet.pts >= offset):
                    continue
                packet.pts -= offset
                packet.dts = packet.pts
                packet.stream = target
                yield packet
        except UNREADABLE:
            self.damaged = True

    def _timed(self) -> Iterator[av.Packet]:
        return (packet for packet in self._container.demux(self._stream) if packet.size and packet.pts is not None)

    def _early(self, first: av.Packet, kind: str) -> int | None:
        """How long before 0 packets may begin, in their own units; None: as the packet that is heard first and one before it do,
        which most codecs need to begin cleanly.

        What MP4 and MOV have before 0 is hidden by an edit list. Matroska hides only what it knows as the codec's delay, which comes
        over from Matroska and within Opus; more would move the pictures.
        """
        if kind != "matroska":
            return None
        known = "matroska" in self._container.format.name or self.codec in ("opus", "libopus")
        return max(-first.pts, 0) if known else 0
