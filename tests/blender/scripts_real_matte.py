"""A part of the story in a window: Show Matte tints what would really be removed, at once when a slider is moved. Measured, and looked at."""
from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import bpy
from scripts_real_edit import edited_in, strips_of
from window_tools import WORK, measured, over, pause, photograph, press, room, say, start, until, window

LIMIT_MS, PATIENCE_S = 20.0, 90.0
PLAIN, TINTED = "13_show_matte_plain.png", "14_show_matte_grown.png"
#: Of a matte of 240x400 pixels in high definition, at frame 10 (see real_clips.py): left, top, right, bottom.
CORE = (180 + 24 * 9, 390, 180 + 24 * 9 + 240, 790)


def preview() -> tuple[Any, Any]:
    area = next(a for a in window().screen.areas if a.type == "SEQUENCE_EDITOR" and a.spaces.active.view_type == "PREVIEW")
    return area, next(region for region in area.regions if region.type == "PREVIEW")


def shown() -> Iterator[None]:
    """Waits until what is wanted is drawn. Says how long that took."""
    begun, overlay = time.monotonic(), room("matte_overlay")
    preview()[1].tag_redraw()
    yield from until(lambda: overlay.looked_for() == room("matte_watch").wanted(edited_in(window())) or time.monotonic() > begun + PATIENCE_S)
    yield from until(lambda: overlay.showing() is not None or overlay.trouble() or time.monotonic() > begun + PATIENCE_S)
    assert overlay.showing() is not None, overlay.trouble() or "the matte is not shown"
    global took
    took = time.monotonic() - begun


took = 0.0


def colour(name: str, x: float, y: float) -> tuple[int, ...]:
    """What a picture of the screen has at a pixel of the scene's picture, y down."""
    scene, (_, region) = edited_in(window()), preview()
    place = region.view2d.view_to_region(x + 0.5 - scene.render.resolution_x / 2, scene.render.resolution_y / 2 - y - 0.5, clip=False)
    column, row = region.x + int(place[0]), window().height - 1 - region.y - int(place[1])
    said = subprocess.run(
        ["convert", str(WORK / "shots" / name), "-crop", f"1x1+{column}+{row}", "-depth", "8", "txt:-"], capture_output=True, text=True, check=True
    )
    return tuple(map(int, re.search(r"\((\d+),(\d+),(\d+)", said.stdout).groups()))


def tinted(x: float, y: float) -> float:
    """How much of the tint lies over a pixel, 0..1: from the picture without it to the one with it."""
    (before, after), tint = (colour(name, x, y) for name in (PLAIN, TINTED)), [255 * part for part in room("matte_overlay").TINT[:3]]
    ways = [(full - low, high - low) for full, low, high in zip(tint, before, after)]
    return sum(way * gone for way, gone in ways) / sum(way * way for way, _ in ways) / room("matte_overlay").TINT[3]


