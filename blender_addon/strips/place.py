"""Result to strip: a new strip above the source that looks like it."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from . import animation, api
from .errors import StripError
from .files import listed
from .treatment import How, of_source

_SAME_FILE = ("alpha_mode",)
_SAME_PICTURE = ("color_saturation", "color_multiply", "use_float", "multiply_alpha")
_SAME_PLACE = ("use_flip_x", "use_flip_y")
_LINEAR_FILES = {".exr", ".hdr"}


def free_channel(scene: bpy.types.Scene, above: int, start: int, length: int, besides: Sequence[api.Strip] = ()) -> int:
    """The lowest channel above `above` that can be seen and edited and is empty in the given timeline frames.

    The strips `besides` count as gone. Raises `StripError` if there is none.
    """
    others = [s for s in api.top_strips(scene) if s not in besides]
    taken = {s.channel for s in others if api.left(s) < start + length and api.right(s) > start}
    channels = api.editor(scene).channels
    for number in range(above + 1, api.last_channel() + 1):
        usable = number >= len(channels) or not (channels[number].mute or channels[number].lock)
        if number not in taken and usable:
            return number
    last = start + length - 1
    raise StripError(f"No channel above {above} is free from frame {start} to {last}: move a strip away, or unmute a channel.")


def place(
    scene: bpy.types.Scene,
    source_name: str,
    result_path: Path,
    files: list[str] | None,
    start: int,
    length: int,
    name: str,
    how: How | None = None,
    instead: Sequence[api.Strip] = (),
    channel: int | None = None,
    patch: bool = False,
) -> api.Strip:
    """The result as a new strip above the source strip: same time, place, blend, opacity and colours. Touches no other strip.

    `files` None (or one movie's name): `result_path` is a movie; else the names, in order, of the pictures of a sequence
    in the folder `result_path`, or beside it when it is a file or pattern. `how` is `Resolved.how`; without it the
    source is looked at again. `patch`: it is only what was replaced, with alpha, and lies over the source. `channel`: where it goes; otherwise the next free one above the source. The strips `instead`
    are removed once the new one is there. Raises `StripError` and leaves no strip if the result is missing or too short.
    """
    source = api.find(scene, source_name)
    if source is None:
        raise StripError(f"Strip '{source_name}' is gone, so the new strip has no place: the result is {result_path}; add it by hand.")
    how = how or of_source(scene, source).how
    paths = _files(Path(result_path), files)
    channel = channel or free_channel(scene, source.channel, start, length, instead)
    strip = _new(scene, paths, channel, start, name)
    try:
        _fit(strip, paths, start, length)
        _look(scene, source, strip, paths[0].suffix.lower(), how)
        if patch:
            strip.blend_type, strip.alpha_mode = "ALPHA_OVER", "STRAIGHT"
    except StripError:
        api.remove(strip)
        raise
    for old in instead:
        api.remove(old)
    if strip.channel != channel:
        strip.channel = channel  # trimming it beside the old ones has moved it up; the place is free now
    return strip


def place_pass(scene: bpy.types.Scene, result: api.Strip, folder: Path, files: list[str], name: str, coloured: bool, gain: float = 1.0) -> api.Strip:
    """A picture for each of the result's frames from its left edge on, as a muted strip on a free channel above it, in its place in the picture.

    `coloured`: the pictures are footage, to be shown as the result is; else they are numbers, shown times `gain`. Raises `StripError`.
    """
    start, length = api.left(result), min(len(files), api.length(result))
    paths = _files(folder, files[:length])
    strip = _new(scene, paths, free_channel(scene, result.channel, start, length), start, name)
    strip.mute, strip.blend_type = True, "ALPHA_OVER"
    try:
        _fit(strip, paths, start, length)
    except StripError:
        api.remove(strip)
        raise
    _copy(result, strip, _SAME_PLACE)
    _copy_all(result.transform, strip.transform)
    _copy_all(result.crop, strip.crop)
    linear = paths[0].suffix.lower() in _LINEAR_FILES
    if coloured:
        _copy(result, strip, _SAME_PICTURE)
        strip.alpha_mode = "STRAIGHT"
        if not linear:
            strip.colorspace_settings.name = result.colorspace_settings.name
    else:
        strip.color_multiply = gain
        if linear:
            strip.colorspace_settings.name = "Non-Color"
    return strip


def repoint(strip: api.Strip, result_path: Path, files: list[str] | None) -> None:
    """Gives a strip that shows an earlier result a new one of the same length. Raises `StripError` and changes nothing when files are missing."""
    paths = _files(Path(result_path), files)
    if strip.type == "MOVIE":
        strip.filepath = _stored(paths[0])
    else:
        strip.directory = os.path.dirname(_stored(paths[0])) + os.sep
        for element, path in zip(strip.elements, paths, strict=False):
            element.filename = path.name
    strip.invalidate_cache("RAW")


def _files(result: Path, files: list[str] | None) -> list[Path]:
    folder = result if result.is_dir() else result.parent
    wanted = files or [result.name]
    there = listed(folder)
    missing = [name for name in wanted if name not in there]
    if missing:
        raise StripError(f"{folder / missing[0]} is missing, so there is nothing to make a strip of: run it again.")
    return [folder / name for name in wanted]


def _new(scene: bpy.types.Scene, paths: list[Path], channel: int, start: int, name: str) -> api.Strip:
    strips = api.collection(api.editor(scene))
    stored = _stored(paths[0])
    if paths[0].suffix.lower() in bpy.path.extensions_image:
        strip = strips.new_image(name, stored, channel, start)
        for path in paths[1:]:
            strip.elements.append(path.name)
        return strip
    return strips.new_movie(name, stored, channel, start)


def _stored(path: Path) -> str:
    """Relative to the .blend file if the user likes it so and it can be."""
    absolute = os.path.abspath(path)
    if not bpy.data.is_saved or not bpy.context.preferences.filepaths.use_relative_paths:
        return absolute
    try:
        return bpy.path.relpath(absolute)
    except ValueError:
        return absolute


def _fit(strip: api.Strip, paths: list[Path], start: int, length: int) -> None:
    """A single picture lasts as long as it has to. A movie may seem longer than its pictures, when its sound is."""
    single = len(paths) == 1 and strip.type == "IMAGE"
    if api.length(strip) > length or single:
        api.set_right(strip, start + length)
    if (api.left(strip), api.length(strip)) != (start, length):
        found = api.length(strip)
        raise StripError(f"{paths[0]} has {found} frames instead of {length}, so no strip was made of it: run it again.")


def _look(scene: bpy.types.Scene, source: api.Strip, strip: api.Strip, suffix: str, how: How) -> None:
    """Gives the new strip what is not already in its pixels."""
    _copy(source, strip, ("blend_type", "blend_alpha"))
    followed = ["blend_alpha"]
    if how is How.FRAME:
        strip.transform.scale_x = strip.transform.scale_y = 1.0
    else:
        _copy(source, strip, _SAME_PLACE)
        _copy_all(source.transform, strip.transform)
        _copy_all(source.crop, strip.crop)
    if how is How.DIRECT:
        _copy(source, strip, _SAME_PICTURE)
        followed += ["color_multiply", "color_saturation"]
        if _linear(source) == (suffix in _LINEAR_FILES):
            _copy(source, strip, _SAME_FILE)
            strip.colorspace_settings.name = source.colorspace_settings.name
    animation.follow(scene, source, strip, tuple(followed))


def _linear(strip: api.Strip) -> bool:
    return strip.type == "IMAGE" and Path(strip.elements[0].filename).suffix.lower() in _LINEAR_FILES


def _copy(source: Any, target: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(source, name) != getattr(target, name):  # every change makes Blender look at all strips again
            setattr(target, name, getattr(source, name))


def _copy_all(source: Any, target: Any) -> None:
    """Every setting that this version of Blender has."""
    for setting in source.bl_rna.properties:
        value = getattr(source, setting.identifier)
        if not setting.is_readonly and value != getattr(target, setting.identifier):
            setattr(target, setting.identifier, value)
