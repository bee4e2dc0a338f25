"""Records in files that can be deleted, and pictures in places that are used again."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flow_inpaint.errors import Failed
from flow_inpaint.work_reel import Reel
from flow_inpaint.work_segments import SEGMENT, Segments

SHAPE = (6, 5, 3)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


# --- segments ---


@pytest.fixture
def segments(tmp_path: Path):
    made = Segments(tmp_path, "r")
    for k in range(20 * SEGMENT):
        made.write(k, np.array([k]))
    yield made
    made.close()


def test_records_come_back_from_more_files_than_are_kept_open(segments: Segments) -> None:
    chance = np.random.default_rng(0)
    for k in chance.integers(0, 20 * SEGMENT, 300).tolist():
        assert segments.has(k) and segments.read(k)[0].tolist() == [k]
    assert segments.last == 20 * SEGMENT - 1 and not segments.has(20 * SEGMENT)
    open_files = [part for part in segments._parts.values() if part._open_file is not None]
    assert len(open_files) <= 8


def test_what_is_dropped_is_gone_from_the_disk_and_the_rest_is_there_again(tmp_path: Path, segments: Segments) -> None:
    before = size_of(tmp_path)
    segments.drop_before(15 * SEGMENT + 3)
    assert size_of(tmp_path) == pytest.approx(before / 4, rel=0.02)
    assert not segments.has(15 * SEGMENT - 1) and segments.has(15 * SEGMENT)
    segments.close()
    again = Segments(tmp_path, "r")
    assert [again.has(k) for k in (0, 15 * SEGMENT - 1, 15 * SEGMENT, 20 * SEGMENT - 1)] == [False, False, True, True]
    assert again.read(17 * SEGMENT)[0].tolist() == [17 * SEGMENT]
    again.close()


def test_a_cut_goes_through_all_files(tmp_path: Path, segments: Segments) -> None:
    segments.cut(3 * SEGMENT + 5)
    segments.close()
    again = Segments(tmp_path, "r")
    assert again.last == 3 * SEGMENT + 4
    again.write(3 * SEGMENT + 5, np.array([1]))
    assert again.read(3 * SEGMENT + 5)[0].tolist() == [1]
    again.close()


def test_names_that_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    one, other = Segments(tmp_path, "steps"), Segments(tmp_path, "steps.more")
    one.write(3, np.array([1]))
    other.write(3, np.array([2]))
    one.close(), other.close()
    again = Segments(tmp_path, "steps")
    assert again.read(3)[0].tolist() == [1] and len(again._parts) == 1
    again.close()


# --- reels ---


def picture(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 255, SHAPE).astype(np.uint8)


def test_places_are_used_again(tmp_path: Path) -> None:
    reel = Reel(tmp_path, "p", SHAPE, np.uint8)
    for k in range(100, 400):
        reel.put(k, picture(k))
        reel.let_go(lambda number, k=k: number > k - 10)
        wanted = np.arange(max(k - 9, 100), k + 1)
        for number, found in zip(wanted, reel.stack()[reel.places(wanted)]):
            np.testing.assert_array_equal(found, picture(number))
    assert (tmp_path / "p").stat().st_size <= 11 * np.prod(SHAPE)
    assert reel.numbers == list(range(390, 400)) and 389 not in reel
    reel.close()


@pytest.mark.parametrize("checked", [False, True])
def test_pictures_are_there_again_unless_they_are_damaged(tmp_path: Path, checked: bool) -> None:
    reel = Reel(tmp_path, "p", SHAPE, np.uint8, checked=checked)
    for k in range(5):
        reel.put(10 + k, picture(k))
    reel.let_go(lambda number: number != 11)
    reel.put(99, picture(99))
    reel.close()
    data = bytearray((tmp_path / "p").read_bytes())
    data[int(np.prod(SHAPE)) * 3 + 4] ^= 1
    (tmp_path / "p").write_bytes(data)
    reel = Reel(tmp_path, "p", SHAPE, np.uint8, checked=checked)
    assert reel.numbers == ([10, 12, 14, 99] if checked else [10, 12, 13, 14, 99])
    assert reel.holds(10, picture(0)) and reel.holds(99, picture(99)) and not reel.holds(13, picture(3))
    reel.close()


def test_what_is_forgotten_does_not_come_back(tmp_path: Path) -> None:
    reel = Reel(tmp_path, "p", SHAPE, np.uint8)
    for k in range(5):
        reel.put(k, picture(k))
    reel.forget(lambda number: number < 2)
    reel.close()
    reel = Reel(tmp_path, "p", SHAPE, np.uint8)
    assert reel.numbers == [0, 1]
    reel.put(7, picture(7))
    assert reel.holds(7, picture(7)) and (tmp_path / "p").stat().st_size == 5 * np.prod(SHAPE)
    reel.close()


def test_a_reel_says_when_the_disk_is_full(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    reel = Reel(tmp_path, "p", (64, 64, 3), np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(Failed, match="cannot be written: File too large. Free some space"):
            for k in range(10):
                reel.put(k, np.ones((64, 64, 3), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert reel.numbers == list(range(5)) and (reel.stack() == 1).all()
    reel.close()


def test_an_empty_reel(tmp_path: Path) -> None:
    reel = Reel(tmp_path, "p", SHAPE, np.float32)
    assert reel.stack().shape == (0, *SHAPE) and reel.places(np.zeros(0, np.int32)).size == 0
    reel.close()
