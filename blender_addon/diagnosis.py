"""What is wrong before anything is started, as far as can be seen without opening a file: for the panel, at every redraw."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from . import frame_range, properties, recipe, removal, result_files, strips


@dataclass(frozen=True)
class Problem:
    """`text`: one sentence. `operator`: the button that helps, empty when only the user can; `label` what it says."""

    text: str
    operator: str = ""
    label: str = ""


def problems(scene: bpy.types.Scene) -> list[Problem]:
    """The most important one first; none when a removal can start, if the engine is there (see `engine_panel`)."""
    return [*_strips(scene), *_output(scene.flow_inpaint.output)]


def mattes_of(scene: bpy.types.Scene, strip: Any) -> list[Any]:
    """The mask strips that count for a strip: of the panel's mask channel, for a result of its recipe's. Raises `StripError`."""
    made = recipe.read(strip)
    return strips.mask_strips(scene, strip, scene.flow_inpaint.mask_channel if made is None else made.request["mask_channel"])


def masks_of(scene: bpy.types.Scene) -> list[Any]:
    """Those of the active strip; empty when something is wrong."""
    source = strips.active(scene)
    try:
        return mattes_of(scene, source) if source is not None else []
    except strips.StripError:
        return []


def _strips(scene: bpy.types.Scene) -> list[Problem]:
    source = strips.active(scene)
    if source is None:
        return [Problem("No strip is active: click the footage that something is to be removed from.")]
    channel = scene.flow_inpaint.mask_channel
    try:
        strips.find_source(scene, source.name)
        strips.refuse_kinds(source)
    except strips.StripError as error:
        return [Problem(str(error))]
    try:
        masks = strips.mask_strips(scene, source, channel)
    except strips.StripError as error:
        if strips.mattes.muted(scene, source, channel):
            return [Problem(str(error), "flow_inpaint.unmute_matte", "Unmute the Matte")]
        return [Problem(str(error), "flow_inpaint.make_matte", "Make Matte")]
    if all(map(strips.mattes.empty, masks)):
        return [Problem(f"The mask '{masks[0].name}' is empty: draw around what is to go.", "flow_inpaint.draw_matte", "Draw Matte")]
    try:
        strips.check_channel(source, scene.flow_inpaint.reference_channel, channel)
        if scene.flow_inpaint.result == properties.PATCH:
            removal.under_a_patch(scene, source)
        wanted = frame_range.of(scene, scene.flow_inpaint.range)
        if wanted is not None:
            removal.inside(source, wanted)
    except strips.StripError as error:
        return [Problem(str(error))]
    return []


def _output(output: str) -> list[Problem]:
    try:
        result_files.folder_of(output)
    except result_files.ResultError as error:
        return [Problem(str(error), "wm.save_mainfile" if output.startswith("//") else "", "Save the File")]
    return []
