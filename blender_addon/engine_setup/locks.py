"""Locks on files, held by processes: the system lets go of them when their process ends, however that happens.

A network disk that knows no locks counts as free: going on is better than never installing.
"""
from __future__ import annotations

import os

if os.name == "nt":
    import msvcrt
    import random

    _HOLDERS = 1 << 20
    """Windows' own module locks bytes, never shared: whoever shares holds one byte of so many, and alone is who holds all."""

    def alone(descriptor: int) -> bool:
        """Holds the file as the only one; False when somebody else has it. Never waits."""
        return _locked(descriptor, 0, _HOLDERS)

    def shared(descriptor: int) -> bool:
        """Holds the file beside others who share it; False when somebody has it alone. Never waits."""
        return any(_locked(descriptor, random.randrange(_HOLDERS), 1) for _ in range(8))

    def _locked(descriptor: int, first: int, count: int) -> bool:
        try:
            os.lseek(descriptor, first, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, count)
        except OSError:
            return False
        return True
else:
    import fcntl

    def alone(descriptor: int) -> bool:
        """Holds the file as the only one; False when somebody else has it. Never waits."""
        return _locked(descriptor, fcntl.LOCK_EX)

    def shared(descriptor: int) -> bool:
        """Holds the file beside others who share it; False when somebody has it alone. Never waits."""
        return _locked(descriptor, fcntl.LOCK_SH)

    def _locked(descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
