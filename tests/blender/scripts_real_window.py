"""For real_blender.sh: in a window, a removal that runs to its end and one that ESC stops; pictures of the screen on the way.

Driven by a timer of Blender's; every step waits for the one before. Prints WINDOW OK when everything was as it should be,
and quits in the middle of one more removal.
"""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

WORK = Path(os.environ["REAL_WORK"])
sys.path.insert(0, str(WORK))
import scripts_real_edit

NAME = "bl_ext.user_default.flow_inpaint"
TICK, LIMIT_S = 0.05, 240
HERE = WORK / "window"


def running() -> Any:
    return sys.modules[f"{NAME}.removal"].running


def sequencer() -> tuple[Any, Any]:
    """The window's timeline and its sidebar."""
    areas = bpy.context.window_manager.windows[0].screen.areas
    area = next(a for a in areas if a.type == "SEQUENCE_EDITOR" and a.spaces.active.view_type != "PREVIEW")
    return area, next(region for region in area.regions if region.type == "UI")


def start() -> None:
    window = bpy.context.window_manager.windows[0]
    area, _ = sequencer()
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        said = bpy.ops.sequencer.flow_inpaint("INVOKE_DEFAULT", mask_channel=3)
    assert said == {"RUNNING_MODAL"}, said


def engine_process() -> int:
    """Blender's child that serves."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == os.getpid() and b"serve" in words:
            return int(folder.name)
    raise LookupError("no engine")


def photograph(name: str) -> Iterator[None]:
    """A picture of the whole screen; Blender goes on meanwhile."""
    camera = subprocess.Popen(["import", "-window", "root", str(WORK / "shots" / name)])
    while camera.poll() is None:
        yield
    assert camera.returncode == 0


def until(condition: Any) -> Iterator[None]:
    while not condition():
        yield


def pause(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    yield from until(lambda: time.monotonic() > end)


def say(text: str) -> None:
    print(f"window: {text}", flush=True)


def enlarge(scene: Any) -> None:
    """A picture that takes a while to render, and a matte to see through."""
    scene.render.resolution_x, scene.render.resolution_y = 1280, 768
    for strip in scene.sequence_editor.strips:
        strip.transform.scale_x = strip.transform.scale_y = 4.0
    matte = scene.sequence_editor.strips["Matte"]
    matte.blend_type, matte.blend_alpha = "ADD", 0.4


def swap(shown: type, hidden: type) -> None:
    """One class of the add-on in another's place."""
    bpy.utils.unregister_class(hidden)
    bpy.utils.register_class(shown)


def show_preferences() -> None:
    window = bpy.context.window_manager.windows[0]
    bpy.context.preferences.active_section = "ADDONS"
    window.id_data.addon_search = "Flow Inpaint"
    bpy.ops.preferences.addon_expand(module=NAME)
    with bpy.context.temp_override(window=window):
        bpy.ops.screen.userpref_show()


