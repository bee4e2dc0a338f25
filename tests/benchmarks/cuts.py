"""Cuts that are missed, and frames that are taken for one, in shots of real footage set one behind another.

    python tests/benchmarks/cuts.py DAVIS

DAVIS holds sequences as NAME/frames and NAME/masks. Of each pair of them, twelve frames of the one are followed by one of the other, from
places drawn at random; and each is run through as it is. Made smaller first, to a height of 240. What is masked is left out, as in a job.
"""
from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from flow_inpaint.cuts import CutFinder

Frame = tuple[np.ndarray, np.ndarray]
_HEIGHT, _BEFORE, _TIMES, _APART = 240, 12, 4, 52


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path)
    known = parser.parse_args()
    folders = [folder for folder in sorted(known.davis.iterdir()) if (folder / "frames").is_dir()]
    shots = [_shot(folder) for folder in folders]
    chance, grain = random.Random(4), np.random.default_rng(4)
    looks: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
        "as it is": (1, lambda picture: picture),
        "every second frame": (2, lambda picture: picture),
        "every third frame": (3, lambda picture: picture),
        "a fifth of the light, grain": (1, lambda picture: picture * 0.2 + grain.normal(0, 3, picture.shape)),
        "a third of the contrast, grain": (1, lambda picture: 128 + (picture - 128.0) * 0.3 + grain.normal(0, 4, picture.shape)),
        "light that jumps": (1, lambda picture: picture * chance.choice([0.6, 1.0])),
    }
    print(f"{'':32} {'missed':>12} {'within a scene':>16} {'false':>12}")
    for name, (step, look) in looks.items():
        seen = [[(look(picture).clip(0, 255).astype(np.uint8), hole) for picture, hole in shot] for shot in shots]
        pairs = [(a, b) for a in seen for b in seen if a is not b]
        missed = [_missed(a, chance.randrange(_BEFORE * step, len(a)), step, chance.choice(b)) for a, b in pairs for _ in range(_TIMES)]
        jumps = [_missed(a, last, step, a[last - _APART]) for a in seen for last in range(_APART + _BEFORE * (step - 1), len(a), 3)]
        false = {folder: _cuts(shot[::step])[1:] for folder, shot in zip(folders, seen)}
        where = [f"{folder.name} {step * (k + 1)}" for folder, cuts in false.items() for k, cut in enumerate(cuts) if cut]
        print(f"{name:32} {_of(missed):>12} {_of(jumps):>16} {_of(sum(false.values(), [])):>12}  {', '.join(where)}", flush=True)


def _shot(folder: Path) -> list[Frame]:
    frames, masks = (sorted((folder / what).iterdir()) for what in ("frames", "masks"))
    return [(_small(cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB)), _small(cv2.imread(str(m), cv2.IMREAD_GRAYSCALE)) > 0) for f, m in zip(frames, masks)]


def _small(picture: np.ndarray) -> np.ndarray:
    h, w = picture.shape[:2]
    return cv2.resize(picture, (round(w * _HEIGHT / h), _HEIGHT), interpolation=cv2.INTER_AREA)


def _missed(shot: list[Frame], last: int, step: int, next_one: Frame) -> bool:
    return not _cuts([*shot[last - (_BEFORE - 1) * step : last + 1 : step], next_one])[-1]


def _cuts(frames: list[Frame]) -> list[bool]:
    finder = CutFinder()
    return [finder.is_cut(*frame) for frame in frames]


def _of(found: list[bool]) -> str:
    return f"{sum(found)} of {len(found)}"


if __name__ == "__main__":
    main()