def looking_at_the_matte() -> Iterator[None]:
    """A movie as matte, in high definition; then a Mask strip, which another Blender renders; then while a job runs."""
    scene, overlay = edited_in(window()), room("matte_overlay")
    size = scene.render.resolution_x, scene.render.resolution_y
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    strips, active, channel = strips_of(scene), scene.sequence_editor.active_strip, scene.flow_inpaint.mask_channel
    names = [strip.name for strip in strips if not strip.mute]
    for name in names:
        strips[name].mute = True
    footage = strips.new_movie("HD", str(WORK / "hd.mp4"), 20, 1)
    matte = strips.new_movie("HD matte", str(WORK / "hd_matte.mp4"), 21, 1)
    room("strips").mattes.show([matte], True)
    scene.sequence_editor.active_strip, scene.flow_inpaint.mask_channel, scene.frame_current = footage, 21, 10
    parts = {
        "the shader": measured(overlay, "_the_shader"),
        "painting": measured(overlay, "_paint"),
        "the texture": measured(overlay, "_texture"),
        "its numbers": measured(overlay, "_numbers"),
        "the signature": measured(room("strips").matte_frame, "signature"),
        "the ground": measured(room("strips").matte_frame, "ground"),
        "the document": measured(room("strips").matte_frame, "document"),
        "a copy for the other Blender": measured(room("render_process"), "Snapshot"),
    }
    yield from shown()
    say(f"the matte is shown after {took:.1f} s, with the engine's start; {overlay.longest_ms:.1f} ms of that the main thread's in one go")
    # The first time the driver makes machine code of the shader: without a graphics card that takes it longer than all the rest.
    overlay.longest_ms = 0.0
    left, top, right, bottom = CORE
    middle = (left + right) / 2
    box = overlay.showing().corners
    assert all(abs(a - b) < 3 for a, b in zip((*box[0], *box[2]), CORE)), box
    settings, waits = scene.flow_inpaint, []
    yield from pause(0.4)
    yield from photograph(PLAIN)
    for step in (1, 3, 6, 9, 12, 18, 24):
        settings.mask_grow = step
        yield from shown()
        waits.append(took)
    say(f"a slider moved in steps: shown {1000 * sorted(waits)[len(waits) // 2]:.0f} ms after each, as the median")
    settings.mask_grow_below, settings.mask_feather = 120, 60
    yield from shown()
    box = overlay.showing().corners
    expected = (left - 84, top - 84, right + 84, bottom + 24 + 120 + 60)
    assert all(abs(a - b) < 4 for a, b in zip((*box[0], *box[2]), expected)), (box, expected)
    yield from pause(0.4)
    yield from photograph(TINTED)
    tints = [tinted(middle, y) for y in (bottom + 130, bottom + 144 + 30, bottom + 144 + 70)]
    say(f"the tint over what is grown, in the middle of the feather and beyond: {', '.join(f'{tint:.2f}' for tint in tints)}")
    # How Blender mixes is its own affair: half the tint shows as more than half.
    assert tints[0] > 0.4 and 0.3 * tints[0] < tints[1] < 0.95 * tints[0] and abs(tints[2]) < 0.05, tints
    assert tinted(left - 12, (top + bottom) / 2) > 0.4 and abs(tinted(left - 100, (top + bottom) / 2)) < 0.05
    settings.changes = ""
    room("strips").mattes.show([matte], False)
    press("flow_inpaint.make_matte")
    yield from pause(0.5)
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[1]):
        bpy.ops.wm.window_close()
    mask = next(strip for strip in strips if strip.type == "MASK")
    spline = mask.mask.layers[0].splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    for point, (x, y) in zip(spline.points, ((600, 300), (1000, 300), (1000, 700), (600, 700))):
        point.co, point.handle_type = (x / 1920, 0.5 + (540 - y) / 1920), "VECTOR"
    if hasattr(mask, "invalidate_cache"):
        mask.invalidate_cache("RAW")
    settings.mask_grow = 30
    yield from shown()
    say(f"a Mask strip is shown after {took:.1f} s: another Blender renders it")
    box = overlay.showing().corners
    assert all(abs(a - b) < 4 for a, b in zip((*box[0], *box[2]), (570, 270, 1030, 730))), box
    scene.frame_current = 14
    yield from shown()
    say(f"four frames on: after {took:.2f} s")
    spline.points[1].co[0] += 200 / 1920
    spline.points[1].handle_left[0] += 200 / 1920
    spline.points[1].handle_right[0] += 200 / 1920
    yield from shown()
    box = overlay.showing().corners
    assert abs(box[2][0] - 1230) < 5, box
    say(f"a point of it moved: after {took:.1f} s")
    yield from photograph("15_show_matte_mask.png")
    job = start(mask_channel=mask.channel, preset="draft")
    for step in range(5):
        settings.mask_grow = step
        yield from shown()
    say(f"while a job runs ({job.status()}): shown after {took:.2f} s")
    press("flow_inpaint.job", number=job.number, action="CANCEL")
    yield from until(lambda: over(job))
    press("flow_inpaint.job", action="CLEAR")
    say(f"the longest that Show Matte kept the main thread: {overlay.longest_ms:.1f} ms of its own time")
    for name, times in parts.items():
        own = sorted(own for _, own in times)
        say(f"of that, {name}: {own[-1]:.1f} ms at most, {own[len(own) // 2]:.1f} as the median of {len(own)}")
    assert overlay.longest_ms < LIMIT_MS, overlay.longest_ms
    settings.changes = ""
    mask_block = mask.mask
    for strip in (footage, matte, mask):
        strips.remove(strip)
    bpy.data.masks.remove(mask_block)
    for name in names:
        strips[name].mute = False
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.sequence_editor.active_strip, settings.mask_channel, scene.frame_current = active, channel, 1
    yield from pause(0.3)
