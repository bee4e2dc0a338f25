"""Arrays as long as a shot, on disk, of which it is known what has been written: so that a network can go on in the middle."""
from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np

from .heeding import heed
from .work import Records, bytes_of, disk_trouble, fill_with_zeros, opened


class ShelfArray:
    """Written part by part along its first axis. What an earlier run has written whole is there again."""

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], dtype: type[np.generic]):
        self.shape = shape
        self._sums = Records(folder, f"{name}.sums")
        path, size = folder / name, int(np.prod(shape)) * np.dtype(dtype).itemsize
        with opened(path) as file:
            if (there := os.fstat(file.fileno()).st_size) < size:
                file.seek(there)
                try:
                    fill_with_zeros(file, size - there)
                except OSError as error:
                    raise disk_trouble(path, error) from error
        self._map = np.memmap(path, dtype, "r+", shape=shape) if size else np.zeros(shape, dtype)
        self._has = [self._is_whole(k) for k in range(len(self))]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, k: int) -> np.ndarray:
        return self._map[k]

    def __setitem__(self, k: int, part: np.ndarray) -> None:
        self._map[k] = part
        self._sums.write(k, np.array([_sum(self._map[k])], np.int64))
        self._has[k] = True

    def has(self, k: int) -> bool:
        """Whether a part was written."""
        return self._has[k]

    def close(self) -> None:
        self._sums.close()

    def _is_whole(self, k: int) -> bool:
        heed()
        return self._sums.has(k) and int(self._sums.read(k)[0][0]) == _sum(self._map[k])


class Shelf:
    """Allocates such arrays in a folder; `clear` deletes them. See `completion.Allocate`."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name
        self._arrays: list[ShelfArray] = []

    def __call__(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> ShelfArray:
        made = ShelfArray(self._folder, f"{self._name}-{name}", shape, dtype)
        self._arrays.append(made)
        return made

    def close(self) -> None:
        for array in self._arrays:
            array.close()
        self._arrays.clear()

    def clear(self) -> None:
        self.close()
        for path in self._folder.glob(f"{self._name}-*"):
            path.unlink(missing_ok=True)


def _sum(part: np.ndarray) -> int:
    return zlib.crc32(bytes_of(np.ascontiguousarray(part)))
