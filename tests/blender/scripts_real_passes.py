"""Part of scripts_real_window.py: the frames of a result are looked at while it is being made; its passes and an alpha patch in the timeline."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bpy
from scripts_real_edit import span, strips_of
from window_tools import over, pause, photograph, press, room, say, sequencer, start, until, window


def story(edited: Callable[[], Any]) -> Iterator[None]:
    """`edited`: gives the scene."""
    strips, settings = strips_of(edited()), edited().flow_inpaint
    press("flow_inpaint.job", action="CLEAR")
    for strip in list(strips):
        if "flow_inpaint" in strip.keys():
            strips.remove(strip)
    strips["Street"].mute, settings.passes = False, set(room("descriptor").passes())
    edited().sequence_editor.active_strip = strips["Street"]
    job = start(preset="draft")
    yield from until(lambda: over(job) or (job.task.so_far and job.task.so_far.count > 12))
    assert not over(job), job
    edited().frame_current = 10
    assert press("flow_inpaint.look_so_far") == {"FINISHED"}
    space = bpy.context.window_manager.windows[1].screen.areas[0].spaces.active
    count = space.image_user.frame_duration
    yield from pause(0.4)
    assert space.image.name == "Flow Inpaint So Far" and tuple(space.image.size) == (320, 192), tuple(space.image.size)
    yield from photograph("13_so_far.png")
    yield from until(lambda: over(job))
    assert job.state is room("jobs").State.DONE and "Flow Inpaint So Far" not in bpy.data.images, job
    say(f"looked at {count} finished frames of 60; the longest call: {room('heartbeat').longest_ms:.1f} ms while it ran")
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[1]):
        bpy.ops.wm.window_close()
    yield from pause(0.5)

    result = next(strip for strip in strips_of(edited()) if "flow_inpaint" in strip.keys())
    edited().sequence_editor.active_strip = result
    assert press("sequencer.flow_inpaint_passes", action="REVEAL") == {"FINISHED"}
    shown = room("passes").revealed(edited(), room("recipe").read(result).id)
    assert len(shown) == 4 and all(strip.mute and span(strip) == (1, 60) for strip in shown), shown
    area, _ = sequencer()
    with bpy.context.temp_override(window=window(), area=area, region=next(r for r in area.regions if r.type == "WINDOW")):
        bpy.ops.sequencer.view_all()
    yield from pause(1.0)
    yield from photograph("14_passes.png")
    for name in ("Unseen", "Confidence", "Provenance"):
        strip = next(one for one in shown if one.name.startswith(name))
        strip.mute = False
        yield from pause(1.0)
        yield from photograph(f"15_{name.lower()}.png")
        strip.mute = True
    assert press("sequencer.flow_inpaint_passes", action="REMOVE") == {"FINISHED"}
    strips_of(edited()).remove(result)

    edited().sequence_editor.active_strip, settings.result = strips_of(edited())["Street"], "patch"
    job = start(preset="draft")
    yield from until(lambda: over(job))
    assert job.state is room("jobs").State.DONE, job
    patch = strips_of(edited())[job.task.strip_name]
    assert (patch.type, patch.blend_type, patch.alpha_mode, span(patch)[1]) == ("IMAGE", "ALPHA_OVER", "STRAIGHT", 60), patch
    edited().sequence_editor.active_strip = patch
    yield from pause(1.0)
    yield from photograph("16_patch.png")
    settings.result, settings.passes = "frames", set()
    press("flow_inpaint.job", action="CLEAR")
