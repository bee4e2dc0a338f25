"""Marks, --all, --update, --list, and the render script of docs/headless.md. The fifth argument is a folder to work in, ENGINES the fakes."""
from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import ARGUMENTS, SOURCE, WORK, answer, edit, engine, install, listing, room, run, seen, strips

SCRIPT = ARGUMENTS[5]
KEYS = WORK / "keys.txt"
os.environ["FAKE_ENGINE_KEYS"] = str(KEYS)
STEM = "Street_take_1_flow_inpaint"


def command(*arguments: str) -> dict[str, Any]:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = room("command_line").main(list(arguments))
    lines = [json.loads(line) for line in out.getvalue().splitlines() if line.startswith("{")]
    return {"code": code, "told": lines[-1] if lines else None, "errors": errors.getvalue().splitlines()}


def start(case: str, mode: str = "copy") -> Path:
    KEYS.unlink(missing_ok=True)
    folder = edit(case)
    engine(mode)
    return folder


def again(folder: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))


def mark(name: str = SOURCE, **settings: Any) -> None:
    scene = bpy.context.scene
    for setting, value in {"mask_channel": 3, **settings}.items():
        setattr(scene.flow_inpaint, setting, value)
    scene.sequence_editor.active_strip = strips()[name]
    bpy.ops.flow_inpaint.mark()


def whole_story() -> dict[str, Any]:
    """Marked, listed, done, done again with nothing to do, done again after a change."""
    folder = start("story")
    mark(preset="draft", reach=2)
    bpy.context.scene.flow_inpaint.preset = "high"
    bpy.ops.wm.save_mainfile()
    again(folder)
    found = {"list": command("--list"), "first": command("--all", "--save")}
    again(folder)
    found |= {"strips": seen(), "listed": command("--list"), "second": command("--all", "--save")}
    KEYS.write_text("00000009" + "00000000" * 11)
    found["third"] = command("--all", "--save")
    again(folder)
    found |= {"fourth": command("--update"), "files": listing(folder)}
    KEYS.write_text("00000007" + "00000000" * 11)
    found["changed"] = command("--update", "--strip", f"{STEM}_001", "--reach", "4", "--save")
    return found


def unmarked() -> dict[str, Any]:
    start("unmarked")
    mark()
    marked = room("recipe").mark_of(strips()[SOURCE]) is not None
    mark()
    return {"marked": marked, "then": room("recipe").mark_of(strips()[SOURCE]) is None, "all": command("--all"), "update": command("--update")}


def one_fails() -> dict[str, Any]:
    """Two marked strips, of which one has lost its matte by the time."""
    folder = start("fails")
    mark()
    source = strips()[SOURCE]
    other = strips().new_movie("Alone", bpy.path.abspath(source.filepath), 5, 60)
    other["flow_inpaint_mark"] = source["flow_inpaint_mark"]
    return command("--all") | {"files": listing(folder)}


def moved_mark() -> dict[str, Any]:
    """A mark for some frames moves with its strip."""
    start("movedmark")
    settings = bpy.context.scene.flow_inpaint
    bpy.context.scene.use_preview_range, bpy.context.scene.frame_preview_start, bpy.context.scene.frame_preview_end = True, 13, 15
    mark(range="PREVIEW")
    settings.range = "STRIP"
    for name in (SOURCE, "matte"):
        strips()[name].frame_start += 100
    return command("--all") | {"strips": seen()}


def terminated() -> dict[str, Any]:
    folder = start("terminated", "forever")
    mark()
    threading.Timer(2.0, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    return command("--all") | {"files": listing(folder), "handler": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL}


def terminated_between() -> dict[str, Any]:
    """The signal comes while the second strip is still looked at, when the first is done."""
    folder = start("between")
    mark()
    source = strips()[SOURCE]
    other = strips().new_movie("Other", bpy.path.abspath(source.filepath), 5, source.frame_final_start)
    other["flow_inpaint_mark"] = source["flow_inpaint_mark"]
    return signalled(2, "--all") | {"files": listing(folder)}


def terminated_at_once() -> dict[str, Any]:
    folder = start("atonce", "forever")
    mark()
    return signalled(1, "--all") | {"files": listing(folder)}


def signalled(number: int, *arguments: str) -> dict[str, Any]:
    """The command, which gets SIGTERM while it makes that task."""
    removal = room("removal")
    kind, made = removal.Removal, []

    def make(*given: Any) -> Any:
        made.append(kind(*given))
        if len(made) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return made[-1]

    removal.Removal = make
    try:
        return command(*arguments)
    finally:
        removal.Removal = kind


def script() -> dict[str, Any]:
    """The documentation's script, in a file that it is told to open; then once more."""
    folder = start("script")
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 11, 13
    bpy.context.scene.render.image_settings.file_format = "PNG"
    bpy.ops.wm.save_mainfile()
    for _ in range(2):
        again(folder)
        exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), {"__name__": "__main__"})
    again(folder)
    return {"strips": seen(), "files": listing(folder)}


