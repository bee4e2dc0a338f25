"""The sequencer's sidebar tab: the scene's settings, what is wrong with them, the buttons, the jobs, and the active result."""
from __future__ import annotations

import time
from typing import Any

import bpy

from . import channels, descriptor, diagnosis, engine_panel, jobs, looking, matte_overlay, passes, properties, recipe, sentence, strips

_ICONS = {
    jobs.State.WAITING: "TIME",
    jobs.State.DONE: "CHECKMARK",
    jobs.State.FAILED: "ERROR",
    jobs.State.CANCELLED: "X",
}
_SEEN_S = 2.0

_seen: dict[tuple[str, str], tuple[float, int, list[str]]] = {}


class _SequencerTab:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Flow Inpaint"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.space_data.view_type != "PREVIEW"

    def _settings_layout(self) -> bpy.types.UILayout:
        """The panel's layout, for settings in two columns, names and values."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout


class SEQUENCER_PT_flow_inpaint(_SequencerTab, bpy.types.Panel):
    bl_label = "Flow Inpaint"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self._settings_layout()
        scene = properties.scene_of(context)
        settings, source = scene.flow_inpaint, strips.active(scene)
        _draw_source(layout, source)
        row = channels.draw_mask(layout, scene)
        masks = diagnosis.masks_of(scene)
        shown = row.row(align=True)
        shown.enabled = bool(masks)
        shown.operator("flow_inpaint.show_matte", text="", icon="OVERLAY", depress=strips.mattes.shown(masks))
        row.operator("flow_inpaint.make_matte", text="", icon="ADD")
        if shown.enabled and matte_overlay.trouble():
            sentence.draw(layout, matte_overlay.trouble(), context.region.width)
        channels.draw_reference(layout, scene)
        for name in ("preset", "range", "output"):
            layout.prop(settings, name)
        ready = engine_panel.draw(layout, context, context.region.width)
        found = diagnosis.problems(scene)
        _draw_problems(layout, found, context.region.width)
        column = layout.column(align=True)
        column.enabled = ready and not found
        start = column.row(align=True)
        start.scale_y = 1.3
        start.operator("sequencer.flow_inpaint", text="Remove", icon="PLAY")
        looks = column.row(align=True)
        looks.operator("sequencer.flow_inpaint_preview", icon="IMAGE_DATA")
        looks.operator("sequencer.flow_inpaint_check", icon="INFO")
        layout.operator("sequencer.flow_inpaint_export_frame", icon="BRUSH_DATA")
        if source is not None and looking.last_check.get("strip") == source.name:
            for line in looking.last_check["lines"]:
                sentence.draw(layout, line, context.region.width, icon="BLANK1")


class SEQUENCER_PT_flow_inpaint_result(_SequencerTab, bpy.types.Panel):
    """What the active strip is, when a removal made it."""

    bl_label = "Result"
    bl_parent_id = "SEQUENCER_PT_flow_inpaint"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        source = strips.active(properties.scene_of(context))
        return super().poll(context) and source is not None and recipe.read(source) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        strip = strips.active(properties.scene_of(context))
        made = recipe.read(strip)
        preset = descriptor.presets().get(made.request["params"].get("preset", ""), {}).get("label", "?")
        layout.label(text=f"Made of '{made.source['name']}' by version {made.engine}, preset {preset}")
        missing, there = _on_disk(strip)
        if missing:
            sentence.draw(layout, f"{missing} of its files {'is' if missing == 1 else 'are'} missing: make them again.", context.region.width)
        column = layout.column(align=True)
        label = "Make the Missing Again" if missing else "Update"
        column.operator("sequencer.flow_inpaint_update", text=label, icon="FILE_REFRESH").settings = "RECIPE"
        column.operator("sequencer.flow_inpaint_update", text="Update with the Panel's Settings").settings = "PANEL"
        column.operator("flow_inpaint.load_settings")
        shown = passes.revealed(properties.scene_of(context), made.id)
        row = layout.row(align=True)
        if len(shown) < len(there):
            row.operator("sequencer.flow_inpaint_passes", text="Reveal Passes", icon="HIDE_OFF").action = "REVEAL"
        if shown:
            row.operator("sequencer.flow_inpaint_passes", text="Remove Pass Strips", icon="HIDE_ON").action = "REMOVE"


class SEQUENCER_PT_flow_inpaint_output(_SequencerTab, bpy.types.Panel):
    """What is made, how it is stored, and which pictures about it are written too."""

    bl_label = "Output"
    bl_parent_id = "SEQUENCER_PT_flow_inpaint"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self._settings_layout()
        settings = properties.scene_of(context).flow_inpaint
        patch = settings.result == properties.PATCH
        layout.prop(settings, "result")
        whole = layout.column()
        whole.enabled = not patch  # a patch has a format of its own, and needs its source
        whole.prop(settings, "format")
        whole.prop(settings, "mute_source")
        column = channels.labelled(layout, "Passes").column(align=True)
        column.use_property_split = False  # each would get its name as a label too
        for name in descriptor.passes():
            if not (patch and name == properties.PATCH):
                column.prop_enum(settings, "passes", name)


class SEQUENCER_PT_flow_inpaint_jobs(_SequencerTab, bpy.types.Panel):
    bl_label = "Jobs"
    bl_parent_id = "SEQUENCER_PT_flow_inpaint"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super().poll(context) and bool(jobs.listed)

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        for job in jobs.in_order():
            _draw_job(layout.box(), job, context.region.width)
        row = layout.row(align=True)
        if len([job for job in jobs.listed if not job.over]) > 1:
            stop = row.operator("flow_inpaint.job", text="Stop All", icon="CANCEL")
            stop.action, stop.all = "CANCEL", True
        if any(job.over for job in jobs.listed):
            row.operator("flow_inpaint.job", text="Clear List").action = "CLEAR"


class SEQUENCER_PT_flow_inpaint_advanced(_SequencerTab, bpy.types.Panel):
    bl_label = "Advanced"
    bl_parent_id = "SEQUENCER_PT_flow_inpaint"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self._settings_layout()
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


def _draw_source(layout: bpy.types.UILayout, strip: Any) -> None:
    row = channels.labelled(layout, "Source")
    if strip is None:
        row.label(text="No active strip", icon="INFO")
    else:
        line = row.row(align=True)
        line.label(text=strip.name, translate=False)
        marked = recipe.mark_of(strip) is not None
        line.operator("flow_inpaint.mark", text="", icon="BOOKMARKS", depress=marked, emboss=marked)


def _draw_problems(layout: bpy.types.UILayout, found: list[diagnosis.Problem], width: int) -> None:
    for problem in found[:2]:
        box = layout.box()
        sentence.draw(box, problem.text, width)
        if problem.operator:
            box.operator(problem.operator, text=problem.label)


def _draw_job(layout: bpy.types.UILayout, job: jobs.Job, width: int) -> None:
    row = layout.row()
    row.label(text=f"{job.verb} '{job.subject}'", icon=_ICONS.get(job.state, "PLAY"))
    if job.over:
        button = row.operator("flow_inpaint.job", text="", icon="LOOP_BACK", emboss=False)
        button.action = "RETRY"
    else:
        button = row.operator("flow_inpaint.job", text="", icon="X", emboss=False)
        button.action = "CANCEL"
    button.number = job.number
    if job.state is jobs.State.RUNNING:
        layout.progress(factor=job.task.fraction, text=job.status())
        so_far = job.task.so_far
        if so_far is not None:
            so_far.ask()  # whoever sees this may press the button
        if so_far is not None and so_far.count:
            last = so_far.start + so_far.count - 1
            layout.operator("flow_inpaint.look_so_far", text=f"Look at Frames {so_far.start} to {last}", icon="IMAGE_DATA")
    elif job.text:
        sentence.draw(layout, job.text, width, icon="BLANK1")


def _on_disk(strip: Any) -> tuple[int, list[str]]:
    """How many of the result's files are missing, and which passes it has. The disk is not asked at every redraw."""
    key = (strip.name, str(strips.files.first(strip)))
    at, number, there = _seen.get(key, (0.0, 0, []))
    if time.monotonic() - at > _SEEN_S:
        number, there = len(recipe.missing(strip)), passes.found(strip)
        _seen.clear()
        _seen[key] = time.monotonic(), number, there
    return number, there


