"""Looks before a removal: one frame of it as a picture, and what the whole would take."""
from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from . import engine_client, removal, strips
from .engine_setup.busy_files import remove_folder
from .properties import Request
from .task import Task, TaskError, reach_of

PREVIEW_REACH = 16
"""Frames before and after the playhead that a preview looks at."""
IMAGE = "Flow Inpaint Preview"

last_check: dict[str, Any] = {}
"""What the last check found: `strip` and `lines`."""


class _Look(Task):
    """Works in a folder of its own that goes with it: nothing is written beside the .blend file."""

    def __init__(self, scene: bpy.types.Scene, request: Request, python: str):
        """Raises `TaskError`."""
        name = request.source or removal.active_strip(scene)
        super().__init__(scene, python, name)
        self._request = self._narrowed(scene, request)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="flow-inpaint-"))
        except OSError as error:
            raise TaskError(f"No temporary folder can be made in {tempfile.gettempdir()} ({error.strerror}): free some space there.") from error
        self._leftovers.callback(remove_folder, self._folder)
        with self._tidily():
            self._resolved = removal.resolve(scene, self._request, name, self._folder)
            self._first, self.frames = removal.wanted(self._resolved, self._request)
            self._float = _first_suffix(scene, name) == ".exr"
            self._snap(scene, self._resolved, self._folder)

    def _narrowed(self, _scene: bpy.types.Scene, request: Request) -> Request:
        return request

    def _document(self, name: str) -> dict[str, Any]:
        document = removal.job_of(self._resolved, self._request, self._first, self.frames)
        format = "exr" if self._float and self._resolved.how is strips.How.DIRECT else "png"
        return document | {"output": {"path": str(self._folder / name), "format": format}}


class Preview(_Look):
    """The frame under the playhead, inpainted; then `image` is the name of the picture."""

    verb = "Preview"

    image = ""

    def _narrowed(self, scene: bpy.types.Scene, request: Request) -> Request:
        self._frame = scene.frame_current
        near = min(reach_of(request.params), PREVIEW_REACH)
        return replace(request, params=request.params | {"reach": near}, frames=(self._frame, self._frame))

    def outcome(self) -> str:
        return f"Frame {self._frame} of '{self.subject}' without what the matte covers is the image '{self.image}'"

    def result(self) -> dict[str, Any]:
        return {"source": self.subject, "frame": self._frame, "image": self.image, "notes": self.notes}

    def _work(self) -> Iterator[None]:
        files = yield from self._with_engine(self._render)
        yield from self._when_free()
        self.image = _loaded(self._folder / "preview" / files[0])

    def _render(self, engine: engine_client.Engine) -> Generator[None, None, list[str]]:
        yield from self._get_ready(engine, self._resolved)
        return (yield from self._ask(engine, "render", self._document("preview")))["files"]


class Check(_Look):
    """What the removal would take; then `lines` say it."""

    verb = "Check"

    def outcome(self) -> str:
        return " ".join(self.lines)

    def result(self) -> dict[str, Any]:
        return {"source": self.subject, "forecast": self.forecast, "notes": self.notes}

    def _work(self) -> Iterator[None]:
        self.forecast = yield from self._with_engine(self._ask_for)
        self.lines = _lines(self.forecast, self._resolved.start)
        last_check.clear()
        last_check.update(strip=self.subject, lines=self.lines)

    def _ask_for(self, engine: engine_client.Engine) -> Generator[None, None, dict[str, Any]]:
        yield from self._get_ready(engine, self._resolved)
        self.stage = "Looking at the matte"
        return (yield from self._ask(engine, "check", self._document("check")))


def _first_suffix(scene: bpy.types.Scene, name: str) -> str:
    strip = strips.find_source(scene, name)
    return strips.files.first(strip).suffix.lower() if strip.type in ("MOVIE", "IMAGE") else ""


def _loaded(path: Path) -> str:
    """The picture as a data-block that needs no file, in the place of the last one."""
    try:
        image = bpy.data.images.load(str(path))
        image.pack()
    except RuntimeError as error:
        raise TaskError(f"The preview {path} cannot be read by Blender ({error}).") from error
    before = bpy.data.images.get(IMAGE)
    if before is not None:
        before.user_remap(image)
        bpy.data.images.remove(before)
    image.name = IMAGE
    return image.name


def _lines(forecast: dict[str, Any], start: int) -> list[str]:
    """The engine's forecast in the user's words. `start`: the timeline frame that is the job's first."""
    seconds = float(forecast.get("seconds", 0.0))
    minutes, rest = divmod(round(seconds), 60)
    time = f"{minutes} min {rest} s" if minutes else f"{max(rest, 1)} s"
    size = f"{forecast.get('width')}x{forecast.get('height')}"
    return [
        f"{forecast.get('frames')} frames of {size}, {float(forecast.get('masked', 0.0)):.1%} of the picture masked.",
        f"About {time} and {forecast.get('memory_mib')} MiB of memory on {forecast.get('device')}.",
        *([f"{forecast['disk_mib']} MiB on disk while it runs."] if forecast.get("disk_mib") else []),
        f"Optical flow {forecast.get('flow')}, completion {forecast.get('completion')}, fill {forecast.get('fill')}.",
        *_coverage(forecast.get("coverage") or {}, start),
        *map(str, forecast.get("notes", ())),
    ]


def _coverage(found: dict[str, Any], start: int) -> list[str]:
    """What other frames show of what is masked, where the engine says so."""
    if "seen" not in found:
        return []
    lines = [f"Other frames show about {found['seen']:.0%} of what is masked; {found['unseen']:.1%} is seen nowhere and will be invented."]
    if found.get("referenced"):
        lines.append(f"The references show {found['referenced']:.1%} that no frame shows.")
    if found.get("reference") is not None:
        lines.append(f"Best to paint as a reference: frame {start + found['reference']}, which would show {found['reference_shows']:.0%} of the unseen.")
    return lines
