"""The referee's settings over a folder of DAVIS-like sequences: hole PSNR, SSIM and temporal error, as means.

    python tests/benchmarks/quality.py --davis FOLDER --judge JUDGE.PY [--size 432x240] [--NAME VALUE ...]

FOLDER has SEQUENCE/frames and SEQUENCE/masks. JUDGE.PY makes the settings and scores the results:
`make SETTING FRAMES OUT --object SEQUENCE --size WxH` and `score TRUTH RESULT MASKS --json`. In `object`,
what is pasted over a sequence comes from the one three places further in alphabetical order.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from flow_inpaint import pipeline
from flow_inpaint.job import Job

SETTINGS = ("square", "object")
FIGURES = ("psnr_hole", "ssim_hole", "ewarp_hole", "psnr_432", "ssim_432", "outside")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--size", default="432x240")
    parser.add_argument("--only", nargs="*", help="sequences to run; default: all")
    known, rest = parser.parse_known_args()
    params = dict(zip((name.lstrip("-").replace("-", "_") for name in rest[::2]), rest[1::2], strict=True))
    names = sorted(path.name for path in known.davis.iterdir() if (path / "frames").is_dir())
    rows: dict[str, list[dict[str, float]]] = {setting: [] for setting in SETTINGS}
    print(f"{'setting':8} {'sequence':18}", *(f"{name:>10}" for name in FIGURES), f"{'s/frame':>8} {'unseen':>7}")
    for setting in SETTINGS:
        for number, name in enumerate(names):
            if known.only and name not in known.only:
                continue
            row = _one(known, setting, known.davis / name, known.davis / names[(number + 3) % len(names)], params)
            rows[setting].append(row)
            _print(setting, name, row)
        _print(setting, "MEAN", {key: sum(row[key] for row in rows[setting]) / len(rows[setting]) for key in rows[setting][0]})


def _one(known: argparse.Namespace, setting: str, sequence: Path, other: Path, params: dict[str, str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _judge(known.judge, "make", setting, sequence / "frames", work, "--object", other, "--size", known.size)
        document = {
            "source": {"path": str(work / "input")},
            "mask": {"path": str(work / "masks")},
            "output": {"path": str(work / "result")},
            "params": params,
        }
        result = pipeline.run(Job.from_document(document))
        scores = json.loads(_judge(known.judge, "score", work / "truth", work / "result", work / "masks", "--json"))
    return {**{name: scores[name] for name in FIGURES}, "seconds": result.seconds / result.frames, "unseen": result.unseen}


def _judge(judge: Path, *arguments: object) -> str:
    return subprocess.run([sys.executable, str(judge), *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def _print(setting: str, name: str, row: dict[str, float]) -> None:
    print(f"{setting:8} {name:18}", *(f"{row[key]:10.3f}" for key in FIGURES), f"{row['seconds']:8.3f} {row['unseen']:7.3f}", flush=True)


if __name__ == "__main__":
    main()
