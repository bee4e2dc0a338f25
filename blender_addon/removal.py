"""One removal, from the strip to the new strip, in steps short enough for a window that goes on living."""
from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import bpy

from . import descriptor, engine_client, result_files, strips
from .properties import Request

_STARTING = "Starting the engine"
_STAGES = {
    "matte": "Reading the matte",
    "flow": "Following the motion",
    "completion": "Completing the motion",
    "trace": "Looking for what is behind",
    "fill": "Inventing what no frame shows",
    "write": "Writing the result",
}
"""The engine's words for its stages, as the user reads them."""

_RENDER_SHARE = 0.15
_ABORT_PATIENCE = 0.6

running: Removal | None = None


class RemovalError(Exception):
    """One sentence for the person at the screen."""


class Cancelled(Exception):
    """The user stopped it; nothing is left of it."""


class Removal:
    """Call `advance` until it returns False; then `strip_name`, `channel` and `path` say what was made.

    Holds no Blender data between two steps, so that undo, deleted strips and other scenes cannot pull it away.
    """

    def __init__(self, scene: bpy.types.Scene, request: Request, python: str):
        global running
        if running is not None:
            raise RemovalError("Flow Inpaint is already at work: wait for its end, or press ESC to stop it.")
        self.stage = _STARTING
        self.fraction = 0.0
        self.eta_s: float | None = None
        self.notes: list[str] = []
        self.blocks_editing = False
        self.strip_name = request.source or _active_strip(scene)
        self.channel = 0
        self.path = Path()
        self._request = request
        self._python = python
        self._scene_uid = scene.session_uid
        self._cancelling = False
        self._patience = 0.0
        self._begin = 0.0
        self._steps = self._work()
        running = self

    def advance(self, patience: float = 0.0) -> bool:
        """One step; False when the strip is there. `patience`: how long the step may wait for news, in seconds.

        Raises `RemovalError` or `Cancelled`; nothing half done is left then.
        """
        self._patience = patience
        try:
            next(self._steps)
            return True
        except StopIteration:
            self._leave()
            return False
        except (strips.StripError, engine_client.EngineError, result_files.ResultError) as error:
            self._leave()
            raise RemovalError(str(error)) from error
        except BaseException:
            self._leave()
            raise

    def cancel(self) -> None:
        """Asks for the end; `advance` raises `Cancelled` within a second."""
        self._cancelling = True

    def stop(self) -> None:
        """Ends it at once, whatever it is doing."""
        self._steps.close()
        self._leave()

    def status(self) -> str:
        """What it is doing, how far it is and how long it will take, in one line."""
        if self._cancelling:
            return "Flow Inpaint: Stopping"
        text = f"Flow Inpaint: {self.stage}, {self.fraction:.0%}"
        if self.eta_s is not None:
            minutes, seconds = divmod(round(self.eta_s), 60)
            text += f", {minutes}:{seconds:02d} left"
        return text

    def _leave(self) -> None:
        global running
        if running is self:
            running = None

    def _work(self) -> Iterator[None]:
        place = result_files.ResultPlace(result_files.folder_of(self._request.output), self.strip_name)
        try:
            resolved = strips.resolve(self._scene(), self.strip_name, self._request.mask_channel, place.work)
            self.notes += resolved.notes
            declared = descriptor.formats()[self._request.format]
            target = place.target(declared["extension"], declared["kind"])
            output = {"path": str(target), "format": self._request.format}
            clean = strips.references(self._scene(), self.strip_name, self._request.reference_channel)
            document = {**resolved.document, "output": output, "params": self._request.params}
            result = yield from self._engine(resolved, document | ({"references": clean} if clean else {}))
            self.path = place.commit(target)
        finally:
            place.discard()
        files = None if declared["kind"] == "video" else result["files"]
        self._place(resolved, files)

    def _engine(self, resolved: strips.Resolved, document: dict[str, Any]) -> Generator[None, None, dict[str, Any]]:
        """Runs the job. The engine starts before Blender renders, so that a missing one is found out at once."""
        engine = engine_client.Engine(self._python, descriptor.version())
        try:
            self._begin = _RENDER_SHARE if resolved.renders else 0.0
            yield from self._await(engine, lambda: engine.ready)
            yield from self._render_strips(engine, resolved.renders)
            engine.render(document)
            yield from self._await(engine, lambda: engine.result is not None)
        except BaseException:
            engine.kill()
            raise
        engine.close(wait=self._patience)
        return engine.result

    def _render_strips(self, engine: engine_client.Engine, tasks: list[strips.Render]) -> Iterator[None]:
        """Blender renders what the engine cannot read. The user's edits wait meanwhile: there is a copy of the scene in the file."""
        total, before = sum(task.frames for task in tasks), 0
        self.blocks_editing = bool(tasks)
        for task in tasks:
            steps = task.run_steps()
            try:
                for done, _ in steps:
                    self.stage = task.label
                    self.fraction = self._begin * (before + done) / max(total, 1)
                    engine.poll()
                    yield
                    self._check_cancelled()
            finally:
                steps.close()
            before += task.frames
        self.blocks_editing = False

    def _await(self, engine: engine_client.Engine, done: Callable[[], bool]) -> Iterator[None]:
        """Lets the engine work until `done`. When the user cancels, it gets a moment to leave in good order."""
        deadline = None
        while not done():
            if self._cancelling and deadline is None:
                engine.abort()
                deadline = time.monotonic() + (_ABORT_PATIENCE if engine.ready else 0.0)
            if deadline is not None and time.monotonic() >= deadline:
                raise Cancelled
            try:
                engine.poll(self._patience)
            except engine_client.EngineError as error:
                if self._cancelling:
                    raise Cancelled from error
                raise
            self._listen(engine)
            yield
        self._check_cancelled()

    def _listen(self, engine: engine_client.Engine) -> None:
        self.notes += [text for level, text in engine.messages if level == "warning"]
        engine.messages.clear()
        if engine.progress:
            self.stage = _STAGES.get(engine.progress.stage, engine.progress.stage.capitalize())
            self.fraction = self._begin + (1.0 - self._begin) * engine.progress.fraction
            self.eta_s = engine.progress.eta_s

    def _check_cancelled(self) -> None:
        if self._cancelling:
            raise Cancelled

    def _scene(self) -> bpy.types.Scene | None:
        return next((scene for scene in bpy.data.scenes if scene.session_uid == self._scene_uid), None)

    def _place(self, resolved: strips.Resolved, files: list[str] | None) -> None:
        scene = self._scene()
        if scene is None:
            raise RemovalError(f"The scene of strip '{resolved.strip_name}' is gone: the result lies in {self.path}.")
        strip = strips.place(scene, resolved.strip_name, self.path, files, resolved.start, resolved.length, self.path.stem, how=resolved.how)
        self.strip_name, self.channel = strip.name, strip.channel


def run(removal: Removal, say: Callable[[str], None]) -> None:
    """Runs it to its end, saying how far it is whenever the stage changes and every five seconds. Raises as `Removal.advance`."""
    said, said_at = "", float("-inf")
    try:
        while removal.advance(patience=0.25):
            if removal.stage != said or time.monotonic() > said_at + 5.0:
                say(removal.status())
                said, said_at = removal.stage, time.monotonic()
    finally:
        removal.stop()


def _active_strip(scene: bpy.types.Scene) -> str:
    active = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if active is None:
        raise RemovalError("No strip is active: select the strip to repair, or give its name.")
    return active.name
