"""Sentences that are longer than a line: Blender's labels do not wrap."""
from __future__ import annotations

import bpy

_LETTER, _ICON = 7, 26  # pixels: of a letter on average and with some to spare, of the icon and the margins


def draw(layout: bpy.types.UILayout, text: str, width: int, icon: str = "ERROR") -> None:
    """The text on as many lines as `width` pixels need."""
    per_line = max(20, round((width / bpy.context.preferences.system.ui_scale - _ICON) / _LETTER))
    column = layout.column(align=True)
    column.scale_y = 0.8
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= per_line:
            column.label(text=line, icon=icon)
            line, icon = "", "BLANK1"
        line += f" {word}" if line else word
    column.label(text=line, icon=icon)
