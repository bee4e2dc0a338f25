"""The operator and the command with the real engine, as it is installed in FLOW_INPAINT_PYTHON (given as ENGINES)."""
from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import CLIPS, ENGINES, MASK_CHANNEL, SOURCE, WORK, answer, edit, install, listing, room, run, seen, strips


def outcome(case: str, **given: Any) -> dict[str, Any]:
    folder = edit(case)
    said = run(**given)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    return {"said": said, "strips": seen(), "files": listing(folder)}


def rendered_matte() -> dict[str, Any]:
    """A matte that Blender has to render first."""
    folder = edit("rendered")
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = bpy.context.scene
    matte = next(s for s in strips() if s.name == "matte")
    matte.modifiers.new("Contrast", "BRIGHT_CONTRAST")
    return {"said": run(), "strips": seen(), "files": listing(folder), "scenes": [s.name for s in bpy.data.scenes]}


def command() -> dict[str, Any]:
    folder = edit("command")
    needed = ["--strip", SOURCE, "--mask-channel", str(MASK_CHANNEL)]
    code = room("command_line").main([*needed, "--preset", "draft", "--reach", "5", "--save"])
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    return {"code": code, "strips": seen(), "files": listing(folder)}


def interrupted(case: str, interrupt: Any) -> dict[str, Any]:
    """A run that something happens to when a tenth is done."""
    folder = edit(case)
    request = room("properties").request(bpy.context.scene, {"mask_channel": MASK_CHANNEL, "source": SOURCE, "preset": "high"})
    work = room("removal").Removal(bpy.context.scene, request, str(ENGINES))
    said, begun = "done", 0.0
    try:
        while work.advance():
            if not begun and work.fraction > 0.1:
                begun = time.monotonic()
                interrupt(work)
            time.sleep(0.02)
    except (room("task").Cancelled, room("task").TaskError) as error:
        said = f"{type(error).__name__}: {error}"
    return {"said": said, "seconds": time.monotonic() - begun, "strips": seen(), "files": listing(folder)}


def kill_engine(_work: Any) -> None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == os.getpid() and b"serve" in words:
            os.kill(int(folder.name), signal.SIGKILL)


def bad_value() -> dict[str, Any]:
    folder = edit("bad")
    code = room("command_line").main(["--strip", SOURCE, "--mask-channel", str(MASK_CHANNEL), "--cuts", "perhaps"])
    return {"code": code, "strips": seen(), "files": listing(folder)}


def updated() -> dict[str, Any]:
    """The matte of two frames grows after the run; then nothing changes; then a picture of another result is lost."""
    mattes = WORK / f"mattes-{bpy.app.version_string.split()[0]}"
    mattes.mkdir()
    for file in sorted((CLIPS / "matte").iterdir())[:12]:
        shutil.copyfile(file, mattes / file.name)
    folder = edit("updated", mattes=sorted(mattes.iterdir()))
    said = [run(preset="draft", reach=2)]
    name = f"{Path(listing(folder)[-1]).stem}"
    files = sorted(mattes.iterdir())
    for k in (4, 5):
        shutil.copyfile(CLIPS / "matte" / f"matte_{k + 30:04d}.png", files[k])
    results = []
    for _ in range(2):
        work = room("updating").Update(bpy.context.scene, name, str(ENGINES))
        room("task").run(work, print)
        results.append(work.result())
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    return {"said": said, "results": results, "strips": seen(), "files": listing(folder), "folder": str(folder / "flow_inpaint")}


os.environ["FLOW_INPAINT_PYTHON"] = str(ENGINES)
install()
answer(
    {
        "movie": lambda: outcome("movie"),
        "images": lambda: outcome("images", format="tiff"),
        "rendered_matte": rendered_matte,
        "command": command,
        "cancelled": lambda: interrupted("cancelled", lambda work: work.cancel()),
        "killed": lambda: interrupted("killed", kill_engine),
        "bad_value": bad_value,
        "updated": updated,
        "stages": lambda: {"named": list(room("task")._STAGES)},
    }
)
