"""Whether what a job reads stays as it is while it is read: every frame is read more than once."""
from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_Look = tuple[int, int, int, int] | None


class AsTheyWere:
    """Files as they are when this is made."""

    def __init__(self, files: Iterable[Path]):
        self._looks = {file: _look(file) for file in files}

    @property
    def notes(self) -> list[str]:
        """What there is to say about those that have changed since."""
        changed = [file for file, look in self._looks.items() if _look(file) != look]
        if not changed:
            return []
        more = f" and {len(changed) - 1} more of the files that it reads were" if len(changed) > 1 else " was"
        return [f"{changed[0]}{more} changed while the job was running, so the result may show some of before and some of after: run it again."]


def _look(file: Path) -> _Look:
    """Another one for another file of that name, and for one that was written to; None: it cannot be looked at."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
