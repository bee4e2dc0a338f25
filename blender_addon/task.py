"""One piece of work for the engine, in steps short enough for a window that goes on living."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy

from . import aside, descriptor, engine_client, render_process, result_files, strips, warm_engine
from .outputs import SoFar

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
_LOOKING = {"look": "Looking at the footage"}

_RENDER_SHARE = 0.15
_SHORT = 0.003
_ABORT_PATIENCE, _END_PATIENCE = 0.6, 0.3
_BAD_INPUT = ("BadClip", "BadParameter", "BadWeights")
_END = object()


class TaskError(Exception):
    """One sentence for the person at the screen. `bad_input`: what was asked for cannot be done, rather than went wrong."""

    def __init__(self, text: str, bad_input: bool = False):
        super().__init__(text)
        self.bad_input = bad_input


class Cancelled(Exception):
    """The user stopped it; nothing is left of it."""


def in_words(error: Exception) -> TaskError:
    """What another room says, as this room says it."""
    bad = isinstance(error, (strips.StripError, result_files.ResultError)) or getattr(error, "status", "") in _BAD_INPUT
    return TaskError(str(error), bad)


TROUBLE = (strips.StripError, engine_client.EngineError, result_files.ResultError)


class Task:
    """Call `advance` until it returns False.

    Everything that is read from Blender's data is read when it is made; until `finish` it holds none, so that undo,
    deleted strips and other scenes cannot pull it away.
    """

    verb = "Working"

    def __init__(self, scene: bpy.types.Scene, python: str, subject: str):
        """`subject`: the strip that it is about, for the list of jobs."""
        self.subject = subject
        self.stage = _STARTING
        self.fraction = 0.0
        self.eta_s: float | None = None
        self.frames = 0
        self.notes: list[str] = []
        self.so_far: SoFar | None = None
        self.may_edit: Callable[[], bool] = lambda: True
        self.changes_strips = False
        self._python = python
        self._scene_uid = scene.session_uid
        self._cancelling = False
        self._patience = 0.0
        self._begin, self._share = 0.0, 1.0
        self._begun = 0.0
        self._snapshot: render_process.Snapshot | None = None
        self._leftovers = ExitStack()
        """What goes at every end: half-made files, another Blender. The last one first. None of it is Blender's data."""
        self._leaving: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._steps = self._work()

    def advance(self, patience: float = 0.0) -> bool:
        """One step; False at the end. `patience`: how long the step may wait for news, in seconds.

        Raises `TaskError` or `Cancelled`; nothing half done is left then.
        """
        self._patience = patience
        self._begun = self._begun or time.monotonic()
        if self._leaving is None:
            try:
                if next(self._steps, _END) is not _END:
                    return True
            except TROUBLE as error:
                self._failure = in_words(error)
                self._failure.__cause__ = error
            except Exception as error:
                self._failure = error
            # Deleting many files takes longer than a window may stand still.
            self._leaving = threading.Thread(target=self._leftovers.close)
            self._leaving.start()
        self._leaving.join(max(patience, _SHORT))
        if self._leaving.is_alive():
            return True
        if self._failure is not None:
            raise self._failure
        return False

    @property
    def ending(self) -> bool:
        """Whether its work is over, and what it leaves is being taken away."""
        return self._leaving is not None

    @property
    def succeeded(self) -> bool:
        """Whether its work is over and went well."""
        return self.ending and self._failure is None

    def cancel(self) -> None:
        """Asks for the end; `advance` raises `Cancelled` within a second."""
        self._cancelling = True

    def stop(self) -> None:
        """Ends it at once, whatever it is doing, also when it has not begun."""
        self._steps.close()
        if self._leaving is not None:
            self._leaving.join()
        self._leftovers.close()

    def status(self) -> str:
        """What it is doing, how far it is, how fast and how long it will take, in one line."""
        if self._cancelling:
            return "Stopping"
        text = f"{self.stage}, {self.fraction:.0%}"
        passed = time.monotonic() - self._begun
        if self.frames and self._begun and self.fraction > self._begin + 0.02 and passed > 1.0:
            text += f", {self.frames * self.fraction / passed:.1f} fps"
        if self.eta_s is not None:
            minutes, seconds = divmod(round(self.eta_s), 60)
            text += f", {minutes}:{seconds:02d} left"
        return text

    def outcome(self) -> str:
        """What has come of it, in one sentence."""
        raise NotImplementedError

    def result(self) -> dict[str, Any]:
        """The same for programs: what can be written as JSON."""
        raise NotImplementedError

    # --- for the kinds of task

    def _work(self) -> Iterator[None]:
        raise NotImplementedError

    @contextmanager
    def _tidily(self) -> Iterator[None]:
        """For what is done when it is made: leaves nothing half done when that fails. The trouble of other rooms becomes `TaskError`."""
        try:
            yield
        except TROUBLE as error:
            self._leftovers.close()
            raise in_words(error) from error
        except BaseException:
            self._leftovers.close()
            raise

    def _reserve(self, output: str, name: str) -> result_files.ResultPlace:
        """A place for the result in the output folder. Raises `ResultError`."""
        place = result_files.ResultPlace(result_files.folder_of(output), name)
        self._leftovers.callback(place.discard)
        return place

    def _snap(self, scene: bpy.types.Scene, resolved: strips.Resolved, folder: Any) -> None:
        """In a window another Blender renders, from a copy of the scene as it is now: the user goes on editing."""
        if resolved.renders and not bpy.app.background:
            self._snapshot = render_process.Snapshot(scene, resolved.renders, folder)
            self._leftovers.callback(self._snapshot.discard)

    def _with_engine(self, work: Callable[[engine_client.Engine], Generator[None, None, Any]]) -> Generator[None, None, Any]:
        """Runs `work` with an engine that is ready, and keeps that warm afterwards."""
        start = warm_engine.take(self._python, descriptor.version())
        try:
            while not start.arrived():
                self._check_cancelled()
                time.sleep(min(self._patience, 0.02))
                yield
            engine = start.engine
            yield from self._await(engine, lambda: engine.ready)
            return (yield from work(engine))
        finally:
            start.leave()

    def _ask(self, engine: engine_client.Engine, method: str, document: dict[str, Any], share: float = 1.0) -> Generator[None, None, Any]:
        """What the engine answers. `share`: how much of what is left of the whole this is."""
        self._share = (1.0 - self._begin) * share
        engine.ask(method, document)
        yield from self._await(engine, lambda: engine.result is not None)
        self._begin = min(self._begin + self._share, 1.0)
        self.fraction = max(self.fraction, self._begin)
        return engine.result

    def _watched(
        self, engine: engine_client.Engine, document: dict[str, Any], previews: Path, start: int, first: int
    ) -> dict[str, Any]:
        """The document of a job whose finished frames can be looked at meanwhile, where there is a window to look in."""
        if bpy.app.background or not engine.previews:
            return document
        self.so_far = SoFar(previews, first, start + first)
        if engine.previews is True:
            self.so_far.ask()  # this engine makes them in any case
        return document | {"output": document["output"] | {"previews": str(previews)}}

    def _fingerprint(self, engine: engine_client.Engine, document: dict[str, Any], share: float) -> Generator[None, None, dict[str, Any]]:
        """What the footage and the matte are like. An engine of the user's own may be too old to say: then no two runs are alike."""
        try:
            return (yield from self._ask(engine, "fingerprint", document, share))
        except engine_client.EngineError as error:
            if error.status != engine_client.UNKNOWN_METHOD:
                raise
            return {"keys": "", "methods": {}, "width": 0, "height": 0}

    def _get_ready(self, engine: engine_client.Engine, resolved: strips.Resolved) -> Generator[None, None, None]:
        """What has to be there before the engine can read: links to files, and what Blender renders, since the engine cannot read it."""
        if resolved.links:
            self.stage = "Putting the pictures in order"
            making = [links.make for links in resolved.links]
            yield from aside.steps(
                lambda wanted: [make(wanted) for make in making], lambda: not self._cancelling, lambda: max(self._patience, _SHORT)
            )
            self._check_cancelled()
        total = sum(task.frames for task in resolved.renders)
        if not resolved.renders:
            return
        steps = self._snapshot.steps() if self._snapshot else render_process.steps_here(resolved.renders)
        try:
            for label, done in steps:
                self.stage, self.fraction = label, _RENDER_SHARE * done / max(total, 1)
                engine.poll()
                yield
                self._check_cancelled()
        finally:
            steps.close()
        self._begin = _RENDER_SHARE

    def _await(self, engine: engine_client.Engine, done: Callable[[], bool]) -> Iterator[None]:
        """Lets the engine work until `done`. When the user cancels, it gets a moment to leave in good order."""
        deadline = None
        while not done():
            if self._cancelling and deadline is None:
                engine.abort()
                deadline = time.monotonic() + (_ABORT_PATIENCE if engine.ready else 0.0)
            if deadline is not None and time.monotonic() >= deadline:
                yield from self._end(engine)
            try:
                engine.poll(self._patience)
            except engine_client.EngineError as error:
                if self._cancelling:
                    raise Cancelled from error
                raise
            self._listen(engine)
            yield
        self._check_cancelled()

    def _end(self, engine: engine_client.Engine) -> Iterator[None]:
        """Ends an engine that does not stop, without making Blender wait for it. Raises `Cancelled`."""
        engine.kill(wait=0.0)
        latest = time.monotonic() + _END_PATIENCE
        while engine.alive and time.monotonic() < latest:
            yield
        raise Cancelled

    def _listen(self, engine: engine_client.Engine) -> None:
        self.notes += [text for level, text in engine.messages if level == "warning" and text not in self.notes]
        engine.messages.clear()
        if engine.progress:
            self.stage = (_STAGES | _LOOKING).get(engine.progress.stage, engine.progress.stage.capitalize())
            self.fraction = self._begin + self._share * engine.progress.fraction
            self.eta_s = engine.progress.eta_s
            if self.so_far is not None and engine.progress.stage == "write":
                self.so_far.heard(max(engine.progress.done - 1, 0))  # the frame that it is at may not be whole yet

    def _when_free(self) -> Iterator[None]:
        """Waits until the user is not in the middle of moving something."""
        while not self.may_edit():
            self.stage, self.eta_s = "Waiting until you have let go", None
            yield
            self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelling:
            raise Cancelled

    def _scene(self) -> bpy.types.Scene | None:
        return next((scene for scene in bpy.data.scenes if scene.session_uid == self._scene_uid), None)


def run(task: Task, say: Callable[[str], None]) -> None:
    """Runs it to its end, saying how far it is whenever the stage changes and every five seconds. Raises as `Task.advance`."""
    said, said_at = "", float("-inf")
    try:
        while task.advance(patience=0.25):
            if task.stage != said or time.monotonic() > said_at + 5.0:
                say(f"Flow Inpaint: {task.status()}")
                said, said_at = task.stage, time.monotonic()
    finally:
        task.stop()


def reach_of(params: dict[str, Any]) -> int:
    """How many frames around a frame its pixels may come from, with these parameters."""
    return int(_value(params, "reach"))


def context_of(params: dict[str, Any]) -> int:
    """How many frames around a frame it depends on: those within reach, and of those that it is steadied by too."""
    return reach_of(params) + (float(_value(params, "steadiness")) > 0)


def _value(params: dict[str, Any], name: str) -> Any:
    return params.get(name, descriptor.preset_value(params["preset"], name))
