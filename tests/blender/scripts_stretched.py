"""Writes a .blend of strips with adjusted playback rates, as the window's Add > Movie makes them.

Its operator works in background up to 4.5 only.
"""
from __future__ import annotations

from typing import Any

import scripts_stage as stage
from scripts_stage import bpy, counter


def add(name: str, file: str, **values: Any) -> None:
    scene = stage.scene()
    scene.name = name
    window = bpy.context.window_manager.windows[0]
    window.scene = scene
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region, scene=scene):
        bpy.ops.sequencer.movie_strip_add(
            filepath=str(stage.CLIPS / file), channel=1, frame_start=1, sound=False, use_framerate=False, adjust_playback_rate=True
        )
    scene.render.fps, scene.render.fps_base = 24, 1.0
    strip = stage.strips(scene)[0]
    for key, value in values.items():
        setattr(strip, key, value)


def write() -> dict[str, Any]:
    for rate in counter.RATES:
        add(rate, f"c{rate}.mp4")
    add("12 trimmed", "c12.mp4", frame_offset_start=7, frame_offset_end=5)
    add("25 held", "c25.mp4", frame_final_start=-4, frame_final_end=70)
    add("30 reversed", "c30.mp4", use_reverse_frames=True, frame_offset_start=7)
    add("25 reversed", "c25.mp4", use_reverse_frames=True, frame_offset_start=7)
    add("12 strobe", "c12.mp4", strobe=3.0)
    add("60 cut", "c60.mp4", animation_offset_start=10, animation_offset_end=3)
    lengths = {s.name: stage.strips(s)[0].frame_final_duration for s in bpy.data.scenes if s.name in counter.RATES}
    bpy.ops.wm.save_as_mainfile(filepath=str(stage.ARGUMENTS[2]))
    return {"lengths": lengths}


stage.answer({"write": write})
