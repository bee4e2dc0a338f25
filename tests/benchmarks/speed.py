"""Seconds a frame and peak memory of a whole job, decode to encode, each in a process of its own.

    python tests/benchmarks/speed.py --frames FOLDER [--lengths 90 900] [--presets standard draft]

FOLDER holds the frames of one sequence; a centre rectangle of a quarter of the width and height is removed.
Lengths beyond the sequence's own run it forwards and backwards in turn.
"""
from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flow_inpaint import pipeline
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="*", default=[90, 900])
    parser.add_argument("--presets", nargs="*", default=["standard", "draft"])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    known = parser.parse_args()
    if known.one:
        print(json.dumps(_one(known.frames, known.one[0], int(known.one[1]))))
        return
    print(f"{'preset':9} {'frames':>6} {'s/frame':>8} {'CPU s/frame':>12} {'peak MiB':>9}")
    for length in known.lengths:
        for preset in known.presets:
            command = [sys.executable, __file__, "--frames", str(known.frames), "--one", preset, str(length)]
            row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{preset:9} {length:6} {row['seconds']:8.3f} {row['cpu']:12.3f} {row['peak_mib']:9.0f}", flush=True)


def _one(frames: Path, preset: str, length: int) -> dict[str, float]:
    with open_source(ClipSpec(frames)) as source:
        count, width, height = source.info.count, source.info.width, source.info.height
    there_and_back = [*range(count), *range(count - 2, 0, -1)]
    indices = [there_and_back[k % len(there_and_back)] for k in range(length)]
    rectangle = [(width - width // 4) // 2, (height - height // 4) // 2, width // 4, height // 4]
    with tempfile.TemporaryDirectory() as folder:
        document = {
            "source": {"path": str(frames.resolve()), "indices": indices},
            "mask": {"rectangle": rectangle},
            "output": {"path": f"{folder}/result.mkv"},
            "params": {"preset": preset},
        }
        started, cpu = time.monotonic(), time.process_time()
        pipeline.run(Job.from_document(document))
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds / length, "cpu": cpu / length, "peak_mib": peak}


if __name__ == "__main__":
    main()
