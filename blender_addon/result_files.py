"""Where a result goes on disk: a name that nothing has yet, and nothing under it before everything is there."""
from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path

import bpy

from .engine_setup.busy_files import patiently, remove_folder

_MEDIA_ENDING = re.compile(r"\.(mp4|mov|mkv|avi|webm|mxf|mts|m4v|mpg|png|jpe?g|tiff?|exr)$", re.IGNORECASE)


_made: set[Path] = set()


class ResultError(Exception):
    """One sentence for the person at the screen: it names the folder or file and says what to do."""


def folder_of(output: str) -> Path:
    """The output folder that the user means. Raises `ResultError` when it counts from a file that was never saved."""
    if not output.strip():
        raise ResultError("No output folder is set: choose one.")
    if output.startswith("//") and not bpy.data.filepath:
        text = f"The output folder {output} counts from the .blend file, which has never been saved"
        raise ResultError(f"{text}: save it, or give a whole path.")
    return Path(os.path.abspath(os.path.expanduser(bpy.path.abspath(output))))


def file_name(strip_name: str) -> str:
    """A strip's name as the beginning of a file name that every system accepts."""
    plain = re.sub(r"[^\w-]+", "_", _MEDIA_ENDING.sub("", strip_name)).strip("_")
    return plain[:60] or "strip"


def remove_if_empty(folder: Path) -> None:
    """Removes a folder that was made for nothing."""
    try:
        folder.rmdir()
    except OSError:
        return


def passes_beside(result: Path) -> Path:
    """Where the passes of a movie file, or of a folder of pictures, lie: a folder for each."""
    return result.with_name(result.name.partition(".")[0] + ".passes")


class ResultPlace:
    """A reserved name in the output folder, with a folder beside it for what is still being made.

    `commit` moves the finished result to its name; `discard` removes everything that was not committed.
    """

    def __init__(self, folder: Path, strip_name: str):
        """Raises `ResultError` when the folder cannot be made or written."""
        self.folder = folder
        self._stem = f"{file_name(strip_name)}_flow_inpaint"
        _made.update(f for f in (folder, *folder.parents) if not f.exists())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.name, self.work = self._reserve()
        except OSError as error:
            self._remove_made()
            raise ResultError(f"The output folder {folder} cannot be used ({error.strerror}): choose another.") from error

    def target(self, extension: str, kind: str) -> Path:
        """What the engine is to write: a movie file, or a folder of pictures."""
        return self.work / (self.name + extension if kind == "video" else self.name)

    def commit(self, written: Path, passes: Path | None = None) -> Path:
        """Moves what the engine wrote to its place and returns that; the folder of the passes too. Raises `ResultError`."""
        if not written.exists():
            raise ResultError(f"The engine says that it is done, but has not written {written.name}.")
        place = self.folder / written.name
        if place.exists():
            place = self.folder / (self._next_free() + written.suffix)
        try:
            patiently(os.rename, written, place)
            if passes is not None:
                patiently(os.rename, passes, passes_beside(place))
        except OSError as error:
            if place.exists():
                os.rename(place, written)
            raise ResultError(f"The result cannot be moved to {place} ({error.strerror}): check the folder.") from error
        return place

    def discard(self) -> None:
        remove_folder(self.work)
        self._remove_made()

    def _reserve(self) -> tuple[str, Path]:
        """The folder's name is the lock: another Blender that wants the same number finds it taken."""
        while True:
            name = self._next_free()
            work = self.folder / f".{name}.part"
            try:
                work.mkdir()
            except FileExistsError:
                continue
            if not self._taken(name, besides=work.name):
                return name, work
            work.rmdir()

    def _next_free(self) -> str:
        return next(name for n in count(1) if not self._taken(name := f"{self._stem}_{n:03d}"))

    def _taken(self, name: str, besides: str = "") -> bool:
        names = {entry for entry in os.listdir(self.folder) if entry != besides}
        return any(entry.lstrip(".").split(".")[0].lower() == name.lower() for entry in names)

    def _remove_made(self) -> None:
        """Folders made for a result that did not come, by this place or by another one that used them at the same time."""
        for folder in (self.folder, *self.folder.parents):
            if folder not in _made:
                return
            try:
                folder.rmdir()
            except OSError:
                return
