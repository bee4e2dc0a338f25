"""Sentences that are longer than a line: Blender's labels do not wrap."""
from __future__ import annotations

import blf
import bpy

_BESIDES = 84
"""Pixels of a sidebar that are not a label's text, before scaling: its tabs, the panel's and the label's margins, the icon."""
_LEAST = 80


def draw(layout: bpy.types.UILayout, text: str, width: int, icon: str = "ERROR") -> None:
    """The text on as many lines as the `width` pixels of a sidebar need."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for line in lines(text, width):
        column.label(text=line, icon=icon)
        icon = "BLANK1"


def lines(text: str, width: int) -> list[str]:
    """The text as it fits: measured in the letters that Blender draws."""
    preferences = bpy.context.preferences
    scale = preferences.system.ui_scale
    blf.size(0, preferences.ui_styles[0].widget.points * scale)
    room = max(width - _BESIDES * scale, _LEAST * scale)
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}" if found[-1] else word
        if found[-1] and blf.dimensions(0, longer)[0] > room:
            found.append(word)
        else:
            found[-1] = longer
    return found
