"""For real_blender.sh: makes the edit in the background, and looks at it again after the command has saved it."""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bpy

WORK = Path(os.environ["REAL_WORK"])
COUNT = 60


def edited_in(window: bpy.types.Window) -> bpy.types.Scene:
    """The scene that the window's sequencer shows."""
    return getattr(window.workspace, "sequencer_scene", None) or window.scene


def strips_of(scene: bpy.types.Scene) -> Any:
    """Its strips, by the name that this version of Blender has for them."""
    editor = scene.sequence_editor
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def span(strip: Any) -> tuple[int, int]:
    """Its first timeline frame, and how many it has."""
    if hasattr(strip, "left_handle"):
        return strip.left_handle, strip.duration
    return strip.frame_final_start, strip.frame_final_duration


def make(scene: bpy.types.Scene) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 320, 192
    scene.frame_end = COUNT
    scene.sequence_editor_create()
    strips = strips_of(scene)
    street = strips.new_movie("Street", str(WORK / "street.mp4"), 1, 1)
    files = sorted(os.listdir(WORK / "matte"))
    matte = strips.new_image("Matte", str(WORK / "matte" / files[0]), 3, 1)
    for file in files[1:]:
        matte.elements.append(file)
    scene.sequence_editor.active_strip = street


def check(scene: bpy.types.Scene) -> None:
    strips = {strip.name: strip for strip in strips_of(scene)}
    made = strips["Street_flow_inpaint_001"]
    assert set(strips) == {"Street", "Matte", "Street_flow_inpaint_001"}, set(strips)
    assert (made.channel, *span(made)) == (2, 1, COUNT), (made.channel, *span(made))
    file = Path(bpy.path.abspath(made.filepath))
    assert file.parent == WORK / "flow_inpaint" and file.stat().st_size > 10000, file
    assert sorted(os.listdir(WORK / "flow_inpaint")) == [file.name], os.listdir(WORK / "flow_inpaint")
    assert scene.render.resolution_x == 320 and len(bpy.data.scenes) == 1
    translated(scene)


def translated(scene: bpy.types.Scene) -> None:
    """The add-on's own words in an interface that is not English, and Blender's own among them."""
    view, said = bpy.context.preferences.view, bpy.app.translations.pgettext_iface
    view.language, view.use_translate_interface = "de_DE", True
    assert said(scene.flow_inpaint.bl_rna.properties["mask_grow"].name) == "Matte vergrößern"
    assert said("Install Engine", "Operator") == "Engine installieren" and said("Output") == "Ausgabe"


if __name__ == "__main__":
    if sys.argv[-1] == "make":
        make(bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(WORK / "edit.blend"))
    else:
        check(bpy.context.scene)
