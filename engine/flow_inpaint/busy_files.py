"""Files that somebody else still holds for a moment: Windows moves nothing that is open, and scanners for viruses and indexers like to
open what has just been written."""
from __future__ import annotations

import os
import sys
import time
from pathlib import Path

_PATIENCE = 1.0 if sys.platform == "win32" else 0.0
_STEP = 0.02


def replace(source: Path, target: Path) -> None:
    """Raises `OSError`; what Windows refuses it is asked again, for a second."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() >= end:
                raise
        time.sleep(_STEP)
