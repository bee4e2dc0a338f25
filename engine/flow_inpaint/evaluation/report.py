"""A table as Markdown, as CSV and as a sheet of pictures."""
from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bench import Column
from .rows import Figures

NO_WEIGHTS = "no weights"


@dataclass(frozen=True)
class Line:
    """A row of a table. figures None: there are no weights for it. `clips`: the mean is over so many."""

    setting: str
    row: str
    figures: Figures | None
    clips: int = 0


def markdown(title: str, facts: Sequence[str], columns: Sequence[Column], lines: Sequence[Line]) -> str:
    """A section with a table for each setting."""
    out = [f"## {title}", "", *facts]
    for setting in dict.fromkeys(line.setting for line in lines):
        some = [line for line in lines if line.setting == setting]
        clips = max(line.clips for line in some)
        out += ["", f"{setting}, {clips} {'clip' if clips == 1 else 'clips'}:", ""]
        out.append("| method | " + " | ".join(column.title for column in columns) + " |")
        out.append("|---|" + "---|" * len(columns))
        out += [f"| {_safe(line.row)} | " + " | ".join(_cells(line, columns)) + " |" for line in some]
    return "\n".join(out) + "\n"


def _cells(line: Line, columns: Sequence[Column]) -> list[str]:
    if line.figures is None:
        return [NO_WEIGHTS, *[""] * (len(columns) - 1)]
    values = [line.figures.get(column.name) for column in columns]
    return ["-" if value is None else f"{value:.{column.digits}f}" for value, column in zip(values, columns, strict=True)]


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


def comma_separated(columns: Sequence[Column], lines: Sequence[Line], clips: Mapping[tuple[str, str], Mapping[str, Figures]]) -> str:
    """Every row's mean (clip "mean") and, by (setting, row) and name, every clip's own figures, unrounded; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["setting", "method", "clip", *(column.name for column in columns)])
    for line in lines:
        if line.figures is None:
            writer.writerow([line.setting, line.row, NO_WEIGHTS, *[""] * len(columns)])
            continue
        for name, figures in [("mean", line.figures), *clips.get((line.setting, line.row), {}).items()]:
            values = (figures.get(column.name) for column in columns)
            writer.writerow([line.setting, line.row, name, *("" if value is None else repr(value) for value in values)])
    return text.getvalue()
