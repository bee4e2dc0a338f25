"""Where a result goes: its names, its temporary names, and what it must not touch."""
from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av

from .. import effect
from ..busy_files import replace
from ..errors import TOO_MANY, TOO_MANY_FILES, BadClip, Failed
from ..job import OutputSpec
from ..locks import Lock
from .image_files import numbered
from .info import ClipInfo

_SAME_ENDING = {".tiff": ".tif"}
#: Without these nothing can be written at all.
_OUT_OF = (errno.ENOSPC, errno.EDQUOT, *TOO_MANY_FILES)


@dataclass(frozen=True)
class OutputFiles:
    """`path` is the video file or the folder of the images; `files` are the names of the files, in order."""

    path: Path
    files: list[str]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says while `path` is written into `Failed`."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failed(f"{path} could not be written because the disk is full: free some space or choose another output.") from error
        if error.errno in TOO_MANY_FILES:
            raise Failed(TOO_MANY) from error
        raise Failed(f"{path} could not be written ({error.strerror}): check the disk and the folder's permissions.") from error


def make_way(part: Path) -> None:
    """Takes away what lies where something is to be written for a while. A link that lay there would lead what is written out of the
    folder, and a pipe would keep it waiting. Folders stay. Raises `OSError`."""
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(part).st_mode):
            part.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """A file that is replaced when its content is complete. Raises `Failed`."""
    part = path.with_name(f".{path.name}.part")
    try:
        with writing(path):
            make_way(part)
            part.write_bytes(data)
            replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()


class _Folders:
    """The folder of a result, made when it is missing and removed again when the result is discarded."""

    def __init__(self, folder: Path):
        self._made: list[Path] = []
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        try:
            for parent in reversed(missing):
                parent.mkdir(exist_ok=True)
                self._made.append(parent)
        except OSError as error:
            self.remove()
            raise BadClip(f"The output folder {folder} cannot be made ({error.strerror}): choose another.") from error
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
            self.remove()
            raise BadClip(f"The output folder {folder} cannot be written to: check its permissions or choose another.")

    def remove(self) -> None:
        for folder in reversed(self._made):
            try:
                folder.rmdir()
            except OSError:
                return


class Claim:
    """A place that is written into by one job at a time, of all processes that write there. Raises `Failed` when another one does.

    What a killed process leaves of it stops nobody. Where the file system knows no locks, there is none. Of images in one folder each
    claim says the names, so that jobs with other frames may write there, and those that share some may not.
    """

    def __init__(self, part: Path, path: Path, names: Sequence[str] = ()):
        """part: what is written until it is complete; path: what it will be; names: of the images, if it is a folder."""
        self._lock: Lock | None = None
        mine = lock_of(part)
        try:
            self._lock = Lock.take(mine)
            free = self._lock is not None
            if free and names:
                # Said before it is looked what others say: of two that begin at once, one at least sees the other.
                self._lock.say(json.dumps(list(names)).encode())
                free = not any(_shares(other, names) for other in part.parent.glob(".*.lock") if other != mine)
        except OSError as error:
            self.give_up()
            if error.errno in _OUT_OF:
                with writing(path):
                    raise
            return
        if not free:
            self.give_up()
            raise Failed(f"Another job is writing {path}: wait for its end, stop it, or choose another output.")

    def give_up(self) -> None:
        if self._lock is not None:
            lock, self._lock = self._lock, None
            with suppress(OSError):
                lock.release(delete=True)


def lock_of(part: Path) -> Path:
    """The file that says who writes there."""
    return part.with_name(f"{part.name.removesuffix('.part')}.lock")


def _shares(lock: Path, names: Sequence[str]) -> bool:
    """Whether another job holds this lock, and writes some of these images."""
    try:
        said = json.loads(Lock.said(lock))
    except (OSError, ValueError, RecursionError):
        # Of a video, or another program's, or gone.
        return False
    if not isinstance(said, list) or not set(names).intersection(name for name in said if isinstance(name, str)):
        return False
    held = Lock.take(lock)
    if held is not None:
        held.release(delete=True)
    return held is None


