"""What a shot needs to remember, on disk, so that memory does not grow with its length, and so that a run that was cut off can
be gone on with.

Everything is written through ordinary file writes, which say when the disk is full, and read back through memory maps that
are opened for a few frames at a time. Files are only appended to. What is opened again holds what was written whole: every
record carries its length and a checksum, so that a torn end, and pages that a power cut has lost, are seen and dropped.
"""
from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path

import numpy as np

from .errors import TOO_MANY, TOO_MANY_FILES, Failed
from .heeding import heed

_BLOCK = 1 << 24
#: Before each record: a mark, the frame, the lengths of its description and of its data, and the checksum of all that and both.
_HEAD = struct.Struct("<4siIQI")
_MARK = b"FiR1"
#: In place of a record: none of this frame or a later one that comes before it counts.
_CUT = b"FiRX"


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
    """Arrays by frame number, of any shapes, in one file that is written in any order of frames.

    What an earlier run has left in the file is there again. Raises `Failed`.
    """

    def __init__(self, folder: Path, name: str):
        self._path = folder / name
        self._at: dict[int, list[tuple[int, str, tuple[int, ...]]]] = {}
        #: Where the first and the last record of each frame begin.
        self._places: dict[int, tuple[int, int]] = {}
        self._marked = False
        self._lock = threading.Lock()
        self._open_file: RawIOBase | None = opened(self._path)
        self._closed = False
        self._take_up()

    @property
    def _file(self) -> RawIOBase:
        if self._closed:
            raise ValueError(f"{self._path} is closed")
        if self._open_file is None:
            self._open_file = opened(self._path)
        return self._open_file

    @property
    def last(self) -> int:
        """The last frame there is a record of; -1: there is none."""
        return max(self._at, default=-1)

    def write(self, frame: int, *arrays: np.ndarray) -> None:
        ready = [np.ascontiguousarray(array) for array in arrays]
        shown = json.dumps([(array.dtype.str, array.shape) for array in ready]).encode()
        data = [bytes_of(array) for array in ready]
        size = sum(len(part) for part in data)
        head = _HEAD.pack(_MARK, frame, len(shown), size, _sum(frame, shown, data))
        with self._lock:
            begin = self._file.seek(0, 2)
            try:
                for part in (head + shown, *data):
                    write_all(self._file, part)
            except OSError as error:
                # What is half there would hide all that comes after it from the next run.
                with suppress(OSError):
                    self._file.truncate(begin)
                raise disk_trouble(self._path, error) from error
            self._note(frame, begin, begin + len(head) + len(shown), ((array.dtype.str, array.shape) for array in ready))

    def has(self, frame: int) -> bool:
        return frame in self._at

    def parts(self, frame: int) -> int:
        """How many arrays a record has."""
        return len(self._at[frame])

    def read(self, frame: int) -> list[np.ndarray]:
        out = []
        with self._lock:
            for offset, dtype, shape in self._at[frame]:
                self._file.seek(offset)
                out.append(np.fromfile(self._file, dtype, int(np.prod(shape))).reshape(shape))
        return out

    def cut(self, frame: int) -> None:
        """Forgets the records of this and all later frames, for later runs too, whatever happens afterwards."""
        with self._lock:
            end = min((first for k, (first, _) in self._places.items() if k >= frame), default=None)
            if end is None:
                return
            self._keep_before(frame)
            try:
                if not self._at or not (self._marked or any(last > end for _, last in self._places.values())):
                    self._file.truncate(end if self._at else 0)
                else:
                    # Earlier frames were written later: what is forgotten stays in the file.
                    self._marked = True
                    self._file.seek(0, 2)
                    write_all(self._file, _HEAD.pack(_CUT, frame, 0, 0, _sum(frame, _CUT, [])))
                os.fsync(self._file.fileno())
            except OSError as error:
                raise disk_trouble(self._path, error) from error

    def sync(self) -> None:
        """Sees to it that a power cut loses nothing of what was written."""
        with self._lock:
            synced(self._file, self._path)

    def rest(self) -> None:
        """Gives the file's handle back until something is asked for again."""
        # Not under a write of another thread, or what it writes might go into the next file that is opened.
        with self._lock:
            if self._open_file is not None:
                self._open_file.close()
                self._open_file = None

    def close(self) -> None:
        self.rest()
        self._closed = True

    def delete(self) -> None:
        """Closes it for good, and takes the file away."""
        self.close()
        deleted_file(self._path)

    def _note(self, frame: int, begin: int, at: int, arrays: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        entry = []
        for dtype, shape in arrays:
            entry.append((at, dtype, tuple(shape)))
            at += int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._at[frame] = entry
        self._places[frame] = self._places.get(frame, (begin,))[0], begin

    def _keep_before(self, frame: int) -> None:
        self._at = {k: entry for k, entry in self._at.items() if k < frame}
        self._places = {k: place for k, place in self._places.items() if k < frame}

    def _take_up(self) -> None:
        """Finds what is whole. A record with lost pages is passed over; where there is no record, the file is cut off."""
        size, begin = os.fstat(self._file.fileno()).st_size, 0
        while begin + _HEAD.size <= size:
            heed()
            self._file.seek(begin)
            mark, frame, shown_size, data_size, found = _HEAD.unpack(self._file.read(_HEAD.size))
            at = begin + _HEAD.size + shown_size
            if mark == _CUT and found == _sum(frame, _CUT, []):
                self._keep_before(frame)
                self._marked = True
            elif mark != _MARK or at + data_size > size:
                break
            else:
                shown = self._file.read(shown_size)
                if _sum(frame, shown, blocks(self._file, data_size)) == found:
                    self._note(frame, begin, at, json.loads(shown))
            begin = at + data_size
        if begin < size:
            self._file.truncate(begin)


def opened(path: Path) -> RawIOBase:
    """A file to read and to append to, made if it is not there. Raises `Failed`."""
    try:
        # Without a buffer, the write that meets a full disk is the one that says so.
        return open(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600), "r+b", buffering=0)
    except OSError as error:
        raise disk_trouble(path, error) from error


