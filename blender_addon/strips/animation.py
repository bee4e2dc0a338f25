"""F-curves and drivers of strips. They live in the scene's animation data, by the strip's name."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from . import api

FOLLOWED = ("blend_alpha", "color_multiply", "color_saturation")
"""Properties whose curves the new strip gets too, so that their animation is no reason to render the strip."""

_HARMLESS = {*FOLLOWED, "mute", "volume", "pan"}


def animated(scene: bpy.types.Scene, strip: api.Strip) -> set[str]:
    """Properties of the strip that move in time, such as `transform.offset_x`."""
    data = scene.animation_data
    if data is None:
        return set()
    start = strip.path_from_id() + "."
    curves = [*_curves(data.action, None), *data.drivers]
    curves += [curve for track in data.nla_tracks for piece in track.strips for curve in _curves(piece.action, None)]
    return {curve.data_path[len(start) :] for curve in curves if curve.data_path.startswith(start)}


def reshaped(scene: bpy.types.Scene, strip: api.Strip) -> bool:
    """Whether anything moves that changes the strip's picture and cannot be given to the new strip as it is."""
    return bool(animated(scene, strip) - _HARMLESS)


def still(scene: bpy.types.Scene, keep: api.Strip) -> bpy.types.Action | None:
    """Makes sure, in a copy of a scene, that no curve mutes strips or fades `keep`.

    Returns the action made for it, for the caller to remove with the scene.
    """
    data = scene.animation_data
    if data is None:
        return None
    fade = keep.path_from_id("blend_alpha")
    for driver in [d for d in data.drivers if _disturbs(d.data_path, fade)]:
        data.drivers.remove(driver)
    if not any(_disturbs(curve.data_path, fade) for curve in _curves(data.action, None)):
        return None
    slot = getattr(data, "action_slot", None)
    identifier = slot.identifier if slot else None
    data.action = data.action.copy()
    if identifier is not None:
        data.action_slot = next(one for one in data.action.slots if one.identifier == identifier)
    for group in _groups(data.action):
        for curve in [c for c in group if _disturbs(c.data_path, fade)]:
            group.remove(curve)
    return data.action


def follow(scene: bpy.types.Scene, source: api.Strip, target: api.Strip, names: tuple[str, ...]) -> None:
    """Gives `target` the same key frames as `source` for these properties."""
    data = scene.animation_data
    for name in names:
        curve = next((c for c in _curves(data.action if data else None, source.path_from_id(name))), None)
        if curve is None or not len(curve.keyframe_points):
            continue
        for key in curve.keyframe_points:
            setattr(target, name, key.co[1])
            target.keyframe_insert(name, frame=key.co[0])
        twin = next(c for c in _curves(scene.animation_data.action, target.path_from_id(name)))
        twin.extrapolation = curve.extrapolation
        for mine, theirs in zip(twin.keyframe_points, curve.keyframe_points):
            for detail in ("interpolation", "easing", "handle_left_type", "handle_right_type", "handle_left", "handle_right"):
                setattr(mine, detail, getattr(theirs, detail))


def _disturbs(path: str, fade: str) -> bool:
    return path == fade or (path.startswith("sequence_editor.") and path.endswith(".mute"))


def _curves(action: bpy.types.Action | None, path: str | None) -> Iterator[bpy.types.FCurve]:
    for group in _groups(action):
        for curve in group:
            if path is None or curve.data_path == path:
                yield curve


def _groups(action: bpy.types.Action | None) -> Iterator[Any]:
    """The collections of F-curves: one of an action before 4.4, one of each slot since."""
    if action is None:
        return
    if not hasattr(action, "layers"):
        yield action.fcurves
        return
    for layer in action.layers:
        for strip in layer.strips:
            yield from (bag.fcurves for bag in strip.channelbags)
