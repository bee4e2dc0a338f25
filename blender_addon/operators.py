"""The operators that start something: a removal, an update, a preview, a check. In a window they join the queue; where there is
no window, or when a script says EXEC_DEFAULT, they work to the end and return when everything is there."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from . import heartbeat, jobs, looking, preferences, previews, properties, removal, task, updating
from .task import TROUBLE, Cancelled, Task, TaskError, in_words
from .with_strips import WithStrips

TROUBLES = (TaskError, *TROUBLE)


class _Starts(WithStrips):
    """What the operators have in common that start a task."""

    def draw(self, _context: bpy.types.Context) -> None:
        """Offers nothing to adjust afterwards: every change would run the whole removal again."""
        self.layout.label(text="To run again with other settings, use the Flow Inpaint tab")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        try:
            jobs.add(self._making(context))
        except TROUBLES as error:
            return self._failed(error)
        heartbeat.start()
        # Handled, and nothing done yet: no undo step. The job makes its own when it ends.
        return {"INTERFACE"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.options.is_repeat or self.options.is_repeat_last:
            return self._failed("Flow Inpaint does not repeat itself: use the button in the Flow Inpaint tab.")
        if jobs.busy():
            return self._failed("Flow Inpaint is already at work: wait for its end, or stop it in the Flow Inpaint tab.")
        try:
            done = self._making(context)()
            task.run(done, lambda text: print(text, flush=True))
        except TROUBLES as error:
            return self._failed(error)
        except Cancelled:
            return self._failed("Flow Inpaint was stopped.")
        for note in done.notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, done.outcome())
        return {"FINISHED"}

    def _making(self, context: bpy.types.Context) -> Callable[[], Task]:
        """What makes the task, now or at another try: it holds none of Blender's data. Raises `TROUBLES`."""
        raise NotImplementedError

    def _failed(self, error: Exception | str) -> set[str]:
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}


def _again(scene: bpy.types.Scene, make: Callable[[bpy.types.Scene], Task]) -> Callable[[], Task]:
    """Makes a task of a scene that may have another name by then, or be gone."""
    uid, name = scene.session_uid, scene.name

    def made() -> Task:
        found = next((one for one in bpy.data.scenes if one.session_uid == uid), None)
        if found is None:
            raise TaskError(f"The scene '{name}' is gone: start again in another one.", bad_input=True)
        try:
            return make(found)
        except TROUBLE as error:
            raise in_words(error) from error

    return made


class SEQUENCER_OT_flow_inpaint(_Starts, bpy.types.Operator):
    """Remove what the mask channel covers from the strip and put the repaired footage on a channel above it"""

    bl_idname = "sequencer.flow_inpaint"
    bl_label = "Flow Inpaint"
    bl_options = {"REGISTER", "UNDO"}
    __annotations__ = properties.operator_annotations()

    def _making(self, context: bpy.types.Context) -> Callable[[], Task]:
        scene = properties.scene_of(context)
        request = _named(scene, properties.request(scene, properties.given_to(self)))
        python = preferences.engine_python(context)
        return _again(scene, lambda found: removal.Removal(found, request, python))


class SEQUENCER_OT_flow_inpaint_update(_Starts, bpy.types.Operator):
    """Make the result again where its source, its matte or the settings have changed since"""

    bl_idname = "sequencer.flow_inpaint_update"
    bl_label = "Update"
    bl_options = {"REGISTER", "UNDO"}
    __annotations__ = {
        "strip": StringProperty(name="Strip", description="Name of the result to update; empty for the active strip", options={"SKIP_SAVE"}),
        "settings": EnumProperty(
            name="Settings",
            description="Where the settings come from",
            items=[
                ("RECIPE", "As It Was Made", "The settings that the result was made with"),
                ("PANEL", "From the Panel", "The settings that the panel shows"),
            ],
            options={"SKIP_SAVE"},
        ),
    }

    @classmethod
    def description(cls, _context: bpy.types.Context, given: Any) -> str:
        if given.settings == "PANEL":
            return "Make the result again with the settings that the panel shows now"
        return cls.__doc__

    def _making(self, context: bpy.types.Context) -> Callable[[], Task]:
        scene = properties.scene_of(context)
        name = self.strip or removal.active_strip(scene)
        settings = updating.settings_of(properties.request(scene, {})) if self.settings == "PANEL" else None
        python = preferences.engine_python(context)
        return _again(scene, lambda found: updating.Update(found, name, python, settings))


