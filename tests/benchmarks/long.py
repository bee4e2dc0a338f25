"""What a job takes against its length and the size of its pictures: memory, disk, processor seconds a frame.

    python tests/benchmarks/long.py --frames FOLDER --lengths 90 360 1440 [--presets draft standard]
    python tests/benchmarks/long.py --frames FOLDER --sizes 854x480 1920x1080 3840x2160 --lengths 24 --holes 0.1 0.25

FOLDER holds the frames of one sequence, which is run forwards and backwards in turn. A centre rectangle of a share of its width and
height is removed. With `--sizes` the frames are enlarged and encoded (H.264) first. Each row is a process of its own. Memory is what
the process has of its own at most; what it has mapped of the work folder can be given back at any time, and is in the last column.
`--window` and `--set` (as `--set reach=2 refinement=0`) make windows short, so that few frames go through several. `--course 16` says
below each row what the process had of its own at most in each 16 frames: whether one long run goes on growing.
"""
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from forecast import made
from measuring import job_of, measured

from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="*", default=[90, 360])
    parser.add_argument("--sizes", nargs="*", default=[""])
    parser.add_argument("--holes", type=float, nargs="*", default=[0.25])
    parser.add_argument("--presets", nargs="*", default=["draft"])
    parser.add_argument("--window", type=int)
    parser.add_argument("--course", type=int, metavar="FRAMES")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER")
    known = parser.parse_args()
    settings = {name: float(number) if "." in number else int(number) for name, number in (one.split("=") for one in known.set)}
    print(f"{'size':10} {'hole':>5} {'preset':9} {'frames':>6} {'CPU s/frame':>11} {'own MiB':>8} {'disk MiB':>9} {'forecast':>9} {'with maps':>9}")
    with tempfile.TemporaryDirectory() as place:
        for size in known.sizes:
            for length in known.lengths:
                source, width, height = _source(known.frames.resolve(), size, length, Path(place))
                for hole in known.holes:
                    for preset in known.presets:
                        job = job_of(source, width, height, hole, {"preset": preset} | settings, f"{place}/result.mkv")
                        forecast = measured("check", job, f"{place}/cache", known.window)["disk_mib"]
                        row = measured("run", job, f"{place}/cache", known.window)
                        print(
                            f"{f'{width}x{height}':10} {hole:5.2f} {preset:9} {length:6} {row['cpu'] / length:11.3f} {row['own_mib']:8.0f} "
                            f"{row['disk_mib']:9.1f} {forecast:9.0f} {row['memory_mib']:9.0f}",
                            flush=True,
                        )
                        if known.course:
                            print("    " + ", ".join(f"{most:.0f}" for most in _course(row["course"], known.course)), flush=True)


def _course(own: dict[str, float], step: int) -> list[float]:
    """The most in each `step` frames."""
    found: dict[int, float] = {}
    for frame, most in own.items():
        found[int(frame) // step] = max(found.get(int(frame) // step, 0.0), most)
    return [found[k] for k in sorted(found)]


def _source(frames: Path, size: str, length: int, place: Path) -> tuple[dict[str, Any], int, int]:
    if size:
        width, height = map(int, size.split("x"))
        return {"path": made(frames, width, height, length, place / f"{size}-{length}.mp4")}, width, height
    with open_source(ClipSpec(frames)) as source:
        count, width, height = source.info.count, source.info.width, source.info.height
    there_and_back = [*range(count), *range(count - 2, 0, -1)]
    return {"path": str(frames), "indices": [there_and_back[k % len(there_and_back)] for k in range(length)]}, width, height


if __name__ == "__main__":
    main()
