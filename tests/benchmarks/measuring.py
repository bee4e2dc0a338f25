"""A job checked or run in a process of its own: what it was said to take, and what it takes.

    measured("check" or "run", JOB, CACHE)
    python tests/benchmarks/measuring.py check|run JOB      one of them, in this process, as JSON
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import work_folder

from flow_inpaint import cost, pipeline, shot_course, windows
from flow_inpaint.job import Job


def measured(what: str, document: dict[str, Any], cache: Path | str, window: int | None = None) -> dict[str, Any]:
    """What comes of one, see `_check` and `_run`. window: frames that a window has in place of the engine's own number."""
    command = [sys.executable, __file__, what, json.dumps(document), *([str(window)] if window else [])]
    environment = os.environ | {"FLOW_INPAINT_CACHE": str(cache)}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def job_of(source: dict[str, Any], width: int, height: int, hole: float, params: dict[str, Any], output: str) -> dict[str, Any]:
    """A job that removes a centre rectangle of a share of the width and the height."""
    across, down = round(width * hole), round(height * hole)
    rectangle = [(width - across) // 2, (height - down) // 2, across, down]
    return {"source": source, "mask": {"rectangle": rectangle}, "output": {"path": output}, "params": params}


def _check(job: Job) -> dict[str, Any]:
    started = time.monotonic()
    found = pipeline.check(job)
    said = {name: getattr(found, name) for name in ("seconds", "memory_mib", "disk_mib")}
    return said | {"unseen": found.coverage.unseen if found.coverage else 0.0, "took": time.monotonic() - started}


def _run(job: Job) -> dict[str, Any]:
    """Seconds by the clock and of processors; MiB of memory at most, with what is mapped of the work folder and without, and the latter by
    the frame that was written last; MiB of the work folder when it is largest, and of what kinds of things."""
    largest: dict[str, int] = {}
    #: By the last frame that is written.
    own: dict[int, float] = {}
    at, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not ended.wait(0.1):
            largest = max(largest, work_folder.kinds(), key=lambda kinds: sum(kinds.values()))
            own[at] = max(own.get(at, 0.0), _own())

    def progress(told: pipeline.Progress) -> None:
        nonlocal at
        at = told.done if told.stage == "write" else at

    started, cpu = time.monotonic(), time.process_time()
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        unseen = pipeline.run(job, on_progress=progress).unseen
    finally:
        ended.set()
        watching.join()
    return {
        "seconds": time.monotonic() - started,
        "cpu": time.process_time() - cpu,
        # Not `getrusage`: it begins with what the process had that started this one.
        "memory_mib": _status("VmHWM"),
        "own_mib": max(own.values(), default=0.0),
        "course": own,
        "disk_mib": sum(largest.values()) / 2**20,
        "kinds": {kind: size / 2**20 for kind, size in largest.items()},
        "unseen": unseen,
    }


def _own() -> float:
    """MiB that are the process's own."""
    return _status("RssAnon")


def _status(line: str) -> float:
    """MiB in a line of what the system says of this process."""
    return int(Path("/proc/self/status").read_text().split(f"{line}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    if len(sys.argv) > 3:
        windows.WINDOW = cost.WINDOW = shot_course._STRETCH = int(sys.argv[3])
    print(json.dumps({"check": _check, "run": _run}[sys.argv[1]](Job.from_document(json.loads(sys.argv[2])))))
