"""Runs a job again and again, kills it each time somewhere else, lets a second run go on, and compares what comes out.

    python tests/killing.py '{"folder": DIR, "job": {...}, "points": [...]}'

"window" sets the frames of a window. A point is [stage, done], where progress says so, or [number, share], in the middle of so manyeth
write to the work folder. With "damage", pages of the work folder are lost after the kill, as by a power cut. Each point's outcome is a
line of JSON.
"""
from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from flow_inpaint import cache, pipeline, shot, shot_course, shot_reading, windows, work, work_pictures, work_reel
from flow_inpaint.job import Job

Point = list[Any]

#: The rooms that write to the work folder.
WRITERS = (work, work_pictures, work_reel)


def main() -> None:
    cv2.setNumThreads(1)
    spec = json.loads(sys.argv[1])
    folder = Path(spec["folder"])
    os.environ["FLOW_INPAINT_CACHE"] = str(folder / "cache")
    job = Job.from_document(spec["job"], folder)
    windows.WINDOW = shot_course._STRETCH = spec.get("window", windows.WINDOW)
    if job.params["completion"] == "dfc":
        import torch

        import flow_inpaint.completion.dfc_shot  # noqa: F401

        torch.set_num_threads(1)
    wanted = _second(job, folder)
    print(json.dumps(wanted), flush=True)
    for number, point in enumerate(spec["points"]):
        killed = _in_a_child(lambda: _killed_at(job, point))
        kept = [one.stage for one in cache.entries()]
        if spec.get("damage"):
            _lose_pages(folder / "cache", random.Random(number))
        shutil.rmtree(folder / "out", ignore_errors=True)
        found = _second(job, folder)
        left = [path.name for path in (folder / "cache" / "work").iterdir()]
        print(json.dumps({"point": point, "killed": killed == -signal.SIGKILL, "kept": kept, "left": left} | found), flush=True)


def _in_a_child(work_of_child: Callable[[], None]) -> int:
    """Returns the exit code, negative for a signal."""
    child = os.fork()
    if not child:
        try:
            work_of_child()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_at(job: Job, point: Point) -> None:
    where, how_far = point
    if isinstance(where, str):
        pipeline.run(job, on_progress=lambda progress: _die() if (progress.stage, progress.done) == (where, how_far) else None)
        return
    write, count = work.write_all, 0

    def cut_off(file: Any, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == where:
            write(file, memoryview(data)[: int(len(data) * how_far)])
            _die()
        write(file, data)

    for room in WRITERS:
        room.write_all = cut_off
    pipeline.run(job)


def _second(job: Job, folder: Path) -> dict[str, Any]:
    """Runs the job to its end in a child and tells what it made, and how often it did what is expensive."""
    told = folder / "told.json"
    told.unlink(missing_ok=True)

    def child() -> None:
        counts = {"pairs": 0, "fills": 0, "windows": 0, "writes": 0}

        def counted(where: Any, name: str, what: str) -> None:
            real = getattr(where, name)

            def call(*given: Any, **named: Any) -> Any:
                counts[what] += 1
                return real(*given, **named)

            setattr(where, name, call)

        counted(shot_reading, "measure", "pairs")
        counted(shot_reading, "flows", "pairs")
        counted(shot, "_invented_picture", "fills")
        if "torch" in sys.modules:
            counted(sys.modules["flow_inpaint.completion.dfc_shot"], "_answer", "windows")
        for room in WRITERS:
            counted(room, "write_all", "writes")
        said: list[str] = []
        pipeline.run(job, on_message=lambda level, text: said.append(text))
        told.write_text(json.dumps(counts | {"said": said}))

    code = _in_a_child(child)
    digest = hashlib.sha256()
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return {"code": code, "digest": digest.hexdigest(), **(json.loads(told.read_text()) if told.exists() else {})}


def _lose_pages(place: Path, chance: random.Random) -> None:
    """What may be true after a power cut of files that were written last: pages without their content, ends that are missing."""
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name not in ("lock", "about.json") and path.stat().st_size]
    for path in chance.sample(files, min(len(files), 3)):
        size = path.stat().st_size
        with open(path, "r+b") as file:
            begin = chance.randrange(size) // 4096 * 4096
            file.seek(begin)
            file.write(bytes(min(4096, size - begin)))
            if chance.random() < 0.3 and not path.name.startswith("shot-"):
                file.truncate(chance.randrange(size))


if __name__ == "__main__":
    main()
