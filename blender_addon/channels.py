"""The mask channel and the reference channel as drop-downs with the channels' names; what is stored is the channel's number.

Menus and not enumerations whose items change: Blender 4.2 crashes when it ends with one of those registered.
"""
from __future__ import annotations

import bpy

from . import properties, strips

_NONE = 0


def names(scene: bpy.types.Scene, besides: int) -> dict[int, str]:
    """The channels that have strips, and the one that is set, by number: with their names, from the top down as in the timeline."""
    numbers = {strip.channel for strip in strips.top_strips(scene) if strip.type != "SOUND"} | ({besides} - {_NONE})
    return {number: _name(scene, number) for number in sorted(numbers, reverse=True)}


def _name(scene: bpy.types.Scene, number: int) -> str:
    channels = scene.sequence_editor.channels if scene.sequence_editor else []
    name = channels[number].name if number < len(channels) else f"Channel {number}"
    return name if str(number) in name.split() else f"{name} ({number})"


def draw_mask(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> bpy.types.UILayout:
    """The drop-down. Returns its row, which has room for buttons."""
    return SEQUENCER_MT_flow_inpaint_channels.draw_in(layout, scene)


def draw_reference(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> bpy.types.UILayout:
    """The drop-down. Returns its row, which has room for buttons."""
    return SEQUENCER_MT_flow_inpaint_reference_channels.draw_in(layout, scene)


def labelled(layout: bpy.types.UILayout, text: str) -> bpy.types.UILayout:
    """A row beside a label, in line with the properties around it."""
    split = layout.split(factor=0.4)
    label = split.row()
    label.alignment = "RIGHT"
    label.label(text=text)
    return split


class _Channels:
    """The channels to choose one of the panel's settings from: `setting`, whose value an operator of the same name sets."""

    setting = ""
    optional = False

    @classmethod
    def draw_in(cls, layout: bpy.types.UILayout, scene: bpy.types.Scene) -> bpy.types.UILayout:
        chosen = getattr(scene.flow_inpaint, cls.setting)
        row = labelled(layout, cls.bl_label).row(align=True)
        row.menu(cls.__name__, **cls._said(None if chosen == _NONE else _name(scene, chosen)))
        return row

    def draw(self, context: bpy.types.Context) -> None:
        scene = properties.scene_of(context)
        operator = f"flow_inpaint.{self.setting}"
        here: dict[int, list[str]] = {}
        for strip in strips.top_strips(scene):
            here.setdefault(strip.channel, []).append(strip.name)
        if self.optional:
            self.layout.operator(operator, **self._said(None)).channel = _NONE
        for number, name in names(scene, getattr(scene.flow_inpaint, self.setting)).items():
            inside = ", ".join(here.get(number, ["no strips"])[:3])
            self.layout.operator(operator, **self._said(f"{name}: {inside}")).channel = number

    @staticmethod
    def _said(name: str | None) -> dict[str, str | bool]:
        """The text of a button: what users have named stays as they wrote it, our word for no channel is translated."""
        return {"text": "None"} if name is None else {"text": name, "translate": False}


class SEQUENCER_MT_flow_inpaint_channels(_Channels, bpy.types.Menu):
    bl_label = "Mask Channel"
    bl_description = properties.MASK_CHANNEL_HINT
    setting = "mask_channel"


class SEQUENCER_MT_flow_inpaint_reference_channels(_Channels, bpy.types.Menu):
    bl_label = "Reference Channel"
    bl_description = properties.REFERENCE_CHANNEL_HINT
    setting = "reference_channel"
    optional = True


class _Choice:
    """Sets `setting` to a channel."""

    bl_options = {"UNDO", "INTERNAL"}
    setting = ""

    def execute(self, context: bpy.types.Context) -> set[str]:
        setattr(properties.scene_of(context).flow_inpaint, self.setting, self.channel)
        return {"FINISHED"}


class FLOW_INPAINT_OT_mask_channel(_Choice, bpy.types.Operator):
    """Take the strips of this channel as the matte"""

    bl_idname = "flow_inpaint.mask_channel"
    bl_label = "Mask Channel"
    setting = "mask_channel"
    __annotations__ = {"channel": bpy.props.IntProperty(min=1, max=properties.LAST_CHANNEL, options={"SKIP_SAVE"})}


class FLOW_INPAINT_OT_reference_channel(_Choice, bpy.types.Operator):
    """Take the pictures of this channel as clean frames of the footage, or none"""

    bl_idname = "flow_inpaint.reference_channel"
    bl_label = "Reference Channel"
    setting = "reference_channel"
    __annotations__ = {"channel": bpy.props.IntProperty(min=_NONE, max=properties.LAST_CHANNEL, options={"SKIP_SAVE"})}


_CLASSES = (
    FLOW_INPAINT_OT_mask_channel,
    FLOW_INPAINT_OT_reference_channel,
    SEQUENCER_MT_flow_inpaint_channels,
    SEQUENCER_MT_flow_inpaint_reference_channels,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
