"""Blender renders strips: in a second Blender while a window lives, here where there is none."""
from __future__ import annotations

import dataclasses
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from . import strips
from .strips import render_script


def steps_here(tasks: list[strips.Render]) -> Iterator[tuple[str, int]]:
    """Renders in this Blender, one picture a step. Yields what is being rendered and how many pictures are done. Raises `StripError`."""
    before = 0
    for task in tasks:
        steps = task.run_steps()
        try:
            for done, _ in steps:
                yield task.label, before + done
        finally:
            steps.close()
        before += task.frames


class Snapshot:
    """A copy of a scene on disk, with what is to be rendered of it. Made at once; rendered by another Blender later.

    Whatever happens to the scene afterwards, what is rendered is what was seen when it was made.
    """

    def __init__(self, scene: bpy.types.Scene, tasks: list[strips.Render], folder: Path):
        """Writes into `folder`. Raises `StripError` when that cannot be done."""
        self._tasks = tasks
        self._file = folder / "scene.blend"
        self._binary = bpy.app.binary_path
        self._lock = threading.Lock()
        self._left = False
        self._process: subprocess.Popen[bytes] | None = None
        try:
            with strips.light_copy(scene) as copy:
                changed = {"scene_name": copy.name}
                bpy.data.libraries.write(str(self._file), {copy}, path_remap="ABSOLUTE")
            orders = [dataclasses.asdict(task) | {"how": task.how.value, "folder": str(task.folder)} | changed for task in tasks]
            (folder / "orders.json").write_text(json.dumps(orders), "utf-8")
        except (OSError, RuntimeError) as error:
            raise strips.StripError(f"{self._file} cannot be written, for Blender to render from ({error}): check the folder.") from error

    def steps(self) -> Iterator[tuple[str, int]]:
        """Renders; never waits. Yields as `steps_here`, again and again while nothing is new. Raises `StripError`."""
        heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(heard,), daemon=True).start()
        label, done, words = self._tasks[0].label, 0, ""
        try:
            while True:
                yield label, done
                while not heard.empty():
                    line = heard.get()
                    if line is None:
                        return
                    found = _said(line)
                    if "error" in found:
                        raise strips.StripError(found["error"])
                    if "ended" in found:
                        raise strips.StripError(f"The Blender that renders ended with exit code {found['ended']}{words}.")
                    label, done = found.get("label", label), found.get("done", done)
                    words = words if found else f"; its last words: {line.strip().rstrip('.')}"
        finally:
            self.discard()

    def discard(self) -> None:
        """Ends the other Blender. The files go with their folder."""
        with self._lock:
            self._left = True
            process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def _run(self, heard: queue.SimpleQueue[str | None]) -> None:
        """In a thread of its own, since even to start a process can hold Blender up. Hands over what the other one says."""
        try:
            with self._lock:
                if self._left:
                    return
                self._process = process = self._start()
        except OSError as error:
            text = f"No second Blender can be started to render ({error.strerror}): {self._binary}."
            heard.put(render_script.MARK + json.dumps({"error": text}))
            return
        for line in process.stdout:
            heard.put(line.decode("utf-8", "replace"))
        code = process.wait()
        heard.put(None if code == 0 else render_script.MARK + json.dumps({"ended": code}))

    def _start(self) -> subprocess.Popen[bytes]:
        command = [self._binary, "-b", "--factory-startup", "-noaudio", str(self._file), "--python-exit-code", "1"]
        command += ["--python", str(Path(render_script.__file__)), "--", str(self._file.parent / "orders.json")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        apart: dict[str, Any] = {} if os.name == "posix" else {"creationflags": subprocess.CREATE_NO_WINDOW}
        return subprocess.Popen(command, **pipes, **apart)


def _said(line: str) -> dict[str, Any]:
    """What the script says, among what Blender says."""
    return json.loads(line.removeprefix(render_script.MARK)) if line.startswith(render_script.MARK) else {}
