"""Pictures that are as long as a shot together, on disk."""
from __future__ import annotations

import os
import zlib
from bisect import bisect_left
from contextlib import suppress
from pathlib import Path

import numpy as np

from .heeding import heed
from .work import Records, blocks, bytes_of, disk_trouble, opened, write_all


class Pictures:
    """Pictures of one size and type with a label each, appended one by one, the labels ascending, and read as a memory-mapped stack.

    What an earlier run has left in the file is there again, up to the first that has lost anything.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], dtype: np.dtype | type[np.generic]):
        self._path = folder / name
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._size = int(np.prod(shape)) * self._dtype.itemsize
        self._file = opened(self._path)
        self._sums = Records(folder, f"{name}.sums")
        self.labels: list[int] = []
        self.count = self._whole(os.fstat(self._file.fileno()).st_size // self._size)
        self.cut(self.count)

    def __contains__(self, label: int) -> bool:
        at = bisect_left(self.labels, label)
        return at < len(self.labels) and self.labels[at] == label

    def append(self, picture: np.ndarray, label: int) -> int:
        """Stores a picture and returns its number."""
        data = bytes_of(np.ascontiguousarray(picture, self._dtype))
        try:
            write_all(self._file, data)
        except OSError as error:
            with suppress(OSError):
                self._to(self.count)
            raise disk_trouble(self._path, error) from error
        self._sums.write(self.count, np.array([label, zlib.crc32(data)], np.int64))
        self.labels.append(label)
        self.count += 1
        return self.count - 1

    def stack(self) -> np.ndarray:
        """All pictures so far, (count, *shape), read-only. Let go of it now and then: mapped pages count as memory."""
        if self.count == 0:
            return np.zeros((0, *self._shape), self._dtype)
        return np.memmap(self._path, self._dtype, "r", shape=(self.count, *self._shape))

    def cut(self, count: int) -> None:
        """Keeps only the first ones."""
        self._sums.cut(count)
        del self.labels[count:]
        self._to(count)

    def close(self) -> None:
        self._file.close()
        self._sums.close()

    def _whole(self, count: int) -> int:
        for k in range(count):
            heed()
            if not self._sums.has(k):
                return k
            label, wanted = (int(v) for v in self._sums.read(k)[0])
            self._file.seek(k * self._size)
            found = 0
            for block in blocks(self._file, self._size):
                found = zlib.crc32(block, found)
            if found != wanted:
                return k
            self.labels.append(label)
        return count

    def _to(self, count: int) -> None:
        if os.fstat(self._file.fileno()).st_size > count * self._size:
            # Windows shortens no file that is mapped anywhere. Without its line in the list of sums nothing behind counts anyway.
            with suppress(PermissionError):
                self._file.truncate(count * self._size)
        self._file.seek(count * self._size)
        self.count = count