def _menu(self: Any, _context: bpy.types.Context) -> None:
    """The end of the Strip menu and of the context menu."""
    layout = self.layout
    layout.separator()
    layout.operator_context = "INVOKE_DEFAULT"
    layout.menu("SEQUENCER_MT_flow_inpaint")


class SEQUENCER_MT_flow_inpaint(bpy.types.Menu):
    bl_label = "Flow Inpaint"

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("sequencer.flow_inpaint", text="Remove")
        layout.operator("sequencer.flow_inpaint_update")
        layout.operator("sequencer.flow_inpaint_passes", text="Reveal Passes").action = "REVEAL"
        layout.operator("sequencer.flow_inpaint_passes", text="Remove Pass Strips").action = "REMOVE"
        layout.separator()
        layout.operator("sequencer.flow_inpaint_preview")
        layout.operator("sequencer.flow_inpaint_check")
        layout.separator()
        for name in ("make_matte", "draw_matte", "show_matte", "mark"):
            layout.operator(f"flow_inpaint.{name}")


_CLASSES = (
    SEQUENCER_PT_flow_inpaint,
    SEQUENCER_PT_flow_inpaint_jobs,
    SEQUENCER_PT_flow_inpaint_result,
    SEQUENCER_PT_flow_inpaint_output,
    SEQUENCER_PT_flow_inpaint_advanced,
    SEQUENCER_MT_flow_inpaint,
)
_MENUS = ("SEQUENCER_MT_strip", "SEQUENCER_MT_context_menu")
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(_CLASSES)


def register() -> None:
    _register_classes()
    for name in _MENUS:
        getattr(bpy.types, name).append(_menu)


def unregister() -> None:
    for name in _MENUS:
        getattr(bpy.types, name).remove(_menu)
    _unregister_classes()
