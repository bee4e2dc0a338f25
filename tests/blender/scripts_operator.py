"""The operator, run to its end in the background."""
from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import ENGINES, MASK_CHANNEL, SOURCE, WORK, answer, edit, engine, install, listing, room, run, seen, strips


def outcome(case: str, mode: str = "copy", saved: bool = True, **given: Any) -> dict[str, Any]:
    """A run in a fresh file, and what it left."""
    folder = edit(case, saved)
    engine(mode)
    return {"said": run(**given), "strips": seen(), "files": listing(folder), "folder": str(folder)}


def places() -> dict[str, Any]:
    first = outcome("places")
    return first | {"again": run(source=SOURCE), "strips_after": seen(), "files_after": listing(Path(first["folder"]))}


def job(case: str, change: Any = None, **given: Any) -> dict[str, Any]:
    """The parameters of the job that the engine is given."""
    edit(case)
    engine("copy")
    if change:
        change(bpy.context.scene.flow_inpaint)
    run(**given)
    return json.loads(Path(os.environ["FAKE_ENGINE_JOB"]).read_text())["params"]


def changed_back(settings: Any) -> None:
    settings.preset = "draft"
    settings.reach = 77
    settings.reach = room("descriptor").preset_value("draft", "reach")


def changed(settings: Any) -> None:
    settings.preset = "draft"
    settings.reach = 77
    settings.blend = "linear"
    settings.consistency = 0.7


def single(value: Any) -> Any:
    """Blender's floats have 24 bits."""
    return struct.pack("f", value) if isinstance(value, float) else value


def kept_in_file() -> dict[str, Any]:
    folder = edit("kept")
    changed(bpy.context.scene.flow_inpaint)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    settings = bpy.context.scene.flow_inpaint
    about = room("descriptor")
    others = [name for name in about.parameters() if name not in settings.changed()]
    differ = [name for name in others if single(getattr(settings, name)) != single(about.preset_value("draft", name))]
    return {"reach": settings.reach, "blend": settings.blend, "differ": differ, "changed": settings.changed()}


def undo() -> dict[str, Any]:
    edit("undo")
    engine("copy")
    bpy.ops.ed.undo_push(message="before")
    said = str(bpy.ops.sequencer.flow_inpaint("EXEC_DEFAULT", True, mask_channel=MASK_CHANNEL))
    after = len(strips())
    bpy.ops.ed.undo()
    undone = len(strips())
    bpy.ops.ed.redo()
    return {"said": said, "after": after, "undone": undone, "redone": len(strips())}


def no_active_strip() -> dict[str, Any]:
    edit("none")
    bpy.context.scene.sequence_editor.active_strip = None
    return {"said": run(), "strips": seen()}


def engine_unset() -> dict[str, Any]:
    folder = edit("unset")
    os.environ.pop("FLOW_INPAINT_PYTHON", None)
    return {"said": run(), "strips": seen(), "files": listing(folder)}


def preference() -> dict[str, Any]:
    edit("preference")
    os.environ.pop("FLOW_INPAINT_PYTHON", None)
    preferences = bpy.context.preferences.addons["bl_ext.user_default.flow_inpaint"].preferences
    preferences.engine_python = str(ENGINES / "python-copy")
    found = {"said": run(), "strips": seen()}
    preferences.engine_python = ""
    return found


def readonly() -> dict[str, Any]:
    folder = edit("readonly")
    (folder / "file").touch()
    engine("copy")
    return {"said": run(output=str(folder / "file" / "below")), "strips": seen(), "files": listing(folder)}


install()
answer(
    {
        "places": places,
        "images": lambda: outcome("images", format="png"),
        "given_folder": lambda: outcome("given", saved=False, output=str(WORK / f"elsewhere-{bpy.app.version_string.split()[0]}")),
        "defaults": lambda: job("defaults"),
        "preset": lambda: job("preset", preset="draft"),
        "parameter": lambda: job("parameter", preset="draft", reach=40, mask_threshold=0.1, cuts=False),
        "panel": lambda: job("panel", changed),
        "panel_and_caller": lambda: job("both", changed, reach=30),
        "panel_and_preset": lambda: job("aside", changed, preset="high"),
        "panel_changed_back": lambda: job("back", changed_back),
        "kept_in_file": kept_in_file,
        "undo": undo,
        "no_active_strip": no_active_strip,
        "no_such_strip": lambda: outcome("nosuch", source="Nobody"),
        "no_mask": lambda: outcome("nomask", mask_channel=7),
        "unsaved": lambda: outcome("unsaved", saved=False),
        "engine_unset": engine_unset,
        "engine_missing": lambda: outcome("missing", "missing"),
        "engine_bare": lambda: outcome("bare", "bare"),
        "engine_old": lambda: outcome("old", "old"),
        "engine_refuses": lambda: outcome("refuse", "refuse"),
        "engine_dies": lambda: outcome("die", "die"),
        "engine_killed": lambda: outcome("kill", "kill"),
        "preference": preference,
        "readonly": readonly,
    }
)
