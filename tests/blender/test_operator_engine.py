"""The installed add-on in real Blenders with the real engine."""
from __future__ import annotations

import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from addon_fixtures import addon_zip, found_in  # noqa: F401
from flow_inpaint import pipeline

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"


@pytest.fixture(scope="session")
def case(ask, clips, addon_zip, tmp_path_factory):  # noqa: F811
    work = tmp_path_factory.mktemp("work")
    return lambda name: found_in(ask("scripts_engine.py", addon_zip, clips, sys.executable, work), name)


def luma(path: Path) -> np.ndarray:
    """(T, H, W): the file's own samples."""
    with av.open(str(path)) as movie:
        frames = [np.frombuffer(frame.planes[0], np.uint16).reshape(frame.height, -1)[:, : frame.width] for frame in movie.decode(video=0)]
        return np.stack(frames)


def holes(clips: Path) -> np.ndarray:
    return np.stack([cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 127 for file in sorted((clips / "matte").iterdir())[:12]])


@pytest.mark.parametrize("name", ["movie", "rendered_matte", "command"])
def test_the_object_is_gone_and_the_rest_is_the_source(case, clips, name):
    found = case(name)
    assert found.get("said", "{'FINISHED'}") == "{'FINISHED'}" and found.get("code", 0) == 0
    assert [s["name"] for s in found["strips"]] == [SOURCE, f"{STEM}_001", "matte"]
    assert found["strips"][1]["span"] == [11, 12] and found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv"]
    before, after, hole = luma(clips / "deep.mkv"), luma(Path(found["strips"][1]["file"])), holes(clips)
    assert after.shape == before.shape and (after[~hole] == before[~hole]).all()
    assert (after[hole] != before[hole]).mean() > 0.5


def test_nothing_of_the_rendering_stays_in_the_file(case):
    assert len(case("rendered_matte")["scenes"]) == 1


def test_images(case):
    found = case("images")
    assert found["said"] == "{'FINISHED'}" and found["strips"][1]["span"] == [11, 12]
    assert len(found["files"]) == 14 and found["files"][-1].endswith(".tif")


def test_cancelling_takes_less_than_a_second(case):
    found = case("cancelled")
    assert found["said"].startswith("Cancelled") and found["seconds"] < 1.0
    assert found["files"] == [] and len(found["strips"]) == 2


def test_killed_in_the_middle(case):
    found = case("killed")
    assert found["said"].startswith("TaskError: The engine was killed by SIGKILL")
    assert found["files"] == [] and len(found["strips"]) == 2


def test_what_the_engine_refuses(case):
    found = case("bad_value")
    assert found["code"] == 2 and found["files"] == [] and len(found["strips"]) == 2


def test_an_update_touches_only_what_lies_within_reach_of_the_change(case, clips):
    """Mattes of frames 4 and 5 have changed, reach 2: frames 2 to 7 are made again, the others are the same bit for bit."""
    found = case("updated")
    first, second = found["results"]
    assert (first["done"], first["frames"], first["ranges"]) == ("updated", 6, [[13, 18]])
    assert (second["done"], second["frames"]) == ("nothing", 0)
    old, new = (luma(Path(found["folder"]) / f"{STEM}_00{n}.mkv") for n in (1, 2))
    source, same = luma(clips / "deep.mkv"), [bool((a == b).all()) for a, b in zip(old, new, strict=True)]
    assert same[:2] == [True, True] and same[8:] == [True] * 4 and not same[4] and not same[5]
    moved = np.stack([cv2.imread(str(clips / "matte" / f"matte_{k + 30:04d}.png"), 0) > 127 for k in (4, 5)])
    assert (new[4:6][~moved] == source[4:6][~moved]).all() and (new[4:6][moved] != source[4:6][moved]).mean() > 0.5
    assert found["strips"][1]["name"] == f"{STEM}_001" and found["strips"][1]["file"].endswith("_002.mkv")


def test_every_stage_has_a_name_for_the_user(case):
    assert case("stages")["named"] == list(pipeline.STAGES_WITH_COMPLETION)
