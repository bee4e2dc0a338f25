"""Stands in for `flow_inpaint.pipeline` where hosts are tested. What it does is the name of the job's source.

As the real one, it writes beside the result, moves it there at the end and deletes it when it is stopped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flow_inpaint.clock import Progress
from flow_inpaint.errors import Aborted, BadClip
from flow_inpaint.job import Job

STEPS = 400


@dataclass(frozen=True)
class Result:
    path: str
    format: str
    files: list[str]
    frames: int
    first: int
    width: int
    height: int
    identity: bool
    masked: float
    unseen: float
    seconds: float


@dataclass(frozen=True)
class Forecast:
    frames: int
    width: int
    height: int
    masked: float
    memory_mib: float
    seconds: float
    device: str
    flow: str
    completion: str
    fill: str
    notes: list[str]
    coverage: Any = None
    disk_mib: int = 40


def run(
    job: Job,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_message: Callable[[str, str], None] = lambda level, text: None,
    aborted: Callable[[], bool] = lambda: False,
    keep_work: Callable[[], bool] = lambda: False,
) -> Result:
    path = job.output.path
    part = path.with_name(f".{path.name}.part")
    behaviour = job.source.path.stem
    try:
        part.write_bytes(b"half")
        _behave(behaviour)
        on_message("info", "two shots")
        on_message("warning", "a matte that touches the edge")
        for done in range(STEPS if behaviour == "long" else 30):
            if aborted():
                raise Aborted("The job was stopped; nothing was written.")
            stage = "flow" if done < 15 else "fill"
            on_progress(Progress(stage, done, 30, _fraction(behaviour, done), float("inf") if done < 2 else 1.0))
            if behaviour == "long":
                time.sleep(0.02)
        on_progress(Progress("write", 30, 30, 1.0, 0.0))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    first, last = job.frames or (0, 29)
    return Result(str(path), job.output.format, [path.name], last - first + 1, first, 64, 48, behaviour == "empty", 0.25, 0.5, 1.5)


def check(job: Job, *, aborted: Callable[[], bool] = lambda: False) -> Forecast:
    values: Any = job.params
    _behave(job.source.path.stem)
    return Forecast(30, 64, 48, 0.25, 321.4, 61.0, "cpu", str(values.get("flow")), "layers", "exemplar", ["The matte touches the edge."])


def _fraction(behaviour: str, done: int) -> float:
    if behaviour == "wavering":
        return (done * 7 % 30) / 25 - 0.1
    return done / (STEPS if behaviour == "long" else 30)


def _behave(behaviour: str) -> None:
    if behaviour == "missing":
        raise BadClip("missing.mkv does not exist.")
    if behaviour == "crash":
        raise ZeroDivisionError("division\nby zero")
    if behaviour == "leave":
        sys.exit("a library that thinks it is the program")
    if behaviour == "memory":
        raise MemoryError
    if behaviour == "full":
        raise OSError(28, "No space left on device")
    if behaviour == "noisy":
        os.write(1, b'{"jsonrpc": "2.0", "id": 1, "result": "printed by a C library"}\n')
        print("printed by a Python library", flush=True)
    if behaviour == "stuck":
        while True:
            time.sleep(0.05)


_LAUNCH = """
import sys
sys.path.insert(0, {here!r})
import fake_pipeline
sys.modules["flow_inpaint.pipeline"] = fake_pipeline
from flow_inpaint.cli import main
sys.exit(main())
"""


def command(*words: str) -> list[str]:
    """The command line of `flow-inpaint WORDS` with this pipeline in it."""
    return [sys.executable, "-c", _LAUNCH.format(here=os.path.dirname(__file__)), *words]
