"""Results as a video file, with the source's rate or time stamps, pixel aspect, colour tags and sound."""
from __future__ import annotations

import errno
import os
from fractions import Fraction
from typing import Self

import av

from ..errors import Failed
from ..memory_at_hand import be_sure_of_some
from .audio_copy import AudioCopy
from .frame_times import FrameTimes
from .matroska_aspect import RESERVE, write_pixel_aspect
from .output_place import FilePlace, OutputFiles, writing
from .picture import Picture
from .source import Source
from .timecode import later
from .video_formats import VideoFormat, video_format

_THREADS = 4
_IMAGE_RATE = Fraction(24)


#: One job makes one file, to the byte: Matroska's random identity is left out.
_SAME_BYTES = {"fflags": "+bitexact"}


class VideoOutput:
    """See `open_output`."""

    def __init__(self, place: FilePlace, format: str, source: Source, first: int, last: int):
        info = source.info
        self.notes: list[str] = []
        self._place = place
        self._expected = last - first + 1
        self._rate = info.rate or _IMAGE_RATE
        if info.rate is None:
            self.notes.append(f"Images have no frame rate: {place.path.name} is written at {_IMAGE_RATE} frames a second.")
        self._format = video_format(format, info)
        self._times = FrameTimes(source, first, last, self._rate, self._format.container)
        self.notes += self._times.notes(place.path.name)
        if info.has_alpha and "a" not in self._format.pixel_format.replace("gray", ""):
            self.notes.append(f"{place.path.name} has no alpha channel: the format {format} holds none.")
        self._aspect, self._size = info.pixel_aspect, (info.width, info.height)
        self._patch_aspect = self._format.container == "matroska" and self._aspect != 1
        self._written = 0
        self._committed = False
        self._part = place.prepare()
        self._container: av.container.OutputContainer | None = None
        self._audio: AudioCopy | None = None
        try:
            self._audio = self._sound(source, first, last)
            self._start(source, first, last)
        except BaseException:
            self._discard()
            raise

    def _sound(self, source: Source, first: int, last: int) -> AudioCopy | None:
        info = source.info
        if not info.has_audio:
            return None
        if not info.contiguous(first, last):
            self.notes.append(f"{self._place.path.name} has no sound: the frames do not run on as in {info.path.name}.")
            return None
        return AudioCopy(info.path, source.seconds(info.indices[first]))

    def _start(self, source: Source, first: int, last: int) -> None:
        with writing(self._place.path):
            self._container = av.open(str(self._part), "w", format=self._format.container, container_options=_SAME_BYTES)
            self._stream = _video_stream(self._container, self._format, source, self._rate, self._times.unit)
            info = source.info
            if info.timecode and info.contiguous(first, last):
                label = later(info.timecode, self._times.before, self._rate)
                if label is not None:
                    self._container.metadata["timecode"] = label
            if self._patch_aspect:
                self._stream.metadata["title"] = RESERVE
            if self._audio is not None:
                refused = self._audio.add_to(self._container)
                if refused:
                    lacks = "does not have all of the sound" if len(self._audio) else "has no sound"
                    self.notes.append(f"{self._place.path.name} {lacks}: its format cannot hold {', '.join(refused)}.")
            self._open_encoder()
            self._container.start_encoding()

    def _open_encoder(self) -> None:
        try:
            self._stream.codec_context.open()
        except (av.FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) == errno.ENOMEM:
                raise MemoryError from error
            be_sure_of_some()
            kind = f"{self._size[0]}x{self._size[1]} {self._format.pixel_format}"
            name = self._place.path.name
            raise Failed(f"{name} cannot be made: {self._format.codec} does not encode {kind}; choose another format.") from error

    def write(self, picture: Picture) -> None:
        frame = self._format.frame(picture)
        frame.time_base, frame.pts = self._times.unit, self._times.stamp(self._written)
        if self._times.vary:
            frame.duration = self._times.stamp(self._written + 1) - frame.pts
        with writing(self._place.path):
            self._mux_sound(frame.pts * self._times.unit)
            self._container.mux(self._stream.encode(frame))
        self._written += 1

    def _mux_sound(self, until: Fraction) -> None:
        if self._audio is not None:
            for packet in self._audio.packets(until):
                self._container.mux_one(packet)

    def commit(self) -> OutputFiles:
        if self._written != self._expected:
            raise ValueError(f"{self._written} of {self._expected} pictures were written")
        with writing(self._place.path):
            self._container.mux(self._stream.encode(None))
            self._mux_sound(self._times.stamp(self._written) * self._times.unit)
            container, self._container = self._container, None
            container.close()
            if self._patch_aspect:
                write_pixel_aspect(self._part, self._aspect, self._size)
        if self._audio is not None and self._audio.damaged:
            self.notes.append(f"The sound of {self._place.path.name} is incomplete: it is damaged in the source.")
        files = self._place.commit()
        self._committed = True
        return files

    def _discard(self) -> None:
        if self._container is not None:
            container, self._container = self._container, None
            try:
                container.close()
            except (OSError, av.FFmpegError):
                pass  # a full disk has been reported by now
        self._place.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._audio is not None:
            self._audio.close()
        if not self._committed:
            self._discard()


def _video_stream(
    container: av.container.OutputContainer, format: VideoFormat, source: Source, rate: Fraction, unit: Fraction
) -> av.VideoStream:
    """`unit`: seconds, what time stamps are counted in."""
    info = source.info
    site = {"chroma_sample_location": format.tags.site} if format.tags.site else {}
    stream = container.add_stream(format.codec, rate=rate, options=format.options | site)
    stream.width, stream.height, stream.pix_fmt = info.width, info.height, format.pixel_format
    encoder = stream.codec_context
    encoder.time_base = unit
    encoder.thread_type = "AUTO"
    encoder.thread_count = min(_THREADS, os.cpu_count() or 1)
    encoder.sample_aspect_ratio = info.pixel_aspect
    encoder.color_primaries, encoder.color_trc = format.tags.primaries, format.tags.transfer
    encoder.colorspace, encoder.color_range = format.tags.matrix, format.tags.range
    return stream
