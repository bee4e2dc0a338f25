"""The work folder of a job that is running."""
from __future__ import annotations

import os
from pathlib import Path


def size() -> int:
    """Bytes of all files below the place that FLOW_INPAINT_CACHE names; files may go while they are counted."""
    found = 0
    for path in Path(os.environ["FLOW_INPAINT_CACHE"]).rglob("*"):
        try:
            found += path.stat().st_size
        except OSError:
            continue
    return found
