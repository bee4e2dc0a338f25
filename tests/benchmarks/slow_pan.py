"""A mark that stands in the picture of a camera that pans slowly, so that what is behind it comes into view only after many frames.

    python tests/benchmarks/slow_pan.py --picture DAVIS/camel/frames/00000.jpg [--pan 0.5 0.75 1 2] [--preset standard high] \\
        [--NAME VALUE ...]

What the camera sees is 240x160 of the picture at half its size, with new grain in every frame; the mark is 80x48 in its middle. PSNR
in the hole against the frames without the mark, what no frame showed, and seconds a frame.
"""
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from flow_inpaint import pipeline
from flow_inpaint.job import Job

WIDTH, HEIGHT, FRAMES, GRAIN = 240, 160, 160, 2.0
MARK = (80, 56, 80, 48)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--pan", type=float, nargs="+", default=[0.5, 0.75, 1.0, 2.0], help="pixels a frame")
    parser.add_argument("--preset", nargs="+", default=["standard", "high"])
    known, rest = parser.parse_known_args()
    params = dict(zip((name.lstrip("-").replace("-", "_") for name in rest[::2]), rest[1::2], strict=True))
    picture = cv2.imread(str(known.picture))
    print(f"{'pan':>5} {'preset':10} {'dB':>7} {'unseen':>7} {'s/frame':>8}")
    for pan in known.pan:
        with tempfile.TemporaryDirectory() as folder:
            frames = _frames(picture, pan)
            (Path(folder) / "source").mkdir()
            for number, frame in enumerate(frames):
                cv2.imwrite(str(Path(folder) / "source" / f"{number:04d}.png"), _marked(frame))
            for preset in known.preset:
                print(f"{pan:5.2f} {preset:10}", *_run(Path(folder), frames, {"preset": preset, **params}), flush=True)


def _frames(picture: np.ndarray, pan: float) -> list[np.ndarray]:
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    if small.shape[1] < WIDTH + pan * FRAMES:
        # There and back is another motion: the picture goes on mirrored in its place.
        small = np.hstack([small, small[:, ::-1]])
    top, chance = (small.shape[0] - HEIGHT) // 2, np.random.default_rng(0)
    found = []
    for number in range(FRAMES):
        move = np.float32([[1, 0, -pan * number], [0, 1, -top]])
        seen = cv2.warpAffine(small, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        found.append(np.clip(np.rint(seen + chance.normal(0, GRAIN, seen.shape)), 0, 255).astype(np.uint8))
    return found


def _marked(frame: np.ndarray) -> np.ndarray:
    x, y, w, h = MARK
    frame = frame.copy()
    frame[y : y + h, x : x + w] = (40, 40, 220)
    return frame


def _run(folder: Path, truth: list[np.ndarray], params: dict[str, str]) -> tuple[str, ...]:
    x, y, w, h = MARK
    out = folder / params["preset"]
    document = {"source": {"path": str(folder / "source")}, "mask": {"rectangle": list(MARK)}, "output": {"path": str(out)}}
    result = pipeline.run(Job.from_document(document | {"params": params}))
    made = np.stack([cv2.imread(str(out / name))[y : y + h, x : x + w] for name in result.files]).astype(float)
    square = np.mean((made - np.stack([frame[y : y + h, x : x + w] for frame in truth])) ** 2)
    return f"{10 * np.log10(255**2 / square):7.2f}", f"{result.unseen:7.3f}", f"{result.seconds / result.frames:8.3f}"


if __name__ == "__main__":
    main()