class FilePlace:
    """A video file."""

    def __init__(self, spec: OutputSpec, ending: str):
        self.path = spec.path
        self.part = spec.path.with_name(f".{spec.path.name}.part")
        if spec.path.suffix.lower() != ending:
            raise BadClip(f"The output {spec.path} does not end in {ending}, as the format {spec.format} needs.")
        if spec.path.is_dir():
            raise BadClip(f"The output {spec.path} is a folder: give the name of a file.")

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def targets(self) -> list[Path]:
        return [self.path]

    def prepare(self) -> Path:
        """The temporary file to write. Raises `BadClip`, `Failed`."""
        self._folders = _Folders(self.folder)
        self._claim = _claimed(self.part, self.path, self._folders)
        try:
            with writing(self.path):
                make_way(self.part)
        except BaseException:
            self.discard()
            raise
        return self.part

    def commit(self) -> OutputFiles:
        with writing(self.path):
            replace(self.part, self.path)
        self._claim.give_up()
        return OutputFiles(self.path, [self.path.name])

    def discard(self) -> None:
        with suppress(OSError):
            self.part.unlink()
        self._claim.give_up()
        self._folders.remove()


class SequencePlace:
    """Numbered images in a folder, or one image."""

    def __init__(self, spec: OutputSpec, ending: str, info: ClipInfo, first: int, last: int):
        suffix = spec.path.suffix.lower()
        foreign = {f["extension"] for f in effect.formats().values()} - {ending}
        if _SAME_ENDING.get(suffix, suffix) in foreign:
            raise BadClip(f"The output {spec.path} does not end in {ending}, as the format {spec.format} needs.")
        self._suffix = ending
        self.is_folder = False
        self.folder, self.names = self._named(spec.path, info, range(first, last + 1))
        self.part = self.folder / f".{spec.path.name}.{first}-{last}.part"
        if self.folder.exists() and not self.folder.is_dir():
            raise BadClip(f"The output folder {self.folder} is a file: choose another.")
        taken = next((target for target in self.targets if target.is_dir()), None)
        if taken is not None:
            raise BadClip(f"The output {taken} is a folder: choose another name, or take it away.")

    def _named(self, path: Path, info: ClipInfo, frames: range) -> tuple[Path, list[str]]:
        if numbered(path, 0) is not None:
            if _SAME_ENDING.get(path.suffix.lower(), path.suffix.lower()) != self._suffix:
                raise BadClip(f"The output {path} does not end in {self._suffix}.")
            return path.parent, [str(numbered(path, k)) for k in frames]
        if _SAME_ENDING.get(path.suffix.lower(), path.suffix.lower()) == self._suffix and not path.is_dir():
            if len(frames) > 1:
                pattern = f"{path.stem}_%05d{path.suffix}"
                raise BadClip(f"The output {path} is one file for {len(frames)} images: give a folder, or a pattern such as {pattern}.")
            return path.parent, [path.name]
        self.is_folder = True
        stems = [info.files[info.indices[k]].stem for k in frames] if info.kind == "images" else []
        if len(set(stems)) < len(frames):
            stems = [f"{k:05d}" for k in frames]
        return path, [stem + self._suffix for stem in stems]

    @property
    def targets(self) -> list[Path]:
        return [self.folder / name for name in self.names]

    def prepare(self) -> Path:
        """The temporary folder to write into. Raises `BadClip`, `Failed`."""
        self._folders = _Folders(self.folder)
        self._claim = _claimed(self.part, self.folder, self._folders, self.names)
        try:
            with writing(self.part):
                make_way(self.part)
                shutil.rmtree(self.part, ignore_errors=True)
                self.part.mkdir()
        except BaseException:
            self.discard()
            raise
        return self.part

    def commit(self) -> OutputFiles:
        """All of the images or none: what lay in the place of some of them is put back when others cannot be moved there."""
        older = self.part / ".older"
        moved: list[str] = []
        try:
            with writing(self.folder):
                older.mkdir()
                for name, target in zip(self.names, self.targets):
                    _keep_twin(target, older / name)
                    replace(self.part / name, target)
                    moved.append(name)
        except BaseException:
            for name in moved:
                _put_back(older / name, self.folder / name)
            raise
        with suppress(OSError):
            for twin in older.iterdir():
                twin.unlink()
            older.rmdir()
            self.part.rmdir()
        self._claim.give_up()
        return OutputFiles(self.folder, list(self.names))

    def discard(self) -> None:
        shutil.rmtree(self.part, ignore_errors=True)
        self._claim.give_up()
        self._folders.remove()


