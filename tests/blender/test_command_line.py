"""The command for farms on saved files, in real Blenders, with a stand-in for the engine."""
from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from addon_fixtures import addon_zip, query  # noqa: F401

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"
MADE = [SOURCE, f"{STEM}_001", "matte"]


@pytest.fixture(scope="session")
def case(query):  # noqa: F811
    return partial(query, "scripts_command.py")


def answer(found: dict) -> dict:
    """The line of standard output that is ours: Blender writes there too."""
    lines = [line for line in found["out"].splitlines() if line.startswith("{")]
    assert len(lines) == 1
    return json.loads(lines[0])


def saved(found: dict) -> list[str]:
    return [strip["name"] for strip in found["saved"]]


def test_the_saved_file_opens_with_the_strip(case):
    found = case("saves")
    assert found["code"] == 0 and saved(found) == MADE
    assert found["saved"][1]["span"] == [11, 12] and Path(found["saved"][1]["file"]).is_file()


def test_progress_goes_to_standard_error_and_the_result_to_standard_output_as_json(case):
    found = case("saves")
    lines = found["errors"].splitlines()
    assert lines[0] == "Flow Inpaint: Starting the engine, 0%"
    assert f"'{STEM}_001' is on channel 2" in lines[-1] and len(lines) < 12
    told = answer(found)
    made = {"source": SOURCE, "strip": f"{STEM}_001", "channel": 2, "path": f"{found['folder']}/flow_inpaint/{STEM}_001.mkv"}
    made["passes"] = []
    assert told == {"results": [made | {"done": "made", "frames": 12, "notes": told["results"][0]["notes"]}], "saved": f"{found['folder']}/edit.blend"}


def test_without_save_the_file_stays(case):
    found = case("does_not_save")
    assert found["code"] == 0 and found["made"] == MADE and saved(found) == [SOURCE, "matte"]


def test_parameters(case):
    assert case("parameters")["params"] == {"preset": "draft", "reach": 12, "mask_grow": 3, "cuts": "no"}
    assert case("underscores")["params"] == {"preset": "standard", "mask_grow": 3}


def test_output_and_format(case):
    found = case("output")
    assert found["code"] == 0 and found["files"] == [] and f"{STEM}_001.mp4" in found["out"]


def test_some_frames_and_the_source_muted(case):
    found = case("frames")
    assert found["code"] == 0 and found["saved"][1]["span"] == [14, 3] and found["saved"][0]["muted"]
    assert answer(found)["results"][0]["frames"] == 3 and not case("saves")["saved"][0]["muted"]


def test_images(case):
    found = case("images")
    assert found["code"] == 0 and saved(found) == MADE and found["saved"][1]["span"] == [11, 12]


def test_scene(case):
    assert case("wrong_scene")["code"] == 2
    assert case("scene")["code"] == 0 and case("scene")["made"] == MADE


@pytest.mark.parametrize(
    "name, code, words",
    [
        ("no_scene", 2, "there is no scene 'Cut'"),
        ("wrong_scene", 2, SOURCE),
        ("no_such_strip", 2, "no strip named 'Nobody'"),
        ("no_mask", 2, "channel 9"),
        ("nothing", 2, "--strip NAME, --all, --update or --list"),
        ("no_channel", 2, "There is no mask strip in channel 2"),
        ("frames_outside", 2, "shows none of the frames 1 to 5"),
        ("bad_frames", 2, "such as 10-40"),
        ("frames_of_update", 2, "--frames goes with a removal"),
        ("list_and_all", 2, "--list goes alone"),
        ("bad_channel", 2, "channels go from 1 to 128"),
        ("bad_value", 2, "'9999' is not a whole number from 1 to 240"),
        ("bad_choice", 2, "'sideways'"),
        ("unknown", 2, "--reeach"),
        ("engine_dies", 1, "its last words: MemoryError"),
    ],
)
def test_an_error_is_one_line_and_a_code(case, name, code, words):
    found = case(name)
    told = [line for line in found["errors"].splitlines() if line.startswith("flow_inpaint: ")]
    assert found["code"] == code and len(told) == 1 and words in told[0] and "Traceback" not in found["errors"]
    assert found["made"] == saved(found) == [SOURCE, "matte"] and found["files"] == []


def test_help(case):
    found = case("help")
    assert found["code"] == 0 and "--mask-grow" in found["out"] and "--save" in found["out"]
