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


def queue(mode: str) -> tuple[Path, list[Any], Any]:
    """Three removals of one strip that wait, as the button makes them."""
    folder = edit(f"queue-{mode}-{time.monotonic_ns()}")
    engine(mode)
    queued, scene_uid = room("jobs"), bpy.context.scene.session_uid
    request = room("properties").request(bpy.context.scene, {"mask_channel": MASK_CHANNEL, "source": SOURCE})
    python = room("preferences").engine_python(bpy.context)

    def make() -> Any:
        scene = next(s for s in bpy.data.scenes if s.session_uid == scene_uid)
        return room("removal").Removal(scene, request, python)

    queued.stop_all()
    return folder, [queued.add(make) for _ in range(3)], queued


def drive(queued: Any, done: Any) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        queued.step()
        time.sleep(0.02)


def states(some: list[Any]) -> list[str]:
    return [job.state.name for job in some]


def one_after_the_other() -> dict[str, Any]:
    folder, some, queued = queue("copy")
    seen_states, pids = [], set()

    def done() -> bool:
        if states(some) not in seen_states:
            seen_states.append(states(some))
        waiting = room("warm_engine")._waiting
        pids.update([waiting.pid] if waiting else [])
        return all(job.over for job in some)

    drive(queued, done)
    texts = [job.text for job in some]
    alive = room("warm_engine")._waiting
    room("warm_engine").end(wait=3.0)
    return {"states": seen_states, "pids": len(pids), "texts": texts, "files": listing(folder), "ended": not alive.alive}


def stopped_and_tried_again() -> dict[str, Any]:
    folder, some, queued = queue("slow")
    drive(queued, lambda: some[0].task.stage == "Copying")
    queued.cancel(some[1].number)
    queued.cancel(some[0].number)
    begun = time.monotonic()
    drive(queued, lambda: some[0].over)
    took, first, left = time.monotonic() - begun, states(some), listing(folder)
    drive(queued, lambda: some[2].over)
    again = queued.retry(some[0].number)
    listed = [job.number for job in queued.listed]
    drive(queued, lambda: again.over)
    order = [job.number for job in queued.in_order()]
    queued.clear()
    found = {"took": took, "first": first, "left": left, "texts": [some[0].text, some[1].text], "states": states([some[2], again])}
    numbers = {"old": some[0].number in listed, "listed": listed == [some[1].number, some[2].number, again.number], "order": order[0] == again.number}
    return found | numbers | {"files": listing(folder), "cleared": queued.listed == []}


def fails_in_the_queue() -> dict[str, Any]:
    """The engine dies under the first; the others have one of their own. Then the strip is gone: trying again says so."""
    folder, some, queued = queue("die")
    drive(queued, lambda: all(job.over for job in some))
    strips().remove(next(s for s in strips() if s.name == SOURCE))
    try:
        queued.retry(some[0].number)
        said = ""
    except room("task").TaskError as error:
        said = str(error)
    return {"states": states(some), "text": some[0].text, "said": said, "listed": len(queued.listed), "files": listing(folder)}


def closed_with_a_queue() -> dict[str, Any]:
    folder, some, queued = queue("slow")
    drive(queued, lambda: some[0].task.stage == "Copying")
    before = len(listing(folder))
    bpy.ops.wm.read_homefile(use_empty=True)
    return {"before": before, "files": listing(folder), "listed": len(queued.listed)}


def while_the_user_moves_strips() -> dict[str, Any]:
    """The result waits until nothing is held any more."""
    folder, some, queued = queue("copy")
    held = [True]
    some[0].task.may_edit = lambda: not held[0]
    drive(queued, lambda: "let go" in some[0].task.stage)
    during = [s["name"] for s in seen()]
    held[0] = False
    drive(queued, lambda: some[0].over)
    queued.stop_all()
    return {"during": during, "after": [s["name"] for s in seen()], "files": listing(folder)}


def hidden_overlay() -> dict[str, Any]:
    """The overlay goes when the result is there, and an update still finds the matte."""
    edit("overlay")
    engine("copy")
    matte = next(s for s in strips() if s.name == "matte")
    room("strips").mattes.show([matte], True)
    said = [run(source=SOURCE)]
    said.append(str(bpy.ops.sequencer.flow_inpaint_update(strip=seen()[1]["name"])))
    return {"said": said, "blend": [matte.blend_type, matte.blend_alpha]}


def pixels(path: Path) -> list[float]:
    image = bpy.data.images.load(str(path))
    return list(image.pixels)


def second_blender() -> dict[str, Any]:
    """What another Blender renders from the snapshot is what this one renders, also after the edit has changed."""
    import json
    import subprocess
    import sys

    folder = edit("snapshot")
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = bpy.context.scene
    matte = next(s for s in strips() if s.name == "matte")
    matte.modifiers.new("Contrast", "BRIGHT_CONTRAST").contrast = 30.0
    resolved = room("strips").resolve(bpy.context.scene, SOURCE, MASK_CHANNEL, folder / "there", (13, 16))
    (folder / "there").mkdir()
    mesh = bpy.data.meshes.new("Large")
    mesh.from_pydata([(k, 0, 0) for k in range(300000)], [], [])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Large", mesh))
    room("render_process").Snapshot(bpy.context.scene, resolved.renders, folder / "there")
    here = room("strips").resolve(bpy.context.scene, SOURCE, MASK_CHANNEL, folder / "here", (13, 16))
    steps = [done for _, done in room("render_process").steps_here(here.renders)]
    matte.modifiers.clear()
    script, file = room("strips.render_script").__file__, str(folder / "there" / "scene.blend")
    code = f"import sys, bpy, runpy; bpy.ops.wm.open_mainfile(filepath={file!r}); runpy.run_path({script!r}, run_name='__main__')"
    words = [sys.executable, "-c", code, "--", str(folder / "there" / "orders.json")]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = [line for line in child.stdout if line.startswith(room("strips.render_script").MARK)]
    code = child.wait(60)
    told = [json.loads(line.removeprefix(room("strips.render_script").MARK)) for line in lines]
    pictures = [{p.relative_to(folder / place).as_posix(): pixels(p) for p in (folder / place).rglob("*.png")} for place in ("here", "there")]
    different = len({tuple(one) for one in pictures[0].values()}) > 1
    same = [different, pictures[0] == pictures[1]]
    orphan = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    orphan.stdin.close()
    scenes, size = [s.name for s in bpy.data.scenes], (folder / "there" / "scene.blend").stat().st_size
    return {"scenes": len(scenes), "size": size, "code": code, "told": told, "steps": steps, "same": same, "count": len(pictures[0]), "orphan": orphan.wait(60)}


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
        "one_after_the_other": one_after_the_other,
        "stopped_and_tried_again": stopped_and_tried_again,
        "fails_in_the_queue": fails_in_the_queue,
        "closed_with_a_queue": closed_with_a_queue,
        "while_the_user_moves_strips": while_the_user_moves_strips,
        "hidden_overlay": hidden_overlay,
        "second_blender": second_blender,
    }
)
