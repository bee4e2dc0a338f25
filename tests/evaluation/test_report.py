"""Tables as text."""
from __future__ import annotations

import csv
import io

from flow_inpaint.evaluation.bench import Column
from flow_inpaint.evaluation.report import Line, comma_separated, markdown

COLUMNS = (Column("psnr", "PSNR (dB)", 2), Column("epe", "EPE"))
LINES = [
    Line("square", "A | B", {"psnr": 17.456, "epe": None}, 2),
    Line("square", "C", None),
    Line("object", "C", {"psnr": 20.0, "epe": 1.5, "other": 1.0}, 1),
]


def test_markdown():
    expected = """## Title

One fact.

square, 2 clips:

| method | PSNR (dB) | EPE |
|---|---|---|
| A \\| B | 17.46 | - |
| C | no weights |  |

object, 1 clip:

| method | PSNR (dB) | EPE |
|---|---|---|
| C | 20.00 | 1.500 |
"""
    assert markdown("Title", ["One fact."], COLUMNS, LINES) == expected


def test_comma_separated():
    clips = {("square", "A | B"): {"x, y": {"psnr": 17.0, "epe": None}}}
    assert list(csv.reader(io.StringIO(comma_separated(COLUMNS, LINES, clips)))) == [
        ["setting", "method", "clip", "psnr", "epe"],
        ["square", "A | B", "mean", "17.456", ""],
        ["square", "A | B", "x, y", "17.0", ""],
        ["square", "C", "no weights", "", ""],
        ["object", "C", "mean", "20.0", "1.5"],
    ]
