"""Pictures by number in one file, in which the places of those that are let go of are used again."""
from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from .heeding import heed
from .work import Records, bytes_of, disk_trouble, opened, write_all


class Reel:
    """Pictures of one size and type, each under a number, read as a memory-mapped stack.

    What an earlier run has left is there again, as far as it is whole. Pages may have been lost of pictures that are not
    `checked`: whoever opens them again has to look at them (`holds`). May be used by several threads, but the place of a
    picture that is let go of must not be looked at any more.
    """

    def __init__(
        self, folder: Path, name: str, shape: tuple[int, ...], dtype: np.dtype | type[np.generic], *, checked: bool = False
    ):
        self._path = folder / name
        self._shape, self._dtype, self._checked = shape, np.dtype(dtype), checked
        self._size = int(np.prod(shape)) * self._dtype.itemsize
        self._file = opened(self._path)
        self._labels = Records(folder, f"{name}.places")
        self._lock = threading.Lock()
        self._place: dict[int, int] = {}
        self._table: tuple[int, np.ndarray] | None = None
        self._count = os.fstat(self._file.fileno()).st_size // self._size
        self._take_up()
        self._free = sorted(set(range(self._count)) - set(self._place.values()), reverse=True)

    def __contains__(self, number: int) -> bool:
        return number in self._place

    @property
    def numbers(self) -> list[int]:
        with self._lock:
            return sorted(self._place)

    def put(self, number: int, picture: np.ndarray) -> None:
        """Stores a picture, in place of an earlier one of that number. Raises `Failed`."""
        data = bytes_of(np.ascontiguousarray(picture, self._dtype))
        with self._lock:
            place = self._place.get(number)
            if place is None:
                place = self._free.pop() if self._free else self._count
            self._write(place, data)
            # What it says is true only now.
            self._labels.write(place, np.array([number, zlib.crc32(data) if self._checked else 0], np.int64))
            self._count = max(self._count, place + 1)
            self._place[number], self._table = place, None

    def holds(self, number: int, picture: np.ndarray) -> bool:
        """Whether just this picture is there."""
        # Bytes, because what is no number is not equal to itself.
        return number in self._place and bytes_of(self.picture(number)) == bytes_of(np.ascontiguousarray(picture, self._dtype))

    def picture(self, number: int) -> np.ndarray:
        """Mapped, read-only."""
        return self.stack()[self._place[number]]

    def stack(self) -> np.ndarray:
        """All places, (count, *shape), read-only. Let go of it now and then: mapped pages count as memory."""
        if self._count == 0:
            return np.zeros((0, *self._shape), self._dtype)
        return np.memmap(self._path, self._dtype, "r", shape=(self._count, *self._shape))

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Where in the stack the pictures of these numbers are, int64. All of them have to be there."""
        if not numbers.size:
            return np.zeros(numbers.shape, np.int64)
        with self._lock:
            if self._table is None:
                lowest = min(self._place)
                table = np.full(max(self._place) - lowest + 1, self._count, np.int64)
                table[np.fromiter(self._place, np.int64) - lowest] = list(self._place.values())
                self._table = lowest, table
            lowest, table = self._table
        return table[numbers - lowest]

    def let_go(self, unless: Callable[[int], bool]) -> None:
        """Of all pictures but those for whose numbers `unless` says so."""
        with self._lock:
            for number in [number for number in self._place if not unless(number)]:
                self._free.append(self._place.pop(number))
            self._free.sort(reverse=True)
            self._table = None

    def forget(self, unless: Callable[[int], bool]) -> None:
        """The same, for later runs too, whatever happens afterwards. Raises `Failed`."""
        gone = [place for number, place in self._place.items() if not unless(number)]
        self.let_go(unless)
        for place in gone:
            self._labels.write(place, np.array([-1, 0], np.int64))
        if gone:
            self._labels.sync()

    def close(self) -> None:
        self._file.close()
        self._labels.close()

    def _write(self, place: int, data: memoryview) -> None:
        try:
            self._file.seek(place * self._size)
            write_all(self._file, data)
        except OSError as error:
            with suppress(OSError):
                if place == self._count:
                    self._file.truncate(place * self._size)
            raise disk_trouble(self._path, error) from error

    def _take_up(self) -> None:
        for place in range(self._count):
            heed()
            if not self._labels.has(place):
                continue
            number, wanted = (int(v) for v in self._labels.read(place)[0])
            if number < 0 or number in self._place or (self._checked and zlib.crc32(bytes_of(self.stack()[place])) != wanted):
                continue
            self._place[number] = place
