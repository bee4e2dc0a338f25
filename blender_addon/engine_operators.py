"""Installing, repairing, upgrading and removing the engine from Blender: a dialog, a timer that looks, and what became of it."""
from __future__ import annotations

import os
import threading
import time

import bpy
from bpy.props import EnumProperty, StringProperty

from . import engine_choice, engine_client, jobs, sentence, warm_engine
from .engine_setup import interpreters, torch_builds
from .engine_setup.errors import SetupError
from .engine_setup.installation import OFFLINE, Change, Installation, Removal, check

_TICK = 0.25
_DIALOG = 480  # pixels wide, before scaling
_SUGGESTED = ("auto", "Automatic", "What suits the graphics card of this machine; without one, no networks")

running: Change | None = None
last: Change | None = None
"""The latest one that has ended; what it has to say stays on show until the next begins."""
last_ended = 0.0


class _Machine:
    """What is found out about this machine, in the background, before the user asks for an installation."""

    def __init__(self) -> None:
        self.python = ""
        self.torch = ""
        self._begun = False

    def look(self) -> None:
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        variables = engine_client.clean_environment()
        self.torch = torch_builds.suggested(torch_builds.nvidia_cuda(variables))
        try:
            self.python = interpreters.find(variables, engine_choice.own_python()).label
        except SetupError as error:
            self.python = str(error)


machine = _Machine()


class FLOW_INPAINT_OT_install_engine(bpy.types.Operator):
    """Install the engine that came with this add-on into a Python environment of its own in your user folder; Blender's stays as it is"""

    bl_idname = "flow_inpaint.install_engine"
    bl_label = "Install Engine"
    bl_options = {"REGISTER", "INTERNAL"}
    __annotations__ = {
        "torch": EnumProperty(
            name="Networks",
            description="Which build of PyTorch is installed for the neural networks; without it, methods do the work that need none",
            items=[_SUGGESTED, *((build.name, build.label, build.hint) for build in torch_builds.builds())],
            options={"SKIP_SAVE"},
        ),
        "python": StringProperty(
            name="Python",
            description="The Python 3.11 or later that the environment is made with; empty: one is looked for",
            subtype="FILE_PATH",
            options={"SKIP_SAVE"},
        ),
        "wheels": StringProperty(
            name="Wheel Folder",
            description="A folder with the engine's packages as wheels, for a machine without network; empty: they are downloaded",
            subtype="DIR_PATH",
            options={"SKIP_SAVE"},
        ),
    }

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if running is not None or _engine_at_work():
            cls.poll_message_set("Wait until what is running has ended")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        machine.look()
        stamp = engine_choice.current(context).place.stamp()
        if stamp is not None and not self.properties.is_property_set("torch"):
            self.torch = stamp.torch if stamp.torch in {build.name for build in torch_builds.builds()} else "auto"
        return context.window_manager.invoke_props_dialog(self, width=_DIALOG, title="Install Engine", confirm_text="Install")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "torch")
        column = layout.column(align=True)
        column.label(text=self._sizes(), icon="IMPORT")
        column.label(text=f"It goes into {engine_choice.root(context)}", icon="FILE_FOLDER")
        layout.prop(self, "python")
        if not self.python:
            layout.label(text=machine.python or "Looking for a Python", icon="CONSOLE")
        layout.prop(self, "wheels")
        if not bpy.app.online_access and not self.wheels:
            sentence.draw(layout, OFFLINE, _DIALOG * context.preferences.system.ui_scale)

    def _sizes(self) -> str:
        """What the choice costs, in words."""
        name = machine.torch if self.torch == "auto" else self.torch
        if not name:
            return "Looking for a graphics card"
        chosen = torch_builds.build(name)
        which = f"Networks here: {chosen.label}; " if self.torch == "auto" else ""
        return which + chosen.sizes()

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            begin(context, self.python, self.torch, self.wheels)
        except SetupError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return _followed(self)


class FLOW_INPAINT_OT_cancel_engine(bpy.types.Operator):
    """Stop installing the engine. What has been downloaded is kept, and the next installation goes on from there"""

    bl_idname = "flow_inpaint.cancel_engine"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        if running is not None:
            running.cancel()
        return {"FINISHED"}


class FLOW_INPAINT_OT_remove_engine(bpy.types.Operator):
    """Delete the engine's Python environment and everything that was downloaded for it"""

    bl_idname = "flow_inpaint.remove_engine"
    bl_label = "Remove Engine"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return running is None and not _engine_at_work()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        begin_removal(context)
        return _followed(self)


class FLOW_INPAINT_OT_engine_log(bpy.types.Operator):
    """Open what the last installation of the engine did, every word of pip included"""

    bl_idname = "flow_inpaint.engine_log"
    bl_label = "Show Log"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        log = engine_choice.current(context).place.log
        if not log.is_file():
            self.report({"ERROR"}, f"There is no log: {log} does not exist")
            return {"CANCELLED"}
        return bpy.ops.wm.path_open(filepath=str(log))


def begin(context: bpy.types.Context, python: str = "", torch: str = "auto", wheels: str = "", torch_index: str = "") -> Installation:
    """Starts an installation, which is then `running`. Raises `SetupError`."""
    global running, last
    if running is not None:
        raise SetupError("The engine is being installed: wait for its end, or cancel it.")
    asked = engine_choice.request(context, python, torch, wheels, torch_index)
    check(asked)
    warm_engine.end()  # the next job is to have the new one
    last = None
    running = Installation(asked, engine_client.clean_environment(os.environ))
    return running


def begin_removal(context: bpy.types.Context) -> Removal:
    """Starts to delete the engine, thousands of files, which is then `running`."""
    global running
    warm_engine.end()
    running = Removal(engine_choice.current(context).place)
    return running


def _followed(operator: bpy.types.Operator) -> set[str]:
    """A timer looks after what is running; without a window, the operator waits for it."""
    if not bpy.app.background:
        bpy.app.timers.register(_look, first_interval=_TICK, persistent=True)
        return {"FINISHED"}
    while not running.join(_TICK):
        pass
    ended = end()
    if ended.error:
        operator.report({"ERROR"}, ended.error)
        return {"CANCELLED"}
    return {"FINISHED"}


def _engine_at_work() -> bool:
    """Whether something runs in the engine's environment, which must not be taken away from under it."""
    return jobs.busy()


def end() -> Change:
    """Takes the one that has finished out of `running`."""
    ended = running
    _ended(ended)
    return ended


def _ended(ended: Change | None) -> None:
    global running, last, last_ended
    running, last, last_ended = None, ended, time.monotonic()
    engine_choice.forget()


def _look() -> float | None:
    if running is not None and running.finished:
        end()
    _redraw()
    return None if running is None else _TICK


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
            for region in area.regions if area.type == "SEQUENCE_EDITOR" else ():
                if region.type == "UI":
                    region.tag_redraw()


_CLASSES = (FLOW_INPAINT_OT_install_engine, FLOW_INPAINT_OT_cancel_engine, FLOW_INPAINT_OT_remove_engine, FLOW_INPAINT_OT_engine_log)
_register_classes, _unregister_classes = bpy.utils.register_classes_factory(_CLASSES)


def register() -> None:
    _register_classes()


def unregister() -> None:
    if running is not None:
        running.cancel()
        _ended(None)
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
    _unregister_classes()
