"""Where work folders are kept, what lies there, and what of it nobody will come back for.

They lie in the user's folder for caches, or in the one that FLOW_INPAINT_CACHE names, each under the key of its job.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BadParameter, Failed
from .locks import Lock

#: The environment variable with another place.
PLACE = "FLOW_INPAINT_CACHE"
#: What nobody has come back for in so many days goes when a job starts, and the least recently used beyond so many GiB in all.
OLDEST_DAYS = 14
LARGEST_GIB = 50

LOCK, ABOUT = "lock", "about.json"
#: Of what is noted about a job, in bytes.
_LONGEST = 1 << 20
#: A key, and a number where several processes do jobs of one key.
_NAME = re.compile(r"[0-9a-f]{32}(-\d)?")


@dataclass(frozen=True)
class Kept:
    """A work folder. source, output, frames: what its job says; stage: the last one that was begun; size: bytes; used: when it was
    last written to, seconds since 1970; running: a process works in it."""

    name: str
    path: str
    source: str
    output: str
    frames: str
    stage: str
    size: int
    used: float
    running: bool


def place() -> Path:
    """Where work folders are kept, existing or not. Raises `Failed` for a user without a home."""
    given = os.environ.get(PLACE)
    try:
        return (Path(given).absolute() if given else _caches() / "flow-inpaint") / "work"
    except RuntimeError as error:
        raise Failed(f"This user has no home folder to keep work in: set {PLACE} to a folder.") from error


def _caches() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def entries() -> list[Kept]:
    """All work folders, the last used first. Raises `Failed` when their place cannot be read."""
    where = place()
    try:
        folders = [path for path in where.iterdir() if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failed(f"The work folders in {where} cannot be read: {error.strerror}.") from error
    return sorted((_kept(folder) for folder in folders), key=lambda one: -one.used)


def _kept(folder: Path) -> Kept:
    size, used = _measured(folder)
    said = about(folder)
    known = {name: str(said.get(name, "")) for name in ("source", "output", "frames", "stage")}
    return Kept(folder.name, str(folder), **known, size=size, used=used, running=_is_running(folder))


def about(folder: Path) -> dict[str, Any]:
    """What is noted about the job of a folder; empty where nothing can be read."""
    try:
        # Whatever lies there: a pipe is not waited for, and of what never ends not all is read.
        with open(folder / ABOUT, "rb", buffering=0, opener=_not_waiting) as file:
            found = json.loads(file.read(_LONGEST) or b"")
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _measured(folder: Path) -> tuple[int, float]:
    """Bytes on disk, and when anything in it was last written."""
    size, used = 0, 0.0
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                size += found.st_size
                used = max(used, found.st_mtime)
    return size, used


def _is_running(folder: Path) -> bool:
    try:
        lock = Lock.take(folder / LOCK, patience=0)
    except OSError:
        return False
    if lock is not None:
        lock.release()
    return lock is None


def clear(names: Sequence[str] = ()) -> tuple[list[Kept], list[Kept]]:
    """Deletes the folders of these names, or all of them. Returns those that are gone, and those in which a process works.

    Raises `BadParameter` for a name that is not there, `Failed` when a folder cannot be deleted.
    """
    found = entries()
    for name in names:
        if name not in {one.name for one in found}:
            raise BadParameter(f"There is no work folder {name!r}: flow-inpaint cache list says which there are.")
    gone, busy, failed = [], [], None
    for one in found:
        if names and one.name not in names:
            continue
        try:
            (gone if deleted(Path(one.path)) else busy).append(one)
        except Failed as error:
            # One that cannot be deleted keeps none of the others.
            failed = failed or error
    if failed is not None:
        raise failed
    return gone, busy


def deleted(folder: Path) -> bool:
    """Deletes a work folder unless a process works in it. Raises `Failed`."""
    try:
        lock = Lock.take(folder / LOCK)
        if lock is None:
            return False
        emptied = False
        try:
            empty(folder)
            emptied = True
        finally:
            # What cannot be deleted now must not look as if a process worked in it.
            lock.release(delete=emptied)
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise Failed(f"The work folder {folder} cannot be deleted: {error.strerror}.") from error
    return True


def empty(folder: Path) -> None:
    """Deletes what is in a folder that this process has locked, except for the lock. Raises `OSError`."""
    for entry in os.scandir(folder):
        if entry.name == LOCK:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def tidy() -> None:
    """Deletes what nobody has come back for. Goes on where something cannot be deleted."""
    kept = [one for one in entries() if not one.running]
    total, now = 0, time.time()
    for one in kept:
        total += one.size
        if total > LARGEST_GIB * 2**30 or now - one.used > OLDEST_DAYS * 86400:
            with suppress(Failed):
                deleted(Path(one.path))
