"""Strip to job: which files and frames the engine reads, and what Blender has to render for it first."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bpy

from . import animation, api, files, space, timing, treatment
from .errors import StripError
from .render import Render
from .treatment import How, Treatment


@dataclass
class Resolved:
    """What a strip and a mask channel mean for the engine.

    `document` holds `source` and `mask` of a job document; job frame k is timeline frame `start` + k. It is valid
    once `links` are made and every task of `renders` has run. `how` is for `place`. `floating`: its pictures have floating point samples.
    `notes` are sentences for the user.
    """

    strip_name: str
    start: int
    length: int
    how: How
    document: dict[str, Any]
    floating: bool = False
    links: list[files.Links] = field(default_factory=list)
    renders: list[Render] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Source:
    start: int
    length: int
    size: space.Size
    affine: space.Affine


def resolve(
    scene: bpy.types.Scene, source_name: str, mask_channel: int, folder: Path, window: tuple[int, int] | None = None
) -> Resolved:
    """What to do to remove the matte in `mask_channel` from the strip `source_name`.

    `window`: the first and the last timeline frame that matter; without it the whole strip does. Pictures that Blender
    has to render, and links to files, go below `folder`. Changes nothing in the scene. Raises `StripError`.
    """
    with files.looking_once():
        return _resolve(scene, source_name, mask_channel, folder, window)


def _resolve(scene: bpy.types.Scene, source_name: str, mask_channel: int, folder: Path, window: tuple[int, int] | None) -> Resolved:
    strip = find_source(scene, source_name)
    if api.length(strip) < 1:
        raise StripError(f"Strip '{strip.name}' has no frames left: set its trims back.")
    masks = mask_strips(scene, strip, mask_channel)
    first, last = within(strip, window)
    masks = [mask for mask in masks if api.left(mask) <= last and api.right(mask) > first]
    if not masks:
        raise StripError(f"The mask in channel {mask_channel} does not lie over frames {first} to {last}: choose other frames, or make it longer.")
    how = treatment.of_source(scene, strip)
    found = Resolved(strip.name, first, last + 1 - first, how.how, {"mask": []})
    found.notes += _cautions(scene, strip)
    source = _source(scene, strip, how, found, folder / "source")
    for number, mask in enumerate(masks, 1):
        found.document["mask"].append(_mask(scene, source, mask, found, folder / f"mask-{number}"))
    return found


def within(strip: api.Strip, window: tuple[int, int] | None) -> tuple[int, int]:
    """The first and the last frame of the strip that lie in the window. Raises `StripError` when none does."""
    whole = api.left(strip), api.right(strip) - 1
    if window is None:
        return whole
    first, last = max(window[0], whole[0]), min(window[1], whole[1])
    if first > last:
        raise StripError(
            f"Strip '{strip.name}' (frames {whole[0]} to {whole[1]}) shows none of the frames {window[0]} to {window[1]}: choose others."
        )
    return first, last


def find_source(scene: bpy.types.Scene, name: str) -> api.Strip:
    """The strip of that name. Raises `StripError`."""
    strip = api.find(scene, name)
    if strip is not None:
        return strip
    for inner in api.everything(scene) if scene.sequence_editor else ():
        if inner.name == name:
            meta = api.outermost(inner).name
            raise StripError(f"Strip '{name}' lies inside the meta strip '{meta}': choose '{meta}', or ungroup it (Ctrl+Alt+G).")
    raise StripError(f"There is no strip named '{name}' in the scene '{scene.name}': choose one that is there.")


def mask_strips(scene: bpy.types.Scene, source: api.Strip, channel: int) -> list[api.Strip]:
    """The strips of the channel that count and lie over the source, from left to right. Raises `StripError`."""
    last = api.last_channel()
    if not 1 <= channel <= last:
        raise StripError(f"There is no channel {channel}: the mask channel is a number from 1 to {last}.")
    if channel == source.channel:
        raise StripError(f"Channel {channel} is the one that strip '{source.name}' is on: put the mask on another channel.")
    everything = api.pictures(scene, channel)
    if not everything:
        wanted = f"put a movie, image, colour or Mask strip there, over '{source.name}'"
        raise StripError(f"There is no mask strip in channel {channel}: {wanted}.")
    if api.channel_muted(scene, channel):
        raise StripError(f"There is no mask strip in channel {channel}, because the channel is muted: unmute it.")
    heard = [s for s in everything if not s.mute]
    if not heard:
        names = ", ".join(f"'{s.name}'" for s in everything)
        raise StripError(f"There is no mask strip in channel {channel}, because {names} there is muted: unmute it.")
    over = [s for s in heard if api.overlap(s, source)]
    if not over:
        first, last = min(map(api.left, heard)), max(map(api.right, heard)) - 1
        raise StripError(
            f"The mask in channel {channel} (frames {first} to {last}) does not overlap strip '{source.name}' "
            f"(frames {api.left(source)} to {api.right(source) - 1}): move it over the strip."
        )
    return sorted(over, key=api.left)


def _cautions(scene: bpy.types.Scene, strip: api.Strip) -> list[str]:
    """What the user should know about strips that work on the source. Raises `StripError` if the result would be wrong."""
    notes = []
    for effect in api.top_strips(scene):
        if effect.mute or strip not in api.inputs(effect) or not api.overlap(effect, strip):
            continue
        if effect.type in ("SPEED", "TRANSFORM"):
            raise StripError(
                f"Strip '{strip.name}' is seen through the effect strip '{effect.name}', which changes where or when its pictures are: "
                f"choose '{effect.name}' as the source."
            )
        notes.append(f"Effect strip '{effect.name}' works on '{strip.name}' and not on the new strip: give it the new strip as its input.")
    if blended(scene, strip):
        notes.append(f"Strip '{strip.name}' is blended with what is below it: mute it, so that only the new strip is seen.")
    return notes


def blended(scene: bpy.types.Scene, strip: api.Strip) -> bool:
    """Whether what lies below the strip can be seen through it by its opacity or blend mode."""
    faded = strip.blend_alpha < 1 or "blend_alpha" in animation.animated(scene, strip)
    return faded or strip.blend_type not in ("REPLACE", "ALPHA_OVER", "CROSS")


def _source(scene: bpy.types.Scene, strip: api.Strip, how: Treatment, found: Resolved, folder: Path) -> _Source:
    """Puts `source` into the document."""
    frame = scene_size(scene)
    if how.how is How.FRAME:
        size, alpha, affine = frame, True, space.IDENTITY
    else:
        picture = files.picture(strip)
        size, alpha = picture.size, picture.alpha
        affine = space.to_scene(strip, size, frame)
    if how.how is How.DIRECT:
        found.document["source"] = _direct(scene, strip, found, found.start, found.length, folder)
        found.floating = files.first(strip).suffix.lower() == ".exr"
    else:
        task = _task(scene, strip, how, found.start, found.length, folder)
        found.document["source"] = _rendered(found, how, replace(task, size=size, alpha=alpha, deep=None), found.length)
    return _Source(found.start, found.length, size, affine)


def _mask(scene: bpy.types.Scene, source: _Source, strip: api.Strip, found: Resolved, folder: Path) -> dict[str, Any]:
    """One part of the job's mask."""
    begin = max(source.start, api.left(strip))
    count = min(source.start + source.length, api.right(strip)) - begin
    how, size, affine = mask_space(scene, strip, treatment.of_mask(scene, strip))
    if how.how is How.DIRECT:
        part = _direct(scene, strip, found, begin, count, folder)
    else:
        part = _rendered(found, how, _task(scene, strip, how, begin, count, folder), count)
    part["at"] = begin - source.start
    transform = space.compose(affine, source.affine)
    if size != source.size or not space.is_identity(transform, source.size):
        part["transform"] = list(transform)
    return part


