"""The operator that adds the passes of a result as strips, and takes them away again."""
from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

from . import passes, properties, removal, strips
from .task import TaskError
from .with_strips import WithStrips


class SEQUENCER_OT_flow_inpaint_passes(WithStrips, bpy.types.Operator):
    """Add the passes of the result as muted strips above it: where its pixels come from, what was invented, how sure it is"""

    bl_idname = "sequencer.flow_inpaint_passes"
    bl_label = "Passes"
    bl_options = {"REGISTER", "UNDO"}
    __annotations__ = {
        "strip": StringProperty(name="Strip", description="Name of the result; empty for the active strip", options={"SKIP_SAVE"}),
        "action": EnumProperty(
            name="Action",
            items=[
                ("REVEAL", "Reveal Passes", "Add the passes that were written with the result as muted strips above it"),
                ("REMOVE", "Remove Pass Strips", "Take the strips of the result's passes away. Their files stay"),
            ],
            options={"SKIP_SAVE"},
        ),
    }

    @classmethod
    def description(cls, _context: bpy.types.Context, given: Any) -> str:
        return cls.bl_rna.properties["action"].enum_items[given.action].description

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = properties.scene_of(context)
        try:
            result = strips.find_source(scene, self.strip or removal.active_strip(scene))
            if self.action == "REMOVE":
                self._say(passes.hide(scene, result), "no longer shown")
            else:
                self._say(len(passes.reveal(scene, result)), "on the channels above the result, muted")
        except (strips.StripError, TaskError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _say(self, count: int, where: str) -> None:
        self.report({"INFO"}, f"{count} pass{'es are' if count > 1 else ' is'} {where}" if count else "Nothing to do: it is so already")


def register() -> None:
    bpy.utils.register_class(SEQUENCER_OT_flow_inpaint_passes)


def unregister() -> None:
    bpy.utils.unregister_class(SEQUENCER_OT_flow_inpaint_passes)
