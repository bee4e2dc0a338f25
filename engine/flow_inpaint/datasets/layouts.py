"""Which folders and files of a data set are clips, and which annotation belongs to which frame.

    DAVIS         ROOT/JPEGImages/RESOLUTION/SEQUENCE/00000.jpg
                  ROOT/Annotations/RESOLUTION/SEQUENCE/00000.png
                  ROOT/ImageSets/2017/train.txt      one sequence a line, or as in 2016 "IMAGE ANNOTATION"
    YouTube-VOS   ROOT/train/JPEGImages/ID/00005.jpg, ROOT/train/Annotations/ID/00005.png, ROOT/train/meta.json
    any other     every folder below ROOT with images in it, and every video file; NAME/frames with NAME/masks is the clip NAME

ROOT may as well be any folder inside of these. Nothing is opened but lists of names: pictures are read by `reading`.
"""
from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import BadClip
from ..media.image_files import IMAGE_SUFFIXES

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mxf", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".ogv", ".wmv"}

_IMAGES, _ANNOTATIONS, _SETS, _META = "JPEGImages", "Annotations", "ImageSets", "meta.json"
#: Among several sizes of the same footage, this one, else the first.
_RESOLUTION = "480p"
_FRAMES = {"frames", "images"}
_MASKS = ("masks", "mattes", "annotations")


@dataclass(frozen=True)
class Clip:
    """One clip of a data set: the files of its frames, or a video file.

    name         unlike that of every other clip of the data set; "/" parts it where folders do
    path         the folder of the frames, or the video file
    frames       the frames' files in order; of a video file none
    annotations  for each frame its annotation's file, or None where it has none; None when no frame has one
    objects      what the annotations' numbers stand for, where the data set says so
    """

    name: str
    path: Path
    frames: tuple[Path, ...] = ()
    annotations: tuple[Path | None, ...] | None = None
    objects: Mapping[int, str] = field(default_factory=dict)

    @property
    def video(self) -> Path | None:
        """The video file, if it is one."""
        return None if self.frames else self.path


