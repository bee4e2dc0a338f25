"""A lock between processes that dies with the one that holds it, however it ends."""
from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

_PATIENCE, _STEP = 0.4, 0.02
#: Where in the file something may be said: Windows lets nobody read the byte that is locked, the first. And how much is read of it.
_SAID, _LONGEST = 1, 1 << 26
#: No link is followed, and no pipe waited for. Windows has neither.
_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Lock:
    """A locked file. Made by `take`."""

    def __init__(self, path: Path, descriptor: int):
        self._path, self._descriptor = path, descriptor

    @classmethod
    def take(cls, path: Path, patience: float = _PATIENCE) -> Lock | None:
        """Locks a file, which is made if it is not there; None: another holds it, and did so for `patience` seconds.

        Raises `OSError` when the file cannot be made, or its file system knows no locks.
        """
        until = time.monotonic() + patience
        while True:
            descriptor = _opened(path)
            if not _locked(descriptor):
                os.close(descriptor)
                # Whoever only looks whether it is locked holds it for a moment.
                if time.monotonic() > until:
                    return None
                time.sleep(_STEP)
            elif _is(path, descriptor):
                return cls(path, descriptor)
            else:
                # Deleted by its last holder after it was opened here: nobody else would see this lock.
                os.close(descriptor)

    def say(self, text: bytes) -> None:
        """Leaves word in the file for others, see `said`. Raises `OSError`."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, _SAID, os.SEEK_SET)
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    @staticmethod
    def said(path: Path) -> bytes:
        """What the last holder of a lock has said; empty: nothing. Raises `OSError`."""
        descriptor = os.open(path, os.O_RDONLY | _AS_IT_IS | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            file.seek(_SAID)
            return file.read(_LONGEST)

    def release(self, *, delete: bool = False) -> None:
        """Gives the lock up; `delete`: and its file away."""
        if delete and sys.platform != "win32":
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        if delete and sys.platform == "win32":
            # Windows deletes no open file.
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def _opened(path: Path) -> int:
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | _AS_IT_IS, 0o600)
        except OSError as error:
            if error.errno != errno.ELOOP or not path.is_symlink():
                raise
            # Nobody who locks makes one, and it may lead to a file of which everything but a lock is wanted.
            path.unlink(missing_ok=True)


def _locked(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        os.close(descriptor)
        raise
    return True


def _is(path: Path, descriptor: int) -> bool:
    try:
        there, here = os.stat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
