"""The work folder of a job that is running."""
from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


def kinds() -> dict[str, int]:
    """Bytes of all files below the place that FLOW_INPAINT_CACHE names, by what they hold (see `ShotStore`); files may go while they are
    counted."""
    found: Counter[str] = Counter()
    for path in Path(os.environ["FLOW_INPAINT_CACHE"]).rglob("*"):
        try:
            if path.is_file():
                found[path.name.split(".")[0]] += path.stat().st_size
        except OSError:
            continue
    return found
