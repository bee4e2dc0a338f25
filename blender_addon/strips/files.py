"""The files behind movie and image strips, and how the engine gets at them."""
from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import bpy

from . import api, headers
from .errors import StripError

ENGINE_READS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr"}
_LONGEST_ENDING = 1 + max(map(len, ENGINE_READS))
_WITH_ALPHA = {32, 64, 128}
_PICTURES_KEPT = 64

T = TypeVar("T")

_remembered: dict[tuple[str, Hashable], Any] | None = None


@dataclass(frozen=True)
class Links:
    """A numbered sequence that is to be made of files: hard links, or copies where the disk has none."""

    files: list[Path]
    folder: Path

    def make(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Takes as long as copying may; ends early when it is not `wanted` any more. Raises `StripError`."""
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            for number, path in enumerate(self.files):
                if not wanted():
                    return
                twin = self.folder / f"{number:06d}{path.suffix.lower()}"
                try:
                    os.link(path, twin)
                except OSError:
                    shutil.copyfile(path, twin)
        except OSError as error:
            advice = "free some space, or choose another output folder"
            reason = f"{error.filename or self.folder}: {error.strerror}"
            raise StripError(f"The pictures cannot be put in order in {self.folder} ({reason}): {advice}.") from error


@dataclass(frozen=True)
class Picture:
    """A file's size in pixels, whether it has alpha, and whether it is more than 8 bits deep: None where only opening it tells."""

    size: tuple[int, int]
    alpha: bool
    deep: bool | None


_pictures: dict[tuple[str, int, int], Picture] = {}


def paths(strip: api.Strip) -> list[Path]:
    """The file of a movie strip, or the files of an image strip in the order of its frames; absolute. Of thousands this takes a while."""
    if strip.type == "MOVIE":
        return [first(strip)]
    where = folder(strip)
    return [where / name for name in names(strip)]


def first(strip: api.Strip) -> Path:
    """The file of a movie strip, or of an image strip's first frame; absolute."""
    return _absolute(strip, strip.filepath) if strip.type == "MOVIE" else folder(strip) / strip.elements[0].filename


def folder(strip: api.Strip) -> Path:
    """Where the files of an image strip lie."""
    return _absolute(strip, strip.directory)


def names(strip: api.Strip) -> list[str]:
    """The names of an image strip's files, in the order of its frames."""
    return _once("names", strip.as_pointer(), lambda: [element.filename for element in strip.elements])


@contextmanager
def looking_once() -> Iterator[None]:
    """While it lasts, names of thousands of files are asked for once: neither the strips nor the folders change."""
    global _remembered
    before, _remembered = _remembered, {} if _remembered is None else _remembered
    try:
        yield
    finally:
        _remembered = before


def _once(kind: str, of: Hashable, look: Callable[[], T]) -> T:
    if _remembered is None:
        return look()
    if (kind, of) not in _remembered:
        _remembered[kind, of] = look()
    return _remembered[kind, of]


def _absolute(strip: api.Strip, path: str) -> Path:
    # Paths of a linked scene count from the file that it is linked from.
    linked_from = getattr(strip.id_data, "library", None)
    return Path(os.path.normpath(bpy.path.abspath(path, library=linked_from))).absolute()


def check(strip: api.Strip) -> None:
    """Raises `StripError` when a file of the strip is missing."""
    lost = missing(strip)
    if lost:
        others = f" and {len(lost) - 1} more of its files are" if len(lost) > 1 else " is"
        path = first(strip) if strip.type == "MOVIE" else folder(strip) / strip.elements[lost[0]].filename
        raise StripError(f"Strip '{strip.name}': {path}{others} missing: put it back, or give the strip another file.")


def missing(strip: api.Strip) -> list[int]:
    """The numbers of the strip's files that are not there: 0 for a movie."""
    if strip.type == "MOVIE" or len(strip.elements) == 1:
        return [] if first(strip).is_file() else [0]
    where = folder(strip)
    there = listed(where)
    # A file may be there under a name in other letters, where the disk does not tell them apart.
    return [number for number, name in enumerate(names(strip)) if name not in there and not (where / name).is_file()]


def listed(where: Path) -> set[str]:
    """The names in a folder; one look instead of one for each file. To ask each whether it is a file takes as long as all the rest."""
    return _once("listed", where, lambda: _listed(where))


def _listed(where: Path) -> set[str]:
    try:
        return set(os.listdir(where))
    except OSError:
        return set()


def picture(strip: api.Strip) -> Picture:
    """The strip's first picture. Raises `StripError` when Blender cannot read it."""
    return _known(strip) or _opened_once(strip)


def deep(strip: api.Strip) -> bool:
    """Whether the strip's files are more than 8 bits deep. Raises `StripError` when Blender cannot read them."""
    found = picture(strip)
    return bool(_opened_once(strip).deep if found.deep is None else found.deep)


def _known(strip: api.Strip) -> Picture | None:
    """What can be told without having a picture decoded, which keeps Blender's window waiting."""
    found = headers.read(first(strip))
    if found is None:
        return None
    if strip.type == "MOVIE":
        # Blender's size is the right one, since it may turn the pictures; but the file may have been exchanged since it looked.
        size = (strip.elements[0].orig_width, strip.elements[0].orig_height) if len(strip.elements) else (0, 0)
        if sorted(size) != sorted(found.size):
            return None
        return Picture(size, found.alpha, found.deep)
    return Picture(found.size, found.alpha, found.deep)


def _opened_once(strip: api.Strip) -> Picture:
    path = first(strip)
    try:
        state = os.stat(path)
    except OSError:
        state = None
    # A file that has not changed is opened once.
    key = (str(path), state.st_mtime_ns, state.st_size) if state else None
    found = _pictures.get(key) if key else None
    if found is None:
        found = _opened(strip, path)
        if key:
            if len(_pictures) >= _PICTURES_KEPT:
                _pictures.clear()
            _pictures[key] = found
    return found


def _opened(strip: api.Strip, path: Path) -> Picture:
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise StripError(f"Strip '{strip.name}': {path} cannot be read by Blender: use another file.") from error
    try:
        width, height = image.size
        found = Picture((width, height), image.depth in _WITH_ALPHA, image.is_float)
    finally:
        bpy.data.images.remove(image)
    if width < 1 or height < 1:
        raise StripError(f"Strip '{strip.name}': {path} is not a picture or video that Blender can read: use another file.")
    return found


def movie_rate(strip: api.Strip) -> float:
    """The frame rate that Blender found in a movie strip's file; 0: none."""
    return max(strip.elements[0].orig_fps, 0.0) if len(strip.elements) else 0.0


def readable(strip: api.Strip) -> bool:
    """Whether the engine reads this kind of file. It tries every video."""
    if strip.type == "MOVIE":
        return True
    # Of thousands of names few end in another way, and looking at those is enough.
    suffixes = {"." + end.rpartition(".")[2].lower() for end in {name[-_LONGEST_ENDING:] for name in names(strip)}}
    return len(suffixes) == 1 and suffixes <= ENGINE_READS


def clip(strip: api.Strip, indices: Sequence[int], links: Path) -> tuple[dict[str, Any], Links | None]:
    """`path` and frames of a job's clip that shows these frames of the strip.

    Images whose names alone do not say which they are and in which order have to be linked first, in the folder `links`.
    """
    if strip.type == "MOVIE":
        # Blender counts by the container's duration and holds the last picture where the sound goes on longer. Where the
        # frame rate varies it counts time: the engine is told the rate to find the same pictures.
        turned = {} if api.turns_movies() else {"upright": False}
        return {"path": str(first(strip)), "hold": True, "rate": movie_rate(strip), **turned, **numbers(indices)}, None
    where, files = folder(strip), names(strip)
    if len(files) == 1:
        return {"path": str(where / files[0]), "indices": list(indices)}, None
    pattern = _pattern(where, files)
    if pattern is not None:
        return {"path": str(where / pattern), **numbers(indices)}, None
    used = sorted(set(indices))
    at = {index: number for number, index in enumerate(used)}
    return {"path": str(links), **numbers([at[i] for i in indices])}, Links([where / files[i] for i in used], links)


def numbers(indices: Sequence[int]) -> dict[str, Any]:
    """`first` and `count` where they say it all, else `indices`."""
    first = indices[0]
    if list(indices) == list(range(first, first + len(indices))):
        return {"first": first, "count": len(indices)}
    return {"indices": list(indices)}


def _pattern(where: Path, files: Sequence[str]) -> str | None:
    """`name_####.png` when it means exactly these files of the folder in this order, and none goes on with fewer digits or below 0."""
    begin = re.fullmatch(r"(.*?)(\d+)(\D*)", files[0])
    if begin is None:
        return None
    before, digits, after = begin.groups()
    start, width = int(digits), len(digits)
    if set("#%") & set(before + after) or len(str(start + len(files) - 1)) > width:
        return None
    padded = f"%0{width}d"
    if list(files) != [before + padded % number + after for number in range(start, start + len(files))]:
        return None
    there, alike = listed(where), re.compile(f"{re.escape(before)}-?\\d+{re.escape(after)}")
    if not there.issuperset(files) or any(map(alike.fullmatch, there.difference(files))):
        return None
    return f"{before}{'#' * width}{after}"
