"""The operator `sequencer.flow_inpaint`: a removal run by a window's timer, or to its end where there is no window."""
from __future__ import annotations

import time
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import engine_client, preferences, properties, removal

_TICK = 0.1


class SEQUENCER_OT_flow_inpaint(bpy.types.Operator):
    """Remove what the mask channel covers from the strip and put the repaired footage on a channel above it"""

    bl_idname = "sequencer.flow_inpaint"
    bl_label = "Flow Inpaint"
    bl_options = {"REGISTER", "UNDO"}
    __annotations__ = properties.operator_annotations()

    _removal = None
    _timer = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if properties.scene_of(context).sequence_editor is None:
            cls.poll_message_set("The scene has no strips")
            return False
        return True

    def draw(self, _context: bpy.types.Context) -> None:
        """Offers nothing to adjust afterwards: every change would run the whole removal again."""
        self.layout.label(text="To run again with other settings, use the Flow Inpaint tab")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        try:
            self._removal = self._begin(context)
            self._removal.advance()
        except (removal.RemovalError, engine_client.EngineError) as error:
            return self._failed(error)
        self._timer = context.window_manager.event_timer_add(_TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        self._show(context)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.options.is_repeat or self.options.is_repeat_last:
            return self._failed("Flow Inpaint does not repeat itself: use the button in the Flow Inpaint tab.")
        try:
            self._removal = self._begin(context)
            removal.run(self._removal, lambda text: print(text, flush=True))
        except (removal.RemovalError, engine_client.EngineError) as error:
            return self._failed(error)
        return self._done()

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if removal.running is not self._removal:
            self._clear(context)
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS":
            self._removal.cancel()
            self._show(context)
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"} if self._removal.blocks_editing else {"PASS_THROUGH"}
        try:
            more = self._advance()
        except removal.Cancelled:
            self._clear(context)
            self.report({"INFO"}, "Flow Inpaint was stopped: nothing was changed")
            return {"CANCELLED"}
        except removal.RemovalError as error:
            self._clear(context)
            return self._failed(error)
        except BaseException:
            self._clear(context)
            raise
        if more:
            self._show(context)
            return {"PASS_THROUGH"}
        self._clear(context)
        return self._done()

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender takes the operator away: its window closes, another file is opened."""
        if self._removal is not None:
            self._removal.stop()
        self._clear(context)

    def _begin(self, context: bpy.types.Context) -> removal.Removal:
        scene = properties.scene_of(context)
        request = properties.request(scene, properties.given_to(self))
        return removal.Removal(scene, request, preferences.engine_python(context))

    def _advance(self) -> bool:
        """As much as a tick has time for: one look at the engine, or some frames that Blender renders."""
        end = time.monotonic() + _TICK
        more = self._removal.advance()
        while more and self._removal.blocks_editing and time.monotonic() < end:
            more = self._removal.advance()
        return more

    def _show(self, context: bpy.types.Context) -> None:
        context.workspace.status_text_set(f"{self._removal.status()}  (ESC stops it)")
        _redraw()

    def _clear(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        for workspace in bpy.data.workspaces:
            workspace.status_text_set(None)
        _redraw()

    def _failed(self, error: Exception | str) -> set[str]:
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def _done(self) -> set[str]:
        for note in self._removal.notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, f"'{self._removal.strip_name}' is on channel {self._removal.channel}: {self._removal.path}")
        return {"FINISHED"}


class FLOW_INPAINT_OT_use_preset(bpy.types.Operator):
    """Forget the changed parameters and use the preset's values"""

    bl_idname = "flow_inpaint.use_preset"
    bl_label = "Use the Preset's Values"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        properties.scene_of(context).flow_inpaint.changes = ""
        return {"FINISHED"}


def _redraw() -> None:
    """The sidebars only: drawing a preview can take as long as rendering a frame."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions if area.type == "SEQUENCE_EDITOR" else ():
                if region.type == "UI":
                    region.tag_redraw()


@persistent
def _stop_running(*_: Any) -> None:
    """Another file takes this one's place, or the add-on leaves."""
    if removal.running is not None:
        removal.running.stop()


_CLASSES = (SEQUENCER_OT_flow_inpaint, FLOW_INPAINT_OT_use_preset)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.app.handlers.load_pre.append(_stop_running)


def unregister() -> None:
    _stop_running()
    bpy.app.handlers.load_pre.remove(_stop_running)
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
