"""For real_blender.sh, with REAL_BLENDER_STORY: the pictures of docs/manual.md, of the demo shot in a real Blender's window.

    REAL_BLENDER_STORY=scripts_manual_pictures.py tests/blender/real_blender.sh docs/manual
"""
from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import bpy

sys.path.insert(0, os.environ["REAL_WORK"])
from window_tools import WORK, open_tab, over, pause, photograph, press, room, say, sequencer, start, tell, until, window

FRAME = 15
OUTPUT_HEIGHT = 560
CAR = [(122, 280), (125, 232), (158, 215), (172, 178), (182, 146), (248, 144), (272, 180), (322, 228), (400, 270), (392, 302), (260, 310), (150, 304)]
"""Around the car in that frame, in pixels from the top left of 640 by 360."""


def scene() -> Any:
    return bpy.data.scenes["Edit"]


def strips() -> Any:
    return scene().sequence_editor.strips


def active(name: str) -> None:
    for strip in strips():
        strip.select = strip.name == name
    scene().sequence_editor.active_strip = strips()[name]


def show(frame: int) -> Iterator[None]:
    scene().frame_current = frame
    yield from pause(1.0)


def make_edit() -> Iterator[None]:
    edited = window().workspace.sequencer_scene or bpy.context.scene
    edited.name = "Edit"
    edited.render.resolution_x, edited.render.resolution_y = 640, 360
    edited.render.fps, edited.frame_end = 25, 60
    film = WORK / "film"
    film.mkdir()
    for name, clip in (("source.mp4", "street.mp4"), ("matte.mkv", "street_matte.mkv")):
        shutil.copyfile(WORK / name, film / clip)
    bpy.ops.wm.save_as_mainfile(filepath=str(film / "film.blend"))
    edited.sequence_editor_create().strips.new_movie("Street", "//street.mp4", 1, 1)
    browser = next(area for area in window().screen.areas if area.type == "FILE_BROWSER")
    browser.type = "TEXT_EDITOR"  # it would show where this machine keeps its files
    active("Street")
    yield from open_tab()
    area, _ = sequencer()
    with bpy.context.temp_override(window=window(), area=area, region=next(r for r in area.regions if r.type == "WINDOW")):
        bpy.ops.sequencer.view_all()
    yield from pause(0.5)
    yield from show(FRAME)


def close_second_window() -> None:
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[1]):
        bpy.ops.wm.window_close()


def draw_around_the_car(mask: Any) -> None:
    """What the user does with Ctrl and the mouse. Masks are measured in the square around the picture, upwards."""
    spline = mask.layers[0].splines.new()
    spline.use_cyclic = True
    spline.points.add(len(CAR) - 1)
    for point, (x, y) in zip(spline.points, CAR):
        point.co = (x / 640, 0.5 + (180 - y) / 640)
        point.handle_type = "AUTO"
        point.select = True


def mattes() -> Iterator[None]:
    yield from photograph("1_no_matte.png")
    press("flow_inpaint.make_matte")
    yield from pause(1.5)
    mask = next(strip for strip in strips() if strip.type == "MASK").mask
    draw_around_the_car(mask)
    for one in bpy.context.window_manager.windows[1].screen.areas:
        one.tag_redraw()
    yield from pause(1.5)
    yield from photograph("2_draw.png")
    close_second_window()
    strips().remove(next(strip for strip in strips() if strip.type == "MASK"))
    matte = strips().new_movie("Street matte", "//street_matte.mkv", 2, 1)
    room("strips").mattes.show([matte], True)
    scene().flow_inpaint.mask_channel, scene().flow_inpaint.preset = 2, "draft"
    scene().flow_inpaint.mask_grow = 4
    active("Street")
    press("sequencer.flow_inpaint_check")
    check = room("jobs").listed[-1]
    yield from until(lambda: over(check))
    room("jobs").clear()
    yield from show(FRAME)
    yield from until(lambda: room("matte_overlay").showing() is not None)
    yield from photograph("3_ready.png")


