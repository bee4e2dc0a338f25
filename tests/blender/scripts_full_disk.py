"""A disk that is full: where the result goes, or where temporary files go. WORK is a small disk of its own."""
from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import ENGINES, WORK, answer, edit, install, room, strips
from scripts_footage import FOOTAGE, outcome

FILLER = WORK / "filler"


def fill(leave_kib: int) -> None:
    """Takes all room but that much."""
    with open(FILLER, "wb", buffering=0) as filler:
        state = os.statvfs(WORK)
        for _ in range(state.f_bavail * state.f_frsize // 1024 - leave_kib):
            filler.write(bytes(1024))


def on_full_disk(folder: Path, leave_kib: int) -> dict[str, Any]:
    """A run, and another one after making room."""
    fill(leave_kib)
    found = outcome(folder) | {"temporary": temporary()}
    FILLER.unlink()
    return found | {"again": outcome(folder)}


def temporary() -> list[str]:
    """What stays among the temporary files; a thread tidies up there as soon as the engine has ended."""
    room("warm_engine").end(wait=3.0)
    end = time.monotonic() + 5.0
    while (left := os.listdir(WORK / "tmp")) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def result() -> dict[str, Any]:
    return on_full_disk(edit("result", movie=FOOTAGE / "odd.mkv", mattes=sorted((FOOTAGE / "odd").iterdir()), size=(853, 479)), 64)


def pictures_for_the_engine() -> dict[str, Any]:
    """Blender renders the matte, and there is room for the first pictures only."""
    folder = edit("pictures")
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = bpy.context.scene
    next(s for s in strips() if s.name == "matte").modifiers.new("Contrast", "BRIGHT_CONTRAST")
    return on_full_disk(folder, 20)


def temporary_files() -> dict[str, Any]:
    """The engine's work lies there too, and needs room first."""
    room("warm_engine").end(wait=3.0)
    tempfile.tempdir = str(WORK / "tmp")
    os.environ["FLOW_INPAINT_CACHE"] = str(WORK / "cache")
    try:
        return on_full_disk(edit("temporary", movie=FOOTAGE / "odd.mkv", mattes=sorted((FOOTAGE / "odd").iterdir()), size=(853, 479)), 64)
    finally:
        tempfile.tempdir = None
        del os.environ["FLOW_INPAINT_CACHE"]


os.environ["FLOW_INPAINT_PYTHON"] = str(ENGINES)
(WORK / "tmp").mkdir()
install()
answer(
    {
        "result": result,
        "pictures for the engine": pictures_for_the_engine,
        "temporary files": temporary_files,
    }
)
