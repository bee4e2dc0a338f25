"""For real_blender.sh: in a window, removals that are queued, stopped, tried again, previewed, updated; and what happens when the
user saves, undoes, changes the scene, opens another file or quits meanwhile. Pictures of the screen on the way.

Prints WINDOW OK when everything was as it should be, and quits in the middle of one more removal.
"""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, os.environ["REAL_WORK"])
import scripts_real_edit
import scripts_real_matte
import scripts_real_passes
from scripts_real_edit import edited_in, span, strips_of
from window_tools import NAME, WORK, measured, open_tab, over, pause, photograph, press, room, say, sequencer, start, tell, until, window

HERE = WORK / "window"
LIMIT_S = 380
MAIN_THREAD_MS = 20.0
MANY = 2000


def quiet() -> bool:
    """Whether nobody else is at work here, so that the clock says something. A job alone keeps all cores busy."""
    return os.getloadavg()[0] < 2 * (os.cpu_count() or 1)


def engine_process() -> int:
    """Blender's child that serves, for jobs."""
    shows = room("matte_overlay").engine_pid()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == os.getpid() and b"serve" in words and int(folder.name) != shows:
            return int(folder.name)
    raise LookupError("no engine")


def enlarge(scene: Any) -> None:
    """A picture that takes a while to render, and a matte to see through."""
    scene.render.resolution_x, scene.render.resolution_y = 1280, 768
    for strip in strips_of(scene):
        strip.transform.scale_x = strip.transform.scale_y = 4.0
    room("strips").mattes.show([strips_of(scene)["Matte"]], True)


def undoing(change: Any) -> None:
    with bpy.context.temp_override(window=window()):
        change()


def edited() -> Any:
    """The scene, looked up again: undo and other files put another in its place."""
    return bpy.data.scenes["Edit"]


def files() -> list[str]:
    return sorted(os.listdir(HERE / "flow_inpaint"))


def names() -> list[str]:
    return sorted(strips_of(edited()).keys())


def setting_up() -> Iterator[None]:
    scene = edited_in(window())
    scene.name = "Edit"
    scripts_real_edit.make(scene)
    enlarge(scene)
    HERE.mkdir()
    yield from open_tab()
    yield from photograph("1_unsaved_and_no_matte.png")
    bpy.ops.wm.save_as_mainfile(filepath=str(HERE / "window.blend"))
    edited().flow_inpaint.mask_channel = 3
    yield from pause(0.5)
    yield from photograph("2_ready.png")


def pressing() -> Iterator[None]:
    """How long Blender stands still when Remove is pressed, for footage of high definition and for thousands of pictures."""
    strips, adding = strips_of(edited()), measured(room("jobs"), "add")
    footage = strips.new_movie("Large", str(WORK / "hd.mp4"), 20, 1)
    made = [footage, strips.new_movie("Large matte", str(WORK / "hd_matte.mp4"), 21, 1)]
    (WORK / "many").mkdir()
    for number in range(MANY):
        os.link(WORK / "matte" / "matte_0010.png", WORK / "many" / f"many_{number:04d}.png")
    for channel in (22, 23):
        strip = strips.new_image("Many", str(WORK / "many" / "many_0000.png"), channel, 1)
        for number in range(1, MANY):
            strip.elements.append(f"many_{number:04d}.png")
        made.append(strip)
    for source, channel in ((footage, 21), (made[2], 23)):
        edited().sequence_editor.active_strip = source
        job = start(mask_channel=channel, preset="draft")
        clock, own = adding[-1]
        say(f"pressing Remove on '{source.name}': {clock:.1f} ms, {own:.1f} ms of it the thread's own")
        assert own < MAIN_THREAD_MS, own
        press("flow_inpaint.job", number=job.number, action="CANCEL")
        yield from until(lambda: over(job))
        press("flow_inpaint.job", action="CLEAR")
    for strip in made:
        strips.remove(strip)
    edited().sequence_editor.active_strip = strips["Street"]
    yield from pause(0.3)