def synced(file: RawIOBase, path: Path) -> None:
    """Has what was written to a file brought to the disk. Raises `Failed`."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        raise disk_trouble(path, error) from error


def deleted_file(path: Path) -> None:
    """Raises `Failed`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_trouble(path, error) from error


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array."""
    return memoryview(array.reshape(-1).view(np.uint8))


def _sum(frame: int, shown: bytes, data: Iterator[bytes] | list[memoryview]) -> int:
    found = zlib.crc32(shown, zlib.crc32(frame.to_bytes(4, "little", signed=True)))
    for part in data:
        found = zlib.crc32(part, found)
    return found


def blocks(file: RawIOBase, size: int) -> Iterator[bytes]:
    while size > 0:
        block = file.read(min(size, _BLOCK))
        if not block:
            return
        size -= len(block)
        yield block


def write_all(file: RawIOBase, data: bytes | memoryview) -> None:
    """Also where the system takes only a part at a time. Raises `OSError`."""
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
                    fill_with_zeros(file, int(np.prod(shape)) * np.dtype(dtype).itemsize)
            except OSError as error:
                raise disk_trouble(path, error) from error
            return np.memmap(path, dtype, "r+", shape=shape)

        yield allocate


def fill_with_zeros(file: RawIOBase, size: int) -> None:
    """Writes and not only claims: a map onto a full disk would end the process without a word."""
    for done in range(0, size, _BLOCK):
        write_all(file, bytes(min(_BLOCK, size - done)))


def disk_trouble(path: Path, error: OSError) -> Failed:
    """What to say about an error at a file of the work folder."""
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return Failed(f"The work folder {path.parent} was deleted while the job was running: run it again, it begins anew.")
    if error.errno in TOO_MANY_FILES:
        return Failed(TOO_MANY)
    return Failed(f"The work folder {path.parent} cannot be written: {error.strerror}. {_ADVICE}")


_ADVICE = (
    "Free some space there (flow-inpaint cache list shows what old work takes), or set FLOW_INPAINT_CACHE to a folder on another disk."
)
