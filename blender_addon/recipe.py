"""The recipe that a result strip carries: how it was made, so that it can be made again. And the mark of a strip that is to be repaired.

Both are JSON in custom properties of the strip. They are saved with the file, copied with the strip, and understood by every
version of Blender, with the add-on or without.
"""
from __future__ import annotations

import json
import uuid
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

import bpy

from . import strips
from .properties import Request, in_order

PROPERTY, MARK = "flow_inpaint", "flow_inpaint_mark"
VERSION = 1

_NEEDED = {one.name for one in fields(Request) if one.default is MISSING} - {"source"}


@dataclass(frozen=True)
class Recipe:
    """How a result was made.

    id           the same on every copy of the strip that shows the same files
    engine       the engine's version, `methods` what it did each stage by
    source       the source strip's name, type and first file's name; `mattes` the mask strips' names
    request      what was asked for, as in `Request` without its source; frames are counted from the source strip's first
                 one (first and last; None: all)
    start        the timeline frame of the first picture that the engine saw
    first, count the pictures that the result shows, counted from there
    keys         what each picture that the engine saw was like (the engine's `fingerprint`)
    how          how the source's pictures were got; `size` theirs in pixels
    job          the job document that the engine was given, without its output
    """

    engine: str
    source: dict[str, str]
    mattes: list[str]
    request: dict[str, Any]
    start: int
    first: int
    count: int
    keys: str
    methods: dict[str, str]
    how: str
    size: list[int]
    job: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_request(self, source: Any, mask_channel: int) -> Request:
        """The same again, for the source strip where it lies now."""
        return _request(self.request | {"mask_channel": mask_channel}, source)


def write(strip: Any, recipe: Recipe) -> None:
    strip[PROPERTY] = json.dumps({"version": VERSION, **asdict(recipe)})


def read(strip: Any) -> Recipe | None:
    """The strip's recipe; None when it has none that this version understands."""
    found = _json(strip, PROPERTY)
    known = {one.name for one in fields(Recipe)}
    if found.get("version") != VERSION or not known <= found.keys():
        return None
    if not isinstance(found["request"], dict) or not _NEEDED <= found["request"].keys():
        return None
    return Recipe(**{name: found[name] for name in known})


def results(scene: bpy.types.Scene) -> list[Any]:
    """The strips that were made by a removal, from left to right and up."""
    made = [strip for strip in strips.top_strips(scene) if PROPERTY in strip.keys() and read(strip) is not None]
    return sorted(made, key=lambda strip: (strips.left(strip), strip.channel))


def of_id(scene: bpy.types.Scene, number: str) -> list[Any]:
    """The strips that show one result: more than one when it was copied or cut in two."""
    return [strip for strip in results(scene) if read(strip).id == number]


def source_of(scene: bpy.types.Scene, recipe: Recipe) -> Any:
    """The source strip: the one of that name, or if it was renamed the only one that shows the same file. Raises `StripError`."""
    wanted = recipe.source
    strip = strips.find(scene, wanted["name"])
    if strip is not None:
        return strip
    alike = [s for s in strips.top_strips(scene) if identity(s) | {"name": ""} == wanted | {"name": ""} and PROPERTY not in s.keys()]
    if wanted["file"] and len(alike) == 1:
        return alike[0]
    raise strips.StripError(f"The source strip '{wanted['name']}' is gone: bring it back, or rename the strip that took its place.")


def mask_channel_of(scene: bpy.types.Scene, recipe: Recipe, source: Any) -> int:
    """The channel where the mattes lie now: the one they were in, or the one that they were moved to. Raises `StripError`."""
    channel = recipe.request["mask_channel"]
    try:
        strips.mask_strips(scene, source, channel)
        return channel
    except strips.StripError:
        moved = {strip.channel for strip in map(lambda name: strips.find(scene, name), recipe.mattes) if strip is not None}
        if len(moved) == 1 and (other := moved.pop()) not in (channel, source.channel):
            return other
        raise


def identity(strip: Any) -> dict[str, str]:
    """What a strip is known by."""
    file = strips.files.first(strip).name if strip.type in ("MOVIE", "IMAGE") else ""
    return {"name": strip.name, "type": strip.type, "file": file}


def missing(strip: Any) -> list[int]:
    """The numbers of a result strip's files that are not there any more: 0 for a movie."""
    return strips.files.missing(strip)


def mark(strip: Any, request: Request) -> None:
    """Says that the strip is to be repaired, and how."""
    strip[MARK] = json.dumps({"version": VERSION, **request_of(request, strip)})


def unmark(strip: Any) -> None:
    if MARK in strip.keys():
        del strip[MARK]


def marked(scene: bpy.types.Scene) -> list[Any]:
    """The strips that are to be repaired, from left to right and up."""
    found = [strip for strip in strips.top_strips(scene) if MARK in strip.keys() and mark_of(strip) is not None]
    return sorted(found, key=lambda strip: (strips.left(strip), strip.channel))


def mark_of(strip: Any) -> Request | None:
    """What the strip's mark asks for."""
    found = _json(strip, MARK)
    return _request(found, strip) if found.get("version") == VERSION else None


def request_of(request: Request, source: Any) -> dict[str, Any]:
    """What a recipe or a mark keeps of a request: its frames move with the source strip."""
    kept = {name: value for name, value in asdict(request).items() if name != "source"}
    begin = strips.left(source)
    frames = None if request.frames is None else [frame - begin for frame in request.frames]
    return kept | {"frames": frames, "passes": list(request.passes)}


def _request(kept: dict[str, Any], source: Any) -> Request | None:
    """The way back. None when something is missing that has no default."""
    known = {name: kept[name] for name in (one.name for one in fields(Request)) if name in kept}
    frames, begin = known.get("frames"), strips.left(source)
    window = None if frames is None else (begin + frames[0], begin + frames[1])
    try:
        return Request(**known | {"source": source.name, "frames": window, "passes": in_order(known.get("passes", ()))})
    except TypeError:
        return None


def _json(strip: Any, name: str) -> dict[str, Any]:
    try:
        found = json.loads(strip[name])
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
