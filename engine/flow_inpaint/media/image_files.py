"""Which files a folder, a pattern or a file name means."""
from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

from ..errors import BadClip

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr", ".dpx"}
#: No wider than a file's name may be: the number is really written out.
_COUNTER = re.compile(r"%(0?)(\d{0,2})d|#{1,200}")


#: So many gaps in a sequence are named after the first.
_NAMED = 12


def means_images(path: Path) -> bool:
    """Whether `path` is to be read as images rather than as a video file."""
    return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES


def image_files(path: Path, gaps: bool = False) -> tuple[Path, ...]:
    """The image files that `path` means, by number. Raises `BadClip` for none, gaps and mixtures.

    With `gaps`, images that are missing between others are named too, as they would be called.
    """
    if path.exists() and not path.is_dir():
        return (path,)
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
        if not found:
            raise BadClip(f"{path} has no images in it ({', '.join(sorted(IMAGE_SUFFIXES))} are read).")
        return _by_number(path, found, gaps)
    pattern = counter_pattern(path)
    if pattern is None:
        raise BadClip(f"{path} does not exist.")
    if not path.parent.is_dir():
        raise BadClip(f"{path.parent} does not exist.")
    found = [file for file in path.parent.iterdir() if pattern.fullmatch(file.name)]
    if not found:
        raise BadClip(f"{path} matches no file.")
    numbered_files = {int(pattern.fullmatch(file.name)[1]): file for file in found}
    _check_beginning(path, min(numbered_files))
    return _in_order(path, numbered_files, len(found), (lambda number: path.parent / str(numbered(path, number))) if gaps else None)


def _check_beginning(path: Path, first: int) -> None:
    """Raises `BadClip` where the images run on before the first one under names that the pattern does not have: below 0, or with
    fewer digits. They would be missing from the result."""
    counter = _COUNTER.search(path.name)
    before, after = (re.escape(part) for part in (path.name[: counter.start()], path.name[counter.end() :]))
    other = re.compile(f"{before}(-?\\d+){after}")
    names = {int(found[1]): found[0] for file in path.parent.iterdir() if (found := other.fullmatch(file.name))}
    if first - 1 not in names:
        return
    if first == 0:
        raise BadClip(f"{path} has images before number 0, such as {names[-1]}: number them from 0 or later on.")
    plain = f"{path.name[: counter.start()]}%d{path.name[counter.end() :]}"
    raise BadClip(f"{path} has {names[first - 1]} before its first image, which the pattern does not mean: write {plain}.")


def counter_pattern(path: Path) -> re.Pattern[str] | None:
    """What file names match a name with %04d or #### in it; None when it has no counter. Group 1 is the number."""
    counter = _COUNTER.search(path.name)
    if counter is None:
        return None
    before, after = re.escape(path.name[: counter.start()]), re.escape(path.name[counter.end() :])
    return re.compile(f"{before}(\\d{{{counter_width(counter)},}}){after}")


def counter_width(counter: re.Match[str]) -> int:
    if counter[0].startswith("#"):
        return len(counter[0])
    return int(counter[2]) if counter[1] and counter[2] else 1


def numbered(path: Path, number: int) -> str | None:
    """The file name that a name with a counter gives to `number`."""
    counter = _COUNTER.search(path.name)
    if counter is None:
        return None
    return f"{path.name[: counter.start()]}{number:0{counter_width(counter)}d}{path.name[counter.end() :]}"


def _by_number(folder: Path, files: list[Path], gaps: bool) -> tuple[Path, ...]:
    """Sorted by the one number in their names that differs."""
    if len(files) == 1:
        return tuple(files)
    names = [re.split(r"(\d+)", file.stem) + [file.suffix.lower()] for file in files]
    texts = {tuple(name[0::2] if len(name) % 2 else name[0:-1:2]) + (name[-1],) for name in names}
    varying = [i for i in range(1, len(names[0]) - 1, 2) if len({name[i] for name in names}) > 1] if len(texts) == 1 else []
    if len(varying) != 1:
        few = ", ".join(sorted(file.name for file in files)[:3])
        raise BadClip(f"{folder} holds more than one image sequence ({few} …): give a pattern such as {folder / _pattern(names)}.")
    place = varying[0]

    def called(number: int) -> Path:
        parts = list(names[0])
        parts[place] = f"{number:0{min(len(name[place]) for name in names)}d}"
        return folder / "".join(parts)

    return _in_order(folder, {int(name[place]): file for name, file in zip(names, files)}, len(files), called if gaps else None)


def _pattern(names: list[list[str]]) -> str:
    """What most of some names, split at their numbers, are called, with a counter for their last number."""
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for name in names:
        groups.setdefault((*name[0:-1:2], name[-1]), []).append(name)
    most = max((group for key, group in sorted(groups.items()) if len(key) > 2), key=len, default=None)
    if most is None:
        return "name_%04d.png"
    last = len(most[0]) - 3
    width = min(len(name[last]) for name in most)
    return "".join((*most[0][:last], f"%0{width}d" if width > 1 else "%d", *most[0][last + 1 :]))


def _in_order(path: Path, by_number: dict[int, Path], count: int, called: Callable[[int], Path] | None) -> tuple[Path, ...]:
    """`called` says what a missing image's file would be; None: none may be missing."""
    if len(by_number) < count:
        raise BadClip(f"{path} has two images with one number (such as 1 and 01): keep one of them.")
    numbers = sorted(by_number)
    missing = numbers[-1] - numbers[0] + 1 - count
    if called is not None and missing <= count:
        return tuple(by_number.get(number) or called(number) for number in range(numbers[0], numbers[-1] + 1))
    gaps = [(before, after) for before, after in itertools.pairwise(numbers) if after != before + 1]
    if gaps:
        before, after = gaps[0]
        many = f"images {before + 1} to {after - 1} are" if after > before + 2 else f"image {before + 1} is"
        others = [str(one + 1) if other == one + 2 else f"{one + 1} to {other - 1}" for one, other in gaps[1:]]
        more = f"; so are {', '.join(others[:_NAMED])}{' and more' if len(others) > _NAMED else ''}" if others else ""
        raise BadClip(f"{path}: {many} missing between {by_number[before].name} and {by_number[after].name}{more}.")
    return tuple(by_number[number] for number in numbers)