def find_clips(root: Path | str, split: str | None = None) -> list[Clip]:
    """The clips of a data set, by name.

    split  only those of a split: the name of a list in ImageSets ("train", or "2017/train" where several years have one), a folder
           of the data set ("valid"), or a text file with a clip's name on each line

    Raises `BadClip` for what does not exist, holds no clips or names clips that are not there.
    """
    root = Path(root)
    if not root.is_dir():
        raise BadClip(f"{root} is no folder of clips: it {'is a file' if root.exists() else 'does not exist'}.")
    try:
        wanted = None if split is None else _split(root, split)
        folder = root / split if split is not None and wanted is None else root
        clips = sorted(_told_apart(list(_clips(folder)), folder), key=lambda clip: clip.name)
    except OSError as error:
        raise BadClip(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    if not clips:
        raise BadClip(f"{folder} holds no clips: neither folders of images nor video files.")
    return clips if wanted is None else _chosen(clips, wanted, root, str(split))


# --- splits ---


def _split(root: Path, split: str) -> list[str] | None:
    """The names in a split; None when it is a folder of clips."""
    if (root / split).is_dir() and not Path(split).is_absolute():
        return None
    if split.endswith(".txt"):
        if not Path(split).is_file():
            raise BadClip(f"The list of clips {split} does not exist.")
        return _names(Path(split))
    sets = root / _SETS
    lists = sorted(path for path in sets.rglob("*.txt") if not path.name.startswith(".")) if sets.is_dir() else []
    known = {path.relative_to(sets).with_suffix("").as_posix(): path for path in lists}
    found = [name for name in known if name == split or name.endswith(f"/{split}")]
    if len(found) == 1:
        return _names(known[found[0]])
    if found:
        raise BadClip(f"{root} has more than one split '{split}': choose {' or '.join(found)}.")
    folders = [path.name for path in sorted(root.iterdir()) if (path / _IMAGES).is_dir()]
    have = ", ".join([*known, *folders])
    raise BadClip(f"{root} has no split '{split}': {'there are ' + have if have else 'it has no splits; give a text file of names'}.")


def _names(path: Path) -> list[str]:
    """The clips that a list names: by a name on each line, or by an image of it, as in DAVIS of 2016."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise BadClip(f"{path} is no list of names: it is not text.") from error
    names: dict[str, None] = {}
    for line in lines:
        words = line.split()
        if words:
            image = Path(words[0])
            names[image.parent.name if image.suffix.lower() in IMAGE_SUFFIXES else line.strip().strip("/")] = None
    if not names:
        raise BadClip(f"{path} names no clips.")
    return list(names)


def _chosen(clips: list[Clip], names: list[str], root: Path, split: str) -> list[Clip]:
    by_name = {clip.name: clip for clip in clips}
    missing = [name for name in names if name not in by_name]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BadClip(f"The split '{split}' names the clip '{missing[0]}'{more}, which is not in {root}.")
    return [by_name[name] for name in names]


# --- layouts ---


def _clips(root: Path) -> Iterator[Clip]:
    if root.name != _IMAGES and (root / _IMAGES).is_dir():
        yield from _published(root)
        return
    parts = [path for path in sorted(root.iterdir()) if (path / _IMAGES).is_dir() and not path.name.startswith(".")]
    if not parts:
        yield from _any(root)
    for part in parts:
        yield from _published(part)


def _told_apart(clips: list[Clip], root: Path) -> list[Clip]:
    """A name that two clips have becomes their path: of a folder and a video file, or of a clip in two parts of YouTube-VOS."""
    count = Counter(clip.name for clip in clips)
    return [clip if count[clip.name] == 1 else replace(clip, name=clip.path.relative_to(root).as_posix()) for clip in clips]


def _published(root: Path) -> Iterator[Clip]:
    """DAVIS and YouTube-VOS."""
    images = root / _IMAGES
    folders = _folders(images)
    resolutions = [path for path in folders if not _images_in(path) and _folders(path)]
    if resolutions:
        folders = _folders(next((path for path in resolutions if path.name == _RESOLUTION), resolutions[0]))
    objects = _objects(root / _META)
    for folder in folders:
        files = _images_in(folder)
        if files:
            yield _clip(folder.name, folder, files, _beside(folder), objects.get(folder.name, {}))


def _any(root: Path) -> Iterator[Clip]:
    seen: set[str] = set()
    for at, folders, files in os.walk(root, followlinks=True):
        folder = Path(at)
        # A link to a folder above would lead round for ever.
        if (real := os.path.realpath(at)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() not in _MASKS and name != _ANNOTATIONS)
        for name in sorted(files):
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                path = folder / name
                yield Clip(path.relative_to(root).with_suffix("").as_posix(), path)
        images = _images_in(folder)
        if images:
            own = folder.parent if folder.name.lower() in _FRAMES and folder != root else folder
            name = own.relative_to(root).as_posix() if own != root else own.resolve().name
            yield _clip(name, folder, images, _beside(folder), {})


def _beside(folder: Path) -> Path | None:
    """Where the annotations of a folder of frames lie."""
    if folder.name.lower() in _FRAMES:
        places = [folder.parent / name for name in _MASKS]
    else:
        parts = folder.absolute().parts
        if _IMAGES not in parts:
            return None
        at = len(parts) - 1 - parts[::-1].index(_IMAGES)
        places = [Path(*parts[:at], _ANNOTATIONS, *parts[at + 1 :])]
    return next((place for place in places if place.is_dir()), None)


def _clip(name: str, folder: Path, files: list[Path], annotations: Path | None, objects: Mapping[int, str]) -> Clip:
    files = _in_order(folder, files)
    found = _images_in(annotations) if annotations else []
    if not found:
        return Clip(name, folder, tuple(files), None, objects)
    by_stem = {path.stem: path for path in found}
    matched = [by_stem.get(path.stem) for path in files]
    if not any(matched):
        numbers = {_number(path): path for path in found}
        matched = [numbers.get(_number(path)) for path in files]
    if not any(matched):
        raise BadClip(f"No annotation in {annotations} has the name or the number of a frame in {folder}: name them alike.")
    return Clip(name, folder, tuple(files), tuple(matched), objects)


def _objects(meta: Path) -> dict[str, dict[int, str]]:
    """What YouTube-VOS says of its objects, by clip and number."""
    if not meta.is_file():
        return {}
    try:
        videos = json.loads(meta.read_text("utf-8"))["videos"]
        return {
            name: {int(number): str(entry.get("category", "")) for number, entry in video.get("objects", {}).items()}
            for name, video in videos.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadClip(f"{meta} is not what YouTube-VOS has there (videos, objects): use the data set's own file, or remove it.") from error


# --- files ---


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]


def _in_order(folder: Path, files: list[Path]) -> list[Path]:
    """By their numbers, of which some may be missing: YouTube-VOS has every fifth frame."""
    kinds: dict[tuple[str, ...], Path] = {}
    for path in sorted(files):
        kinds.setdefault((*re.split(r"\d+", path.stem), path.suffix.lower()), path)
    if len(kinds) > 1:
        few = ", ".join(path.name for path in list(kinds.values())[:3])
        raise BadClip(f"{folder} holds more than one sequence of images ({few}): give each a folder of its own.")
    return sorted(files, key=lambda path: _natural(path.stem))


def _natural(text: str) -> list[tuple[int, str, int]]:
    """For sorting: 2 before 10."""
    return [(0, "", int(part)) if part.isdigit() else (1, part, 0) for part in re.split(r"(\d+)", text) if part]


def _number(path: Path) -> int | None:
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1]) if digits else None