def two_in_the_queue() -> Iterator[None]:
    """The matte has a modifier, so that another Blender renders it. Meanwhile the file is saved, undone, and another scene shown."""
    scene, opening = edited(), measured(room("strips.place"), "_new")
    strips_of(scene)["Matte"].modifiers.new("Contrast", "BRIGHT_CONTRAST")
    undoing(lambda: bpy.ops.ed.undo_push(message="The edit"))
    adding = measured(room("jobs"), "add")
    first = start()
    clock, own = adding[-1]
    say(f"pressing Remove, with a copy of the scene for the other Blender: {clock:.1f} ms, {own:.1f} ms of it the thread's own")
    assert own < MAIN_THREAD_MS, own
    second = start(preset="draft", mute_source=True)
    yield from until(lambda: "Rendering" in first.status() or over(first))
    yield from photograph("3_queue.png")
    beats = [time.monotonic()]
    scene.frame_current = 20
    undoing(lambda: bpy.ops.ed.undo_push(message="A frame"))
    undoing(bpy.ops.ed.undo)
    bpy.ops.wm.save_mainfile()
    yield from until(lambda: first.task.fraction > 0.4 or over(first))
    say(first.status())
    yield from photograph("4_running.png")
    other = bpy.data.scenes.new("Another")
    window().scene = other
    while not over(first):
        beats.append(time.monotonic())
        yield
    window().scene = edited()
    bpy.data.scenes.remove(other)
    gaps = [1000 * (b - a) for a, b in zip(beats[1:], beats[2:])]
    longest, clock = room("heartbeat").longest_ms, room("heartbeat").longest_clock_ms
    say(f"the longest call while jobs ran: {longest:.1f} ms of its own ({room('heartbeat').longest_in}), {clock:.1f} ms on the clock; "
        f"ticks of 50 ms came at most {max(gaps):.0f} ms apart")
    assert longest < MAIN_THREAD_MS, longest
    assert clock < MAIN_THREAD_MS or not quiet(), clock
    assert first.state is room("jobs").State.DONE, first.text
    say(f"first: {first.text} after {first.seconds:.1f} s")
    pid = engine_process()
    yield from until(lambda: over(second))
    assert second.state is room("jobs").State.DONE, second.text
    assert engine_process() == pid, "the second job had an engine of its own"
    say(f"second: {second.seconds:.1f} s in the same engine")
    clock, own = max(opening)
    say(f"the longest call: {room('heartbeat').longest_clock_ms:.1f} ms while jobs ran, {room('heartbeat').longest_end_ms:.1f} ms when a strip was made")
    say(f"of that, Blender took {clock:.1f} ms to open the result, {own:.1f} ms of it the thread's own")
    assert room("heartbeat").longest_end_ms - clock < MAIN_THREAD_MS or not quiet(), (room("heartbeat").longest_end_ms, clock)
    assert names() == ["Matte", "Street", "Street_flow_inpaint_001", "Street_flow_inpaint_002"], names()
    assert strips_of(edited())["Street"].mute
    made = strips_of(edited())["Street_flow_inpaint_001"]
    assert (made.channel, *span(made)) == (2, 1, 60)
    yield from pause(0.5)
    yield from photograph("5_done.png")
    for change, expected in ((bpy.ops.ed.undo, 3), (bpy.ops.ed.undo, 2), (bpy.ops.ed.redo, 3), (bpy.ops.ed.redo, 4)):
        undoing(change)
        assert len(names()) == expected, (expected, names())
    say("one undo step for each strip")


def stopping() -> Iterator[None]:
    """A job is stopped, another taken out of the queue; the engine dies under a third, which then works at another try."""
    before, pid = files(), engine_process()
    scene = edited()
    strips_of(scene)["Matte"].modifiers.clear()
    strips_of(scene)["Street"].mute = False
    scene.sequence_editor.active_strip = strips_of(scene)["Street"]
    first, second = start(), start()
    yield from until(lambda: first.task.fraction > 0.2 or over(first))
    press("flow_inpaint.job", number=second.number, action="CANCEL")
    pressed = time.monotonic()
    press("flow_inpaint.job", number=first.number, action="CANCEL")
    yield from until(lambda: over(first))
    took = time.monotonic() - pressed
    say(f"stopped after {took:.2f} s")
    assert took < 1.0 and (first.state, second.state) == (room("jobs").State.CANCELLED,) * 2, (first, second)
    assert files() == before and len(names()) == 4, files()
    third = start(preset="draft")
    yield from until(lambda: third.task.fraction > 0.2 or over(third))
    assert engine_process() == pid, "stopping cost the warm engine"
    os.kill(engine_process(), signal.SIGKILL)
    yield from until(lambda: over(third))
    assert third.state is room("jobs").State.FAILED and "SIGKILL" in third.text, third
    assert files() == before
    yield from pause(0.3)
    yield from photograph("6_failed_and_stopped.png")
    press("flow_inpaint.job", number=third.number, action="RETRY")
    fourth = room("jobs").listed[-1]
    yield from until(lambda: over(fourth))
    assert fourth.state is room("jobs").State.DONE and len(names()) == 5, fourth
    press("flow_inpaint.job", action="CLEAR")
    assert not room("jobs").listed
    say("the engine was killed, and another try worked")


