"""The mask channel as a drop-down with the channels' names; what is stored is the channel's number."""
from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty

from . import strips

_shown: list[tuple[str, str, str, int]] = []


def names(scene: bpy.types.Scene, besides: int) -> dict[int, str]:
    """The channels that have strips, and the one that is set, by number: with their names, from the top down as in the timeline."""
    numbers = {strip.channel for strip in strips.top_strips(scene) if strip.type != "SOUND"} | {besides}
    channels = scene.sequence_editor.channels if scene.sequence_editor else []
    return {n: channels[n].name if n < len(channels) else f"Channel {n}" for n in sorted(numbers, reverse=True)}


def choice() -> Any:
    return EnumProperty(
        name="Mask Channel",
        description="The channel whose strips are white, or opaque, over what is to be removed",
        items=_items,
        get=_get,
        set=_set,
        options={"SKIP_SAVE"},
    )


def _items(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> list[tuple[str, str, str, int]]:
    found = []
    for number, name in names(settings.id_data, settings.mask_channel).items():
        label = name if str(number) in name.split() else f"{name} ({number})"
        here = [s.name for s in strips.top_strips(settings.id_data) if s.channel == number and s.type != "SOUND"]
        found.append((str(number), label, ", ".join(here[:4]) or "There is no strip in this channel", number))
    # Blender keeps no copy of the texts: they have to outlive this call.
    _shown[:] = found
    return _shown


def _get(settings: bpy.types.PropertyGroup) -> int:
    return settings.mask_channel


def _set(settings: bpy.types.PropertyGroup, value: int) -> None:
    settings.mask_channel = value
