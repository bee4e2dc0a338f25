"""What `check` foretells to be unseen, against what a run leaves unseen, and the time that the check takes.

    python tests/benchmarks/coverage.py FRAMES MASKS [FRAMES MASKS ...] [--check-only] [--NAME VALUE ...]

The runs stop after tracing: nothing is filled in or blended, only counted.
"""
from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from flow_inpaint import pipeline, windows, writing
from flow_inpaint.job import Job
from flow_inpaint.made_frames import MadeFrame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="FRAMES MASKS")
    parser.add_argument("--check-only", action="store_true")
    known, rest = parser.parse_known_args()
    params = dict(zip((name.lstrip("-").replace("-", "_") for name in rest[::2]), rest[1::2], strict=True))
    print(f"{'clip':28} {'frames':>6} {'run':>7} {'check':>7} {'best':>5} {'shows':>6} {'s':>7} {'CPU s':>7}")
    for frames, masks in zip(known.clips[::2], known.clips[1::2], strict=True):
        with tempfile.TemporaryDirectory() as folder:
            output = {"path": str(Path(folder) / "out"), "format": "png"}
            job = Job.from_document({"source": {"path": frames}, "mask": {"path": masks}, "output": output, "params": params})
            _print(frames, job, known.check_only)


def _print(name: str, job: Job, check_only: bool) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    forecast = pipeline.check(job)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    found = forecast.coverage
    real = "" if check_only else f"{_traced(job):.4f}"
    best = "" if found.reference is None else found.reference
    print(f"{name[-28:]:28} {forecast.frames:6} {real:>7} {found.unseen:7.4f} {best:>5} {found.reference_shows:6.2f} {wall:7.1f} {cpu:7.1f}", flush=True)


def _traced(job: Job) -> float:
    def invent(store, first, last, shot, look, pulse) -> list[int]:
        return []

    def filled(self, frame):
        return None, None

    def made(self, frame, before, own, after):
        hole = self.store.hole(frame)
        return MadeFrame(hole, self.store.picture(frame)[hole], self.store.unseen.read(frame)[0].size)

    windows.invent, writing._Frames.filled, writing._Frames._made = invent, filled, made
    return pipeline.run(job).unseen


if __name__ == "__main__":
    main()