def mask_space(scene: bpy.types.Scene, strip: api.Strip, how: Treatment) -> tuple[Treatment, space.Size, space.Affine]:
    """How to get the picture of a mask that is to be treated so, its size, and where a pixel of the scene lies in it."""
    if how.how is How.DIRECT:
        picture = files.picture(strip)
        back = space.inverse(space.to_scene(strip, picture.size, scene_size(scene)))
        if back is not None and not picture.alpha:
            return how, picture.size, back
        how = Treatment(How.FRAME, "has an alpha channel" if picture.alpha else "is scaled to nothing")
    return how, scene_size(scene), space.IDENTITY


def scene_size(scene: bpy.types.Scene) -> space.Size:
    """The size of the scene's picture."""
    return scene.render.resolution_x, scene.render.resolution_y


def _direct(scene: bpy.types.Scene, strip: api.Strip, found: Resolved, start: int, count: int, folder: Path) -> dict[str, Any]:
    clip, links = files.clip(strip, timing.indices(strip, scene, start, count), folder)
    if links is not None:
        found.links.append(links)
    return clip


def _task(scene: bpy.types.Scene, strip: api.Strip, how: Treatment, start: int, count: int, folder: Path) -> Render:
    frames = 1 if treatment.still(scene, strip) else count
    return Render(f"Rendering strip '{strip.name}'", frames, scene.name, strip.name, how.how, start, scene_size(scene), folder)


def _rendered(found: Resolved, how: Treatment, task: Render, count: int) -> dict[str, Any]:
    """Adds the task; the clip of `count` frames that it makes."""
    found.renders.append(task)
    kind = "Strip" if task.strip_name == found.strip_name else "Mask strip"
    found.notes.append(f"{kind} '{task.strip_name}' {how.reason}: Blender renders it first.")
    return {"path": str(task.folder), **files.numbers([0] * count if task.frames == 1 else range(count))}
