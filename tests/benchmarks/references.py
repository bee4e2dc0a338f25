"""The demo shot with and without one clean frame given as a reference, against the truth.

    python tests/benchmarks/references.py [--frame 30] [--dim 0.7] [--NAME VALUE ...]

The reference is the true picture of that frame, or with --dim the same under another exposure, to see what correcting the
light is worth. `others` is PSNR without the reference's own frame, whose truth was given. `flicker` is how much the error changes
from frame to frame along the true motion: unlike the temporal error, which is 4.10 of 255 for the true clip itself with its
grain and leaves, it is nothing for the truth.
"""
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from flow_inpaint import demo, pipeline
from flow_inpaint.evaluation import evaluate
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_matte, open_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frame", type=int, default=30)
    parser.add_argument("--dim", type=float)
    parser.add_argument("--only", nargs="*", help="cases to run; default: all")
    known, rest = parser.parse_known_args()
    params = dict(zip((name.lstrip("-").replace("-", "_") for name in rest[::2]), rest[1::2], strict=True))
    print(f"{'case':26} {'psnr':>7} {'others':>7} {'ssim':>6} {'temporal':>9} {'flicker':>8} {'unseen':>7} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        true, dim = work / "true.png", work / "dim.png"
        picture = _truth(known.frame)
        cv2.imwrite(str(true), picture[..., ::-1])
        cases = {"no reference": ([], {}), "reference, unseen only": ([true], {"reference_use": "unseen"}), "reference": ([true], {})}
        if known.dim:
            cv2.imwrite(str(dim), np.rint(picture[..., ::-1] * known.dim).astype(np.uint8))
            cases |= {"dimmed reference": ([dim], {}), "dimmed, linear blend": ([dim], {"blend": "linear"})}
        for name, (given, more) in cases.items():
            if not known.only or name in known.only:
                _print(name, known.frame, given, params | more, work)


def _truth(frame: int) -> np.ndarray:
    with open_source(ClipSpec(demo.TRUTH)) as source:
        return next(iter(source.read(frame, frame))).rgb


def _print(name: str, frame: int, given: list[Path], params: dict[str, str], work: Path) -> None:
    document = {
        "source": {"path": str(demo.SOURCE)},
        "mask": {"path": str(demo.MATTE)},
        "output": {"path": str(work / "result.mkv")},
        "references": [{"frame": frame, "path": str(path)} for path in given],
        "params": params,
    }
    job = Job.from_document(document)
    result = pipeline.run(job)
    scores = evaluate(ClipSpec(demo.TRUTH), ClipSpec(work / "result.mkv"), job.mask)
    others, flicker = _besides(work / "result.mkv", job, frame)
    figures = f"{scores.psnr_hole:7.2f} {others:7.2f} {scores.ssim_hole:6.3f} {scores.ewarp_hole:9.2f} {flicker:8.2f}"
    print(f"{name:26} {figures} {result.unseen:7.3f} {result.seconds:8.1f}", flush=True)


def _besides(result: Path, job: Job, besides: int) -> tuple[float, float]:
    """PSNR in the holes of all frames but one, and how much the error changes along the true motion: means over frames."""
    found, changes = [], []
    before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    with open_source(ClipSpec(demo.TRUTH)) as truth, open_source(ClipSpec(result)) as made:
        matte = open_matte(job.mask, truth.info, 0, 0.5)
        last = truth.info.count - 1
        for a, b, hole in zip(truth.read(0, last), made.read(0, last), matte.read(0, last), strict=True):
            error, grey = b.rgb.astype(np.float32) - a.rgb, cv2.cvtColor(a.rgb, cv2.COLOR_RGB2GRAY)
            if a.index != besides and hole.any():
                found.append(10 * np.log10(255**2 / max(float(np.mean(error[hole] ** 2)), 1e-9)))
            if before is not None and before[2].any():
                changes.append(_change(*before, error, grey))
            before = error, grey, hole
    return float(np.mean(found)), float(np.mean(changes))


def _change(error: np.ndarray, grey: np.ndarray, hole: np.ndarray, error_after: np.ndarray, grey_after: np.ndarray) -> float:
    """Mean difference of two frames' errors (H, W, 3) along the flow of the true pictures, over the first one's hole."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey, grey_after, None)
    ys, xs = np.indices(hole.shape, np.float32)
    after = cv2.remap(error_after, xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR)
    return float(np.abs(error - after)[hole].mean())


if __name__ == "__main__":
    main()
