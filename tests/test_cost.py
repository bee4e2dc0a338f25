"""What a check says that a job takes, against what it takes."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from test_pipeline import shot

from flow_inpaint import cache, cost, pipeline
from flow_inpaint.job import Job
from flow_inpaint.survey import Survey

KNOWN = cost.Known(
    Survey((slice(0, 400), slice(0, 600)), (0, 99), 1),
    100,
    854 * 480,
    stored=854 * 480 * 3 // 2,
    video=True,
    format="ffv1",
    hole=20_000,
    unseen=0.1,
    itemsize=1,
    reach=40,
    candidates=6,
    match_sides=True,
    follow_camera=False,
    around=64,
    whole=False,
)


def largest(clip, **params) -> int:
    """Bytes that the work folder has when a job is almost done."""
    found = 0

    def at(progress: pipeline.Progress) -> None:
        nonlocal found
        if progress.stage == "write":
            found = sum(path.stat().st_size for path in cache.place().rglob("*") if path.is_file())

    pipeline.run(clip.job(**params), on_progress=at)
    return found


@pytest.mark.parametrize("params", [{}, {"reach": 3}, {"candidates": 1}], ids=["all seen", "much invented", "the nearest frames alone"])
def test_the_room_on_disk_is_as_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: dict) -> None:
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    clip = shot(tmp_path, 24, 320, 240)
    assert pipeline.check(clip.job(**params)).disk_mib == pytest.approx(largest(clip, **params) / 2**20, rel=0.3)


def test_a_little_that_nothing_shows_takes_keys_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as much of it does."""
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    clip = shot(tmp_path, 24, 320, 240)
    found = pipeline.check(clip.job(reach=12))
    assert 0 < found.coverage.unseen < 0.01
    assert found.disk_mib == pytest.approx(largest(clip, reach=12) / 2**20, rel=0.12)


MEMORY = """
import json, sys
from pathlib import Path
from flow_inpaint import pipeline
from flow_inpaint.job import Job
pipeline.run(Job.from_document(json.loads(sys.argv[1])))
# What `getrusage` tells begins with what the process has that started this one.
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_memory_counts_whole_pictures_beside_a_small_hole(tmp_path: Path, codec: str) -> None:
    """What is decoded and encoded is as large as the picture, however small the part of it that is worked on."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 2048, 1152, "yuv420p"
        wide = cv2.blur(np.random.default_rng(1).integers(0, 256, (1152, 2048 + 40, 3), np.uint8), (5, 5))
        for k in range(10):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[:, 4 * k : 4 * k + 2048]), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    document = {
        "source": {"path": str(tmp_path / "a.mkv")},
        "mask": {"rectangle": [1000, 500, 60, 40]},
        "output": {"path": str(tmp_path / "b.mkv")},
        "params": {"preset": "draft"},
    }
    environment = os.environ | {cache.PLACE: str(tmp_path / "cache")}
    command = [sys.executable, "-c", MEMORY, json.dumps(document)]
    taken = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)
    assert pipeline.check(Job.from_document(document)).memory_mib == pytest.approx(taken, rel=0.3)


def test_the_time_is_the_processors(tmp_path: Path) -> None:
    """Its own measure of a machine's speed: other work on it does not count, but its waiting would."""
    clip = shot(tmp_path, 12, 320, 240)
    used = -sum(os.times()[:2])
    pipeline.run(clip.job())
    used += sum(os.times()[:2])
    # In pictures as small as these much of the time is no pixel's, and that grows when the machine is busy.
    assert 0.15 < pipeline.check(clip.job()).seconds * 1.75 / used < 3


def test_costs_grow_with_what_they_depend_on() -> None:
    larger_hole, deeper = replace(KNOWN, hole=40_000), replace(KNOWN, itemsize=2)
    longer = replace(KNOWN, surveyed=replace(KNOWN.surveyed, needed=(0, 199)), wanted=200)
    assert cost.disk_of(larger_hole) > cost.disk_of(KNOWN) and cost.disk_of(deeper) > cost.disk_of(KNOWN)
    # More frames than are kept decoded.
    lasting = replace(KNOWN, surveyed=replace(KNOWN.surveyed, needed=(0, 19_999)), wanted=20_000)
    assert cost.memory_of(lasting) == cost.memory_of(longer) and cost.memory_of(KNOWN) < min(cost.memory_of(larger_hole), cost.memory_of(deeper))
    assert cost.seconds_of(longer, 0.3, 1.0) > 1.6 * cost.seconds_of(KNOWN, 0.3, 1.0)
    assert cost.seconds_of(KNOWN, 0.3, 2.0) == pytest.approx(2 * cost.seconds_of(KNOWN, 0.15, 1.0))
    assert cost.seconds_of(replace(KNOWN, steadied=True), 0.3, 1.0) > cost.seconds_of(KNOWN, 0.3, 1.0)
    assert cost.disk_of(replace(KNOWN, whole=True)) > 2 * cost.disk_of(KNOWN)


def test_disk_grows_with_the_length_only_by_what_is_finished() -> None:
    def lasting(frames: int, **other: bool) -> float:
        return cost.disk_of(replace(KNOWN, surveyed=replace(KNOWN.surveyed, needed=(0, frames - 1)), wanted=frames, **other))

    assert 1.8 < lasting(100) / lasting(50) < 2.2
    for more, each in (({}, 3), ({"origins": True}, 23)):
        assert lasting(15_000, **more) - lasting(5_000, **more) == pytest.approx(10_000 * (20_000 * each + 700))
    for whole in ({"whole": True}, {"shots": True}):
        assert lasting(15_000, **whole) > 2.9 * lasting(5_000, **whole)
