"""For real_blender.sh: makes the edit in the background, and looks at it again after the command has saved it."""
from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

WORK = Path(os.environ["REAL_WORK"])
COUNT = 60


def make(scene: bpy.types.Scene) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 320, 192
    scene.frame_end = COUNT
    strips = scene.sequence_editor_create().strips
    street = strips.new_movie("Street", str(WORK / "street.mp4"), 1, 1)
    files = sorted(os.listdir(WORK / "matte"))
    matte = strips.new_image("Matte", str(WORK / "matte" / files[0]), 3, 1)
    for file in files[1:]:
        matte.elements.append(file)
    scene.sequence_editor.active_strip = street


def check(scene: bpy.types.Scene) -> None:
    strips = {strip.name: strip for strip in scene.sequence_editor.strips}
    made = strips["Street_flow_inpaint_001"]
    assert set(strips) == {"Street", "Matte", "Street_flow_inpaint_001"}, set(strips)
    assert (made.channel, made.left_handle, made.duration) == (2, 1, COUNT), (made.channel, made.left_handle, made.duration)
    file = Path(bpy.path.abspath(made.filepath))
    assert file.parent == WORK / "flow_inpaint" and file.stat().st_size > 10000, file
    assert sorted(os.listdir(WORK / "flow_inpaint")) == [file.name], os.listdir(WORK / "flow_inpaint")
    assert scene.render.resolution_x == 320 and len(bpy.data.scenes) == 1


if __name__ == "__main__":
    if sys.argv[-1] == "make":
        make(bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(WORK / "edit.blend"))
    else:
        check(bpy.context.scene)
