"""For real_blender.sh: the first run of a new user in a window. The zip, the panel that misses the engine, Install Engine, a removal.

Driven by a timer of Blender's; every step waits for the one before. Prints FIRST RUN OK when everything was as it should be.
Pictures of the screen go to REAL_WORK/shots/install_*.png.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

WORK = Path(os.environ["REAL_WORK"])
sys.path.insert(0, str(WORK))
import scripts_real_edit
from scripts_real_edit import edited_in, strips_of

NAME = "bl_ext.user_default.flow_inpaint"
TICK, LIMIT_S = 0.05, 560
took: list[tuple[float, float]] = []  # of the thread's own time and of the clock's, which other processes of the machine have too


def room(name: str) -> Any:
    return sys.modules[f"{NAME}.{name}"]


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def sequencer() -> bpy.types.Area:
    return next(a for a in window().screen.areas if a.type == "SEQUENCE_EDITOR" and a.spaces.active.view_type != "PREVIEW")


def in_sequencer() -> Any:
    area = sequencer()
    return bpy.context.temp_override(window=window(), area=area, region=next(r for r in area.regions if r.type == "UI"))


def until(condition: Callable[[], Any]) -> Iterator[None]:
    while not condition():
        yield


def pause(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    yield from until(lambda: time.monotonic() > end)


def say(text: str) -> None:
    print(f"first run: {text}", flush=True)


def photograph(name: str) -> Iterator[None]:
    yield from pause(0.4)
    camera = subprocess.Popen(["import", "-window", "root", str(WORK / "shots" / f"install_{name}.png")])
    yield from until(lambda: camera.poll() is not None)
    assert camera.returncode == 0


def press(*keys: str) -> None:
    subprocess.run(["xdotool", "key", *keys], check=True)


def timed(module: Any, name: str) -> None:
    """Measures every call of a function that Blender's main thread makes."""
    inner = getattr(module, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        begun, begun_at = time.thread_time(), time.perf_counter()
        try:
            return inner(*arguments, **named)
        finally:
            took.append((time.thread_time() - begun, time.perf_counter() - begun_at))

    setattr(module, name, outer)


def running() -> Any:
    return room("engine_operators").running


def state() -> str:
    room("engine_choice").forget()
    return room("engine_choice").current(bpy.context).state


def install() -> None:
    with in_sequencer():
        begun, begun_at = time.thread_time(), time.perf_counter()
        said = bpy.ops.flow_inpaint.install_engine("EXEC_DEFAULT", torch="none", wheels=os.environ.get("REAL_WHEELS", ""))
        took.append((time.thread_time() - begun, time.perf_counter() - begun_at))
    assert said == {"FINISHED"}, said


def show_preferences() -> None:
    bpy.context.preferences.active_section = "ADDONS"
    window().id_data.addon_search = "Flow Inpaint"
    bpy.ops.preferences.addon_expand(module=NAME)
    with bpy.context.temp_override(window=window()):
        bpy.ops.screen.userpref_show()


def close_preferences() -> None:
    windows = bpy.context.window_manager.windows
    if len(windows) > 1:
        with bpy.context.temp_override(window=windows[-1]):
            bpy.ops.wm.window_close()


def story() -> Iterator[None]:
    package = next(WORK.glob("flow_inpaint-*.zip"))
    with bpy.context.temp_override(window=window()):
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default", enable_on_install=True)
    scene = edited_in(window())
    scripts_real_edit.make(scene)
    scene.render.resolution_x, scene.render.resolution_y = 1280, 768
    for strip in strips_of(scene):
        strip.transform.scale_x = strip.transform.scale_y = 4.0
    matte = strips_of(scene)["Matte"]
    matte.blend_type, matte.blend_alpha = "ADD", 0.4
    (WORK / "first run").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(WORK / "first run" / "edit.blend"))
    area = sequencer()
    area.spaces.active.show_region_ui = True
    yield from pause(1.0)
    next(r for r in area.regions if r.type == "UI").active_panel_category = "Flow Inpaint"
    scene.flow_inpaint.mask_channel = 3
    assert state() == "missing"
    yield from photograph("1_missing")

    bpy.context.preferences.system.use_online_access = False
    with in_sequencer():
        bpy.ops.flow_inpaint.install_engine("INVOKE_DEFAULT")
    yield from photograph("2_dialog_offline")
    press("Escape")
    yield from pause(0.3)
    assert running() is None
    bpy.context.preferences.system.use_online_access = True
    with in_sequencer():
        bpy.ops.flow_inpaint.install_engine("INVOKE_DEFAULT")
    yield from photograph("3_dialog")
    press("Escape")
    yield from pause(0.3)

    timed(room("engine_operators"), "_look")
    timed(room("engine_panel"), "draw")
    begun = time.monotonic()
    install()
    yield from until(lambda: running() is None or running().stage == "Downloading" and running().fraction > 0.15)
    assert running() is not None, room("engine_operators").last.error
    say(running().status())
    running_one = running()
    running_one.cancel()
    yield from until(lambda: running() is None)
    say(f"cancelled: {room('engine_operators').last.error}")
    yield from photograph("4_cancelled")
    assert state() == "missing"
    install()
    pictures = {"Downloading": "5_downloading", "Installing": "6_installing"}
    while running() is not None:
        name = pictures.pop(running().stage, None)
        if name:
            yield from photograph(name)
        yield
    last = room("engine_operators").last
    assert last.error == "", last.error
    assert state() == "whole"
    own, clock = (max(times) for times in zip(*took, strict=True))
    say(f"installed after {time.monotonic() - begun:.0f} s with one cancellation")
    say(f"the main thread was kept for {own * 1000:.1f} ms at most in {len(took)} calls, {clock * 1000:.1f} ms on the clock")
    assert own < 0.02 and clock < 0.1, (own, clock)
    yield from photograph("7_installed")

    with in_sequencer():
        bpy.ops.sequencer.flow_inpaint("INVOKE_DEFAULT", mask_channel=3, preset="draft")
    yield from until(lambda: "Street_flow_inpaint_001" in strips_of(scene))
    yield from photograph("8_first_result")
    show_preferences()
    yield from photograph("9_preferences")
    close_preferences()

    own = room("engine_choice").current(bpy.context).place
    stamp = own.root / "engine.json"
    whole = stamp.read_text()
    stamp.write_text(json.dumps(json.loads(whole) | {"version": "0.0.9"}))
    assert state() == "outdated"
    yield from photograph("10_upgrade")
    stamp.write_text(whole)
    python = own.python()
    os.rename(python, f"{python}.away")
    assert state() == "broken"
    yield from photograph("11_repair")
    os.rename(f"{python}.away", python)
    assert state() == "whole"
    print("FIRST RUN OK", flush=True)
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
STORY, END = story(), time.monotonic() + LIMIT_S
bpy.app.timers.register(step, first_interval=1.0)
