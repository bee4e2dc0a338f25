"""Seconds a frame and peak memory of a whole job, decode to encode, each in a process of its own.

    python tests/benchmarks/speed.py --frames FOLDER [--lengths 90 900] [--presets standard draft] [--completions auto smooth] [--times N]

FOLDER holds the frames of one sequence; a centre rectangle of a quarter of the width and height is removed.
Lengths beyond the sequence's own run it forwards and backwards in turn.
"""
from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

from measuring import job_of, measured

from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="*", default=[90, 900])
    parser.add_argument("--presets", nargs="*", default=["standard", "draft"])
    parser.add_argument("--completions", nargs="*", default=["auto"])
    parser.add_argument("--times", type=int, default=1, help="how often all of it is done, one after the other")
    known = parser.parse_args()
    with open_source(ClipSpec(known.frames)) as source:
        count, width, height = source.info.count, source.info.width, source.info.height
    there_and_back = [*range(count), *range(count - 2, 0, -1)]
    print(f"{'preset':9} {'completion':10} {'frames':>6} {'s/frame':>8} {'CPU s/frame':>12} {'peak MiB':>9}")
    for _, length, preset, completion in itertools.product(range(known.times), known.lengths, known.presets, known.completions):
        indices = [there_and_back[k % len(there_and_back)] for k in range(length)]
        source = {"path": str(known.frames.resolve()), "indices": indices}
        with tempfile.TemporaryDirectory() as place:
            params = {"preset": preset, "completion": completion}
            found = measured("run", job_of(source, width, height, 0.25, params, f"{place}/result.mkv"), f"{place}/cache")
        figures = f"{found['seconds'] / length:8.3f} {found['cpu'] / length:12.3f} {found['memory_mib']:9.0f}"
        print(f"{preset:9} {completion:10} {length:6} {figures}", flush=True)


if __name__ == "__main__":
    main()
