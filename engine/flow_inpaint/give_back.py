"""Memory that a job has freed, given back to the system: a process that waits for the next job must not sit on it."""
from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress


def give_memory_back() -> None:
    """What was freed lies scattered over the C library's pools, one for each thread there was; glibc lets go of it when asked. A video
    file and its streams hold each other, and with them the decoder's pictures, until the garbage collector comes by."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
