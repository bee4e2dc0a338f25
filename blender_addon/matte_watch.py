"""Finds out what the mattes over the active strip would have removed, at the frame and with the settings of now: for `matte_overlay`.

The engine says it, the same one that removes, so that what is shown is what goes. It is asked in an engine process of its own, which a
job does not keep busy, and what Blender has to render first another Blender renders, some frames ahead. No step takes long.
"""
from __future__ import annotations

import base64
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import descriptor, diagnosis, engine_choice, engine_client, properties, recipe, render_process, strips, warm_engine
from .engine_setup.busy_files import remove_folder

AHEAD = 24
"""How many frames are rendered at once where Blender has to, beginning with the one that is looked at."""
_REST_S = 0.2
"""For so long the playhead stays where it is before Blender renders for it."""
_IDLE_S = 60.0


@dataclass(frozen=True)
class Wanted:
    """A matte to look at. `params`: those of the matte, as the engine takes them; `drawn`: what the strips are like."""

    scene: int
    source: str
    channel: int
    frame: int
    params: tuple[tuple[str, Any], ...]
    drawn: tuple[Any, ...]

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it is looked at; a picture for another place shows nothing of this one."""
        return self.scene, self.source, self.channel


@dataclass(frozen=True)
class Found:
    """The answer. `corners`: of the picture, in pixels of the scene's, y down: left top, right top, right bottom, left bottom; None:
    nothing would be removed. `shares`: `size` numbers, float32, 0..1, from the top."""

    wanted: Wanted
    corners: tuple[tuple[float, float], ...] | None
    size: tuple[int, int]
    shares: bytes


def wanted(scene: bpy.types.Scene) -> Wanted | None:
    """What is to be shown now: None where the overlay is off, or nothing can be shown."""
    source = strips.active(scene)
    if source is None:
        return None
    made = recipe.read(source)
    channel = scene.flow_inpaint.mask_channel if made is None else made.request["mask_channel"]
    try:
        if not strips.mattes.shown(diagnosis.mattes_of(scene, source)):
            return None
        if not strips.left(source) <= scene.frame_current < strips.right(source):
            return None
        drawn = strips.matte_frame.signature(scene, source, channel)
    except strips.StripError:
        return None
    names = [name for name, one in descriptor.parameters().items() if one["group"] == "matte"]
    params = tuple((name, properties.plain(getattr(scene.flow_inpaint, name))) for name in names)
    return Wanted(scene.session_uid, source.name, channel, scene.frame_current, params, drawn)


class Watch:
    """`look` says what to find out, `advance` does it step by step; then `found` has it. `trouble`: why there is nothing to show."""

    def __init__(self) -> None:
        self.found: Found | None = None
        self.trouble = ""
        self._wanted: Wanted | None = None
        self._answered: Wanted | None = None
        self._since = self._looked = 0.0
        self._ground: tuple[Any, strips.matte_frame.Ground] | None = None
        self._rendered: dict[tuple[str, int], Path] = {}
        self._rendering: Iterator[None] | None = None
        self._start: warm_engine.Start | None = None
        self._asked: tuple[Wanted, strips.matte_frame.Ground] | None = None
        self._unpacking: threading.Thread | None = None
        self._folder: Path | None = None
        self._folders = 0

    def look(self, now: Wanted) -> None:
        """Called at every redraw."""
        before, self._wanted = self._wanted, now
        self._looked = time.monotonic()
        if before == now:
            return
        self._since, self.trouble = time.monotonic(), ""
        # What moves between two frames is animated; what moves at one frame was changed by somebody.
        if before is None or before.place != now.place or (before.frame == now.frame and before.drawn != now.drawn):
            self._forget_rendered()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do until the next `look`."""
        return self._wanted in (None, self._answered) and self._asked is None and self._unpacking is None and self._rendering is None

    @property
    def forgotten(self) -> bool:
        """Whether nobody has looked for a while."""
        return time.monotonic() - self._looked > _IDLE_S

    def advance(self, scene: bpy.types.Scene, python: str) -> None:
        """One short step. `python`: the engine's. Whatever goes wrong becomes `trouble`."""
        try:
            self._advance(scene, python)
        except (strips.StripError, engine_client.EngineError, OSError) as error:
            asked, self._asked = self._asked, None
            self._answered = asked[0] if asked else self._wanted
            # An older engine cannot say: then there is the light alone.
            self.trouble = "" if getattr(error, "status", "") == engine_client.UNKNOWN_METHOD else str(error)
            start = self._start
            if start is not None and (start.engine is None or not start.engine.alive):
                self._end_engine()

    @property
    def pid(self) -> int | None:
        """The engine's process, if there is one."""
        engine = self._start.engine if self._start is not None else None
        return engine.pid if engine is not None else None

    def end(self, wait: float = 0.0) -> None:
        """Ends everything that it has started. Returns after at most `wait` seconds for the engine."""
        self._forget_rendered()
        self._end_engine(wait)
        self._wanted = self._answered = self.found = self._ground = None
        folder, self._folder = self._folder, None
        if folder is not None:
            threading.Thread(target=remove_folder, args=(folder,)).start()  # no daemon: it comes to its end also when Blender quits

    # --- steps

    def _advance(self, scene: bpy.types.Scene, python: str) -> None:
        if self._rendering is not None and next(self._rendering, self) is self:
            self._rendering = None
        if self._start is None:
            self._start = warm_engine.Start(python, descriptor.version(), None)
        if not self._start.arrived():
            return
        engine = self._start.engine
        engine.poll()
        if self._unpacking is not None:
            if not self._unpacking.is_alive():
                self._unpacking = None
            return
        if self._asked is not None and engine.result is not None:
            asked, self._asked = self._asked, None
            self._unpacking = threading.Thread(target=self._unpack, args=(*asked, engine.result), daemon=True)
            self._unpacking.start()
        elif self._asked is None and engine.ready and self._wanted is not None and self._wanted != self._answered:
            self._ask(engine, scene, self._wanted)

    def _ask(self, engine: engine_client.Engine, scene: bpy.types.Scene, now: Wanted) -> None:
        ground = self._ground_of(scene, now)
        document, lacking = strips.matte_frame.document(scene, ground, now.frame, self._rendered)
        if lacking:
            if self._rendering is None and time.monotonic() - self._since > _REST_S:
                self._rendering = self._render(scene, ground, lacking[0])
            return
        if not document["mask"]:
            self.found, self._answered = Found(now, None, (0, 0), b""), now
            return
        engine.ask("matte", document | {"params": dict(now.params)})
        self._asked = now, ground

    def _ground_of(self, scene: bpy.types.Scene, now: Wanted) -> strips.matte_frame.Ground:
        key = now.place, now.drawn
        if self._ground is None or self._ground[0] != key:
            source = strips.find_source(scene, now.source)
            self._ground = key, strips.matte_frame.ground(scene, source, now.channel)
        return self._ground[1]

    def _unpack(self, asked: Wanted, ground: strips.matte_frame.Ground, answer: dict[str, Any]) -> None:
        """In a thread of its own: of the engine's answer some megabytes come."""
        corners = None
        if answer["box"]:
            x, y, width, height = answer["box"]
            a, b, c, d, e, f = ground.affine
            edges = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
            corners = tuple((a * (u - 0.5) + b * (v - 0.5) + c + 0.5, d * (u - 0.5) + e * (v - 0.5) + f + 0.5) for u, v in edges)
        self.found = Found(asked, corners, tuple(answer["size"]), zlib.decompress(base64.b64decode(answer["shares"])) if corners else b"")
        self._answered = asked

    # --- what Blender renders

    def _render(self, scene: bpy.types.Scene, ground: strips.matte_frame.Ground, lacking: tuple[str, int]) -> Iterator[None]:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flow-inpaint-"))
        self._folders += 1
        folder = self._folder / str(self._folders)
        folder.mkdir()
        ahead = strips.matte_frame.ahead(scene, ground, lacking, AHEAD, folder / "pictures")
        snapshot = render_process.Snapshot(scene, [ahead.task], folder)
        return self._follow(snapshot, ahead)

    def _follow(self, snapshot: render_process.Snapshot, ahead: strips.matte_frame.Ahead) -> Iterator[None]:
        steps, there = snapshot.steps(), 0
        try:
            for _, done in steps:
                for number in range(there, done):
                    self._rendered[ahead.name, ahead.start + number] = ahead.task.folder / f"{number:06d}.png"
                there = done
                # The playhead has gone elsewhere: render there.
                if self._wanted is None or (ahead.count > 1 and not ahead.start <= self._wanted.frame < ahead.start + ahead.count):
                    return
                yield
            for number in range(there, ahead.count):
                self._rendered[ahead.name, ahead.start + number] = ahead.task.folder / f"{number:06d}.png"
        finally:
            steps.close()

    def _forget_rendered(self) -> None:
        rendering, self._rendering = self._rendering, None
        if rendering is not None:
            rendering.close()
        self._rendered.clear()

    def _end_engine(self, wait: float = 0.0) -> None:
        start, self._start, self._asked = self._start, None, None
        if start is not None:
            start.end(wait)


def engine_python(context: bpy.types.Context) -> str:
    """The engine's interpreter; empty where there is none, which the panel says."""
    try:
        return engine_choice.python_now(context)
    except engine_client.EngineError:
        return ""
