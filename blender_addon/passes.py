"""The passes of a result: pictures about it in a folder beside its file, and the strips that show them.

A picture is named by its number among those that the engine saw, so that frames made separately fit together.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from . import descriptor, recipe, result_files, strips

PROPERTY = "flow_inpaint_pass"
VERSION = 1
_FOOTAGE = {"patch"}
"""The passes that are seen as footage; the others are numbers."""


def folder_of(result: Any) -> Path:
    """Where the passes of what a result strip shows lie, if there are any."""
    path = strips.files.first(result)
    return result_files.passes_beside(path if result.type == "MOVIE" else path.parent)


def found(result: Any) -> list[str]:
    """The names of the passes that lie there, in the descriptor's order."""
    folder = folder_of(result)
    return [name for name in descriptor.passes() if (folder / name).is_dir()]


def files(folder: Path, first: int, count: int) -> list[str]:
    """The names that a pass's pictures have, or should have, for `count` of the pictures that the engine saw, from number `first` on."""
    ending = next((os.path.splitext(name)[1] for name in os.listdir(folder)), ".png")
    return [f"{number:05d}{ending}" for number in range(first, first + count)]


def missing(folder: Path, names: Iterable[str], first: int, count: int) -> set[int]:
    """Which of the frames, counted from 0, lack a picture in one of these passes."""
    lost: set[int] = set()
    for name in names:
        there = set(os.listdir(folder / name))
        lost |= {number for number, file in enumerate(files(folder / name, first, count)) if file not in there}
    return lost


def revealed(scene: bpy.types.Scene, number: str) -> list[Any]:
    """The strips that show the passes of the result with this id."""
    return [strip for strip in strips.top_strips(scene) if _about(strip).get("id") == number]


def reveal(scene: bpy.types.Scene, result: Any, names: Iterable[str] | None = None) -> list[Any]:
    """Adds the passes (all that there are) of a result strip as muted strips above it, but for those that are shown already. Returns the new ones.

    Raises `StripError`.
    """
    made = _made(result)
    if getattr(result, "retiming_keys", None):
        raise strips.StripError(f"Strip '{result.name}' is retimed, so that its passes would not lie on its frames: take its retiming away.")
    shown = {_about(strip)["name"] for strip in revealed(scene, made.id)}
    there = found(result)
    if not there:
        raise strips.StripError(f"Strip '{result.name}' has no passes: choose some under Output, then update it with the panel's settings.")
    at = max(strips.first_content(result), 0)
    added = []
    for name in there:
        if name in shown or (names is not None and name not in names):
            continue
        folder = folder_of(result) / name
        pictures = files(folder, made.first + at, made.count - at)
        label = descriptor.passes()[name]["label"]
        # Places and frames are larger than white: what is shown goes up to it.
        gain = 1.0 / max(*made.size, 1) if name == "provenance" else 1.0
        strip = strips.place_pass(scene, result, folder, pictures, f"{label} of {result.name}", name in _FOOTAGE, gain)
        strip[PROPERTY] = json.dumps({"version": VERSION, "id": made.id, "name": name, "at": at})
        added.append(strip)
    return added


def hide(scene: bpy.types.Scene, result: Any) -> int:
    """Takes the strips that show a result's passes away; their files stay. Returns how many there were."""
    shown = revealed(scene, _made(result).id)
    for strip in shown:
        strips.remove(strip)
    return len(shown)


def renew(scene: bpy.types.Scene, result: Any) -> None:
    """Makes the strips of the passes show those of what the result strip shows now; a pass that there is no more is taken away."""
    made = _made(result)
    again = set()
    for strip in revealed(scene, made.id):
        about, length = _about(strip), len(strip.elements)
        folder = folder_of(result) / about["name"]
        if folder.is_dir() and about["at"] + length <= made.count:
            strips.repoint(strip, folder, files(folder, made.first + about["at"], length))
        else:
            again.add(about["name"])
            strips.remove(strip)
    if again & set(found(result)):
        reveal(scene, result, again)


def _made(result: Any) -> recipe.Recipe:
    made = recipe.read(result)
    if made is None:
        raise strips.StripError(f"Strip '{result.name}' was not made by Flow Inpaint: select a result.")
    return made


def _about(strip: Any) -> dict[str, Any]:
    """What a pass's strip shows; empty for another strip."""
    try:
        about = json.loads(strip[PROPERTY])
    except (KeyError, TypeError, ValueError):
        return {}
    known = isinstance(about, dict) and about.get("version") == VERSION and {"id", "name", "at"} <= about.keys()
    return about if known else {}
