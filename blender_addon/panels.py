"""The sequencer's sidebar tab: the scene's settings, the button, and what the running removal is doing."""
from __future__ import annotations

import bpy

from . import descriptor, engine_panel, properties, removal


class _SequencerTab:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Flow Inpaint"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.space_data.view_type != "PREVIEW"


class SEQUENCER_PT_flow_inpaint(_SequencerTab, bpy.types.Panel):
    bl_label = "Flow Inpaint"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = properties.scene_of(context)
        settings = scene.flow_inpaint
        column = layout.column()
        column.enabled = removal.running is None
        _draw_source(column, scene)
        for name in ("mask_channel", "reference_channel", "output", "preset", "format"):
            column.prop(settings, name)
        if removal.running is not None:
            layout.progress(factor=removal.running.fraction, text=removal.running.status().removeprefix("Flow Inpaint: "))
            layout.label(text="ESC stops it")
            return
        ready = engine_panel.draw(layout, context, context.region.width)
        row = layout.row()
        row.enabled = ready
        row.operator("sequencer.flow_inpaint", text="Remove", icon="PLAY")
        layout.operator("sequencer.flow_inpaint_export_frame", icon="BRUSH_DATA")


class SEQUENCER_PT_flow_inpaint_advanced(_SequencerTab, bpy.types.Panel):
    bl_label = "Advanced"
    bl_parent_id = "SEQUENCER_PT_flow_inpaint"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.enabled = removal.running is None
        settings = properties.scene_of(context).flow_inpaint
        for group in descriptor.groups():
            header, body = layout.panel(f"SEQUENCER_PT_flow_inpaint_{group['name']}")
            header.label(text=group["label"])
            if body is None:
                continue
            for name, declared in descriptor.parameters().items():
                if declared["group"] == group["name"]:
                    body.prop(settings, name)
        if settings.changed():
            layout.operator("flow_inpaint.use_preset", icon="LOOP_BACK")


def _draw_source(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    row = layout.split(factor=0.4)
    name = row.row()
    name.alignment = "RIGHT"
    name.label(text="Source")
    if strip is None:
        row.label(text="No active strip", icon="INFO")
    else:
        row.label(text=strip.name)


_CLASSES = (SEQUENCER_PT_flow_inpaint, SEQUENCER_PT_flow_inpaint_advanced)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
