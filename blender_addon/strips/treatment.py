"""Whether the engine can read a strip's files itself, or Blender has to render the strip first."""
from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import bpy

from . import animation, api, files
from .errors import StripError


class How(Enum):
    """DIRECT: the engine reads the files. PIXELS: Blender renders the strip at its files' size, untransformed.
    FRAME: Blender renders what the scene's picture shows of it, transform and all."""

    DIRECT = "direct"
    PIXELS = "pixels"
    FRAME = "frame"


@dataclass(frozen=True)
class Treatment:
    how: How
    reason: str = ""


_REFUSED = {
    "SCENE": "is a scene strip: render that scene to an image sequence and use it instead",
    "ADJUSTMENT": "is an adjustment layer: make a meta strip of it and the strips below it (Ctrl+G) and use that",
    "MULTICAM": "is a multicam selector: make a meta strip of it and its cameras (Ctrl+G) and use that",
    "SOUND": "is a sound strip: choose one with a picture",
}
_PER_PIXEL = {"BRIGHT_CONTRAST", "COLOR_BALANCE", "CURVES", "HUE_CORRECT", "WHITE_BALANCE"}
_KINDS = {
    "META": "a meta strip",
    "COLOR": "a colour strip",
    "TEXT": "a text strip",
    "MASK": "a Mask strip",
    "MOVIECLIP": "a movie clip strip",
}


def of_source(scene: bpy.types.Scene, strip: api.Strip) -> Treatment:
    """How to get the source strip's pictures. Raises `StripError` for what cannot be a source."""
    refuse(strip)
    return by_its_kind(scene, strip)


def by_its_kind(scene: bpy.types.Scene, strip: api.Strip) -> Treatment:
    """The same for a strip that can be one, without asking whether its files are there. Raises `StripError`."""
    if strip.type not in ("MOVIE", "IMAGE"):
        return Treatment(How.FRAME, f"is {_KINDS.get(strip.type, 'an effect strip')}")
    if animation.reshaped(scene, strip):
        return Treatment(How.FRAME, "is animated")
    modifiers = _modifiers(strip)
    if any(m.type not in _PER_PIXEL or _masked(m) for m in modifiers):
        return Treatment(How.FRAME, "has modifiers")
    if modifiers:
        return Treatment(How.PIXELS, "has modifiers")
    reason = _unreadable(strip)
    return Treatment(How.PIXELS, reason) if reason else Treatment(How.DIRECT)


def of_mask(scene: bpy.types.Scene, strip: api.Strip) -> Treatment:
    """How to get a mask strip's pictures: directly, or as the scene's picture shows them, over black.

    Blend mode and opacity are how a matte is looked at while working, and do not matter.
    """
    refuse(strip)
    return mask_by_its_kind(scene, strip)


def mask_by_its_kind(scene: bpy.types.Scene, strip: api.Strip) -> Treatment:
    """The same for a strip that can be one, without asking whether its files are there. Raises `StripError`."""
    seen = by_its_kind(scene, strip)
    if seen.how is not How.DIRECT:
        return Treatment(How.FRAME, seen.reason)
    crop = strip.crop
    if crop.min_x or crop.max_x or crop.min_y or crop.max_y:
        return Treatment(How.FRAME, "is cropped")
    coloured = {"color_multiply", "color_saturation"}
    if strip.color_multiply != 1 or strip.color_saturation != 1 or animation.animated(scene, strip) & coloured:
        return Treatment(How.FRAME, "has its colours changed")
    return Treatment(How.DIRECT)


def still(scene: bpy.types.Scene, strip: api.Strip) -> bool:
    """Whether every frame of the strip is the same picture."""
    single = strip.type in ("COLOR", "TEXT") or (strip.type == "IMAGE" and len(strip.elements) == 1)
    return single and not _modifiers(strip) and not animation.reshaped(scene, strip)


def refuse(strip: api.Strip) -> None:
    """As `refuse_kinds`, and when a file is missing."""
    refuse_kinds(strip)
    for part in api.family(strip):
        if part.type in ("MOVIE", "IMAGE"):
            files.check(part)


def refuse_kinds(strip: api.Strip) -> None:
    """Raises `StripError` if Blender cannot render the strip alone, or not without a GPU. Asks no disk."""
    for part in api.family(strip):
        if part.type in _REFUSED and (part == strip or part.type == "SCENE"):
            where = "" if part == strip else f", on which '{strip.name}' is built,"
            raise StripError(f"Strip '{part.name}'{where} {_REFUSED[part.type]}.")


def _modifiers(strip: api.Strip) -> list[bpy.types.bpy_struct]:
    return [m for m in strip.modifiers if not m.mute and not m.type.startswith("SOUND")]


def _masked(modifier: bpy.types.bpy_struct) -> bool:
    return bool(getattr(modifier, "input_mask_strip", None) or getattr(modifier, "input_mask_id", None))


def _unreadable(strip: api.Strip) -> str:
    """Why the engine cannot take the pictures from the strip's files. Raises `StripError` when Blender cannot either."""
    if len(getattr(strip, "retiming_keys", ())):
        return "is retimed"
    if strip.use_deinterlace:
        return "is deinterlaced"
    if getattr(strip, "stream_index", 0):
        return "shows another stream of its file than the first"
    if strip.type == "MOVIE" and not files.movie_rate(strip):
        files.picture(strip)  # it may be no movie at all
        return "has a file without a frame rate"
    if not files.readable(strip):
        return "has files of a kind that only Blender reads"
    return ""
