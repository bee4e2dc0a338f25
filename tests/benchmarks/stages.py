"""Where a job's processor time goes, by size and hole: decode, flow, trace, fill, compose, encode, and frames a second.

    python tests/benchmarks/stages.py --frames DAVIS/camel/frames --sizes 854x480 1920x1080 3840x2160 --holes 0.141 0.5 --length 20 [--deep]

Clips are made as by `forecast.py`. Seconds of processors hardly depend on what else the machine does, those of the clock do; how many
processors were at work in a second of the clock says how far stages went on side by side. What the codecs' own threads took stands by
itself; decode and encode are what Python's threads took for them, the way to RGB among it.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forecast import made
from measuring import job_of

from flow_inpaint import pipeline, results, shot_reading, windows, writing
from flow_inpaint.job import Job
from flow_inpaint.media import colour, video_reader

STAGES = ("decode", "flow", "trace", "fill", "compose", "encode", "codecs", "rest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--sizes", nargs="*", default=["854x480"])
    parser.add_argument("--holes", type=float, nargs="*", default=[0.141])
    parser.add_argument("--presets", nargs="*", default=["draft"])
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    known = parser.parse_args()
    if known.one:
        print(json.dumps(_one(json.loads(known.one))))
        return
    print(f"{'size':10} {'hole':>5} {'preset':9} {'CPU s/frame':>11} {'frames/s':>8} {'CPUs':>5}  " + " ".join(f"{stage:>7}" for stage in STAGES))
    with tempfile.TemporaryDirectory() as place:
        for size in known.sizes:
            width, height = map(int, size.split("x"))
            clip = made(known.frames.resolve(), width, height, known.length, Path(place) / f"{size}.mp4", deep=known.deep)
            for hole in known.holes:
                for preset in known.presets:
                    job = job_of({"path": clip}, width, height, hole, {"preset": preset}, f"{place}/result.mkv")
                    command = [sys.executable, __file__, "--frames", ".", "--one", json.dumps(job)]
                    environment = os.environ | {"FLOW_INPAINT_CACHE": f"{place}/cache"}
                    row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)
                    shares = " ".join(f"{row['stages'].get(stage, 0) / row['cpu']:7.1%}" for stage in STAGES)
                    print(
                        f"{size:10} {hole:5.3f} {preset:9} {row['cpu'] / known.length:11.3f} {known.length / row['seconds']:8.2f} "
                        f"{row['cpu'] / row['seconds']:5.2f}  {shares}",
                        flush=True,
                    )


class _Taken:
    """Processor seconds by stage: of each thread, without what another stage took within."""

    def __init__(self) -> None:
        self.by_stage: Counter[str] = Counter()
        self._lock, self._local = threading.Lock(), threading.local()

    def timed(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            within = getattr(self._local, "within", 0.0)
            self._local.within, began = 0.0, time.thread_time()
            try:
                return work(*args, **kwargs)
            finally:
                taken = time.thread_time() - began
                with self._lock:
                    self.by_stage[stage] += taken - self._local.within
                self._local.within = within + taken

        return measured

    def wrap(self, stage: str, place: Any, *names: str) -> None:
        for name in names:
            setattr(place, name, self.timed(stage, getattr(place, name)))


def _one(document: dict[str, Any]) -> dict[str, Any]:
    taken = _Taken()
    taken.wrap("decode", video_reader.VideoSource, "_checked")
    taken.wrap("decode", colour, "rgb_of")
    taken.wrap("flow", shot_reading.ShotReader, "_step", "_look")
    taken.wrap("flow", shot_reading.ShotStore, "remember", "remember_step")
    taken.wrap("flow", shot_reading.CutFinder, "is_cut")
    taken.wrap("flow", shot_reading, "eight_bits")
    taken.wrap("fill", windows, "invent")
    taken.wrap("compose", writing._Frames, "filled", "made")
    taken.wrap("encode", results.Results, "write")
    trace_shot = windows.trace_shot

    def traced(store: Any, first: int, last: int, look: Any, each: Any, pulse: Any) -> None:
        trace_shot(store, first, last, look, lambda work, frames: each(taken.timed("trace", work), frames), pulse)

    windows.trace_shot = taken.timed("trace", traced)
    codecs = _Codecs()
    started, cpu = time.monotonic(), time.process_time()
    with codecs:
        pipeline.run(Job.from_document(document))
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    stages = dict(taken.by_stage)
    stages["codecs"] = codecs.seconds()
    stages["rest"] = cpu - sum(stages.values())
    return {"seconds": seconds, "cpu": cpu, "stages": stages}


class _Codecs(threading.Thread):
    """Processor seconds of the threads that are not Python's, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._taken: dict[str, float] = {}
        self._ended = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self.join()

    def seconds(self) -> float:
        return sum(self._taken.values())

    def run(self) -> None:
        tick = os.sysconf("SC_CLK_TCK")
        while not self._ended.wait(0.1):
            of_python = {str(thread.native_id) for thread in threading.enumerate()}
            for number in os.listdir("/proc/self/task"):
                if number in of_python:
                    continue
                try:
                    fields = Path(f"/proc/self/task/{number}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                self._taken[number] = (int(fields[11]) + int(fields[12])) / tick


if __name__ == "__main__":
    main()
