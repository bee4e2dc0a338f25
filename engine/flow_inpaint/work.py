"""The work folder: what a shot needs to remember, on disk, so that memory does not grow with its length.

Everything is written through ordinary file writes, which say when the disk is full, and read back
through memory maps that are opened for a few frames at a time.
"""
from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

import numpy as np

from .errors import Failed

_BLOCK = 1 << 24


@contextmanager
def work_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent` (default: the system's place for temporary files), removed at the end. Raises `Failed`."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="flow-inpaint-", dir=parent))
    except OSError as error:
        raise Failed(f"No work folder can be made in {parent or tempfile.gettempdir()}: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Records:
    """Arrays by frame number, of any shapes, in one file that is written in any order of frames."""

    def __init__(self, folder: Path, name: str):
        self._path = folder / name
        # Without a buffer, the write that meets a full disk is the one that says so.
        self._file = open(self._path, "w+b", buffering=0)
        self._at: dict[int, list[tuple[int, str, tuple[int, ...]]]] = {}
        self._lock = threading.Lock()

    def write(self, frame: int, *arrays: np.ndarray) -> None:
        entry = []
        try:
            with self._lock:
                self._file.seek(0, 2)
                for array in arrays:
                    entry.append((self._file.tell(), array.dtype.str, array.shape))
                    _write(self._file, np.ascontiguousarray(array).tobytes())
        except OSError as error:
            raise disk_trouble(self._path, error) from error
        self._at[frame] = entry

    def has(self, frame: int) -> bool:
        return frame in self._at

    def read(self, frame: int) -> list[np.ndarray]:
        out = []
        with self._lock:
            for offset, dtype, shape in self._at[frame]:
                self._file.seek(offset)
                out.append(np.fromfile(self._file, dtype, int(np.prod(shape))).reshape(shape))
        return out

    def close(self) -> None:
        self._file.close()


class Pictures:
    """Pictures of one size and type, appended one by one and read as a memory-mapped stack."""

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...], dtype: np.dtype | type[np.generic]):
        self._path = folder / name
        self._file = open(self._path, "wb", buffering=0)
        self._shape, self._dtype = shape, np.dtype(dtype)
        self.count = 0

    def append(self, picture: np.ndarray) -> int:
        """Stores a picture and returns its number."""
        try:
            _write(self._file, np.ascontiguousarray(picture, self._dtype).tobytes())
        except OSError as error:
            raise disk_trouble(self._path, error) from error
        self.count += 1
        return self.count - 1

    def stack(self) -> np.ndarray:
        """All pictures so far, (count, *shape), read-only. Let go of it now and then: mapped pages count as memory."""
        if self.count == 0:
            return np.zeros((0, *self._shape), self._dtype)
        return np.memmap(self._path, self._dtype, "r", shape=(self.count, *self._shape))

    def close(self) -> None:
        self._file.close()


def _write(file: RawIOBase, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def scratch(parent: Path) -> Iterator[Callable[[str, tuple[int, ...], type[np.generic]], np.ndarray]]:
    """Gives a function that allocates arrays of zeros on disk: name, shape, type. They are gone at the end."""
    with work_folder(parent) as folder:

        def allocate(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
            path = folder / name
            try:
                with open(path, "wb") as file:
                    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
                    # Written and not only claimed: a map onto a full disk would end the process without a word.
                    for _ in range(0, size, _BLOCK):
                        file.write(bytes(min(_BLOCK, size - file.tell())))
            except OSError as error:
                raise disk_trouble(path, error) from error
            return np.memmap(path, dtype, "r+", shape=shape)

        yield allocate


def disk_trouble(path: Path, error: OSError) -> Failed:
    return Failed(f"The work folder {path.parent} cannot be written: {error.strerror}. Free some space there, or set TMPDIR to another disk.")
