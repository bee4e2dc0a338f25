"""One removal, from the strip to the new strip."""
from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import bpy

from . import descriptor, engine_client, recipe, strips
from .properties import Request
from .task import Task, TaskError, reach_of

_LOOK_SHARE = 0.1


class Removal(Task):
    """Call `advance` until it returns False; then `strip_name`, `channel` and `path` say what was made."""

    verb = "Remove"

    def __init__(self, scene: bpy.types.Scene, request: Request, python: str):
        """Looks at the strips at once. Raises `TaskError`."""
        self.strip_name = request.source or active_strip(scene)
        super().__init__(scene, python, self.strip_name)
        self.changes_strips = True
        self.channel = 0
        self.path = Path()
        self._request = request
        self._recipe: recipe.Recipe | None = None
        with self._tidily():
            self._place = self._reserve(request.output, self.strip_name)
            self._resolve(scene)

    def outcome(self) -> str:
        return f"'{self.strip_name}' is on channel {self.channel}: {self.path}"

    def result(self) -> dict[str, Any]:
        made = {"source": self.subject, "strip": self.strip_name, "channel": self.channel, "path": str(self.path)}
        return made | {"done": "made", "frames": self.frames, "notes": self.notes}

    def _resolve(self, scene: bpy.types.Scene) -> None:
        request = self._request
        resolved = resolve(scene, request, self.strip_name, self._place.work)
        source = strips.find_source(scene, self.strip_name)
        self._known = {
            "source": recipe.identity(source),
            "mattes": [strip.name for strip in strips.mask_strips(scene, source, request.mask_channel)],
            "request": recipe.request_of(request, source),
        }
        self._resolved = resolved
        self._first, self.frames = wanted(resolved, request)
        self.notes += resolved.notes
        self._snap(scene, resolved, self._place.work)

    def _work(self) -> Iterator[None]:
        format = descriptor.formats()[self._request.format]
        target = self._place.target(format["extension"], format["kind"])
        files = yield from self._with_engine(lambda engine: self._render(engine, target))
        yield from self._when_free()
        self.path = self._place.commit(target)
        self._put(None if format["kind"] == "video" else files)

    def _render(self, engine: engine_client.Engine, target: Path) -> Generator[None, None, list[str]]:
        resolved, request = self._resolved, self._request
        yield from self._render_strips(engine, resolved.renders)
        document = job_of(resolved, request, self._first, self.frames)
        output = {"path": str(target), "format": request.format}
        self.stage = "Looking at the footage"
        found = yield from self._fingerprint(engine, document | {"output": output}, _LOOK_SHARE)
        result = yield from self._ask(engine, "render", document | {"output": output})
        self._recipe = recipe.Recipe(
            engine=engine.found_version,
            start=resolved.start,
            first=self._first,
            count=self.frames,
            keys=found["keys"],
            methods=found["methods"],
            how=resolved.how.value,
            size=[found["width"], found["height"]],
            job=document,
            **self._known,
        )
        return result["files"]

    def _put(self, files: list[str] | None) -> None:
        scene, resolved = self._scene(), self._resolved
        if scene is None:
            raise TaskError(f"The scene of strip '{resolved.strip_name}' is gone: the result lies in {self.path}.")
        start = resolved.start + self._first
        strip = strips.place(scene, resolved.strip_name, self.path, files, start, self.frames, self.path.stem, how=resolved.how)
        recipe.write(strip, self._recipe)
        self.strip_name, self.channel = strip.name, strip.channel
        if self._request.mute_source:
            strips.find(scene, resolved.strip_name).mute = True
        masks = [mask for mask in map(lambda name: strips.find(scene, name), self._known["mattes"]) if mask is not None]
        if strips.mattes.shown(masks):
            strips.mattes.show(masks, False)  # what is wanted to be seen now is the result


def resolve(scene: bpy.types.Scene, request: Request, source: str, folder: Path) -> strips.Resolved:
    """The strips as the engine needs them: the frames that are asked for, with those around them that it looks at. Raises `StripError`."""
    window = None
    if request.frames is not None:
        strip = strips.find_source(scene, source)
        inside(strip, request.frames)
        reach = reach_of(request.params)
        window = request.frames[0] - reach, request.frames[1] + reach
    resolved = strips.resolve(scene, source, request.mask_channel, folder, window)
    if request.reference_channel == request.mask_channel:
        raise strips.StripError(f"Channel {request.mask_channel} is the mask channel: put the references on another channel.")
    clean = strips.references(scene, source, request.reference_channel)
    shift = resolved.start - strips.left(strips.find_source(scene, source))
    near = [one | {"frame": one["frame"] - shift} for one in clean if 0 <= one["frame"] - shift < resolved.length]
    if near:
        resolved.document["references"] = near
    return resolved


def inside(strip: Any, frames: tuple[int, int]) -> None:
    """Raises `StripError` when the strip shows none of these timeline frames."""
    if frames[0] > frames[1]:
        raise strips.StripError(f"The frames {frames[0]} to {frames[1]} end before they begin: give the first one first.")
    strips.within(strip, frames)


def wanted(resolved: strips.Resolved, request: Request) -> tuple[int, int]:
    """The first picture that is asked for, counted from the first one that the engine sees, and how many there are."""
    if request.frames is None:
        return 0, resolved.length
    first = max(request.frames[0] - resolved.start, 0)
    last = min(request.frames[1] - resolved.start, resolved.length - 1)
    return first, last + 1 - first


def job_of(resolved: strips.Resolved, request: Request, first: int, count: int) -> dict[str, Any]:
    """The job document without its output."""
    document = {**resolved.document, "params": request.params}
    return document if (first, count) == (0, resolved.length) else document | {"frames": [first, first + count - 1]}


def active_strip(scene: bpy.types.Scene) -> str:
    """The active strip's name. Raises `TaskError` when there is none."""
    active = strips.active(scene)
    if active is None:
        raise TaskError("No strip is active: select the strip to repair, or give its name.", bad_input=True)
    return active.name
