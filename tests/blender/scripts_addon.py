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


def edit(
    case: str, saved: bool = True, movie: Path | None = None, mattes: list[Path] | None = None, size: tuple[int, int] = (160, 96)
) -> Path:
    """A fresh file with a movie on channel 1 and a matte over it on channel 3, in a folder of its own.

    A single matte lasts as long as the movie.
    """
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.sequence_editor_create()
    source = strips().new_movie(SOURCE, str(movie or CLIPS / "deep.mkv"), 1, START)
    mattes = sorted((CLIPS / "matte").iterdir())[:LENGTH] if mattes is None else mattes
    matte = strips().new_image("matte", str(mattes[0]), MASK_CHANNEL, START)
    for file in mattes[1:]:
        matte.elements.append(file.name)
    if len(mattes) == 1:
        matte.frame_final_end = source.frame_final_end
    scene.sequence_editor.active_strip = source
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
        span = [strip.frame_final_start, strip.frame_final_duration]
        found.append({"name": strip.name, "channel": strip.channel, "span": span, "file": _file(strip), "muted": strip.mute})
    return found


def _file(strip: Any) -> str:
    """The strip's file, or the first of its files; empty for a strip without."""
    if strip.type not in ("MOVIE", "IMAGE"):
        return ""
    file = strip.filepath if strip.type == "MOVIE" else os.path.join(strip.directory, strip.elements[0].filename)
    return os.path.realpath(bpy.path.abspath(file))


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
