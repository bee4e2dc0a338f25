"""A mark on footage of a camera that stands still: how much the filling changes from frame to frame, beside the footage's own grain.

    python tests/benchmarks/mark.py --picture DAVIS/camel/frames/00000.jpg [--grain 2 6] [--frames 40] [--NAME VALUE ...]

The picture, at 432x240, again and again with new grain of so many grey levels each time, and a rectangle of 80x40 to be removed in its middle.
"""
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from flow_inpaint import pipeline
from flow_inpaint.job import Job

SIZE, MARK = (432, 240), (176, 100, 80, 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--grain", type=float, nargs="+", default=[2.0, 6.0])
    parser.add_argument("--frames", type=int, default=40)
    known, rest = parser.parse_known_args()
    params = dict(zip((name.lstrip("-").replace("-", "_") for name in rest[::2]), rest[1::2], strict=True))
    picture = cv2.resize(cv2.imread(str(known.picture)), SIZE, interpolation=cv2.INTER_AREA)
    print(f"{'grain':>6} {'filling':>9} {'with grain':>11} {'footage':>9}   mean change from frame to frame, grey levels")
    for sigma in known.grain:
        with tempfile.TemporaryDirectory() as folder:
            clean, grainy, around = _changes(Path(folder), picture, sigma, known.frames, params)
        print(f"{sigma:6.1f} {clean:9.2f} {grainy:11.2f} {around:9.2f}", flush=True)


def _changes(folder: Path, picture: np.ndarray, sigma: float, count: int, params: dict[str, str]) -> tuple[float, float, float]:
    chance = np.random.default_rng(0)
    (folder / "source").mkdir()
    frames = [np.clip(np.rint(picture + chance.normal(0, sigma, picture.shape)), 0, 255).astype(np.uint8) for _ in range(count)]
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / "source" / f"{number:04d}.png"), frame)
    x, y, w, h = MARK
    hole = np.zeros(picture.shape[:2], bool)
    hole[y : y + h, x : x + w] = True
    made = []
    for grain in ("0", "1"):
        out = folder / f"out{grain}"
        document = {"source": {"path": str(folder / "source")}, "mask": {"rectangle": list(MARK)}, "output": {"path": str(out)}}
        result = pipeline.run(Job.from_document(document | {"params": {"grain": grain} | params}))
        made.append(_change([cv2.imread(str(out / name)) for name in result.files], hole))
    return made[0], made[1], _change(frames, ~hole)


def _change(frames: list[np.ndarray], where: np.ndarray) -> float:
    return float(np.abs(np.diff(np.stack(frames)[:, where].astype(np.float64), axis=0)).mean())


if __name__ == "__main__":
    main()
