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
from array import array
from collections.abc import Callable, Iterator
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


class _Places:
    """Where in a file the records of each frame begin: eight bytes a frame, for there are some of every frame of a job to its end."""

    def __init__(self) -> None:
        self._from = 0
        #: Of the last record of each frame from that one on; -1: there is none. The last one has one.
        self._newest = array("q")
        #: Of the first record of those frames that have several.
        self._first: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def __contains__(self, frame: int) -> bool:
        return 0 <= frame - self._from < len(self._newest) and self._newest[frame - self._from] >= 0

    def __getitem__(self, frame: int) -> int:
        if frame not in self:
            raise KeyError(frame)
        return self._newest[frame - self._from]

    @property
    def last(self) -> int:
        """The last frame that has a record; -1: none has."""
        return self._from + len(self._newest) - 1 if self._newest else -1

    @property
    def newest(self) -> int:
        """Where the last record in the file begins; -1: there is none."""
        return max(self._newest, default=-1)

    def note(self, frame: int, begin: int) -> None:
        if frame in self:
            self._first.setdefault(frame, self[frame])
        if not self._newest:
            self._from = frame
        elif frame < self._from:
            self._newest, self._from = array("q", [-1]) * (self._from - frame) + self._newest, frame
        self._newest.extend([-1] * (frame + 1 - self._from - len(self._newest)))
        self._newest[frame - self._from] = begin

    def first_of(self, frame: int) -> int | None:
        """Where the first record of this frame or a later one begins."""
        later = range(max(frame, self._from), self.last + 1)
        return min((self._first.get(k, self[k]) for k in later if k in self), default=None)

    def keep_before(self, frame: int) -> None:
        del self._newest[max(frame - self._from, 0) :]
        while self._newest and self._newest[-1] < 0:
            self._newest.pop()
        self._first = {k: begin for k, begin in self._first.items() if k < frame}


class Records:
    """Arrays by frame number, of any shapes, in one file that is written in any order of frames.

    What an earlier run has left in the file is there again. Raises `Failed`.
    """

    def __init__(self, folder: Path, name: str):
        self._path = folder / name
        self._places = _Places()
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
        with self._lock:
            return self._places.last

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
            self._places.note(frame, begin)

    def has(self, frame: int) -> bool:
        with self._lock:
            return frame in self._places

    def parts(self, frame: int) -> int:
        """How many arrays a record has."""
        with self._lock:
            return len(self._shown(frame))

    def read(self, frame: int) -> list[np.ndarray]:
        with self._lock:
            return [np.fromfile(self._file, dtype, int(np.prod(shape))).reshape(shape) for dtype, shape in self._shown(frame)]

    def cut(self, frame: int) -> None:
        """Forgets the records of this and all later frames, for later runs too, whatever happens afterwards."""
        with self._lock:
            end = self._places.first_of(frame)
            if end is None:
                return
            self._places.keep_before(frame)
            try:
                if not self._places or not (self._marked or self._places.newest > end):
                    self._file.truncate(end if self._places else 0)
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

    def _shown(self, frame: int) -> list[tuple[str, list[int]]]:
        """Types and shapes of a record's arrays, which the file is at afterwards."""
        self._file.seek(self._places[frame])
        _, _, size, _, _ = _HEAD.unpack(self._file.read(_HEAD.size))
        return json.loads(self._file.read(size))

    def _take_up(self) -> None:
        """Finds what is whole. A record with lost pages is passed over; where there is no record, the file is cut off."""
        size, begin = os.fstat(self._file.fileno()).st_size, 0
        while begin + _HEAD.size <= size:
            heed()
            self._file.seek(begin)
            mark, frame, shown_size, data_size, found = _HEAD.unpack(self._file.read(_HEAD.size))
            at = begin + _HEAD.size + shown_size
            if mark == _CUT and found == _sum(frame, _CUT, []):
                self._places.keep_before(frame)
                self._marked = True
            elif mark != _MARK or at + data_size > size:
                break
            else:
                shown = self._file.read(shown_size)
                if _sum(frame, shown, blocks(self._file, data_size)) == found:
                    self._places.note(frame, begin)
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
