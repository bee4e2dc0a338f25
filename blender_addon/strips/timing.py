"""Which frame of its file a movie or image strip shows at a timeline frame.

Blender's arithmetic, as measured with counter clips: the distance from the content's start (from its end, when
reversed), times the playback rate, clamped to the content (so that stretched strips hold their end frames), floored
to the strobe, rounded, shifted by what is trimmed off the file. In single precision, because ties decide.
"""
from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from struct import Struct

import bpy

from . import api
from .errors import StripError

_FINE = 16
_FLOAT = Struct("f")


@dataclass(frozen=True)
class Content:
    """What a strip can show: `count` frames of its file, `rate` of them in each timeline frame."""

    count: int
    rate: float


def indices(strip: api.Strip, scene: bpy.types.Scene, start: int, count: int) -> list[int]:
    """For each of `count` timeline frames from `start`: the index, from 0, into the strip's file or list of files.

    `start` is not before the strip's left handle. Raises `StripError` for a strip without content.
    """
    if strip.type == "IMAGE" and len(strip.elements) == 1:
        return [0] * count
    content = _content(strip, scene)
    if content.count < 1:
        raise StripError(f"Strip '{strip.name}' has no frames left, because its trims are longer than its file: set them back.")
    shift = api.media_trim(strip)[0]
    plain = _frame_by_frame(strip, content, start, count)
    if plain is not None:
        return list(range(shift + plain.start, shift + plain.stop))
    begin = api.left(strip)
    places = _places(strip, content, range(begin, start + count))
    return [shift + shown for shown in _shown(strip, places, content.rate)[start - begin :]]


def first_shown(scene: bpy.types.Scene, strip: api.Strip) -> int:
    """The index into its file, or its list of files, that the strip begins with."""
    return indices(strip, scene, api.left(strip), 1)[0]


def _frame_by_frame(strip: api.Strip, content: Content, start: int, count: int) -> range | None:
    """What `_shown` would say of most strips, of which thousands of frames are as quickly told as one; None: of this one it would not."""
    begin = api.content_start(strip)
    if content.rate != 1.0 or strip.use_reverse_frames or strip.strobe > 1 or not begin.is_integer():
        return None
    first = start - int(begin)
    return range(first, first + count) if first >= 0 and first + count <= content.count else None


def _places(strip: api.Strip, content: Content, frames: range) -> list[float]:
    # Blender's properties are slow to read, and there may be thousands of frames.
    begin, end, backwards, strobe = api.content_start(strip), api.content_end(strip), strip.use_reverse_frames, strip.strobe
    last = content.count - 1.0
    # An array of floats makes them single in one go.
    distances = array("f", [end - 1 - frame for frame in frames] if backwards else [frame - begin for frame in frames])
    places = [min(max(place, 0.0), last) for place in array("f", [distance * content.rate for distance in distances])]
    return [place - _single(math.fmod(place, strobe)) for place in places] if strobe > 1 else places


def _shown(strip: api.Strip, places: list[float], rate: float) -> list[int]:
    rounded = [math.floor(place + 0.5) for place in places]
    if rate >= 1 or not api.whole_frame_cache(strip):
        return rounded
    first: dict[int, int] = {}
    return [first.setdefault(int(place), shown) for place, shown in zip(places, rounded)]


def _content(strip: api.Strip, scene: bpy.types.Scene) -> Content:
    plain = Content(round(api.content_end(strip) - api.content_start(strip)), 1.0)
    if strip.type != "MOVIE":
        return plain
    native = strip.elements[0].orig_fps
    if native <= 0 or _factor(native, scene) == 1.0:
        return plain
    finer = math.ceil(max(native, api.rate(scene))) * _FINE
    length = _length_at(strip, scene, finer)
    if length == plain.count:
        return plain
    return Content(round((length + 0.5) * native / finer), _factor(native, scene))


def _factor(native: float, scene: bpy.types.Scene) -> float:
    return _single(_single(native) / _single(_single(scene.render.fps) / _single(scene.render.fps_base)))


def _length_at(strip: api.Strip, scene: bpy.types.Scene, fps: int) -> int:
    """How many timeline frames the content would last in a scene of another frame rate.

    Only a strip whose playback rate follows the scene changes: Blender does not tell otherwise which ones do.
    """
    other = scene.copy()
    try:
        other.render.fps, other.render.fps_base = fps, 1.0
        twin = api.find(other, strip.name)
        return round(api.content_end(twin) - api.content_start(twin))
    finally:
        bpy.data.scenes.remove(other)


def _single(value: float) -> float:
    return _FLOAT.unpack(_FLOAT.pack(value))[0]
