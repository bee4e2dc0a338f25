"""Records of the frames of a long job, in files that are deleted one by one when nothing asks for their frames any more."""
from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from .work import Records

#: Frames that share a file.
SEGMENT = 32
#: Files that are kept open: a frame is worked on with those around it.
_OPEN = 8


class Segments:
    """As `Records`, of frames from 0 on. What an earlier run has left is there again. May be used by several threads."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self._lock = threading.Lock()
        self._parts: dict[int, Records] = {}
        self._used: OrderedDict[int, None] = OrderedDict()
        for path in sorted(folder.glob(f"{name}.*")):
            number = path.name.removeprefix(f"{name}.")
            if number.isdigit():
                self._parts[int(number)] = Records(folder, path.name)
                self._note_use(int(number))

    @property
    def last(self) -> int:
        """The last frame there is a record of; -1: there is none."""
        return max((part.last for part in self._parts.values()), default=-1)

    def write(self, frame: int, *arrays: np.ndarray) -> None:
        """Raises `Failed`."""
        self._part(frame, make=True).write(frame, *arrays)

    def has(self, frame: int) -> bool:
        part = self._parts.get(frame // SEGMENT)
        return part is not None and part.has(frame)

    def read(self, frame: int) -> list[np.ndarray]:
        return self._part(frame).read(frame)

    def cut(self, frame: int) -> None:
        """Forgets the records of this and all later frames, for later runs too, whatever happens afterwards."""
        for part in list(self._parts.values()):
            part.cut(frame)

    def drop_before(self, frame: int) -> None:
        """Deletes the files that have only frames before this one."""
        with self._lock:
            gone = [number for number in self._parts if (number + 1) * SEGMENT <= frame]
            parts = [self._parts.pop(number) for number in gone]
            for number in gone:
                self._used.pop(number, None)
        for part in parts:
            part.delete()

    def close(self) -> None:
        with self._lock:
            for part in self._parts.values():
                part.close()

    def _part(self, frame: int, *, make: bool = False) -> Records:
        number = frame // SEGMENT
        with self._lock:
            if make and number not in self._parts:
                self._parts[number] = Records(self._folder, f"{self._name}.{number}")
            self._note_use(number)
            return self._parts[number]

    def _note_use(self, number: int) -> None:
        self._used[number] = None
        self._used.move_to_end(number)
        if len(self._used) > _OPEN:
            self._parts[self._used.popitem(last=False)[0]].rest()