def _keep_twin(target: Path, twin: Path) -> None:
    """A second name for a file that is about to be replaced."""
    # Where the file system has no second names, what is replaced cannot be put back.
    with suppress(OSError):
        os.link(target, twin)


def _put_back(twin: Path, target: Path) -> None:
    """The file as it was, or none where there was none."""
    with suppress(OSError):
        if os.path.lexists(twin):
            replace(twin, target)
        else:
            target.unlink(missing_ok=True)


def _claimed(part: Path, path: Path, folders: _Folders, names: Sequence[str] = ()) -> Claim:
    try:
        return Claim(part, path, names)
    except Failed:
        folders.remove()
        raise


def refuse_sources(place: FilePlace | SequencePlace, info: ClipInfo, keep: Iterable[Path]) -> None:
    """Raises `BadClip` when the result would be written over footage that the job reads."""
    keep = [Path(file) for file in keep]
    kept = {_identity(file) for file in keep}
    sources = {_identity(file) for file in info.files}
    source_folders = {_identity(info.path), _identity(info.files[0].parent)} if info.kind == "images" else set()
    if isinstance(place, SequencePlace) and place.is_folder and _identity(place.folder) in source_folders:
        raise BadClip(f"The output folder {place.folder} is the source's own: choose another, the source is never written over.")
    for target in place.targets:
        if _identity(target) in sources:
            raise BadClip(f"The output {target} is the source itself: choose another name, the source is never written over.")
        if _identity(target) in kept:
            raise BadClip(f"The output {target} is a mask of this job: choose another name, it is never written over.")
    read = [*info.files, *keep]
    for reserved in (place.part, lock_of(place.part)):
        if _holds(reserved, read):
            raise BadClip(f"The job reads {reserved}, which is the name that it would write to until it is done: rename that first.")


def refuse_picture(path: Path, read: Iterable[Path]) -> None:
    """Raises `BadClip` where a picture about the job would be written over what the job reads, or over what is no file."""
    if not os.path.isdir(path.parent):
        raise BadClip(f"{path} cannot be written: there is no folder {path.parent}.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadClip(f"{path} is no file that a picture could replace: choose another name.")
    if _identity(path) in {_identity(file) for file in read}:
        raise BadClip(f"{path} is footage that this job reads: choose another name for the picture, it is never written over.")


def refuse_folder_of(folder: Path, read: Iterable[Path]) -> None:
    """Raises `BadClip` where files that the job reads lie in a folder that is written into under names of its own."""
    if _identity(folder) in {_identity(parent) for parent in {file.parent for file in read}}:
        raise BadClip(f"The folder {folder} for previews has footage in it that this job reads: choose another.")


def _holds(place: Path, files: Iterable[Path]) -> bool:
    """Whether one of the files is a place, or lies in it."""
    if not os.path.lexists(place):
        return False
    above = {folder for parent in {file.parent for file in files} for folder in (parent, *parent.parents)}
    return _identity(place) in {_identity(path) for path in (*files, *above)}


def _identity(path: Path) -> object:
    """Equal for two names of one file, through links and spellings of the folder."""
    try:
        found = os.stat(path)
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return found.st_dev, found.st_ino
