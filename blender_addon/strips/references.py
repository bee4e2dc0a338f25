"""The clean frames of a reference channel, and the frame that goes out to be painted."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from . import api, files, timing, treatment
from .errors import StripError
from .place import place
from .render import Render
from .resolve import find_source
from .treatment import How


def references(scene: bpy.types.Scene, source_name: str, channel: int) -> list[dict[str, Any]]:
    """`references` of a job document: the image strips of `channel` that lie over the source; none for channel 0.

    A single picture stands for the frame at its strip's left edge, a sequence for every frame that shows one of its
    pictures. How the strip is shown (transform, opacity, blend) does not matter, its file is read. Raises `StripError`.
    """
    if channel == 0:
        return []
    source = find_source(scene, source_name)
    found: dict[int, Path] = {}
    owner: dict[int, str] = {}
    for strip in _strips(scene, source, channel):
        for frame, path in _pictures(scene, source, strip):
            if frame in found:
                both = f"'{owner[frame]}' and '{strip.name}'"
                raise StripError(f"Frame {frame + api.left(source)} has two references, {both}: remove one of them, or mute it.")
            found[frame], owner[frame] = path, strip.name
    return [{"frame": frame, "path": str(found[frame])} for frame in sorted(found)]


def check_channel(source: api.Strip, channel: int, mask_channel: int) -> None:
    """Raises `StripError` when the references are to come from the channel of the source or of the mask."""
    if channel == source.channel:
        raise StripError(f"Channel {channel} is the one that strip '{source.name}' is on: put the references on another channel.")
    if channel == mask_channel:
        raise StripError(f"Channel {channel} is the mask channel: put the references on another channel.")


def _strips(scene: bpy.types.Scene, source: api.Strip, channel: int) -> list[api.Strip]:
    if api.channel_muted(scene, channel):
        return []
    return sorted((s for s in api.pictures(scene, channel) if not s.mute and api.overlap(s, source)), key=api.left)


def _pictures(scene: bpy.types.Scene, source: api.Strip, strip: api.Strip) -> Iterator[tuple[int, Path]]:
    """Frames, counted from the source's left edge, and their files."""
    if strip.type != "IMAGE":
        raise StripError(f"Strip '{strip.name}' on the reference channel is not an image strip: give one picture for each clean frame.")
    files.check(strip)
    if not files.readable(strip):
        raise StripError(f"Reference strip '{strip.name}' has files that the engine does not read: save them as PNG, TIFF or EXR.")
    paths = files.paths(strip)
    start = api.left(source)
    if len(paths) == 1:
        if api.left(strip) < start:
            raise StripError(
                f"Reference strip '{strip.name}' begins at frame {api.left(strip)}, before strip '{source.name}': "
                "move its left edge to the frame that it shows."
            )
        yield api.left(strip) - start, paths[0]
        return
    begin, end = max(api.left(strip), start), min(api.right(strip), api.right(source))
    for number, index in enumerate(timing.indices(strip, scene, begin, end - begin)):
        yield begin - start + number, paths[index]


def export_frame(scene: bpy.types.Scene, source_name: str, frame: int, target: Path) -> Path:
    """Writes what the source shows at timeline frame `frame`, at full size, beside `target` (no ending, a name that is free).

    The picture of an image strip is copied as it is; what the engine would have Blender render is rendered, as PNG.
    Returns the file. Raises `StripError`.
    """
    source = find_source(scene, source_name)
    how = treatment.of_source(scene, source)
    if not api.left(source) <= frame < api.right(source):
        span = f"frames {api.left(source)} to {api.right(source) - 1}"
        raise StripError(f"Frame {frame} is outside strip '{source.name}' ({span}): move the playhead over it.")
    try:
        if how.how is How.DIRECT and source.type == "IMAGE":
            (index,) = timing.indices(source, scene, frame, 1)
            path = files.paths(source)[index]
            made = target.with_name(target.name + path.suffix.lower())
            shutil.copyfile(path, made)
            return made
        return _render(scene, source, how.how, frame, target)
    except OSError as error:
        raise StripError(f"The frame cannot be written to {target.parent} ({error.strerror}): choose another output folder.") from error


def _render(scene: bpy.types.Scene, source: api.Strip, how: How, frame: int, target: Path) -> Path:
    folder = target.with_name(f".{target.name}.part")
    if how is How.FRAME:
        size, alpha, deep = (scene.render.resolution_x, scene.render.resolution_y), True, False
    else:
        picture = files.picture(source)
        size, alpha, deep, how = picture.size, picture.alpha, files.deep(source), How.PIXELS
    task = Render(f"Rendering strip '{source.name}'", 1, scene.name, source.name, how, frame, size, folder, alpha, deep)
    before = scene.frame_current
    try:
        for _ in task.run_steps():
            pass
        made = target.with_name(target.name + ".png")
        (folder / "000000.png").rename(made)
        return made
    finally:
        scene.frame_set(before)
        shutil.rmtree(folder, ignore_errors=True)


def place_reference(scene: bpy.types.Scene, source_name: str, path: Path, frame: int, channel: int) -> api.Strip:
    """An image strip of one frame on `channel`, looking like the source. Raises `StripError` when the place is taken."""
    return place(scene, source_name, path, None, frame, 1, path.stem, channel=channel)


def check_free(scene: bpy.types.Scene, channel: int, frame: int) -> None:
    """Raises `StripError` when a strip of the channel lies on the frame."""
    for strip in api.top_strips(scene):
        if strip.channel == channel and api.left(strip) <= frame < api.right(strip):
            raise StripError(f"Channel {channel} already has strip '{strip.name}' at frame {frame}: move or delete it first.")
