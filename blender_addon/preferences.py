"""The add-on's preferences: which Python runs the engine, and how to get the engine into it."""
from __future__ import annotations

import os

import bpy
from bpy.props import StringProperty

from . import descriptor, engine_client, sentence

_FRAME = 60  # pixels that the frame around an add-on's preferences takes


def engine_python(context: bpy.types.Context) -> str:
    """The interpreter for the engine. Raises `engine_client.EngineError` when none is set or it does not exist."""
    addon = context.preferences.addons.get(__package__)
    preference = addon.preferences.engine_python if addon and addon.preferences else ""
    return engine_client.find_python(bpy.path.abspath(preference))


def _install_command(_preferences: bpy.types.AddonPreferences) -> str:
    wheel = descriptor.bundled_wheel()
    package = str(wheel) if wheel else "flow-inpaint"
    try:
        python = engine_python(bpy.context)
    except engine_client.EngineError:
        python = "python3"
    return " ".join(f'"{word}"' if " " in word else word for word in (python, "-m", "pip", "install", package))


def _keep_command(_preferences: bpy.types.AddonPreferences, _text: str) -> None:
    """The field can be entered, which is how its text is copied, but not changed."""


class FlowInpaintPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__
    __annotations__ = {
        "engine_python": StringProperty(
            name="Engine Python",
            description="The Python 3.11 or later that has the flow-inpaint package; the folder of a virtual environment will do",
            subtype="FILE_PATH",
        ),
        "install_command": StringProperty(
            name="Install Command",
            description="Run this in a terminal to put the engine into its Python. Hover over the field and press Ctrl C to copy it",
            get=_install_command,
            set=_keep_command,
        ),
    }

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.prop(self, "engine_python")
        try:
            python = engine_python(context)
        except engine_client.EngineError as error:
            sentence.draw(layout, str(error), context.region.width - _FRAME)
        else:
            told = f" ({engine_client.VARIABLE} says so)" if os.environ.get(engine_client.VARIABLE, "").strip() else ""
            layout.label(text=f"The engine runs in {python}{told}")
        layout.prop(self, "install_command")
        wheel = descriptor.bundled_wheel()
        if wheel:
            layout.label(text=f"The engine's package lies in {wheel}")


def register() -> None:
    bpy.utils.register_class(FlowInpaintPreferences)


def unregister() -> None:
    bpy.utils.unregister_class(FlowInpaintPreferences)
