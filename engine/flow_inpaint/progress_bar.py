"""Progress on its way to somebody: how often, and how it looks on a terminal."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from .pipeline import Progress

_FEWEST_COLUMNS = 24
_WIDEST_BAR = 40


class Pace:
    """Hands progress on at most every `interval` seconds, with fractions in 0..1 that never fall; the end always gets through."""

    def __init__(self, send: Callable[[Progress], None], interval: float = 0.1, clock: Callable[[], float] = time.monotonic):
        self._send = send
        self._interval = interval
        self._clock = clock
        self._sent_at = -math.inf
        self._fraction = 0.0
        self._ended = False

    def __call__(self, progress: Progress) -> None:
        self._fraction = min(max(self._fraction, progress.fraction), 1.0)
        ends = self._fraction == 1.0 and not self._ended
        if not ends and self._clock() - self._sent_at < self._interval:
            return
        self._sent_at = self._clock()
        self._ended = self._ended or ends
        left = progress.eta_s
        self._send(replace(progress, fraction=self._fraction, eta_s=left if left is not None and math.isfinite(left) else None))


class Plain:
    """Where nobody watches: what is worth saying, and no bars."""

    def progress(self, progress: Progress) -> None:
        pass

    def message(self, level: str, text: str) -> None:
        print(said(level, text), flush=True)

    def close(self) -> None:
        pass


class JsonLines:
    """Progress and messages as JSON lines on a file descriptor, for programs. Calls `gone` when nobody reads them."""

    def __init__(self, descriptor: int, gone: Callable[[], None]):
        self._descriptor = descriptor
        self._gone = gone
        self.progress = Pace(lambda progress: self._write("progress", asdict(progress)))

    def message(self, level: str, text: str) -> None:
        self._write("message", {"level": level, "text": text})

    def close(self) -> None:
        pass

    def _write(self, event: str, fields: dict[str, Any]) -> None:
        try:
            os.write(self._descriptor, json.dumps({"event": event} | fields).encode() + b"\n")
        except BrokenPipeError:
            self._gone()


class Bars:
    """A bar for every stage so far and one for the whole job, redrawn in place on a terminal."""

    def __init__(self, terminal: TextIO):
        self._terminal = terminal
        self._stages: dict[str, tuple[int, int]] = {}
        self._whole = ""
        self._drawn = 0
        self._pace = Pace(self._show)
        if os.name == "nt":
            # An empty command is what makes the old Windows console understand escape sequences.
            os.system("")

    def progress(self, progress: Progress) -> None:
        # Noted even when it is too soon to draw again, or a stage would seem to stop before its end.
        self._stages[progress.stage] = (progress.done, progress.total)
        self._pace(progress)

    def _show(self, progress: Progress) -> None:
        left = "" if progress.eta_s is None else f"  {clock_time(progress.eta_s)} left"
        self._whole = f"{progress.fraction:4.0%}{left}"
        self._draw(progress.fraction)

    def message(self, level: str, text: str) -> None:
        """Writes a line that stays, above the bars."""
        self._write(self._up() + said(level, text) + "\n")
        self._drawn = 0

    def close(self) -> None:
        """Takes the bars away."""
        self._write(self._up())
        self._drawn = 0

    def _draw(self, fraction: float) -> None:
        columns = max(shutil.get_terminal_size().columns - 1, _FEWEST_COLUMNS)
        name_width = max(len(name) for name in (*self._stages, "total"))
        # What follows the longest name and the widest count has to fit, or a wrapped line breaks the redrawing.
        width = min(max(columns - name_width - 24, 4), _WIDEST_BAR)
        rows = [
            f"{name:{name_width}} {_bar(done / total if total else 0.0, width)} {done}/{total}"
            for name, (done, total) in self._stages.items()
        ]
        rows.append(f"{'total':{name_width}} {_bar(fraction, width)} {self._whole}")
        self._write(self._up() + "".join(row[:columns] + "\n" for row in rows))
        self._drawn = len(rows)

    def _up(self) -> str:
        return f"\r\x1b[{self._drawn}A\x1b[J" if self._drawn else ""

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()


def _bar(fraction: float, width: int) -> str:
    full = round(min(max(fraction, 0.0), 1.0) * width)
    return "[" + "#" * full + "-" * (width - full) + "]"


def said(level: str, text: str) -> str:
    """A message as a line for a person."""
    return f"Warning: {text}" if level == "warning" else text


def clock_time(seconds: float) -> str:
    """Seconds as 0:07 or 1:02:03."""
    minutes, second = divmod(max(round(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
