"""What the stories in a real window share: waiting, looking, pressing, taking pictures. Every function that waits is a generator
of a story, which a timer of Blender's drives."""
from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

WORK = Path(os.environ["REAL_WORK"])
NAME = "bl_ext.user_default.flow_inpaint"
TICK = 0.05


def room(name: str) -> Any:
    """A module of the installed add-on."""
    return sys.modules[f"{NAME}.{name}"]


def window() -> Any:
    return bpy.context.window_manager.windows[0]


def sequencer() -> tuple[Any, Any]:
    """The window's timeline and its sidebar."""
    area = next(a for a in window().screen.areas if a.type == "SEQUENCE_EDITOR" and a.spaces.active.view_type != "PREVIEW")
    return area, next(region for region in area.regions if region.type == "UI")


def press(operator: str, **given: Any) -> Any:
    """Presses an operator's button in the timeline."""
    area, _ = sequencer()
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window(), area=area, region=region):
        group, name = operator.split(".")
        return getattr(getattr(bpy.ops, group), name)("INVOKE_DEFAULT", **given)


def start(**given: Any) -> Any:
    """Presses Remove. Returns the new job."""
    said = press("sequencer.flow_inpaint", **given)
    assert said == {"INTERFACE"}, said
    return room("jobs").listed[-1]


def measured(owner: Any, name: str) -> list[tuple[float, float]]:
    """Measures every call of a function from now on: milliseconds on the clock, and of this thread's own work. The machine may be busy."""
    inner, took = getattr(owner, name), []

    def outer(*arguments: Any, **named: Any) -> Any:
        begun, begun_own = time.perf_counter(), time.thread_time()
        try:
            return inner(*arguments, **named)
        finally:
            took.append((1000 * (time.perf_counter() - begun), 1000 * (time.thread_time() - begun_own)))

    setattr(owner, name, outer)
    return took


def over(job: Any) -> bool:
    return job.over


def until(condition: Any) -> Iterator[None]:
    while not condition():
        yield


def pause(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    yield from until(lambda: time.monotonic() > end)


def photograph(name: str, part: str = "") -> Iterator[None]:
    """A picture of the whole screen, or of a part of it (ImageMagick's WxH+X+Y); Blender goes on meanwhile."""
    cut = ["-crop", part, "+repage"] if part else []
    camera = subprocess.Popen(["import", "-window", "root", *cut, str(WORK / "shots" / name)])
    while camera.poll() is None:
        yield
    assert camera.returncode == 0


def say(text: str) -> None:
    print(f"window: {text}", flush=True)


def open_tab() -> Iterator[None]:
    area, _ = sequencer()
    area.spaces.active.show_region_ui = True
    yield from pause(1.0)
    _, sidebar = sequencer()
    sidebar.active_panel_category = "Flow Inpaint"
    yield from pause(0.5)


def tell(story: Iterator[None], limit_s: float) -> None:
    """Drives the story to its end; what goes wrong ends Blender."""
    end = time.monotonic() + limit_s

    def step() -> float:
        try:
            next(story)
            if time.monotonic() > end:
                raise TimeoutError("the story did not come to an end")
        except BaseException:
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(1)
        return TICK

    bpy.context.preferences.view.show_splash = False
    bpy.ops.preferences.addon_enable(module=NAME)
    bpy.app.timers.register(step, first_interval=1.0, persistent=True)
