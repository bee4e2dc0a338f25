"""Which frames of a video are damaged, and which are built on those.

A decoder repairs what it can and marks the frame, but not the frames that take their pixels from it: those look decoded.
"""
from __future__ import annotations

import av

from .video_index import VideoIndex


class Damage:
    """What has come out of a decoder, frame by frame in order, since it was started at the packet at `start`."""

    def __init__(self, index: VideoIndex, start: int):
        self._index = index
        self._start = start
        self._latest = -1 if start == 0 else index.find_place(start) - 1
        self._disposable: set[int] = set()
        self._bad: set[int] = set()
        #: Places of packets that others may be built on, and their frames.
        self._spoilt: list[tuple[int, int]] = []

    def feed(self, place: int, disposable: bool, sound: bool) -> None:
        """The packet at `place` goes in; no other frame is made of it if it is disposable. Not sound: its own checksums say so."""
        if disposable:
            self._disposable.add(place)
        if not sound:
            self.refused(place)

    def refused(self, place: int) -> None:
        """The decoder stumbled over the packet at `place`. What it makes of it may come out all the same."""
        if place >= 0:
            self._spoil(self._index.find_place(place))

    def came_out(self, number: int, whole: bool) -> None:
        """Frame `number` came out. Those before it that did not are lost."""
        for missing in range(self._latest + 1, number):
            self._spoil(missing)
        if not whole:
            self._spoil(number)
        self._latest = max(self._latest, number)

    def end(self) -> None:
        """Nothing more comes out."""
        self._latest = len(self._index)

    def is_known(self, number: int) -> bool:
        """Whether all that the frame may be built on has come out or been missed."""
        return self._latest >= self._index.horizon[self._index.place[number]]

    def is_whole(self, number: int) -> bool:
        """Whether the frame is as it was encoded, as far as the decoder can tell."""
        made_of = self._index.built_on(number)
        # What is shown before the key frame and decoded after it serves nothing that is shown later: HEVC says so, H.264 may do otherwise.
        begins = self._index.key_frame(self._index.key_before(number)) if self._index.hashes else 0
        spoilt = (place for place, shown in self._spoilt if shown >= begins or number < begins)
        return number not in self._bad and made_of.start >= self._start and not any(place in made_of for place in spoilt)

    def spread(self, number: int) -> set[int]:
        """The frames that are spoilt by the same damage as `number`."""
        key = self._index.key_before(number)
        keys = self._index.keys
        end = self._index.key_frame(key + 1) if key + 1 < len(keys) else len(self._index)
        return {k for k in range(self._index.key_frame(key), end) if self._index.key_before(k) == key and not self.is_whole(k)} | {number}

    def _spoil(self, number: int) -> None:
        place = int(self._index.place[number])
        if self._index.built_on(number).start < self._start:
            return  # it needs what lies before the start, and is not expected
        self._bad.add(number)
        if place not in self._disposable:
            self._spoilt.append((place, number))


def is_disposable(packet: av.Packet, decoder: av.VideoCodecContext) -> bool:
    """Whether no other frame is built on the packet's. Only H.264 says so in every packet; in doubt there is one."""
    if packet.is_disposable:
        return True
    return decoder.name == "h264" and _reference_mark(bytes(packet), decoder.extradata or b"") == 0


def _reference_mark(data: bytes, extradata: bytes) -> int | None:
    """nal_ref_idc of the first slice (H.264, 7.4.1); None without one."""
    size = (extradata[4] & 3) + 1 if len(extradata) > 4 and extradata[0] == 1 else None
    at = 0
    while True:
        if size is None:  # units are parted by start codes
            at = end = data.find(b"\0\0\1", at) + 3
            if at < 3:
                return None
        else:
            length = int.from_bytes(data[at : at + size], "big")
            at += size
            end = at + length
        if at >= len(data):
            return None
        if data[at] & 31 in (1, 2, 5):
            return data[at] >> 5 & 3
        at = end
