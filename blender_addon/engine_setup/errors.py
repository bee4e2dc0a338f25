"""What goes wrong, in one sentence for the person at the screen."""
from __future__ import annotations

import errno
from pathlib import Path


class SetupError(Exception):
    """One sentence: it names the file, folder or value and says what to do."""


class Cancelled(Exception):
    """The user stopped it, or the host has gone."""


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def about_folder(error: OSError, folder: Path) -> SetupError:
    """The sentence for a folder that cannot be written."""
    if error.errno in _FULL:
        return full_disk(folder)
    reason = error.strerror or str(error)
    return SetupError(f"The folder {folder} cannot be written ({reason}): choose another 'Engine Folder' in the add-on's preferences.")


def full_disk(folder: Path) -> SetupError:
    return SetupError(f"The disk with {folder} is full: free some space and install again; what was downloaded is kept.")


def size(count: float) -> str:
    """Bytes for a person, in the units that download pages use."""
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6)):
        if count >= bytes_each:
            return f"{count / bytes_each:.1f} {unit}" if count < 10 * bytes_each else f"{count / bytes_each:.0f} {unit}"
    return f"{max(count, 0) / 1e3:.0f} kB"
