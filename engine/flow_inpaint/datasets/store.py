"""Arrays of a clip's frames on disk, of which a few are read at a time: whole or absent, and sound or made again.

    one line of JSON, which says what follows and how often
    the blocks, one after another
    CRC-32 of each block, and of everything before and between
"""
from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import Failed

_HEAD = 256


class Damaged(Exception):
    """A file that is not what was once written."""


def write(path: Path, blocks: Iterable[np.ndarray]) -> None:
    """Writes equal arrays, one after another, so that the file is there whole or not at all, whoever else writes it too.

    Raises `Failed` when the disk will not take it.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(b" " * _HEAD)
            sums: list[int] = []
            # Of none at all, as of the motion of a single frame, there is still a file.
            shape, kind = (), "|u1"
            for block in blocks:
                data = np.ascontiguousarray(block)
                shape, kind = data.shape, data.dtype.str
                file.write(data)
                sums.append(zlib.crc32(data))
            table = np.array(sums, "<u4").tobytes()
            head = json.dumps({"count": len(sums), "shape": shape, "type": kind}).encode().ljust(_HEAD - 1) + b"\n"
            file.write(table + zlib.crc32(head + table).to_bytes(4, "little"))
            file.seek(0)
            file.write(head)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}; choose another folder with data.cache.") from error
    finally:
        part.unlink(missing_ok=True)


class Stored:
    """A file that `write` has made. Raises `Damaged`, or OSError where there is none; `read` raises `Damaged` too.

    count, shape  of the blocks
    """

    def __init__(self, path: Path):
        self._path = path
        with path.open("rb") as file:
            head = file.read(_HEAD)
            try:
                facts = json.loads(head)
                self.count, self.shape, self._type = int(facts["count"]), tuple(facts["shape"]), np.dtype(facts["type"])
            except (ValueError, KeyError, TypeError) as error:
                raise Damaged(f"{path} has no head") from error
            self._bytes = int(np.prod(self.shape)) * self._type.itemsize
            file.seek(_HEAD + self.count * self._bytes)
            table = file.read()
        if len(table) != 4 * self.count + 4 or zlib.crc32(head + table[:-4]) != int.from_bytes(table[-4:], "little"):
            raise Damaged(f"{path} is cut short or changed")
        self._sums = np.frombuffer(table[:-4], "<u4")

    def read(self, first: int, last: int) -> np.ndarray:
        """(last - first + 1, *shape): the blocks first..last, both included."""
        count = last - first + 1
        with self._path.open("rb") as file:
            file.seek(_HEAD + first * self._bytes)
            data = file.read(count * self._bytes)
        for k in range(count):
            if zlib.crc32(data[k * self._bytes : (k + 1) * self._bytes]) != self._sums[first + k]:
                raise Damaged(f"{self._path} is damaged")
        return np.frombuffer(data, self._type).reshape(count, *self.shape)
