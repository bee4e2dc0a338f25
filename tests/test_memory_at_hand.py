"""How many frames are worked on at a time where memory is short."""
from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from test_pipeline import shot

from flow_inpaint import memory_at_hand, pipeline, side_by_side
from flow_inpaint.memory_at_hand import bytes_at_hand
from flow_inpaint.side_by_side import Workers, workers

GIB = 2**30


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def told(monkeypatch: pytest.MonkeyPatch, folder: Path, system: str = "", **group: str) -> int | None:
    """What is at hand where the system and a container's group say this."""
    monkeypatch.setattr(memory_at_hand, "_SYSTEM", folder / "meminfo")
    monkeypatch.setattr(memory_at_hand, "_GROUP", folder)
    (folder / "meminfo").write_text(system)
    for name, text in group.items():
        (folder / f"memory.{name}").write_text(text)
    return bytes_at_hand()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is at hand")
def test_what_this_machine_has_at_hand() -> None:
    assert 2**24 < bytes_at_hand() < 2**46


SYSTEM = "MemTotal:  16777216 kB\nMemFree: 100 kB\nMemAvailable:    8388608 kB\n"


def test_what_systems_and_containers_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert told(monkeypatch, tmp_path, SYSTEM) == 8 * GIB
    taken = {"current": f"{3 * GIB}\n", "stat": f"anon 7\ninactive_file {GIB}\nactive_file 5\n"}
    assert told(monkeypatch, tmp_path, SYSTEM, max="max\n", **taken) == 8 * GIB
    assert told(monkeypatch, tmp_path, SYSTEM, max=f"{4 * GIB}\n", **taken) == 2 * GIB
    assert told(monkeypatch, tmp_path, SYSTEM, max=f"{GIB}\n", **taken) == 0
    assert told(monkeypatch, tmp_path, "nonsense", max="max") is None


@pytest.mark.parametrize(("at_hand", "each", "count"), [
    (None, GIB, 8), (100 * GIB, GIB, 8), (8 * GIB, GIB, 4), (GIB, GIB, 1), (0, GIB, 1), (8 * GIB, 0.0, 8),
])
def test_as_many_as_memory_is_there_for(monkeypatch: pytest.MonkeyPatch, at_hand: int | None, each: float, count: int) -> None:
    monkeypatch.setattr(side_by_side, "bytes_at_hand", lambda: at_hand)
    assert workers(each) == count


def test_a_job_works_on_fewer_frames_with_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = shot(tmp_path)
    counts: list[int] = []

    def counted(count: int) -> Workers:
        counts.append(count)
        return Workers(count)

    monkeypatch.setattr(pipeline, "Workers", counted)
    found, forecasts = [], []
    # A worker of this clip takes about 3 MiB.
    for at_hand in (GIB, 2**24, 0):
        monkeypatch.setattr(side_by_side, "bytes_at_hand", lambda at_hand=at_hand: at_hand)
        forecasts.append(pipeline.check(clip.job()).memory_mib)
        found.append(clip.run()[0])
    assert counts[0] == 8 and 1 < counts[1] < 8 and counts[2] == 1
    assert forecasts[0] > forecasts[1] > forecasts[2]
    for pictures in found[1:]:
        for a, b in zip(found[0], pictures, strict=True):
            np.testing.assert_array_equal(a, b)
