"""Shows a preview's picture in an image editor: one that is open, else one in a window of its own."""
from __future__ import annotations

from typing import Any

import bpy

from . import looking, strips
from .task import Task


def show(task: Task) -> None:
    """Shows what the task has made, when it is a preview."""
    image = bpy.data.images.get(getattr(task, "image", "") or "")
    if image is not None and isinstance(task, looking.Preview):
        space = editor()
        if space is not None:
            space.mode = "VIEW"
            space.image = image
            _fit_soon()


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
