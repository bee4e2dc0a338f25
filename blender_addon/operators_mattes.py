"""The operators around the source, its matte and its result: make, draw, show and unmute mattes, mark strips, find settings again."""
from __future__ import annotations

import json
from typing import Any

import bpy

from . import descriptor, diagnosis, previews, properties, recipe, strips


class _OnActive:
    """Works on the active strip and its mask channel."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if strips.active(properties.scene_of(context)) is None:
            cls.poll_message_set("No strip is active")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = properties.scene_of(context)
        try:
            self._do(scene, strips.active(scene))
        except strips.StripError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        raise NotImplementedError


class FLOW_INPAINT_OT_make_matte(_OnActive, bpy.types.Operator):
    """Put a Mask strip as long as the active strip on a free channel above it, and open its mask to draw in"""

    bl_idname = "flow_inpaint.make_matte"
    bl_label = "Make Matte"

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        strips.refuse_kinds(source)
        strip = strips.mattes.make(scene, source)
        scene.flow_inpaint.mask_channel = strip.channel
        scene.sequence_editor.active_strip = source
        previews.draw_mask(scene, source, strip.mask)


class FLOW_INPAINT_OT_draw_matte(_OnActive, bpy.types.Operator):
    """Open the mask over the active strip in an image editor, with the footage behind it"""

    bl_idname = "flow_inpaint.draw_matte"
    bl_label = "Draw Matte"

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        masks = [s for s in strips.mask_strips(scene, source, scene.flow_inpaint.mask_channel) if s.type == "MASK" and s.mask]
        if not masks:
            raise strips.StripError(f"There is no Mask strip over '{source.name}': make a matte, or change the one that is there in its own program.")
        previews.draw_mask(scene, source, masks[0].mask)


class FLOW_INPAINT_OT_unmute_matte(_OnActive, bpy.types.Operator):
    """Unmute the mask channel and the strips in it that lie over the active strip"""

    bl_idname = "flow_inpaint.unmute_matte"
    bl_label = "Unmute the Matte"

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        strips.mattes.unmute(scene, source, scene.flow_inpaint.mask_channel)


class FLOW_INPAINT_OT_show_matte(_OnActive, bpy.types.Operator):
    """Lay the matte over the footage as light, with a tint over what will be removed, grown and feathered; or hide it. Hidden, it goes on working"""

    bl_idname = "flow_inpaint.show_matte"
    bl_label = "Show Matte"

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        masks = diagnosis.mattes_of(scene, source)
        strips.mattes.show(masks, not strips.mattes.shown(masks))


class FLOW_INPAINT_OT_mark(_OnActive, bpy.types.Operator):
    """Remember on the strip what the panel is set to, for --all on a render machine; pressed again, forget it"""

    bl_idname = "flow_inpaint.mark"
    bl_label = "Mark for Removal"

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        if recipe.mark_of(source) is not None:
            recipe.unmark(source)
            return
        request = properties.request(scene, {})
        strips.mask_strips(scene, source, request.mask_channel)
        recipe.mark(source, request)


class FLOW_INPAINT_OT_load_settings(_OnActive, bpy.types.Operator):
    """Set the panel to what the active result was made with"""

    bl_idname = "flow_inpaint.load_settings"
    bl_label = "Settings to the Panel"

    def _do(self, scene: bpy.types.Scene, source: Any) -> None:
        made = recipe.read(source)
        if made is None:
            raise strips.StripError(f"Strip '{source.name}' was not made by Flow Inpaint: select a result.")
        settings, wanted = scene.flow_inpaint, made.request
        params = dict(wanted["params"])
        settings.mask_channel, settings.output = wanted["mask_channel"], wanted["output"]
        settings.reference_channel = wanted.get("reference_channel", 0)
        settings.format, settings.mute_source = wanted["format"], wanted["mute_source"]
        settings.result, settings.passes = wanted.get("result", properties.FRAMES), set(properties.in_order(wanted.get("passes", ())))
        settings.preset = params.pop("preset", descriptor.default_preset())
        settings.changes = json.dumps(params) if params else ""


_CLASSES = (
    FLOW_INPAINT_OT_make_matte,
    FLOW_INPAINT_OT_draw_matte,
    FLOW_INPAINT_OT_unmute_matte,
    FLOW_INPAINT_OT_show_matte,
    FLOW_INPAINT_OT_mark,
    FLOW_INPAINT_OT_load_settings,
)

register, unregister = bpy.utils.register_classes_factory(_CLASSES)
