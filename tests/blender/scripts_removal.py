"""A removal advanced step by step, as a window's timer does it, while things happen around it; and the add-on coming and going."""
from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import MASK_CHANNEL, NAME, SOURCE, answer, edit, engine, install, listing, room, run, seen, strips


def begin(case: str, mode: str) -> tuple[Path, Any]:
    """A removal that has come as far as the engine's work."""
    folder = edit(case)
    engine(mode)
    scene = bpy.context.scene
    request = room("properties").request(scene, {"mask_channel": MASK_CHANNEL, "source": SOURCE})
    work = room("removal").Removal(scene, request, room("preferences").engine_python(bpy.context))
    room("jobs").add(lambda: work).state = room("jobs").State.RUNNING
    end = time.monotonic() + 20
    while work.stage != "Copying":
        assert work.advance() and time.monotonic() < end
        time.sleep(0.02)
    return folder, work


def finish(work: Any) -> tuple[str, float]:
    """How it ends and after how many seconds."""
    begun = time.monotonic()
    try:
        while work.advance():
            time.sleep(0.05)
    except (room("task").Cancelled, room("task").TaskError) as error:
        return f"{type(error).__name__}: {error}", time.monotonic() - begun
    return "done", time.monotonic() - begun


def report(folder: Path, ending: tuple[str, float]) -> dict[str, Any]:
    room("jobs").stop_all()
    idle = room("warm_engine")._waiting is None or room("warm_engine")._waiting.idle
    return {"ending": ending[0], "seconds": ending[1], "idle": idle, "files": listing(folder), "strips": [s["name"] for s in seen()]}


def cancelled(mode: str) -> dict[str, Any]:
    folder, work = begin(f"cancel-{mode}", mode)
    status = work.status()
    work.cancel()
    return report(folder, finish(work)) | {"status": status}


def second_at_once() -> dict[str, Any]:
    folder, work = begin("second", "slow")
    said = run()
    return report(folder, finish(work)) | {"said": said}


def strip_deleted() -> dict[str, Any]:
    folder, work = begin("deleted", "slow")
    strips().remove(next(s for s in strips() if s.name == SOURCE))
    return report(folder, finish(work))


def scene_deleted() -> dict[str, Any]:
    folder, work = begin("scene", "slow")
    edited = bpy.context.scene
    bpy.data.scenes.new("Other").sequence_editor_create()
    bpy.data.scenes.remove(edited)
    return report(folder, finish(work))


def scene_renamed() -> dict[str, Any]:
    folder, work = begin("renamed", "slow")
    bpy.context.scene.name = "Renamed"
    return report(folder, finish(work))


def undone_meanwhile() -> dict[str, Any]:
    edit("meanwhile")
    bpy.ops.ed.undo_push(message="one")
    folder, work = begin("meanwhile2", "slow")
    bpy.ops.ed.undo_push(message="two")
    bpy.context.scene.frame_end = 99
    bpy.ops.ed.undo_push(message="three")
    bpy.ops.ed.undo()
    gc.collect()
    return report(folder, finish(work))


def file_closed() -> dict[str, Any]:
    folder, _ = begin("closed", "slow")
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.context.scene.sequence_editor_create()
    return report(folder, ("closed", 0.0))


def left_behind() -> list[str]:
    """What of the add-on is still in Blender."""
    found = [name for name in dir(bpy.types) if "flow_inpaint" in name.lower()]
    for menu in ("SEQUENCER_MT_strip", "SEQUENCER_MT_context_menu"):
        drawn = getattr(getattr(bpy.types, menu).draw, "_draw_funcs", [])
        found += [menu for function in drawn if "flow_inpaint" in function.__module__]
    found += ["Scene.flow_inpaint"] if hasattr(bpy.types.Scene, "flow_inpaint") else []
    found += [str(h) for h in bpy.app.handlers.load_pre if "flow_inpaint" in str(getattr(h, "__module__", ""))]
    return found


def comes_and_goes() -> dict[str, Any]:
    import addon_utils

    found = []
    for _ in range(2):
        addon_utils.disable(NAME)
        found.append(left_behind())
        addon_utils.enable(NAME)
        found.append(left_behind())
    folder = edit("comes")
    engine("copy")
    return {"found": found, "said": run(), "files": listing(folder)}


def leaves_while_running() -> dict[str, Any]:
    import addon_utils

    folder, _ = begin("leaves", "slow")
    addon_utils.disable(NAME)
    left = left_behind()
    addon_utils.enable(NAME)
    return report(folder, ("left", 0.0)) | {"left": left}


install()
answer(
    {
        "cancelled": lambda: cancelled("forever"),
        "cancelled_deaf": lambda: cancelled("deaf"),
        "second_at_once": second_at_once,
        "strip_deleted": strip_deleted,
        "scene_deleted": scene_deleted,
        "scene_renamed": scene_renamed,
        "undone_meanwhile": undone_meanwhile,
        "file_closed": file_closed,
        "comes_and_goes": comes_and_goes,
        "leaves_while_running": leaves_while_running,
    }
)
