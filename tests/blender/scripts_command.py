"""The command for farms, called as Blender calls it, on a file that was saved and opened."""
from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import SOURCE, WORK, answer, edit, engine, install, listing, room, seen


def command(case: str, *arguments: str, mode: str = "copy", prepare: Any = None) -> dict[str, Any]:
    folder = edit(case)
    if prepare:
        prepare()
        bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    engine(mode)
    Path(os.environ["FAKE_ENGINE_JOB"]).unlink(missing_ok=True)
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = room("command_line").main(list(arguments))
    made = [s["name"] for s in seen()]
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    job = Path(os.environ["FAKE_ENGINE_JOB"])
    return {
        "code": code,
        "out": out.getvalue(),
        "errors": errors.getvalue(),
        "made": made,
        "saved": seen(),
        "files": listing(folder),
        "folder": str(folder),
        "params": json.loads(job.read_text())["params"] if job.exists() else None,
    }


def other_scene() -> None:
    """The strips' scene is not the one that the file opens with."""
    bpy.context.scene.name = "Edit"
    bpy.context.window.scene = bpy.data.scenes.new("Other")


NEEDED = ("--strip", SOURCE, "--mask-channel", "3")
elsewhere = WORK / f"elsewhere-{bpy.app.version_string.split()[0]}"
install()
answer(
    {
        "saves": lambda: command("saves", *NEEDED, "--save"),
        "does_not_save": lambda: command("unsaved", *NEEDED),
        "parameters": lambda: command("parameters", *NEEDED, "--preset", "draft", "--reach", "12", "--mask-grow", "3", "--cuts", "no"),
        "underscores": lambda: command("underscores", *NEEDED, "--mask_grow", "3"),
        "output": lambda: command("output", *NEEDED, "--output", str(elsewhere), "--format", "h264"),
        "images": lambda: command("images", *NEEDED, "--format", "png", "--save"),
        "no_scene": lambda: command("noscene", *NEEDED, "--scene", "Cut"),
        "wrong_scene": lambda: command("wrong", *NEEDED, prepare=other_scene),
        "scene": lambda: command("scene", *NEEDED, "--scene", "Edit", prepare=other_scene),
        "no_such_strip": lambda: command("nostrip", "--strip", "Nobody", "--mask-channel", "3"),
        "no_mask": lambda: command("nomask", "--strip", SOURCE, "--mask-channel", "9", "--save"),
        "nothing": lambda: command("nothing"),
        "no_channel": lambda: command("nochannel", "--strip", SOURCE),
        "frames": lambda: command("frames", *NEEDED, "--frames", "14-16", "--mute-source", "--save"),
        "frames_outside": lambda: command("outside", *NEEDED, "--frames", "1-5"),
        "bad_frames": lambda: command("badframes", *NEEDED, "--frames", "9-5"),
        "frames_of_update": lambda: command("framesupdate", "--update", "--strip", SOURCE, "--frames", "12-14"),
        "list_and_all": lambda: command("listall", "--list", "--all"),
        "bad_channel": lambda: command("channel", "--strip", SOURCE, "--mask-channel", "0"),
        "bad_value": lambda: command("value", *NEEDED, "--reach", "9999"),
        "bad_choice": lambda: command("choice", *NEEDED, "--blend", "sideways"),
        "unknown": lambda: command("unknown", *NEEDED, "--reeach", "5"),
        "help": lambda: command("help", "--help"),
        "engine_dies": lambda: command("dies", *NEEDED, "--save", mode="die"),
    }
)
