"""What a run leaves to look at: CSV files that survive a kill, and a picture of the curves."""
from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

#: The first columns of every file.
KEYS = ("phase", "step", "total")


class Table:
    """A CSV file to which rows are added. `total` counts steps over all phases."""

    def __init__(self, path: Path, columns: Sequence[str], *, after: int | None = None):
        """Begins anew, or with `after` goes on behind that total: what a killed run wrote beyond its last checkpoint goes."""
        self.path, self.columns = path, [*KEYS, *columns]
        rows = [] if after is None or not path.exists() else [row for row in read(path) if _number(row["total"]) <= after]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(rows)

    def add(self, row: Mapping[str, object]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns, extrasaction="ignore", restval="").writerow(row)


def read(path: Path) -> list[dict[str, str]]:
    """The complete rows; a line that a kill cut short is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and row.get("total", "").isdigit()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


# --- curves ---

_INK, _PALE = (40, 40, 40), (225, 225, 225)
_COLOURS = (
    (180, 90, 20), (40, 110, 220), (60, 150, 60), (150, 60, 150), (60, 60, 200), (120, 120, 0), (0, 0, 0), (200, 160, 0), (150, 150, 150),
)  # fmt: skip
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 360, 80, 190, 30, 40


def draw(path: Path, tables: Mapping[str, tuple[Path, Sequence[str]]]) -> None:
    """A PNG with a panel for each title: (CSV file, columns), on logarithmic scales."""
    panels = [_panel(title, read(file), columns) for title, (file, columns) in tables.items() if file.exists()]
    if not panels:
        return
    ok, data = cv2.imencode(".png", np.concatenate(panels))
    if ok:
        part = path.with_name(path.name + ".part")
        part.write_bytes(data.tobytes())
        part.replace(path)


def _panel(title: str, rows: list[dict[str, str]], columns: Sequence[str]) -> np.ndarray:
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    _write(picture, title, (_LEFT, 20), 0.5)
    x = np.array([_number(row["total"]) for row in rows])
    curves = {column: np.array([_number(row.get(column) or "nan") for row in rows]) for column in columns}
    curves = {column: y for column, y in curves.items() if np.any(np.isfinite(y) & (y > 0))}
    if not curves:
        return picture
    good = np.concatenate([y[np.isfinite(y) & (y > 0)] for y in curves.values()])
    low, high = math.log10(good.min()), math.log10(good.max())
    if high - low < 0.1:
        low, high = low - 0.05, high + 0.05
    last = max(float(x.max()), 1.0)

    def place(total: np.ndarray, value: np.ndarray) -> np.ndarray:
        across = _LEFT + total / last * (_WIDTH - _LEFT - _RIGHT)
        down = _HEIGHT - _BOTTOM - (np.log10(value) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return np.rint(np.stack([across, down], -1)).astype(np.int32)

    for k in range(5):
        level = 10 ** (low + (high - low) * k / 4)
        (left, y), (right, _) = place(np.array([0.0, last]), np.array([level, level]))
        cv2.line(picture, (int(left), int(y)), (int(right), int(y)), _PALE)
        _write(picture, f"{level:.3g}", (8, int(y) + 4), 0.42)
        at = int(_LEFT + k / 4 * (_WIDTH - _LEFT - _RIGHT))
        _write(picture, f"{last * k / 4:.0f}", (at - 10, _HEIGHT - 14), 0.42)
    _write(picture, "step", (_WIDTH - _RIGHT + 20, _HEIGHT - 14), 0.42)
    for number, (column, y) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        seen = np.isfinite(y) & (y > 0)
        points = place(x[seen], y[seen])
        if len(points) > 50:
            # Single steps are noisy: they stay as pale dots behind their running mean.
            for point in points:
                cv2.circle(picture, tuple(map(int, point)), 1, tuple(int(255 - (255 - c) * 0.3) for c in colour), -1)
            points = place(x[seen], _running(y[seen]))
        cv2.polylines(picture, [points], False, colour, 2, cv2.LINE_AA)
        if len(points) == 1:
            cv2.circle(picture, tuple(map(int, points[0])), 3, colour, -1)
        _write(picture, f"{column} {y[seen][-1]:.4g}", (_WIDTH - _RIGHT + 20, _TOP + 20 * number + 14), 0.42, colour)
    return picture


def _running(y: np.ndarray) -> np.ndarray:
    window = max(len(y) // 50, 3)
    logs = np.log10(y)
    sums = np.concatenate([[0], np.cumsum(logs)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - window, 0)
    return 10 ** ((sums[ends] - sums[starts]) / (ends - starts))


def _write(picture: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple[int, ...] = _INK) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
