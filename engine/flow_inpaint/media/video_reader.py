"""Exact frames of a video file, in any order, decoding as little as possible."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import av

from ..errors import BadClip
from ..job import ClipSpec
from . import colour
from .info import ClipInfo, ColourTags, check_range, first_good, job_indices
from .picture import FramePicture
from .samples import layout
from .timecode import timecode_of
from .video_cursor import VideoCursor, open_video, picture_stream
from .video_index import VideoIndex, check_constant_rate, promised_frames, scan

_CACHE_BYTES = 64 * 2**20
_CACHE_FRAMES = 3
_CURSORS = 2


class VideoSource:
    """A video file as the job's source. See `open_source`."""

    def __init__(self, spec: ClipSpec, tolerant: bool = False):
        self._path = spec.path
        self._index, promised, has_audio, self._timecode = _survey(spec.path)
        self._cursors: list[VideoCursor] = []
        self._lost: set[int] = set()
        try:
            self.info = self._described(spec, promised, has_audio, tolerant)
        except BaseException:
            self.close()
            raise

    def _described(self, spec: ClipSpec, promised: int, has_audio: bool, tolerant: bool) -> ClipInfo:
        indices = job_indices(spec, max(promised, len(self._index)))
        last = max(indices)
        if last >= len(self._index):
            ends = len(self._index) - 1
            raise BadClip(f"{self._path} is cut short: its header promises {promised} frames, and it ends after frame {ends}.")
        check_constant_rate(self._path, self._index, last)
        self._cache = _FrameCache()
        first = first_good(indices, self._frame, tolerant)
        _check_readable(self._path, first)
        shape = layout(first.format.name)
        self._format = (first.format.name, first.width, first.height)
        cursor = self._cursors[0]
        return ClipInfo(
            path=self._path,
            kind="video",
            width=first.width,
            height=first.height,
            count=len(indices),
            rate=self._index.rate,
            pixel_aspect=cursor.pixel_aspect,
            dtype=shape.rgb_dtype,
            pixel_format=first.format.name,
            depth=shape.depth,
            has_alpha=shape.has_alpha,
            has_audio=has_audio,
            clip_count=len(self._index),
            indices=indices,
            files=(self._path,),
            colour=ColourTags(first.color_primaries, first.color_trc, first.colorspace, first.color_range, colour.chroma_site(first)),
            timecode=self._timecode,
        )

    def read(self, first: int, last: int) -> Iterator[FramePicture]:
        """The pictures of the job frames first..last. Raises `BadFrame` at a frame that cannot be decoded."""
        check_range(self.info, first, last)
        return (FramePicture(k, self._checked(self.info.indices[k])) for k in range(first, last + 1))

    def seconds(self, frame: int) -> Fraction:
        """When the file shows clip frame `frame`."""
        return int(self._index.pts[frame]) * self._index.time_base

    def _checked(self, number: int) -> av.VideoFrame:
        frame = self._frame(number)
        if (frame.format.name, frame.width, frame.height) != self._format:
            raise BadClip(f"{self._path} changes its picture format at frame {number}: export it again as one format.")
        _check_progressive(self._path, frame)
        return frame

    def _frame(self, number: int) -> av.VideoFrame:
        kept = self._cache.get(number)
        if kept is not None:
            return kept
        cursor = self._cursor_for(number)
        for found, frame in cursor.walk_to(number):
            self._cache.put(found, frame)
        return self._cache.get(number)

    def _cursor_for(self, number: int) -> VideoCursor:
        """The decoder that is nearest before the frame; a second one is kept for readers that alternate between two places."""
        near = [c for c in self._cursors if c.reaches(number)]
        if near:
            cursor = max(near, key=lambda c: c.upcoming)
        elif len(self._cursors) < _CURSORS:
            cursor = VideoCursor(self._path, self._index, self._lost)
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
        while len(self._frames) > max(_CACHE_FRAMES, _CACHE_BYTES // size):
            self._frames.popitem(last=False)


def _survey(path: Path) -> tuple[VideoIndex, int, bool, str | None]:
    """The index, the number of frames that the header announces, whether there is sound, and the timecode."""
    with open_video(path) as container:
        stream = picture_stream(container)
        index = scan(path, container, stream)
        return index, promised_frames(path, container, stream, index), bool(container.streams.audio), timecode_of(container)


def _check_readable(path: Path, frame: av.VideoFrame) -> None:
    """Raises `BadClip` for footage whose pictures would not be the ones that a viewer sees."""
    _check_progressive(path, frame)
    if frame.rotation:
        raise BadClip(f"{path} is stored lying on its side ({abs(frame.rotation)} degrees): export it upright first.")
    if frame.colorspace in colour.UNREADABLE_MATRICES:
        raise BadClip(f"{path} uses the colour matrix {colour.UNREADABLE_MATRICES[frame.colorspace]}: convert it to BT.709 or RGB first.")


def _check_progressive(path: Path, frame: av.VideoFrame) -> None:
    if frame.interlaced_frame:
        raise BadClip(f"{path} is interlaced: deinterlace it first.")