def reference() -> Iterator[None]:
    """The frame that the check says is the best to paint, given out: its strip lies on the reference channel."""
    told = " ".join(room("looking").last_check["lines"])
    yield from show(int(re.search(r"Best to paint as a reference: frame (\d+)", told)[1]))
    assert press("sequencer.flow_inpaint_export_frame") == {"FINISHED"}
    assert scene().flow_inpaint.reference_channel == 3
    yield from pause(0.5)
    yield from photograph("10_reference.png")
    strips().remove(next(strip for strip in strips() if strip.channel == 3))
    scene().flow_inpaint.reference_channel = 0
    yield from show(FRAME)


def removal() -> Iterator[None]:
    room("looking").last_check.clear()
    scene().flow_inpaint.passes = {"unseen", "confidence"}
    job = start()
    yield from until(lambda: job.task.fraction > 0.45 or over(job))
    yield from photograph("4_running.png")
    yield from until(lambda: over(job) or (job.task.so_far and job.task.so_far.count > FRAME))
    preview = next(area for area in window().screen.areas if area.type == "SEQUENCE_EDITOR" and area.spaces.active.view_type == "PREVIEW")
    preview.type = "IMAGE_EDITOR"  # beside the panel, rather than in a window over it
    press("flow_inpaint.look_so_far")
    yield from pause(0.6)
    yield from photograph("8_so_far.png")
    preview.type = "SEQUENCE_EDITOR"
    preview.spaces.active.view_type = "PREVIEW"
    yield from until(lambda: over(job))
    assert job.state is room("jobs").State.DONE, job.text
    yield from show(FRAME)
    yield from photograph("5_done.png")
    say(job.text)


def afterwards() -> Iterator[None]:
    room("jobs").clear()
    press("sequencer.flow_inpaint_preview")
    job = room("jobs").listed[-1]
    yield from until(lambda: over(job))
    assert job.state is room("jobs").State.DONE, job.text
    yield from pause(1.5)
    yield from photograph("6_preview.png")
    close_second_window()
    room("jobs").clear()
    active("Street_flow_inpaint_001")
    yield from pause(0.5)
    yield from photograph("7_result.png")
    press("sequencer.flow_inpaint_passes", action="REVEAL")
    strips()["Confidence of Street_flow_inpaint_001"].mute = False
    area, _ = sequencer()
    with bpy.context.temp_override(window=window(), area=area, region=next(r for r in area.regions if r.type == "WINDOW")):
        bpy.ops.sequencer.view_all()
    yield from pause(1.0)
    yield from photograph("9_passes.png")


def what_is_written() -> Iterator[None]:
    """The panel with its Output unfolded, which no script can do to it: another class takes its place."""
    folded, below = room("panels").SEQUENCER_PT_flow_inpaint_output, room("panels").SEQUENCER_PT_flow_inpaint_advanced
    unfolded = type("SEQUENCER_PT_flow_inpaint_unfolded", (folded,), {"bl_options": set()})
    swap((folded, below), (unfolded, below))
    active("Street")
    with bpy.context.temp_override(window=window(), area=sequencer()[0]):
        bpy.ops.screen.screen_full_area()
    yield from pause(1.0)
    _, sidebar = sequencer()
    top = window().height - sidebar.y - sidebar.height
    yield from photograph("11_output.png", f"{sidebar.width}x{OUTPUT_HEIGHT}+{sidebar.x}+{top}")
    with bpy.context.temp_override(window=window(), area=sequencer()[0]):
        bpy.ops.screen.back_to_previous()
    swap((unfolded, below), (folded, below))
    yield from pause(0.5)


def swap(hidden: tuple[type, ...], shown: tuple[type, ...]) -> None:
    for one in hidden:
        bpy.utils.unregister_class(one)
    for one in shown:
        bpy.utils.register_class(one)


def story() -> Iterator[None]:
    yield from make_edit()
    yield from mattes()
    yield from reference()
    yield from removal()
    yield from afterwards()
    yield from what_is_written()
    (WORK / "last_engine").write_text("0")
    print("WINDOW OK", flush=True)
    bpy.ops.wm.quit_blender()
    yield from until(lambda: False)


tell(story(), 240)
