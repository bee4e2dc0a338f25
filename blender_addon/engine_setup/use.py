"""Who works in an environment of the engine: as long as anybody does, another Blender's upgrade leaves it where it is.

ROOT/eN/in-use is held together by all engines that run there, and alone by whoever takes the environment away.
"""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import locks

_NAME = "in-use"
_APART = getattr(os, "O_NOINHERIT", 0)


class Gone(Exception):
    """The environment is not there any more, or is being taken away."""


class Use:
    """Holds an environment until `end`, and for as long as a process lives that the `descriptor` was handed on to."""

    def __init__(self, environment: Path):
        """Raises `Gone`. Where nothing can be held, as in a folder of somebody else's that has no lock yet, `descriptor` is None."""
        self.descriptor: int | None = None
        if not environment.is_dir():
            raise Gone
        path = environment / _NAME
        descriptor = _opened(path, make=True)
        if descriptor is None:
            return
        if not locks.shared(descriptor) or not _is(descriptor, path):
            os.close(descriptor)
            raise Gone
        self.descriptor = descriptor

    def end(self) -> None:
        """Safe to call any number of times."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def in_use(environment: Path) -> bool:
    """Whether anybody works in it at this moment."""
    with _alone(environment) as free:
        return not free


def take_away(environment: Path) -> bool:
    """Deletes an environment; False, with nothing changed, while anybody works in it. What cannot be deleted stays for another time."""
    with _alone(environment, make=True) as free:
        if not free:
            return False
        # The lock goes last: until then nobody can begin to work in what is left.
        for entry in _entries(environment):
            if entry.name == _NAME:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)
        if os.name != "nt":
            shutil.rmtree(environment, ignore_errors=True)
    shutil.rmtree(environment, ignore_errors=True)  # Windows deletes no file that is open
    return True


@contextmanager
def _alone(environment: Path, make: bool = False) -> Iterator[bool]:
    """Whether nobody works in it; then nobody begins to meanwhile."""
    descriptor = _opened(environment / _NAME, make)
    if descriptor is None:
        yield True  # nobody has ever worked in it
        return
    try:
        yield locks.alone(descriptor)
    finally:
        os.close(descriptor)


def _opened(path: Path, make: bool) -> int | None:
    """None where the file is not there and cannot be made."""
    for flags in (os.O_RDWR | (os.O_CREAT if make else 0), os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, flags | _APART, 0o644)
    return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _is(descriptor: int, path: Path) -> bool:
    """Whether the open file still is the one of that name, rather than one that went with an environment."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
