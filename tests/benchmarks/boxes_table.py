"""The paper's tables 3 and 4 of networks that have learnt on passing boxes (passing_boxes.toml), on box clips that none has seen.

    PYTHONPATH=tests/training python tests/benchmarks/boxes_table.py 3|4 [LABEL=]RUN ... --out DIR [--clips 64] [--frames 12]

Runs of one label in several folders LABEL-1, LABEL-2 are the same training with other seeds: their mean and their spread are shown
below. The table itself is made by what `flow-inpaint evaluate table` calls; only the clips are these. It counts every frame of a clip,
its ends too. The one after it is the trainer's own measure, in the middle of clips alone, where all passing_boxes.toml trains.
"""
from __future__ import annotations

import argparse
import csv
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from toy_data import PassingBoxesOfManySpeeds

from flow_inpaint.evaluation import runner, tables, weight_choice
from flow_inpaint.evaluation.footage import Collection, Exact
from flow_inpaint.training.settings import DataSettings
from flow_inpaint.training.sources import Share
from flow_inpaint.training.state import learnt
from flow_inpaint.training.tasks.dfc import DFCSettings, DFCTask

SIZE = (48, 64)
#: No run's seed gives these clips: they are those of a number that none reaches.
SEED = 987654321
#: What a pasted object's matte is grown by.
MARGIN = 4


class BoxClip:
    """A clip of a box behind a hole in the middle, which is given as the outline of an object."""

    has_object = True

    def __init__(self, number: int, frames: int):
        self.name, self.count = f"box-{number}", frames
        self.identity = f"{self.name} of {frames}"
        settings = DataSettings(size=SIZE, frames=frames)
        made = PassingBoxesOfManySpeeds(settings, SEED, Share(1), torch.device("cpu")).batch(number)
        self._flows = tuple(made[name][0].numpy().astype(np.float32) for name in ("forward", "backward"))
        self._hole = made["holes"][0, 0].numpy()

    def frames(self) -> Iterator[np.ndarray]:
        return (np.full((*SIZE, 3), 127, np.uint8) for _ in range(self.count))

    def objects(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows, columns = (np.flatnonzero(self._hole.any(axis)) for axis in (1, 0))
        outline = np.zeros(SIZE, bool)
        outline[rows[0] + MARGIN : rows[-1] + 1 - MARGIN, columns[0] + MARGIN : columns[-1] + 1 - MARGIN] = True
        while True:
            yield np.full((*SIZE, 3), 127, np.uint8), outline

    def exact(self) -> Exact:
        return Exact(*self._flows, *(np.zeros((self.count - 1, *SIZE), bool) for _ in range(2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, choices=(3, 4))
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--frames", type=int, default=12)
    known = parser.parse_args()
    torch.set_num_threads(1)
    clips = Collection("passing boxes", [f"box-{k}" for k in range(known.clips)], lambda k: BoxClip(k, known.frames))
    given = tuple(weight_choice.read(text if "=" in text else f"{Path(text).name}={text}") for text in known.runs)
    table = runner.Table(
        name=f"table-{known.number}",
        title=tables.TABLES[known.number],
        facts=[f"{known.clips} clips of {known.frames} frames of passing boxes, {SIZE[1]}x{SIZE[0]}."],
        bench=tables.bench_of(known.number, tables.Choices(given, "cpu", exact=True)),
        collection=clips,
        settings=["object"],
        key={"size": list(SIZE), "device": "cpu"},
    )
    paths = runner.run(table, known.out, say=lambda text: None, aborted=lambda: False)
    print(paths[0].read_text("utf-8"))
    with paths[1].open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["clip"] == "mean"]
    print("Every frame:\n")
    _by_label({row["method"]: row for row in rows}, ("epe", "ratio", "smooth", "hard", "worst_50", "worst_10"))
    if known.number == 3:
        print("\nThe middle of each clip, at the stage's own size:\n")
        figures = {one.label: _in_the_middle(one.run, known) for one in given if one.run is not None}
        _by_label(figures, ("epe", "ratio", "epe_hard", "ratio_hard", "epe_easy", "ratio_easy"))


def _in_the_middle(run: Path, known: argparse.Namespace) -> dict[str, float]:
    """What the trainer measures."""
    tensors, facts = learnt(run)
    task = DFCTask(DFCSettings(**facts["config"]["phases"][-1]["task"]))
    model = task.build().eval()
    model.load_state_dict(tensors)
    boxes = PassingBoxesOfManySpeeds(DataSettings(size=SIZE, frames=known.frames), SEED, Share(1), torch.device("cpu"))
    sums: dict[str, list[float]] = {}
    for number in range(known.clips):
        with torch.no_grad():
            found, _ = task.measure(model, boxes.batch(number))
        for name, (total, count) in found.items():
            before = sums.setdefault(name, [0.0, 0.0])
            sums[name] = [before[0] + total, before[1] + count]
    return task.conclude({name: total / count for name, (total, count) in sums.items()})


def _by_label(rows: Mapping[str, Mapping[str, Any]], wanted: Sequence[str]) -> None:
    """Means over seeds of every row's figures."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for method, row in rows.items():
        groups.setdefault(re.sub(r"-\d+(?=\)?$)", "", method), []).append(row)
    names = [name for name in wanted if all(name in row for row in rows.values())]
    print("| method | seeds |", " | ".join(names), "|")
    print("|---|---|" + "---|" * len(names))
    for label, group in groups.items():
        cells = []
        for name in names:
            values = [float(row[name]) for row in group if row[name] not in ("", None)]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}" if values else "")
        print(f"| {label} | {len(group)} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
