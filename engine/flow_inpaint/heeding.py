"""The host's wish to stop, heard where a job is deep in a file: while it is indexed, or decoded on the way to a frame far from a key frame.

Readers are opened and read from many places, none of which could do anything about that wish but pass it on. So it is said once, by
what does a job, for all that its thread calls.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def heeding(check: Callable[[], None]) -> Iterator[None]:
    """`check` raises `Aborted` when the host wants to stop; it is called often."""
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)


def heed() -> None:
    """To be called every few milliseconds in what may take long. Raises `Aborted`."""
    _check.get()()
