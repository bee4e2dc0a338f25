"""How much memory there is for this process."""
from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

_SYSTEM, _GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
#: So little is always there where anything is.
_LITTLE = 1 << 23


def bytes_at_hand() -> int | None:
    """What the machine could still give without swapping, and no more than what a container leaves; None where the system does not say
    (any but Linux)."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        found.append(int(_SYSTEM.read_text().split("MemAvailable:")[1].split()[0]) * 1024)
    # A container's own group is at the root of what it sees. There may be no limit ("max"), or none of this kind.
    with suppress(OSError, ValueError, IndexError):
        most, taken = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        # What files are cached in is given back.
        cached = int((_GROUP / "memory.stat").read_text().split("inactive_file ")[1].split()[0])
        found.append(max(most - taken + cached, 0))
    return min(found, default=None)


def be_sure_of_some() -> None:
    """Raises MemoryError where not even a little can be had. Libraries that do not say why they refuse something may do so for want of it:
    then nothing is wrong with what they were given."""
    np.empty(_LITTLE, np.uint8)
