"""Shows pictures in an image editor, one that is open or else one in a window of its own: a preview's, and what is finished of a job."""
from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import bpy

from . import looking, strips
from .outputs import SoFar
from .task import Task

SO_FAR = "Flow Inpaint So Far"
_GROW_S = 1.0

_grown_at = 0.0


def show(task: Task) -> None:
    """Shows what the task has made, when it is a preview."""
    image = bpy.data.images.get(getattr(task, "image", "") or "")
    if image is not None and isinstance(task, looking.Preview):
        space = editor()
        if space is not None:
            space.mode = "VIEW"
            space.image = image
            _fit_soon()


def show_so_far(so_far: SoFar) -> None:
    """Opens the finished frames as a sequence that follows the playhead, and goes on growing. Nothing of it is in the timeline."""
    close_so_far()
    space = editor()
    if space is None:
        return
    image = bpy.data.images.load(str(so_far.folder / f"{so_far.first:05d}.jpg"))
    image.name, image.source = SO_FAR, "SEQUENCE"
    space.mode, space.image = "VIEW", image
    user = space.image_user
    # The picture of the sequence's first frame is the one with number 1 plus the offset.
    user.frame_start, user.frame_offset, user.frame_duration = so_far.start, so_far.first - 1, so_far.count
    user.use_auto_refresh = True
    _fit_soon()


def grow(so_far: SoFar) -> None:
    """Lets the sequence that is shown know what has been finished since. Seldom: each time Blender may read a picture."""
    global _grown_at
    if SO_FAR not in bpy.data.images or time.monotonic() - _grown_at < _GROW_S:
        return
    _grown_at = time.monotonic()
    for space in _editors():
        if space.image is not None and space.image.name == SO_FAR and space.image_user.frame_duration != so_far.count:
            space.image_user.frame_duration = so_far.count


def close_so_far() -> None:
    """The files go with the job, and the picture with them."""
    image = bpy.data.images.get(SO_FAR)
    if image is not None:
        bpy.data.images.remove(image)


def _editors() -> Iterator[bpy.types.SpaceImageEditor]:
    for window in bpy.context.window_manager.windows:
        yield from (area.spaces.active for area in window.screen.areas if area.type == "IMAGE_EDITOR")


def _fit_soon() -> None:
    """The whole picture in the editor, once that has its size."""
    bpy.app.timers.register(_fit, first_interval=0.3)


def _fit() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            region = next((r for r in area.regions if r.type == "WINDOW"), None)
            if area.type == "IMAGE_EDITOR" and area.spaces.active.image is not None and region is not None:
                with bpy.context.temp_override(window=window, area=area, region=region):
                    bpy.ops.image.view_all(fit_view=True)


def editor() -> bpy.types.SpaceImageEditor | None:
    """An image editor that can be seen; None where there is no window."""
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return None
    for window in windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.tag_redraw()
                return area.spaces.active
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.wm.window_new()
    area = max(bpy.context.window_manager.windows[-1].screen.areas, key=lambda one: one.width * one.height)
    area.type = "IMAGE_EDITOR"
    return area.spaces.active


def draw_mask(scene: bpy.types.Scene, source: Any, mask: bpy.types.Mask) -> None:
    """Opens the mask in an image editor, in front of the source's own picture where it is one that Blender can load."""
    space = editor()
    if space is None:
        return
    space.mode = "MASK"
    space.mask = mask
    paths = strips.files.paths(source) if source.type in ("MOVIE", "IMAGE") else []
    if not paths or not paths[0].is_file():
        return
    image = bpy.data.images.load(str(paths[0]), check_existing=True)
    if source.type == "IMAGE" and len(paths) > 1:
        image.source = "SEQUENCE"
    space.image = image
    user = space.image_user
    user.frame_start, user.frame_duration = strips.left(source), strips.length(source)
    user.frame_offset, user.use_auto_refresh = strips.first_shown(scene, source), True
    _fit_soon()
