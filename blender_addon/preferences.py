"""The add-on's preferences: the engine that it installs, and another one for those who have their own."""
from __future__ import annotations

import os

import bpy
from bpy.props import StringProperty

from . import engine_choice, engine_client, engine_panel

_FRAME = 60  # pixels that the frame around an add-on's preferences takes


def engine_python(context: bpy.types.Context) -> str:
    """The interpreter for the engine. Raises `engine_client.EngineError` when there is none, or one that is of no use."""
    return engine_choice.python(context)


def _changed(_preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    engine_choice.forget()


class FlowInpaintPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__
    __annotations__ = {
        "engine_folder": StringProperty(
            name="Engine Folder",
            description="Where the engine is installed; empty: in your user folder. Needs up to 15 GB with PyTorch for a graphics card",
            subtype="DIR_PATH",
            update=_changed,
        ),
        "engine_python": StringProperty(
            name="Engine Python",
            description="A Python that has the flow-inpaint package already, used instead of the engine that the add-on installs; "
            "the folder of a virtual environment will do",
            subtype="FILE_PATH",
            update=_changed,
        ),
    }

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        engine_panel.draw_preferences(layout, context, context.region.width - _FRAME)
        layout.prop(self, "engine_folder")
        layout.prop(self, "engine_python")
        variable = os.environ.get(engine_client.VARIABLE, "").strip()
        if variable:
            layout.label(text=f"The environment variable {engine_client.VARIABLE} names another engine: {variable}", icon="INFO")


def register() -> None:
    bpy.utils.register_class(FlowInpaintPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(FlowInpaintPreferences)
