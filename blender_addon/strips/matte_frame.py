"""What the mattes over a strip are at one timeline frame: for a look at them, frame by frame, in which nothing may take long."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import api, files, resolve, space, timing, treatment
from .errors import StripError
from .render import Render
from .treatment import How

_PLAIN = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
#: How a strip is looked at and where it is selected changes nothing of what it removes. For its rate, Blender opens the file.
_NOT_MEANT = {
    *("fps", "blend_type", "blend_alpha", "name", "channel", "show_expanded", "is_active"),
    *("select", "select_left_handle", "select_right_handle"),
}
_PARTS = ("transform", "crop")


@dataclass(frozen=True)
class _Matte:
    name: str
    how: How
    size: space.Size
    transform: space.Affine | None
    still: bool


@dataclass(frozen=True)
class Ground:
    """What is the same at every frame of a strip. `size`: of its picture; `affine`: where that lies in the scene's."""

    size: space.Size
    affine: space.Affine
    mattes: tuple[_Matte, ...]


def ground(scene: bpy.types.Scene, source: api.Strip, channel: int) -> Ground:
    """Without asking whether the files are there. Raises `StripError`."""
    treatment.refuse_kinds(source)
    affine = space.IDENTITY
    if treatment.by_its_kind(scene, source).how is How.FRAME:
        size = resolve.scene_size(scene)
    else:
        size = files.picture(source).size
        affine = space.to_scene(source, size, resolve.scene_size(scene))
    mattes = []
    for strip in resolve.mask_strips(scene, source, channel):
        treatment.refuse_kinds(strip)
        how, own, towards = resolve.mask_space(scene, strip, treatment.mask_by_its_kind(scene, strip))
        transform = space.compose(towards, affine)
        same = own == size and space.is_identity(transform, size)
        mattes.append(_Matte(strip.name, how.how, own, None if same else transform, treatment.still(scene, strip)))
    return Ground(size, affine, tuple(mattes))


def signature(scene: bpy.types.Scene, source: api.Strip, channel: int) -> tuple[Any, ...]:
    """Differs where the ground or what Blender renders of it may; costs little. Raises `StripError`."""
    found: list[Any] = [source.name, channel, resolve.scene_size(scene), api.rate(scene)]
    for strip in (source, *resolve.mask_strips(scene, source, channel)):
        for part in api.family(strip):
            found.append(tuple(_values(part)))
            if part.type == "MASK" and part.mask is not None:
                found.append(tuple(_drawn(part.mask)))
    return tuple(found)


def _values(owner: Any) -> Iterator[Any]:
    for name in _plain_names(owner):
        yield getattr(owner, name)
    for name in _PARTS:
        part = getattr(owner, name, None)
        if part is not None:
            yield from (getattr(part, inner) for inner in _plain_names(part))
    for modifier in getattr(owner, "modifiers", ()):
        yield from (getattr(modifier, inner) for inner in _plain_names(modifier))
    if owner.type == "IMAGE":
        yield len(owner.elements)


_names: dict[Any, tuple[str, ...]] = {}


def _plain_names(owner: Any) -> tuple[str, ...]:
    kind = type(owner)
    if kind not in _names:
        single = [one for one in owner.bl_rna.properties if one.type in _PLAIN and not getattr(one, "is_array", False)]
        _names[kind] = tuple(one.identifier for one in single if one.identifier not in _NOT_MEANT)
    return _names[kind]


def _drawn(mask: bpy.types.Mask) -> Iterator[Any]:
    """What is drawn in a mask, as it stands at this frame."""
    yield mask.name
    for layer in mask.layers:
        yield from (layer.alpha, layer.blend, layer.invert, layer.falloff, layer.hide_render, layer.use_fill_holes, layer.use_fill_overlap)
        for spline in layer.splines:
            yield from (spline.use_cyclic, spline.use_fill, spline.offset_mode, spline.weight_interpolation)
            for point in spline.points:
                yield from (*point.co, *point.handle_left, *point.handle_right, point.weight)
                yield from (point.handle_left_type, point.handle_right_type)
                yield from (value for feather in point.feather_points for value in (feather.u, feather.weight))


@dataclass(frozen=True)
class Ahead:
    """What Blender has to render before the engine can look: pictures of `count` frames from `start` go to `task.folder`."""

    name: str
    start: int
    count: int
    task: Render


def document(
    scene: bpy.types.Scene, ground: Ground, frame: int, rendered: dict[tuple[str, int], Path]
) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """The mattes for the engine's `matte` at a timeline frame; and which of them Blender has to render first, by strip and frame.

    rendered  what it has rendered, so that it can be read
    """
    parts, lacking = [], []
    for matte in ground.mattes:
        strip = api.find(scene, matte.name)
        if strip is None or not api.left(strip) <= frame < api.right(strip):
            continue
        if matte.how is How.DIRECT:
            part = _direct(scene, strip, frame)
        else:
            key = matte.name, api.left(strip) if matte.still else frame
            path = rendered.get(key)
            if path is None:
                lacking.append(key)
                continue
            part = {"path": str(path)}
        parts.append(part if matte.transform is None else part | {"transform": list(matte.transform)})
    return {"size": list(ground.size), "mask": parts}, lacking


def _direct(scene: bpy.types.Scene, strip: api.Strip, frame: int) -> dict[str, Any]:
    (index,) = timing.indices(strip, scene, frame, 1)
    if strip.type == "IMAGE":
        return {"path": str(files.folder(strip) / strip.elements[index].filename)}
    return files.clip(strip, [index], Path())[0]


def ahead(scene: bpy.types.Scene, ground: Ground, lacking: tuple[str, int], most: int, folder: Path) -> Ahead:
    """Has a matte rendered from a frame on, `most` frames at most. Raises `StripError`."""
    name, start = lacking
    strip = api.find(scene, name)
    matte = next(one for one in ground.mattes if one.name == name)
    if strip is None:
        raise StripError(f"Strip '{name}' is gone: start again.")
    count = 1 if matte.still else min(most, api.right(strip) - start)
    task = Render(f"Rendering strip '{name}'", count, scene.name, name, How.FRAME, start, resolve.scene_size(scene), folder)
    return Ahead(name, start, count, task)
