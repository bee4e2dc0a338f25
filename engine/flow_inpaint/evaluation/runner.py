"""Works through a table: every clip, setting and method once, remembering what is done."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import Aborted, BadClip
from ..media.output_place import write_whole
from . import report
from .bench import Bench, Method
from .flow_errors import mean_of
from .footage import Collection, Footage
from .report import Line
from .rows import Figures, Key, Rows
from .sheet import contact_sheet, save_png
from .tables import rank

#: Clips on the sheet of pictures.
_SHOWN = 4
_PICTURES_ONLY = "surroundings"


@dataclass(frozen=True)
class Table:
    """What is to be worked through.

    name   of the files
    facts  sentences for above the table
    key    what figures depend on beside the clip, the setting, the bench and the method
    """

    name: str
    title: str
    facts: Sequence[str]
    bench: Bench
    collection: Collection
    settings: Sequence[str]
    key: Key


def run(table: Table, out: Path, *, say: Callable[[str], None], aborted: Callable[[], bool]) -> list[Path]:
    """Measures what is missing and writes NAME.md, NAME.csv and NAME.png into a folder; they are returned.

    What is measured is kept in out/rows, so that a table that was stopped goes on. Raises `Aborted` and what the methods raise.
    """
    rows = Rows(out / "rows")
    found: dict[tuple[str, str], dict[str, Figures]] = {}
    pictures: list[tuple[str, list[np.ndarray]]] = []
    shown = _shown_rows(table.bench)
    for number, footage in enumerate(table.collection, 1):
        for setting in table.settings:
            if setting == "object" and not footage.has_object:
                what = "needs another clip with annotated objects to paste"
                raise BadClip(f"The setting 'object' {what} over {footage.name}, and there is none: choose another --setting.")
            _measured(table, rows, footage, setting, f"{number}/{len(table.collection)} {footage.name}, {setting}", say, aborted)
            for method, part, row in shown:
                if method.work is not None:
                    figures = rows.find(_key(table, footage, setting, method.identity, part))
                    found.setdefault((setting, row), {})[footage.name] = figures or {}
            if number <= _SHOWN:
                pictures.append((f"{footage.name}, {setting}", _pictures(table, rows, footage, setting)))
    lines = _lines(table, found)
    paths = [out / f"{table.name}.{ending}" for ending in ("md", "csv", "png")]
    write_whole(paths[0], report.markdown(table.title, table.facts, table.bench.columns, lines).encode())
    write_whole(paths[1], report.comma_separated(table.bench.columns, lines, found).encode())
    left, right = table.bench.around
    titles = [left, *(row for method, _, row in shown if method.work is not None), right]
    save_png(paths[2], contact_sheet([cells for _, cells in pictures], titles, [name for name, _ in pictures]))
    return paths


def _shown_rows(bench: Bench) -> list[tuple[Method, int, str]]:
    """(method, number of its row, row) in the table's order."""
    every = [(method, part, row) for method in bench.methods for part, row in enumerate(method.rows) if row is not None]
    return sorted(every, key=lambda one: rank(one[2]) if bench.baseline else 0)


def _measured(
    table: Table, rows: Rows, footage: Footage, setting: str, where: str, say: Callable[[str], None], aborted: Callable[[], bool]
) -> None:
    """Measures what is not known yet."""
    bench = table.bench
    around = [_key(table, footage, setting, _PICTURES_ONLY, side) for side in range(2)]
    missing = [
        method
        for method in bench.methods
        if method.work is not None
        and any(rows.find(_key(table, footage, setting, method.identity, part)) is None for part in range(len(method.rows)))
    ]
    if not missing and all(rows.find(key) is not None for key in around):
        return
    try:
        with bench.opened(footage, setting, aborted) as ready:
            for key, picture in zip(around, bench.surroundings(ready), strict=True):
                rows.keep(key, {}, picture)
            for method in missing:
                say(f"{where}: {method.rows[-1]}")
                for part, (figures, picture) in enumerate(bench.measure(method, ready, aborted)):
                    rows.keep(_key(table, footage, setting, method.identity, part), figures, picture)
    except Aborted as error:
        raise Aborted("Stopped; what was measured is kept, and the same command goes on from there.") from error


def _key(table: Table, footage: Footage, setting: str, method: object, part: int) -> Key:
    own = {"footage": footage.identity, "name": footage.name, "frames": footage.count, "setting": setting}
    return {**table.key, **own, "bench": table.bench.identity, "method": method, "part": part}


def _pictures(table: Table, rows: Rows, footage: Footage, setting: str) -> list[np.ndarray]:
    left, right = (rows.picture(_key(table, footage, setting, _PICTURES_ONLY, side)) for side in range(2))
    shown = [(method, part) for method, part, _ in _shown_rows(table.bench) if method.work is not None]
    made = [rows.picture(_key(table, footage, setting, method.identity, part)) for method, part in shown]
    # A picture that someone has deleted leaves its place empty.
    blank = np.zeros((8, 8, 3), np.uint8)
    return [blank if picture is None else picture for picture in (left, *made, right)]


def _lines(table: Table, found: dict[tuple[str, str], dict[str, Figures]]) -> list[Line]:
    lines = []
    for setting in table.settings:
        base = found.get((setting, table.bench.baseline or ""))
        for method, _, row in _shown_rows(table.bench):
            if method.work is None:
                lines.append(Line(setting, row, None))
                continue
            clips = found[setting, row]
            means = mean_of(list(clips.values()))
            if base is not None:
                for name, figures in clips.items():
                    figures["ratio"] = _ratio(figures.get("epe"), base[name].get("epe"))
                means["ratio"] = _ratio(means.get("epe"), mean_of(list(base.values())).get("epe"))
            lines.append(Line(setting, row, means, len(clips)))
    return lines


def _ratio(error: float | None, base: float | None) -> float | None:
    return None if error is None or not base else error / base

