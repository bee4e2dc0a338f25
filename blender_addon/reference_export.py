"""The operator that gives out a frame to be painted clean."""
from __future__ import annotations

from itertools import count
from pathlib import Path

import bpy

from . import properties, result_files, strips


class SEQUENCER_OT_flow_inpaint_export_frame(bpy.types.Operator):
    """Write the frame under the playhead of the source strip as a picture, and put it on the reference channel: paint it clean there"""

    bl_idname = "sequencer.flow_inpaint_export_frame"
    bl_label = "Export This Frame for Painting"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        editor = properties.scene_of(context).sequence_editor
        if editor is None or editor.active_strip is None:
            cls.poll_message_set("No strip is active: select the strip to repair")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = properties.scene_of(context)
        try:
            path, channel = _export(scene, scene.sequence_editor.active_strip.name)
        except (strips.StripError, result_files.ResultError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Paint {path} clean; it is on channel {channel}, which is the reference channel now")
        return {"FINISHED"}


def _export(scene: bpy.types.Scene, name: str) -> tuple[Path, int]:
    """The picture, and the channel that its strip is on."""
    settings, frame = scene.flow_inpaint, scene.frame_current
    source = strips.find_source(scene, name)
    channel = settings.reference_channel
    if channel in (source.channel, settings.mask_channel):
        text = f"The reference channel {channel} is the source's or the mask's: choose another, or None to have one found."
        raise strips.StripError(text)
    if channel:
        strips.check_free(scene, channel, frame)
    else:
        channel = strips.free_channel(scene, max(source.channel, settings.mask_channel), frame, 1)
    folder = result_files.folder_of(settings.output)
    made = [f for f in (folder, *folder.parents) if not f.exists()]
    try:
        path = strips.export_frame(scene, name, frame, _free_name(folder, name, frame))
    except BaseException:
        for empty in made:
            result_files.remove_if_empty(empty)
        raise
    active = scene.sequence_editor.active_strip
    strips.place_reference(scene, name, path, frame, channel)
    scene.sequence_editor.active_strip = active
    settings.reference_channel = channel
    return path, channel


def _free_name(folder: Path, strip_name: str, frame: int) -> Path:
    """A name without an ending that no picture has yet: what was painted is never written over."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = {path.stem for path in folder.iterdir()}
    except OSError as error:
        raise result_files.ResultError(f"The output folder {folder} cannot be used ({error.strerror}): choose another.") from error
    stem = f"{result_files.file_name(strip_name)}_reference_{frame:04d}"
    return folder / next(name for n in count(1) if (name := stem if n == 1 else f"{stem}_{n}") not in taken)


def register() -> None:
    bpy.utils.register_class(SEQUENCER_OT_flow_inpaint_export_frame)


def unregister() -> None:
    bpy.utils.unregister_class(SEQUENCER_OT_flow_inpaint_export_frame)