class SEQUENCER_OT_flow_inpaint_preview(_Starts, bpy.types.Operator):
    """Inpaint the frame under the playhead, with enough frames around it, and show it as an image"""

    bl_idname = "sequencer.flow_inpaint_preview"
    bl_label = "Preview Frame"
    bl_options = {"REGISTER"}

    def _making(self, context: bpy.types.Context) -> Callable[[], Task]:
        return _look(context, looking.Preview)


class SEQUENCER_OT_flow_inpaint_check(_Starts, bpy.types.Operator):
    """Say what the removal would take: how much is masked, time, memory and methods"""

    bl_idname = "sequencer.flow_inpaint_check"
    bl_label = "Check"
    bl_options = {"REGISTER"}

    def _making(self, context: bpy.types.Context) -> Callable[[], Task]:
        return _look(context, looking.Check)


def _look(context: bpy.types.Context, kind: type) -> Callable[[], Task]:
    scene = properties.scene_of(context)
    request = _named(scene, properties.request(scene, {}))
    python = preferences.engine_python(context)
    return _again(scene, lambda found: kind(found, request, python))


def _named(scene: bpy.types.Scene, request: properties.Request) -> properties.Request:
    """With the active strip's name in it, so that the same one is meant later."""
    return replace(request, source=request.source or removal.active_strip(scene))


class FLOW_INPAINT_OT_job(bpy.types.Operator):
    """Stop the job, start it again, or clear the list"""

    bl_idname = "flow_inpaint.job"
    bl_label = "Job"
    bl_options = {"INTERNAL"}
    __annotations__ = {
        "number": bpy.props.IntProperty(options={"SKIP_SAVE"}),
        "action": EnumProperty(
            items=[
                ("CANCEL", "Stop", "Stop this job, or take it out of the queue"),
                ("RETRY", "Retry", "Put the job at the end of the queue once more, with the strips as they are now"),
                ("CLEAR", "Clear", "Take the jobs that are over from the list"),
            ],
            options={"SKIP_SAVE"},
        ),
        "all": BoolProperty(name="All", description="Stop everything that runs or waits", options={"SKIP_SAVE"}),
    }

    @classmethod
    def description(cls, _context: bpy.types.Context, given: Any) -> str:
        if given.action == "CANCEL" and given.all:
            return "Stop everything that runs or waits"
        return cls.bl_rna.properties["action"].enum_items[given.action].description

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            if self.action == "RETRY":
                jobs.retry(self.number)
                heartbeat.start()
            elif self.action == "CLEAR":
                jobs.clear()
            else:
                for job in list(jobs.listed) if self.all else [jobs.find(self.number)]:
                    if job is not None:
                        jobs.cancel(job.number)
        except TROUBLES as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        heartbeat.redraw()
        return {"FINISHED"}


class FLOW_INPAINT_OT_look_so_far(bpy.types.Operator):
    """Look at the frames that are finished: a sequence in an image editor that follows the playhead and grows. It closes with the job"""

    bl_idname = "flow_inpaint.look_so_far"
    bl_label = "Look at What Is Finished"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        job = jobs.running()
        if job is not None and job.task.so_far is not None:
            job.task.so_far.ask()
        if job is None or job.task.so_far is None or not job.task.so_far.count:
            self.report({"ERROR"}, "No frame of a result is finished yet: wait until the result is being written.")
            return {"CANCELLED"}
        previews.show_so_far(job.task.so_far)
        return {"FINISHED"}


class FLOW_INPAINT_OT_use_preset(bpy.types.Operator):
    """Forget the changed parameters and use the preset's values"""

    bl_idname = "flow_inpaint.use_preset"
    bl_label = "Use the Preset's Values"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        properties.scene_of(context).flow_inpaint.changes = ""
        return {"FINISHED"}


_CLASSES = (
    SEQUENCER_OT_flow_inpaint,
    SEQUENCER_OT_flow_inpaint_update,
    SEQUENCER_OT_flow_inpaint_preview,
    SEQUENCER_OT_flow_inpaint_check,
    FLOW_INPAINT_OT_job,
    FLOW_INPAINT_OT_look_so_far,
    FLOW_INPAINT_OT_use_preset,
)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(_CLASSES)


def register() -> None:
    _register_classes()
    heartbeat.register()


def unregister() -> None:
    heartbeat.unregister()
    _unregister_classes()