def script_fails() -> dict[str, Any]:
    folder = start("scriptfails")
    strips().remove(strips()["matte"])
    bpy.ops.wm.save_mainfile()
    again(folder)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        return {"code": ended.code, "errors": errors.getvalue(), "files": listing(folder)}
    return {"code": 0}


def matte_operators() -> dict[str, Any]:
    """Make, show, hide and unmute mattes; take a result's settings into the panel."""
    folder = start("mattes")
    scene, settings = bpy.context.scene, bpy.context.scene.flow_inpaint
    problems = room("diagnosis").problems
    found: dict[str, Any] = {"channels": room("channels").names(scene, 2)}
    settings.mask_channel = 2
    found["none"] = [(p.text, p.operator) for p in problems(scene)]
    bpy.ops.flow_inpaint.make_matte()
    made = strips()[-1] if strips()[-1].type == "MASK" else next(s for s in strips() if s.type == "MASK")
    found["made"] = [made.channel, made.frame_final_start, made.frame_final_duration, made.mask.frame_start, settings.mask_channel, made.blend_type]
    found["active"] = scene.sequence_editor.active_strip.name
    found["empty"] = [(p.text, p.operator) for p in problems(scene)]
    found["draw"] = str(bpy.ops.flow_inpaint.draw_matte())
    spline = made.mask.layers[0].splines.new()
    spline.points.add(2)
    found["drawn"] = [p.text for p in problems(scene)]
    shown = [room("strips").mattes.shown([made])]
    for _ in range(2):
        bpy.ops.flow_inpaint.show_matte()
        shown.append([room("strips").mattes.shown([made]), made.blend_type, round(made.blend_alpha, 2)])
    found["shown"] = shown
    made.mute = True
    scene.sequence_editor.channels[made.channel].mute = True
    found["muted"] = [(p.text, p.operator) for p in problems(scene)]
    bpy.ops.flow_inpaint.unmute_matte()
    found["unmuted"] = [p.text for p in problems(scene)]
    settings.output = ""
    found["output"] = [p.text for p in problems(scene)]
    settings.output = "//flow_inpaint/"
    settings.range = "PLAYHEAD"
    scene.frame_current = 90
    found["outside"] = [p.text for p in problems(scene)]
    settings.range = "STRIP"
    settings.mask_channel = 3
    settings.reference_channel = 3
    found["references on the matte"] = [p.text for p in problems(scene)]
    settings.reference_channel = 1
    found["references on the source"] = [p.text for p in problems(scene)]
    settings.reference_channel = 0
    found["no references"] = problems(scene)
    found["said"] = run(preset="draft", reach=7, format="png", mute_source=True, reference_channel=6)
    scene.sequence_editor.active_strip = strips()[f"{STEM}_001"]
    settings.mask_channel = 9
    found["of_result"] = [mask.name for mask in room("diagnosis").masks_of(scene)]
    bpy.ops.flow_inpaint.load_settings()
    loaded = {name: getattr(settings, name) for name in ("mask_channel", "reference_channel", "preset", "reach", "format", "mute_source")}
    scene.sequence_editor.active_strip = None
    nobody = [p.text for p in problems(scene)]
    return found | {"loaded": loaded, "changed": settings.changed(), "nobody": nobody, "files": len(listing(folder))}


install()
sys.argv = ["blender"]
answer(
    {
        "whole_story": whole_story,
        "unmarked": unmarked,
        "one_fails": one_fails,
        "moved_mark": moved_mark,
        "terminated": terminated,
        "terminated_between": terminated_between,
        "terminated_at_once": terminated_at_once,
        "script": script,
        "script_fails": script_fails,
        "matte_operators": matte_operators,
    }
)
