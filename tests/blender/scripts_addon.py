"""What the scripts share that test the installed add-on inside Blender: installing, a small edit, running the operator, looking."""
from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

ARGUMENTS = [Path(a) for a in (sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])]
ANSWER, ZIP, CLIPS, ENGINES, WORK = ARGUMENTS[:5]
NAME = "bl_ext.user_default.flow_inpaint"
SOURCE, MASK_CHANNEL, START, LENGTH = "Street: take #1.mp4", 3, 11, 12

WORK.mkdir(parents=True, exist_ok=True)
os.environ["FAKE_ENGINE_JOB"] = str(WORK / "job.json")


def install() -> None:
    bpy.ops.extensions.package_install_files(filepath=str(ZIP), repo="user_default", enable_on_install=True)


def room(name: str) -> Any:
    """A module of the installed add-on."""
    return sys.modules[f"{NAME}.{name}"]


def strips(scene: bpy.types.Scene | None = None) -> Any:
    editor = (scene or bpy.context.scene).sequence_editor
    if editor is None:
        return []
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def edit(case: str, saved: bool = True) -> Path:
    """A fresh file with a movie on channel 1 and a matte over it on channel 3, in a folder of its own."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 160, 96
    scene.sequence_editor_create()
    movie = strips().new_movie(SOURCE, str(CLIPS / "deep.mkv"), 1, START)
    mattes = sorted(os.listdir(CLIPS / "matte"))[:LENGTH]
    matte = strips().new_image("matte", str(CLIPS / "matte" / mattes[0]), MASK_CHANNEL, START)
    for file in mattes[1:]:
        matte.elements.append(file)
    scene.sequence_editor.active_strip = movie
    folder = WORK / f"{bpy.app.version_string.split()[0]}-{case}"
    folder.mkdir(parents=True)
    if saved:
        bpy.ops.wm.save_as_mainfile(filepath=str(folder / "edit.blend"))
    return folder


def engine(mode: str) -> None:
    os.environ["FLOW_INPAINT_PYTHON"] = str(ENGINES / f"python-{mode}")


def run(**given: Any) -> str:
    """Runs the operator; returns the error that it reports, or its result."""
    try:
        return str(bpy.ops.sequencer.flow_inpaint(**{"mask_channel": MASK_CHANNEL, **given}))
    except RuntimeError as error:
        return str(error).strip()


def listing(folder: Path) -> list[str]:
    """Everything below a folder but the .blend files."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if ".blend" not in p.name)


def seen() -> list[dict[str, Any]]:
    """All scenes' strips from bottom to top."""
    found = []
    for strip in sorted((s for scene in bpy.data.scenes for s in strips(scene)), key=lambda s: (s.channel, s.name)):
        file = strip.filepath if strip.type == "MOVIE" else os.path.join(strip.directory, strip.elements[0].filename)
        span = [strip.frame_final_start, strip.frame_final_duration]
        found.append({"name": strip.name, "channel": strip.channel, "span": span, "file": os.path.realpath(bpy.path.abspath(file))})
    return found


def answer(cases: dict[str, Callable[[], Any]]) -> None:
    """Runs every case; its value, or {"error": traceback}, goes into the answer under its name."""
    found = {}
    for name, case in cases.items():
        print("case", name, flush=True)
        try:
            found[name] = case()
        except Exception:  # whatever it is, the test of this case has to show it, and the others go on
            found[name] = {"error": traceback.format_exc()}
    ANSWER.write_text(json.dumps(found))
