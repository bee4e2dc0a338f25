"""What a job remembers on disk."""
from __future__ import annotations

import errno
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flow_inpaint.errors import Failed
from flow_inpaint.work import Records, work_folder
from flow_inpaint.work_pictures import Pictures
from flow_inpaint.work_shelf import Shelf


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file can grow beyond 64 KiB: the system itself refuses the write."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_come_back_in_any_order(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    written = {k: [chance.integers(0, 99, (k, 3)).astype(np.int32), chance.random(2 * k), np.array([k], np.uint8)] for k in range(12)}
    records = Records(tmp_path, "r")
    order = chance.permutation(12)
    for n, k in enumerate(order):
        records.write(int(k), *written[k])
        # Reading between the writes must not move where the next one goes.
        back = records.read(int(order[n // 2]))
        assert len(back) == 3
    for k, arrays in written.items():
        for wanted, found in zip(arrays, records.read(k), strict=True):
            assert found.dtype == wanted.dtype and found.shape == wanted.shape
            np.testing.assert_array_equal(found, wanted)
    records.close()


def test_a_record_written_again_replaces_the_old_one(tmp_path: Path) -> None:
    records = Records(tmp_path, "r")
    records.write(3, np.arange(5))
    records.write(3, np.arange(2))
    np.testing.assert_array_equal(records.read(3)[0], [0, 1])
    with pytest.raises(KeyError):
        records.read(4)
    records.close()


def test_records_keep_slices_and_empty_arrays(tmp_path: Path) -> None:
    records = Records(tmp_path, "r")
    records.write(0, np.arange(24).reshape(4, 6)[:, ::2], np.zeros((0, 5), np.float32))
    first, second = records.read(0)
    np.testing.assert_array_equal(first, np.arange(24).reshape(4, 6)[:, ::2])
    assert second.shape == (0, 5) and second.dtype == np.float32
    records.close()


def test_a_record_that_is_kept_to_the_end_takes_next_to_no_memory(tmp_path: Path) -> None:
    records = Records(tmp_path, "records")
    records.write(0, np.zeros(3), np.zeros(1, bool), np.zeros((2, 2), np.float32))
    tracemalloc.start()
    try:
        for frame in range(1, 2001):
            records.write(frame, np.zeros(3), np.zeros(1, bool), np.zeros((2, 2), np.float32))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Eight bytes each, and room to grow into. A job of ten minutes has six such records of each of 15000 frames.
    assert held < 2000 * 16
    assert records.has(2000) and not records.has(2001) and records.last == 2000


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pictures_are_a_stack(tmp_path: Path, dtype: type[np.generic]) -> None:
    pictures = Pictures(tmp_path, "p", (5, 7, 3), dtype)
    assert pictures.stack().shape == (0, 5, 7, 3)
    written = (np.random.default_rng(0).random((4, 5, 7, 3)) * 200).astype(dtype)
    for k, picture in enumerate(written):
        assert pictures.append(picture[::-1, :][::-1], label=k) == k
        np.testing.assert_array_equal(pictures.stack(), written[: k + 1])
    stack = pictures.stack()
    assert stack.dtype == dtype and not stack.flags.writeable
    pictures.close()


def test_pictures_that_are_mapped_somewhere_can_be_cut(tmp_path: Path) -> None:
    """On Windows their file cannot be shortened then: what is cut is gone all the same, now and when it is opened again."""

    class Mapped:
        def __init__(self, file: object):
            self._file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def truncate(self, size: int) -> None:
            raise PermissionError(13, "The requested operation cannot be performed on a file with a user-mapped section open")

    written = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    pictures = Pictures(tmp_path, "p", (5, 3), np.uint8)
    for k in range(3):
        pictures.append(written[k], label=k)
    pictures._file = Mapped(pictures._file)
    pictures.cut(1)
    assert pictures.count == 1 and pictures.append(written[3], label=7) == 1
    np.testing.assert_array_equal(pictures.stack(), written[[0, 3]])
    pictures.close()
    again = Pictures(tmp_path, "p", (5, 3), np.uint8)
    assert again.labels == [0, 7]
    np.testing.assert_array_equal(again.stack(), written[[0, 3]])
    again.close()


def test_the_folder_lies_where_it_is_asked_for_and_goes_away(tmp_path: Path) -> None:
    with work_folder(tmp_path) as folder:
        assert folder.parent == tmp_path and folder.is_dir()
        (folder / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_goes_away_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), work_folder(tmp_path) as folder:
        (folder / "file").write_text("x")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_by_default_in_the_systems_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with work_folder() as folder:
        assert folder.parent == tmp_path


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for parent, why in ((tmp_path / "file", "Not a directory"), (tmp_path / "none", "No such file or directory")):
        with pytest.raises(Failed, match=f"^No work folder can be made in .*: {why}.$"), work_folder(parent):
            pass


@pytest.mark.parametrize("size", [100, 5_000, 300_000], ids=["small", "page", "large"])
def test_records_say_when_the_disk_is_full(tmp_path: Path, small_disk: None, size: int) -> None:
    """Whichever call meets the end of the disk, it says so in our words, and what was written before stays readable."""
    records, data = Records(tmp_path, "r"), np.arange(size, dtype=np.uint8)
    with pytest.raises(Failed, match="^The work folder .* cannot be written: .*Free some space there .*, or set FLOW_INPAINT_CACHE "):
        for k in range(1000):
            records.write(k, data)
            np.testing.assert_array_equal(records.read(k)[0], data)
    if size < 1 << 16:
        np.testing.assert_array_equal(records.read(0)[0], data)
    records.close()


def test_pictures_say_when_the_disk_is_full(tmp_path: Path, small_disk: None) -> None:
    pictures = Pictures(tmp_path, "p", (64, 64, 3), np.uint8)
    with pytest.raises(Failed, match="cannot be written: File too large. Free some space"):
        for k in range(10):
            pictures.append(np.ones((64, 64, 3), np.uint8), label=k)
    assert pictures.count == 5 and (pictures.stack() == 1).all()
    pictures.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_the_sentence_names_the_systems_reason(tmp_path: Path) -> None:
    (tmp_path / "r").symlink_to("/dev/full")
    records = Records(tmp_path, "r")
    with pytest.raises(Failed, match=os.strerror(errno.ENOSPC)):
        records.write(0, np.zeros(10))
    records.close()


# --- opened again ---


def filled(folder: Path, frames: range = range(8)) -> dict[int, np.ndarray]:
    chance = np.random.default_rng(0)
    records = Records(folder, "r")
    written = {k: chance.integers(0, 99, 50 + k) for k in frames}
    for k, array in written.items():
        records.write(k, array)
    records.close()
    return written


def found(folder: Path, frames: range = range(8)) -> dict[int, np.ndarray]:
    records = Records(folder, "r")
    there = {k: records.read(k)[0] for k in frames if records.has(k)}
    records.close()
    return there


def test_records_are_there_again(tmp_path: Path) -> None:
    written = filled(tmp_path)
    again = found(tmp_path)
    assert again.keys() == written.keys() and all((again[k] == written[k]).all() for k in written)


def test_a_torn_end_is_dropped_wherever_it_is_torn(tmp_path: Path) -> None:
    written = filled(tmp_path, range(3))
    whole = (tmp_path / "r").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "r").write_bytes(whole[:size])
        again = found(tmp_path)
        assert list(again) == list(range(len(again))) and all((again[k] == written[k]).all() for k in again)
        # What is written next is found behind it.
        records = Records(tmp_path, "r")
        records.write(7, np.arange(4))
        records.close()
        assert found(tmp_path).keys() == {*again, 7}


def test_no_flipped_bit_is_taken_for_the_truth(tmp_path: Path) -> None:
    written = filled(tmp_path, range(3))
    whole = (tmp_path / "r").read_bytes()
    for at in range(0, len(whole), 5):
        broken = bytearray(whole)
        broken[at] ^= 1 << at % 8
        (tmp_path / "r").write_bytes(broken)
        again = found(tmp_path)
        assert len(again) < 3 and all((again[k] == written[k]).all() for k in again)


@pytest.mark.parametrize("order", [range(8), [5, 6, 0, 1, 2, 7, 3, 4], [7, 6, 5, 4, 3, 2, 1, 0, 6, 1]])
@pytest.mark.parametrize("cuts", [[5], [5, 2], [2, 5], [9], [0], [6, 5, 4]])
def test_what_was_cut_off_does_not_come_back(tmp_path: Path, order: list[int], cuts: list[int]) -> None:
    records = Records(tmp_path, "r")
    for n, k in enumerate(order):
        records.write(k, np.array([k, n]))
    for cut in cuts:
        records.cut(cut)
        records.write(0, np.array([0, -cut]))
    records.close()
    left = {0} | {k for k in order if k < min(cuts)}
    again = found(tmp_path)
    assert again.keys() == left and again[0].tolist() == [0, -cuts[-1]]


def test_pictures_end_where_one_is_lost(tmp_path: Path) -> None:
    def opened_again() -> Pictures:
        return Pictures(tmp_path, "p", (8, 8), np.uint8)

    pictures = opened_again()
    for k in range(5):
        pictures.append(np.full((8, 8), k), label=10 + k)
    pictures.close()
    data = bytearray((tmp_path / "p").read_bytes())
    data[64 * 3 + 5] ^= 1
    (tmp_path / "p").write_bytes(data)
    pictures = opened_again()
    assert pictures.count == 3 and pictures.labels == [10, 11, 12]
    assert pictures.append(np.full((8, 8), 9), label=17) == 3
    pictures.cut(2)
    pictures.append(np.full((8, 8), 8), label=16)
    pictures.close()
    pictures = opened_again()
    assert pictures.labels == [10, 11, 16] and 16 in pictures and 17 not in pictures and pictures.stack()[:, 0, 0].tolist() == [0, 1, 8]
    pictures.close()


def test_a_shelf_knows_what_was_written(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "shot-3")
    array = shelf("flow", (4, 2, 5), np.float32)
    array[2] = np.ones((2, 5))
    array[3] = np.full((2, 5), 7)
    assert [array.has(k) for k in range(4)] == [False, False, True, True] and len(array) == 4 and array.shape == (4, 2, 5)
    shelf.close()
    with open(tmp_path / "shot-3-flow", "r+b") as file:
        file.seek(3 * 40 + 4)
        file.write(b"x")
    shelf = Shelf(tmp_path, "shot-3")
    array = shelf("flow", (4, 2, 5), np.float32)
    assert [array.has(k) for k in range(4)] == [False, False, True, False] and (array[2] == 1).all()
    (tmp_path / "shot-30-flow").write_text("another's")
    shelf.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["shot-30-flow"]
