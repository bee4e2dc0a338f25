"""What a check says that a job takes, against what it takes: seconds, peak memory and disk, each in a process of its own.

    python tests/benchmarks/forecast.py --frames DAVIS/camel/frames --mask DAVIS/camel/masks
    python tests/benchmarks/forecast.py --made 1920x1080 --length 60 [--hole 0.25] [--preset draft]

`--made` encodes a clip (H.264) of a camera that pans over FRAMES, enlarged, with a rectangle of a share of its width and height
to be removed. Without `--mask`, the same rectangle of FRAMES. Memory is the process's peak; what is mapped of the work folder counts.
The run's seconds are those of its processors, divided by what they are worth side by side: on an idle machine, the clock's.
"""
from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import work_folder

from flow_inpaint import pipeline
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source
from flow_inpaint.side_by_side import workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--made", metavar="WxH")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--hole", type=float, default=0.25)
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    known = parser.parse_args()
    if known.one:
        print(json.dumps(_one(known.one[0], json.loads(known.one[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        job = _job(known, Path(folder))
        rows = {}
        for what in ("check", "run"):
            command = [sys.executable, __file__, "--frames", str(known.frames), "--one", what, json.dumps(job)]
            environment = os.environ | {"FLOW_INPAINT_CACHE": f"{folder}/cache"}
            rows[what] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    # What the clock says depends on what else the machine does; processor time hardly does.
    rows["run"]["idle"] = rows["run"]["cpu"] / max(workers() * 0.87, 1)
    print(f"{'':6} {'seconds':>9} {'memory MiB':>11} {'disk MiB':>9}")
    for what, row in rows.items():
        print(f"{what:6} {row.get('idle', row['seconds']):9.1f} {row['memory_mib']:11.0f} {row['disk_mib']:9.0f}")
    ratios = (rows["check"][name] / max(rows["run"]["idle" if name == "seconds" else name], 1e-9) for name in _NAMES)
    print("ratio  {:9.2f} {:11.2f} {:9.2f}".format(*ratios))
    run = rows["run"]
    print(f"The check took {rows['check']['took']:.1f} s, the run {run['seconds']:.1f} s by the clock and {run['cpu']:.1f} s of processors.")


_NAMES = ("seconds", "memory_mib", "disk_mib")


def _job(known: argparse.Namespace, folder: Path) -> dict[str, Any]:
    frames = known.frames.resolve()
    if known.made:
        width, height = map(int, known.made.split("x"))
        source = made(frames, width, height, known.length, folder / "made.mp4")
    else:
        source = str(frames)
        with open_source(ClipSpec(frames)) as opened:
            width, height = opened.info.width, opened.info.height
    across, down = round(width * known.hole), round(height * known.hole)
    mask = {"path": str(known.mask.resolve())} if known.mask else {"rectangle": [(width - across) // 2, (height - down) // 2, across, down]}
    return {"source": {"path": source}, "mask": mask, "output": {"path": str(folder / "result.mkv")}, "params": {"preset": known.preset}}


def made(frames: Path, width: int, height: int, length: int, path: Path) -> str:
    names = sorted(frames.iterdir())
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(length):
            # There and back through the sequence.
            turn = k % (2 * len(names) - 2)
            picture = cv2.imread(str(names[turn if turn < len(names) else 2 * len(names) - 2 - turn]))[..., ::-1]
            picture = np.ascontiguousarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return str(path)


def _one(what: str, document: dict[str, Any]) -> dict[str, float]:
    job = Job.from_document(document)
    started, cpu = time.monotonic(), time.process_time()
    if what == "check":
        found = pipeline.check(job)
        row = {name: getattr(found, name) for name in _NAMES}
        return row | {"took": time.monotonic() - started}
    largest, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not ended.wait(0.2):
            largest = max(largest, work_folder.size())

    watching = threading.Thread(target=watch)
    watching.start()

    try:
        pipeline.run(job)
    finally:
        ended.set()
        watching.join()
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory_mib": peak, "disk_mib": largest / 2**20, "cpu": cpu}


if __name__ == "__main__":
    main()