def story() -> Iterator[None]:
    scene = bpy.context.window_manager.windows[0].workspace.sequencer_scene or bpy.context.scene
    scripts_real_edit.make(scene)
    enlarge(scene)
    scene_name = scene.name
    HERE.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(HERE / "window.blend"))
    area, _ = sequencer()
    area.spaces.active.show_region_ui = True
    yield from pause(1.0)
    _, sidebar = sequencer()
    sidebar.active_panel_category = "Flow Inpaint"
    scene.flow_inpaint.mask_channel = 3
    yield from pause(0.5)
    yield from photograph("1_panel.png")

    strips = scene.sequence_editor.strips
    strips["Matte"].modifiers.new("Contrast", "BRIGHT_CONTRAST")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.ed.undo_push(message="The edit")
    begun = time.monotonic()
    start()
    yield from until(lambda: running() is None or running().blocks_editing)
    assert running() is not None, "it ended before Blender rendered anything"
    yield from until(lambda: running() is None or running().fraction > 0.05)
    yield from photograph("2_rendering.png")
    yield from until(lambda: running() is None or running().fraction > 0.35)
    assert running() is not None, "it ended before the picture"
    say(running().status())
    yield from photograph("3_running.png")
    yield from until(lambda: running() is None)
    yield from pause(0.5)
    made = strips.get("Street_flow_inpaint_001")
    assert made is not None and (made.channel, made.left_handle, made.duration) == (2, 1, 60), list(strips.keys())
    scene.sequence_editor.channels[3].mute = True
    yield from pause(0.5)
    yield from photograph("4_done.png")
    scene.sequence_editor.channels[3].mute = False
    say(f"'{made.name}' after {time.monotonic() - begun:.1f} s")
    files = sorted(os.listdir(HERE / "flow_inpaint"))
    names = []
    for change in (bpy.ops.ed.undo, bpy.ops.ed.redo):
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            change()
        scene = bpy.data.scenes[scene_name]
        strips = scene.sequence_editor.strips
        names.append(sorted(strips.keys()))
    assert names == [["Matte", "Street"], ["Matte", "Street", "Street_flow_inpaint_001"]], names
    say("one undo step takes the strip away, redo brings it back")

    strips["Matte"].modifiers.clear()
    scene.sequence_editor.active_strip = strips["Street"]
    start()
    yield from until(lambda: running() is None or running().fraction > 0.2)
    assert running() is not None, "it ended before ESC"
    yield from photograph("5_before_escape.png")
    pressed = time.monotonic()
    subprocess.run(["xdotool", "mousemove", "800", "700", "key", "Escape"], check=True)
    yield from until(lambda: running() is None)
    took = time.monotonic() - pressed
    yield from pause(0.3)
    yield from photograph("6_cancelled.png")
    say(f"ESC stopped it after {took:.2f} s")
    assert took < 1.0, took
    assert sorted(os.listdir(HERE / "flow_inpaint")) == files, os.listdir(HERE / "flow_inpaint")
    assert sorted(strips.keys()) == ["Matte", "Street", "Street_flow_inpaint_001"], strips.keys()
    assert [s.name for s in bpy.data.scenes] == [scene.name]

    start()
    yield from until(lambda: running() is None or running().fraction > 0.2)
    os.kill(engine_process(), signal.SIGKILL)
    yield from until(lambda: running() is None)
    yield from pause(0.5)
    yield from photograph("7_engine_killed.png")
    assert sorted(os.listdir(HERE / "flow_inpaint")) == files, os.listdir(HERE / "flow_inpaint")
    say("the engine was killed and Blender goes on")

    python = os.environ.pop("FLOW_INPAINT_PYTHON")
    advanced = sys.modules[f"{NAME}.panels"].SEQUENCER_PT_flow_inpaint_advanced
    unfolded = type("SEQUENCER_PT_flow_inpaint_unfolded", (advanced,), {"bl_options": set()})  # no script can unfold a panel
    swap(unfolded, advanced)
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=sequencer()[0]):
        bpy.ops.screen.screen_full_area()
    yield from pause(1.0)
    yield from photograph("8_everything_and_no_engine.png")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=sequencer()[0]):
        bpy.ops.screen.back_to_previous()
    swap(advanced, unfolded)
    yield from pause(0.5)
    show_preferences()
    yield from pause(1.0)
    yield from photograph("9_preferences.png")
    os.environ["FLOW_INPAINT_PYTHON"] = python

    start()
    yield from until(lambda: running() is None or running().fraction > 0.2)
    (WORK / "last_engine").write_text(str(engine_process()))
    print("WINDOW OK", flush=True)
    bpy.ops.wm.quit_blender()
    yield from until(lambda: False)


def step() -> float:
    try:
        next(STORY)
        if time.monotonic() > END:
            raise TimeoutError("the story did not come to an end")
    except BaseException:
        traceback.print_exc()
        sys.stdout.flush()
        os._exit(1)
    return TICK


bpy.context.preferences.view.show_splash = False
bpy.ops.preferences.addon_enable(module=NAME)
STORY, END = story(), time.monotonic() + LIMIT_S
bpy.app.timers.register(step, first_interval=1.0)
