"""One removal, from the strip to the new strip."""
from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import bpy

from . import engine_client, recipe, strips
from .outputs import Outputs, Written
from .properties import PATCH, Request
from .task import Task, TaskError, context_of

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
        made["passes"] = self._outputs.beside
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
        self._outputs = Outputs(self._place, request, resolved.floating)
        self._first, self.frames = wanted(resolved, request)
        self.notes += resolved.notes
        self._snap(scene, resolved, self._place.work)

    def _work(self) -> Iterator[None]:
        written = yield from self._with_engine(self._render)
        yield from self._when_free()
        self.path = self._outputs.commit(written)
        self._put(written.files)

    def _render(self, engine: engine_client.Engine) -> Generator[None, None, Written]:
        resolved, request = self._resolved, self._request
        yield from self._get_ready(engine, resolved)
        document = job_of(resolved, request, self._first, self.frames)
        whole = document | {"output": self._outputs.document()}
        self.stage = "Looking at the footage"
        found = yield from self._fingerprint(engine, whole, _LOOK_SHARE)
        answer = yield from self._ask(engine, "render", self._watched(engine, whole, self._outputs.previews, resolved.start, self._first))
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
        return self._outputs.written(answer)

    def _put(self, files: list[str] | None) -> None:
        scene, resolved = self._scene(), self._resolved
        if scene is None:
            raise TaskError(f"The scene of strip '{resolved.strip_name}' is gone: the result lies in {self.path}.")
        start = resolved.start + self._first
        patch = self._request.result == PATCH
        strip = strips.place(scene, resolved.strip_name, self.path, files, start, self.frames, self.path.stem, resolved.how, patch=patch)
        recipe.write(strip, self._recipe)
        self.strip_name, self.channel = strip.name, strip.channel
        if self._request.mute_source and not patch:
            strips.find(scene, resolved.strip_name).mute = True
        masks = [mask for mask in map(lambda name: strips.find(scene, name), self._known["mattes"]) if mask is not None]
        if strips.mattes.shown(masks):
            strips.mattes.show(masks, False)  # what is wanted to be seen now is the result


def resolve(scene: bpy.types.Scene, request: Request, source: str, folder: Path) -> strips.Resolved:
    """The strips as the engine needs them: the frames that are asked for, with those around them that it looks at. Raises `StripError`."""
    window = None
    strip = strips.find_source(scene, source)
    if request.result == PATCH:
        under_a_patch(scene, strip)
    if request.frames is not None:
        inside(strip, request.frames)
        context = context_of(request.params)
        window = request.frames[0] - context, request.frames[1] + context
    resolved = strips.resolve(scene, source, request.mask_channel, folder, window)
    strips.check_channel(strip, request.reference_channel, request.mask_channel)
    clean = strips.references(scene, source, request.reference_channel)
    shift = resolved.start - strips.left(strip)
    near = [one | {"frame": one["frame"] - shift} for one in clean if 0 <= one["frame"] - shift < resolved.length]
    if near:
        resolved.document["references"] = near
    return resolved


def under_a_patch(scene: bpy.types.Scene, strip: Any) -> None:
    """Raises `StripError` when an alpha patch over the strip would not be seen as it should."""
    if strips.blended(scene, strip):
        raise strips.StripError(
            f"Strip '{strip.name}' is blended with what is below it, so an alpha patch over it would not hide the object: choose Whole Frames."
        )


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
