"""The mask channel as a drop-down with the channels' names; what is stored is the channel's number.

A menu and not an enumeration whose items change: Blender 4.2 crashes when it ends with one of those registered.
"""
from __future__ import annotations

import bpy

from . import properties, strips


def names(scene: bpy.types.Scene, besides: int) -> dict[int, str]:
    """The channels that have strips, and the one that is set, by number: with their names, from the top down as in the timeline."""
    numbers = {strip.channel for strip in strips.top_strips(scene) if strip.type != "SOUND"} | {besides}
    channels = scene.sequence_editor.channels if scene.sequence_editor else []
    found = {n: channels[n].name if n < len(channels) else f"Channel {n}" for n in sorted(numbers, reverse=True)}
    return {number: name if str(number) in name.split() else f"{name} ({number})" for number, name in found.items()}


def draw(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> bpy.types.UILayout:
    """The drop-down. Returns its row, which has room for buttons."""
    channel = scene.flow_inpaint.mask_channel
    row = labelled(layout, "Mask Channel").row(align=True)
    row.menu("SEQUENCER_MT_flow_inpaint_channels", text=names(scene, channel)[channel])
    return row


def labelled(layout: bpy.types.UILayout, text: str) -> bpy.types.UILayout:
    """A row beside a label, in line with the properties around it."""
    split = layout.split(factor=0.4)
    label = split.row()
    label.alignment = "RIGHT"
    label.label(text=text)
    return split


class SEQUENCER_MT_flow_inpaint_channels(bpy.types.Menu):
    bl_label = "Mask Channel"
    bl_description = "The channel whose strips are white, or opaque, over what is to be removed"

    def draw(self, context: bpy.types.Context) -> None:
        scene = properties.scene_of(context)
        here: dict[int, list[str]] = {}
        for strip in strips.top_strips(scene):
            here.setdefault(strip.channel, []).append(strip.name)
        for number, name in names(scene, scene.flow_inpaint.mask_channel).items():
            inside = ", ".join(here.get(number, ["no strips"])[:3])
            self.layout.operator("flow_inpaint.mask_channel", text=f"{name}: {inside}", translate=False).channel = number


class FLOW_INPAINT_OT_mask_channel(bpy.types.Operator):
    """Take the strips of this channel as the matte"""

    bl_idname = "flow_inpaint.mask_channel"
    bl_label = "Mask Channel"
    bl_options = {"UNDO", "INTERNAL"}
    __annotations__ = {"channel": bpy.props.IntProperty(min=1, max=128, options={"SKIP_SAVE"})}

    def execute(self, context: bpy.types.Context) -> set[str]:
        properties.scene_of(context).flow_inpaint.mask_channel = self.channel
        return {"FINISHED"}


_CLASSES = (FLOW_INPAINT_OT_mask_channel, SEQUENCER_MT_flow_inpaint_channels)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
