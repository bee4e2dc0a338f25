"""The ranges of frames that can be asked for by name."""
from __future__ import annotations

import bpy

from .strips import StripError

AROUND = 12
"""Frames before and after the playhead."""

STRIP, PREVIEW, PLAYHEAD = "STRIP", "PREVIEW", "PLAYHEAD"
ITEMS = [
    (STRIP, "Whole Strip", "Every frame of the source strip"),
    (PREVIEW, "Preview Range", "The frames of the scene's preview range that the strip shows"),
    (PLAYHEAD, "Around Playhead", f"{AROUND} frames before and after the current frame"),
]


def of(scene: bpy.types.Scene, name: str) -> tuple[int, int] | None:
    """The first and the last timeline frame; None: the whole strip. Raises `StripError` without a preview range."""
    if name == PLAYHEAD:
        return scene.frame_current - AROUND, scene.frame_current + AROUND
    if name == PREVIEW:
        if not scene.use_preview_range:
            raise StripError("The scene has no preview range: set one (P in the timeline), or choose other frames.")
        return scene.frame_preview_start, scene.frame_preview_end
    return None
