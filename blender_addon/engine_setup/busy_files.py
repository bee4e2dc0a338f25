"""Files that somebody else still holds for a moment.

Windows moves and deletes nothing that is open, and scanners for viruses and indexers like to open what has just been written. A process
that was killed may go on writing for a moment on every system.
"""
from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 1.0 if os.name == "nt" else 0.0
_FOLDER_PATIENCE = 1.0
_STEP = 0.02


def patiently(move: Callable[[Path, Path], object], source: Path, target: Path) -> None:
    """`os.replace` or `os.rename`. Raises `OSError`; what Windows refuses it is asked again, for a second."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            move(source, target)
            return
        except PermissionError:
            if time.monotonic() >= end:
                raise
        time.sleep(_STEP)


def remove_folder(folder: Path) -> None:
    """Deletes a folder with all that is in it, or after a second as much of it as can be."""
    end = time.monotonic() + _FOLDER_PATIENCE
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder) or time.monotonic() >= end:
            return
        time.sleep(_STEP)