def looking() -> Iterator[None]:
    """A preview in a window of its own, a check, and a matte made ready to draw."""
    scene = edited()
    scene.frame_current = 30
    begun = time.monotonic()
    assert press("sequencer.flow_inpaint_preview") == {"INTERFACE"}
    assert press("sequencer.flow_inpaint_check") == {"INTERFACE"}
    preview, check = room("jobs").listed[-2:]
    yield from until(lambda: over(preview))
    assert preview.state is room("jobs").State.DONE, preview
    say(f"the preview took {time.monotonic() - begun:.1f} s")
    yield from until(lambda: over(check))
    assert check.state is room("jobs").State.DONE, check
    yield from pause(1.5)
    assert len(bpy.context.window_manager.windows) == 2
    shown = bpy.context.window_manager.windows[1].screen.areas[0].spaces.active
    assert shown.image.name == "Flow Inpaint Preview" and tuple(shown.image.size) == (320, 192), shown.image
    yield from photograph("7_preview.png")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[1]):
        bpy.ops.wm.window_close()
    yield from pause(0.5)
    yield from photograph("8_check.png")
    press("flow_inpaint.make_matte")
    yield from pause(1.5)
    editor = bpy.context.window_manager.windows[1].screen.areas[0].spaces.active
    assert editor.mode == "MASK" and editor.mask.name == "Matte of Street" and editor.image.name == "street.mp4", (editor.mode, editor.image)
    yield from photograph("9_matte_to_draw.png")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[1]):
        bpy.ops.wm.window_close()
    undoing(bpy.ops.ed.undo)
    edited().flow_inpaint.mask_channel = 3


def updating() -> Iterator[None]:
    """The matte of some frames changes: its strip is made again there. Then its file is lost."""
    strips = strips_of(edited())
    result = strips["Street_flow_inpaint_003"] if "Street_flow_inpaint_003" in strips else strips[names()[-1]]
    name = result.name
    edited().sequence_editor.active_strip = result
    press("sequencer.flow_inpaint_update")
    nothing = room("jobs").listed[-1]
    yield from until(lambda: over(nothing))
    assert "Nothing to do" in nothing.text, nothing
    matte = strips["Matte"]
    for k in (50, 51, 52):
        matte.elements[k].filename = matte.elements[10].filename
    yield from pause(0.5)
    press("sequencer.flow_inpaint_update")
    job = room("jobs").listed[-1]
    yield from until(lambda: over(job))
    assert job.state is room("jobs").State.DONE and 0 < job.task.changes.frames < 60, job
    say(job.text)
    result = strips_of(edited())[name]
    os.rename(bpy.path.abspath(result.filepath), HERE / "away.mkv")
    yield from pause(2.5)
    sequencer()[1].tag_redraw()
    yield from pause(0.5)
    yield from photograph("10_update.png")
    os.rename(HERE / "away.mkv", bpy.path.abspath(result.filepath))


def settings() -> Iterator[None]:
    """Everything unfolded, without an engine; the preferences."""
    python = os.environ.pop("FLOW_INPAINT_PYTHON")
    advanced = room("panels").SEQUENCER_PT_flow_inpaint_advanced
    unfolded = type("SEQUENCER_PT_flow_inpaint_unfolded", (advanced,), {"bl_options": set()})  # no script can unfold a panel
    swap(unfolded, advanced)
    press("flow_inpaint.job", action="CLEAR")
    with bpy.context.temp_override(window=window(), area=sequencer()[0]):
        bpy.ops.screen.screen_full_area()
    yield from pause(1.0)
    yield from photograph("11_everything_and_no_engine.png")
    with bpy.context.temp_override(window=window(), area=sequencer()[0]):
        bpy.ops.screen.back_to_previous()
    swap(advanced, unfolded)
    yield from pause(0.5)
    with bpy.context.temp_override(window=window()):
        bpy.context.preferences.active_section = "ADDONS"
        window().id_data.addon_search = "Flow Inpaint"
        bpy.ops.preferences.addon_expand(module=NAME)
        bpy.ops.screen.userpref_show()
    yield from pause(1.0)
    yield from photograph("12_preferences.png")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    os.environ["FLOW_INPAINT_PYTHON"] = python


def swap(shown: type, hidden: type) -> None:
    """One class of the add-on in another's place."""
    bpy.utils.unregister_class(hidden)
    bpy.utils.register_class(shown)


def another_file() -> Iterator[None]:
    """Opening a file ends what runs for the one before and leaves nothing of it; the engine is there for the next."""
    edited().sequence_editor.active_strip = strips_of(edited())["Street"]
    bpy.ops.wm.save_mainfile()
    before = files()
    first = start()
    start()
    yield from until(lambda: first.task.fraction > 0.2 or over(first))
    assert not over(first)
    bpy.ops.wm.open_mainfile(filepath=str(HERE / "window.blend"))
    assert not room("jobs").listed and files() == before, files()
    yield from pause(1.0)
    say("another file was opened meanwhile: nothing is left of the jobs")


def story() -> Iterator[None]:
    yield from setting_up()
    yield from pressing()
    yield from two_in_the_queue()
    yield from stopping()
    yield from looking()
    yield from scripts_real_matte.looking_at_the_matte()
    yield from updating()
    yield from scripts_real_passes.story(edited)
    yield from settings()
    yield from another_file()
    last = start()
    yield from until(lambda: last.task.fraction > 0.2 or over(last))
    (WORK / "last_engine").write_text(str(engine_process()))
    print("WINDOW OK", flush=True)
    bpy.ops.wm.quit_blender()
    yield from until(lambda: False)


assert subprocess.run(["which", "import"], capture_output=True, check=False).returncode == 0
tell(story(), LIMIT_S)
