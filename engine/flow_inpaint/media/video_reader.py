"""Exact frames of a video file, in any order, decoding as little as possible."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import av

from ..errors import BadClip, BadFrame
from ..job import ClipSpec
from . import colour
from .info import ClipInfo, ColourTags, check_range, first_good, highest_of, job_indices
from .picture import FramePicture
from .presentation import Presentation, present
from .samples import layout
from .timecode import timecode_of
from .turning import turned, turned_aspect, turned_tags, turns_of
from .video_cursor import VideoCursor, open_video, picture_stream, undecodable

_CACHE_BYTES = 64 * 2**20
_CACHE_FRAMES = 3
_CURSORS = 2
#: FFmpeg's field orders of interlaced footage, and codecs in whose frames nothing tells whether they are: there the container does.
_FIELDS = {2, 3, 4, 5}
_WITHOUT_FIELDS = {"png", "qtrle", "huffyuv", "ffvhuff", "magicyuv", "utvideo", "jpeg2000", "r210", "r10k"}


class VideoSource:
    """A video file as the job's source. See `open_source`."""

    def __init__(self, spec: ClipSpec, tolerant: bool = False):
        self._path = spec.path
        self._upright = spec.upright
        self._shown, has_audio, self._timecode = _survey(spec.path)
        self._cursors: list[VideoCursor] = []
        self._lost: set[int] = set()
        try:
            self.info = self._described(spec, has_audio, tolerant)
        except BaseException:
            self.close()
            raise

    def _described(self, spec: ClipSpec, has_audio: bool, tolerant: bool) -> ClipInfo:
        indices = self._by_count(spec) if spec.rate is None else self._by_time(spec, spec.rate)
        self._cache = _FrameCache()
        stored = first_good(indices, self._frame, tolerant)
        _check_readable(self._path, stored)
        site = colour.chroma_site(stored)  # before the frame's side data is looked at: it moves then
        self._turns = turns_of(self._path, stored) if spec.upright else 0
        first = turned(stored, self._turns)
        shape = layout(first.format.name)
        self._format = _format(stored)
        tags = ColourTags(first.color_primaries, first.color_trc, first.colorspace, first.color_range, site)
        varies = spec.rate is None and self._shown.varies(highest_of(indices))
        return ClipInfo(
            path=self._path,
            kind="video",
            width=first.width,
            height=first.height,
            count=len(indices),
            rate=self._shown.rate if spec.rate is None else self._shown.named_rate,
            pixel_aspect=turned_aspect(self._cursors[0].pixel_aspect, self._turns),
            dtype=shape.rgb_dtype,
            pixel_format=first.format.name,
            depth=shape.depth,
            has_alpha=shape.has_alpha,
            has_audio=has_audio,
            clip_count=len(self._shown),
            indices=indices,
            files=(self._path,),
            colour=turned_tags(tags, self._turns),
            timecode=self._timecode,
            time_base=self._shown.time_base if varies else None,
        )

    def _by_count(self, spec: ClipSpec) -> Sequence[int]:
        """The frame of every job frame."""
        indices = job_indices(spec, self._shown.promised)
        if highest_of(indices) >= len(self._shown):
            raise self._cut_short()
        return indices

    def _by_time(self, spec: ClipSpec, rate: float) -> Sequence[int]:
        """The same, where the host counts time."""
        shown = self._shown
        if not shown.steady:
            self._check_count(rate)
        count = max(shown.places - spec.first, 1) if spec.count is None else spec.count
        places = spec.indices or range(spec.first, spec.first + count)
        if shown.promised > len(shown) and highest_of(places) >= shown.places:
            raise self._cut_short()
        return shown.at_places(places)

    def _check_count(self, rate: float) -> None:
        """Raises `BadClip` where counting time does not lead to the frame that the host shows."""
        named = float(self._shown.named_rate)
        if abs(rate - named) > 1e-4 * named:
            raise BadClip(
                f"{self._path} does not keep to its frame rate, and its {named:g} frames a second were counted as {rate:g}: "
                "load it again, or convert it to a constant frame rate."
            )
        if self._shown.container == "mpegts" and self._shown.varies(len(self._shown) - 1):
            raise BadClip(f"{self._path} has a variable frame rate in a transport stream, where editors lose count: copy it to MP4 first.")

    def _cut_short(self) -> BadClip:
        ends = len(self._shown) - 1
        return BadClip(f"{self._path} is cut short: its header promises {self._shown.promised} frames, and it ends after frame {ends}.")

    def read(self, first: int, last: int) -> Iterator[FramePicture]:
        """The pictures of the job frames first..last. Raises `BadFrame` at a frame that cannot be decoded."""
        check_range(self.info, first, last)
        return (FramePicture(k, self._checked(self.info.indices[k])) for k in range(first, last + 1))

    def seconds(self, frame: int) -> Fraction:
        """When the file shows clip frame `frame`; for `clip_count`, when its last frame ends."""
        return self._shown.seconds(frame)

    def _checked(self, number: int) -> av.VideoFrame:
        frame = self._frame(number)
        if _format(frame) != self._format:
            raise BadClip(f"{self._path} changes its picture format at frame {number}: export it again as one format.")
        _check_progressive(self._path, frame)
        if self._upright and turns_of(self._path, frame) != self._turns:
            raise BadClip(f"{self._path} is turned another way from frame {number} on: export it upright first.")
        return turned(frame, self._turns)

    def _frame(self, number: int) -> av.VideoFrame:
        """Clip frame `number` as it is stored."""
        stored = int(self._shown.shown[number])
        kept = self._cache.get(stored)
        if kept is not None:
            return kept
        cursor = self._cursor_for(stored)
        try:
            for found, frame in cursor.walk_to(stored):
                self._cache.put(found, frame)
        except BadFrame as error:
            raise undecodable(self._path, number) from error
        return self._cache.get(stored)

    def _cursor_for(self, number: int) -> VideoCursor:
        """The decoder that is nearest before the frame; a second one is kept for readers that alternate between two places."""
        near = [c for c in self._cursors if c.reaches(number)]
        if near:
            cursor = max(near, key=lambda c: c.upcoming)
        elif len(self._cursors) < _CURSORS:
            cursor = VideoCursor(self._path, self._shown.index, self._lost, self._shown.whole)
            self._cursors.append(cursor)
        else:
            cursor = self._cursors[0]
        self._cursors.remove(cursor)
        self._cursors.append(cursor)
        return cursor

    def close(self) -> None:
        for cursor in self._cursors:
            cursor.close()
        self._cursors.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def frames_kept(size: int) -> int:
    """How many frames of so many bytes are kept when they have been read."""
    return max(_CACHE_FRAMES, _CACHE_BYTES // size)


class _FrameCache:
    """The frames decoded last: held frames and footage that runs backwards read from here."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, av.VideoFrame] = OrderedDict()

    def get(self, number: int) -> av.VideoFrame | None:
        return self._frames.get(number)

    def put(self, number: int, frame: av.VideoFrame) -> None:
        self._frames[number] = frame
        self._frames.move_to_end(number)
        size = sum(plane.buffer_size for plane in frame.planes)
        while len(self._frames) > frames_kept(size):
            self._frames.popitem(last=False)


def _survey(path: Path) -> tuple[Presentation, bool, str | None]:
    """What is shown, whether there is sound, and the timecode."""
    with open_video(path) as container:
        stream = picture_stream(container)
        if stream.codec_context.name in _WITHOUT_FIELDS and stream.codec_context.field_order in _FIELDS:
            raise _interlaced(path)
        shown = present(path, container, stream)
        return shown, bool(container.streams.audio), timecode_of(container)


def _format(frame: av.VideoFrame) -> tuple[str, int, int]:
    return frame.format.name, frame.width, frame.height


def _check_readable(path: Path, frame: av.VideoFrame) -> None:
    """Raises `BadClip` for footage whose pictures would not be the ones that a viewer sees."""
    _check_progressive(path, frame)
    if frame.format.name.startswith(("xyz", "bayer")):
        kind = "the colour space XYZ" if frame.format.name.startswith("xyz") else "a sensor's mosaic of colours"
        raise BadClip(f"{path} has {kind}: convert it to RGB or YUV first.")
    if frame.colorspace in colour.UNREADABLE_MATRICES:
        raise BadClip(f"{path} uses the colour matrix {colour.UNREADABLE_MATRICES[frame.colorspace]}: convert it to BT.709 or RGB first.")


def _check_progressive(path: Path, frame: av.VideoFrame) -> None:
    if frame.interlaced_frame:
        raise _interlaced(path)


def _interlaced(path: Path) -> BadClip:
    return BadClip(f"{path} is interlaced: deinterlace it first, for example with ffmpeg -i IN -vf bwdif OUT.")
