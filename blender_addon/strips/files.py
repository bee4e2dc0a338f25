"""The files behind movie and image strips, and how the engine gets at them."""
from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import api
from .errors import StripError

ENGINE_READS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr"}
_WITH_ALPHA = {32, 64, 128}
_PICTURES_KEPT = 64


@dataclass(frozen=True)
class Picture:
    """What Blender says of a file: size in pixels, whether it has alpha, whether it is more than 8 bits deep."""

    size: tuple[int, int]
    alpha: bool
    deep: bool


_pictures: dict[tuple[str, int, int], Picture] = {}


def paths(strip: api.Strip) -> list[Path]:
    """The file of a movie strip, or the files of an image strip in the order of its frames; absolute."""
    if strip.type == "MOVIE":
        return [_absolute(strip, strip.filepath)]
    folder = _absolute(strip, strip.directory)
    return [folder / element.filename for element in strip.elements]


def _absolute(strip: api.Strip, path: str) -> Path:
    # Paths of a linked scene count from the file that it is linked from.
    linked_from = getattr(strip.id_data, "library", None)
    return Path(os.path.normpath(bpy.path.abspath(path, library=linked_from))).absolute()


def check(strip: api.Strip) -> None:
    """Raises `StripError` when a file of the strip is missing."""
    missing = [path for path in paths(strip) if not path.is_file()]
    if missing:
        others = f" and {len(missing) - 1} more of its files are" if len(missing) > 1 else " is"
        raise StripError(f"Strip '{strip.name}': {missing[0]}{others} missing: put it back, or give the strip another file.")


def picture(strip: api.Strip) -> Picture:
    """Size, alpha and depth of the strip's first picture. Raises `StripError` when Blender cannot read it."""
    path = paths(strip)[0]
    try:
        state = os.stat(path)
    except OSError:
        state = None
    # Blender takes up to 50 ms to open a movie: a file that has not changed is opened once.
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
    suffixes = {path.suffix.lower() for path in paths(strip)}
    return strip.type == "MOVIE" or (len(suffixes) == 1 and suffixes <= ENGINE_READS)


def clip(strip: api.Strip, indices: Sequence[int], folder: Path) -> dict[str, Any]:
    """`path` and frames of a job's clip that shows these frames of the strip.

    Images whose names alone do not say which they are and in which order are linked, numbered, in `folder`.
    """
    files = paths(strip)
    if strip.type == "MOVIE":
        # Blender counts by the container's duration and holds the last picture where the sound goes on longer. Where the
        # frame rate varies it counts time: the engine is told the rate to find the same pictures.
        turned = {} if api.turns_movies() else {"upright": False}
        return {"path": str(files[0]), "hold": True, "rate": movie_rate(strip), **turned, **numbers(indices)}
    if len(files) == 1:
        return {"path": str(files[0]), "indices": list(indices)}
    pattern = _pattern(files)
    if pattern is not None:
        return {"path": str(pattern), **numbers(indices)}
    used = sorted(set(indices))
    _link([files[i] for i in used], folder)
    return {"path": str(folder), **numbers([used.index(i) for i in indices])}


def numbers(indices: Sequence[int]) -> dict[str, Any]:
    """`first` and `count` where they say it all, else `indices`."""
    first = indices[0]
    if list(indices) == list(range(first, first + len(indices))):
        return {"first": first, "count": len(indices)}
    return {"indices": list(indices)}


def _pattern(files: Sequence[Path]) -> Path | None:
    """`name_####.png` when it means exactly these files in this order."""
    found = [re.fullmatch(r"(.*?)(\d+)(\D*)", path.name) for path in files]
    if None in found or len({(one[1], len(one[2]), one[3]) for one in found}) > 1:
        return None
    before, digits, after = found[0].groups()
    start = int(digits)
    if [int(one[2]) for one in found] != list(range(start, start + len(files))) or set("#%") & set(before + after):
        return None
    alike = re.compile(f"{re.escape(before)}\\d{{{len(digits)},}}{re.escape(after)}")
    if {name for name in os.listdir(files[0].parent) if alike.fullmatch(name)} != {path.name for path in files}:
        return None
    return files[0].parent / f"{before}{'#' * len(digits)}{after}"


def _link(files: Sequence[Path], folder: Path) -> None:
    """Makes `folder` a numbered sequence of these files: hard links, or copies where the file system has none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, path in enumerate(files):
        twin = folder / f"{number:06d}{path.suffix.lower()}"
        try:
            os.link(path, twin)
        except OSError:
            shutil.copyfile(path, twin)
