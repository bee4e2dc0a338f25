"""What a run is told to write, and what of that the strip shows: whole pictures in the format asked for, or the alpha patch alone."""
from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import descriptor
from .engine_setup.busy_files import patiently
from .properties import PATCH, Request
from .result_files import ResultPlace


@dataclass(frozen=True)
class Written:
    """`path`: a movie file, or the folder of the pictures `files`. `passes`: the folder with a folder for each pass."""

    path: Path
    files: list[str] | None
    passes: Path | None


class SoFar:
    """The frames of a result that are finished while the job goes on: pictures in `folder`, named by their numbers.

    The engine makes them for as long as the folder is there. That costs it a few percent of a quick job's time, so the folder is
    made when somebody may look. `first`: the number of the first picture, `start`: its timeline frame; `count`: how many there are.
    """

    def __init__(self, folder: Path, first: int, start: int):
        self.folder, self.first, self.start = folder, first, start
        self.count = 0
        self._begin = first
        self._asked = False

    def ask(self) -> None:
        """Somebody may look from now on."""
        if not self._asked:
            self._asked = True
            with suppress(OSError):  # a full disk: there is nothing to look at then
                self.folder.mkdir(parents=True, exist_ok=True)

    def heard(self, done: int) -> None:
        """`done` frames are whole, counted from the job's first one."""
        if not self._asked:
            return
        if not self.folder.is_dir():
            self.count = 0  # the disk had no room for them
            return
        end = self._begin + done
        if not self.count:
            there = set(os.listdir(self.folder))
            first = end
            while first > self._begin and f"{first - 1:05d}.jpg" in there:
                first -= 1
            self.start, self.first = self.start + first - self.first, first
        self.count = end - self.first


class Outputs:
    """The outputs of one task, below the folder that its place has for what is still being made."""

    def __init__(self, place: ResultPlace, request: Request, floating: bool):
        """`floating`: the source has floating point samples."""
        self._place = place
        self._patch = request.result == PATCH
        # A patch needs whole pictures too, which go again: the engine composes them anyway.
        self._format = request.format if not self._patch else "exr" if floating else "png"
        self._kind, self._ending = (descriptor.formats()[self._format][one] for one in ("kind", "extension"))
        self._names = [name for name in descriptor.passes() if name in request.passes or (self._patch and name == PATCH)]

    @property
    def beside(self) -> list[str]:
        """The passes that lie beside the result."""
        return [name for name in self._names if not (self._patch and name == PATCH)]

    def document(self, piece: int | None = None) -> dict[str, Any]:
        """`output` of the job's document; of a job for some of the frames, when it is a piece."""
        if piece is None:
            path = self._place.work / "whole" if self._patch else self.target
        else:
            path = self._place.work / f"piece-{piece}{self._suffix}"
        output: dict[str, Any] = {"path": str(path), "format": self._format}
        if self._names:
            output["passes"] = {"path": str(self._passes(piece)), "names": self._names}
        return output

    @property
    def previews(self) -> Path:
        """Where the engine shows the finished frames of the whole job while it goes on."""
        return self._place.work / "previews"

    def written(self, answer: dict[str, Any]) -> Written:
        """What the engine's answer to the whole job says."""
        passes = self._passes(None) if self.beside else None
        if not self._patch:
            return Written(self.target, None if self._kind == "video" else answer["files"], passes)
        patiently(os.rename, self._passes(None) / PATCH, self.target)
        return Written(self.target, _names_in(self.target), passes)

    def piece(self, number: int, answer: dict[str, Any], at: int) -> dict[str, Any]:
        """What a piece is spliced into the result with, from its picture `at` on."""
        if self._patch:
            return self.pass_piece(number, PATCH, at)
        files = {} if self._kind == "video" else {"files": answer["files"]}
        return {"path": self.document(number)["path"], "at": at} | files

    def pass_piece(self, number: int, name: str, at: int) -> dict[str, Any]:
        folder = self._passes(number) / name
        return {"path": str(folder), "at": at, "files": _names_in(folder)}

    def spliced(self, files: list[str]) -> Written:
        """What lies there once the result and its passes were spliced: the passes in the folders that `spliced_pass` says."""
        return Written(self.target, None if self._kind == "video" else files, self._passes(None) if self.beside else None)

    def spliced_pass(self, name: str) -> Path:
        folder = self._passes(None)
        folder.mkdir(exist_ok=True)
        return folder / name

    def commit(self, written: Written) -> Path:
        """Moves everything to its place, and returns that of the result. Raises `ResultError`."""
        return self._place.commit(written.path, written.passes)

    @property
    def target(self) -> Path:
        """What the strip is to show, before it is moved to its place."""
        return self._place.target(self._ending, self._kind)

    @property
    def _suffix(self) -> str:
        return self._ending if self._kind == "video" else ""

    def _passes(self, piece: int | None) -> Path:
        return self._place.work / ("passes" if piece is None else f"passes-{piece}")


def _names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())
