"""The part of the demo inside Blender: installs the add-on, makes an edit, opens it, runs the operator, saves, renders a frame.

    python blender_edit.py ZIP FOLDER FRAME ANSWER

FOLDER has the footage; edit.blend, result/ and timeline.png (the timeline at FRAME) are made beside it. ANSWER is a JSON
table: `blender`, and `error` or `file`, `strip` and `channel`. What the user may see is printed in lines that begin "Blender: ".
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bpy

SOURCE, MATTE = "Street", "Street matte"
SOURCE_CHANNEL, MASK_CHANNEL = 1, 2
OUTPUT = "//result/"


def main(packed: Path, folder: Path, frame: int) -> dict[str, Any]:
    """What to answer. Raises RuntimeError, with its sentence, when the add-on refuses something."""
    bpy.ops.extensions.package_install_files(filepath=str(packed), repo="user_default", enable_on_install=True)
    say(f"{packed.name} is installed and enabled in Blender {bpy.app.version_string}")
    blend = folder / "edit.blend"
    make_edit(folder / "footage", blend)
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    before = {strip.name for strip in scene.sequence_editor.strips}
    say(f"sequencer.flow_inpaint on strip '{SOURCE}', with the mask in channel {MASK_CHANNEL}")
    bpy.ops.sequencer.flow_inpaint(source=SOURCE, mask_channel=MASK_CHANNEL, output=OUTPUT)
    made = [strip for strip in scene.sequence_editor.strips if strip.name not in before]
    if len(made) != 1 or made[0].channel <= SOURCE_CHANNEL:
        raise RuntimeError(f"the operator ended well, but the timeline has {len(made)} new strips above '{SOURCE}'")
    bpy.ops.wm.save_mainfile()
    render(scene, frame, folder / "timeline.png")
    return {"file": bpy.path.abspath(made[0].filepath), "strip": made[0].name, "channel": made[0].channel}


def make_edit(footage: Path, blend: Path) -> None:
    """An edit with the movie on one channel and its matte on another, saved."""
    bpy.ops.wm.read_homefile(app_template="Video_Editing")
    scene = bpy.context.scene
    for workspace in bpy.data.workspaces:
        workspace.sequencer_scene = scene
    strips = scene.sequence_editor_create().strips
    movie = strips.new_movie(SOURCE, str(footage / "source.mp4"), SOURCE_CHANNEL, 1)
    strips.new_movie(MATTE, str(footage / "matte.mkv"), MASK_CHANNEL, 1)
    scene.render.resolution_x, scene.render.resolution_y = movie.elements[0].orig_width, movie.elements[0].orig_height
    scene.render.fps, scene.render.fps_base = round(movie.fps), 1.0
    scene.frame_end = movie.frame_final_duration
    scene.view_settings.view_transform = "Standard"
    scene.sequence_editor.active_strip = movie
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_mainfile()


def render(scene: bpy.types.Scene, frame: int, path: Path) -> None:
    """What the timeline shows at a frame."""
    scene.frame_set(frame)
    # The Video Editing template renders movies, and then Blender knows no picture formats.
    scene.render.image_settings.media_type = "IMAGE"
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def say(text: str) -> None:
    print(f"Blender: {text}", flush=True)


if __name__ == "__main__":
    packed, folder, frame, answer = sys.argv[-4:]
    try:
        found = main(Path(packed), Path(folder), int(frame))
    except RuntimeError as error:
        found = {"error": " ".join(str(error).removeprefix("Error:").split())}
    Path(answer).write_text(json.dumps({"blender": bpy.app.version_string, **found}))
