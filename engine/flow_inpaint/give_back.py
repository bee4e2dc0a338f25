"""Memory that a job has freed, given back to the system: a process that works or waits must not sit on it."""
from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

#: `M_ARENA_MAX` of glibc's malloc.h.
_MOST_POOLS = -8


def share_one_pool() -> None:
    """glibc keeps what threads free in a pool for each, and one thread cannot use what another has freed. Our threads free large arrays,
    and seldom wait for one another when they ask for them: one pool is as fast, and a tenth smaller at its largest. Pools that are
    there already stay."""
    _ask_the_c_library("mallopt", _MOST_POOLS, 1)


def give_memory_back() -> None:
    """What was freed lies scattered over the C library's pools; glibc lets go of it when asked. A video file and its streams hold each
    other, and with them the decoder's pictures, until the garbage collector comes by."""
    gc.collect()
    _ask_the_c_library("malloc_trim", 0)


def _ask_the_c_library(function: str, *numbers: int) -> None:
    """Where there is such a function, as there is in glibc."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            getattr(ctypes.CDLL(None), function)(*numbers)
