"""The command for farms on saved files, in real Blenders, with a stand-in for the engine."""
from __future__ import annotations

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


def saved(found: dict) -> list[str]:
    return [strip["name"] for strip in found["saved"]]


def test_the_saved_file_opens_with_the_strip(case):
    found = case("saves")
    assert found["code"] == 0 and found["errors"] == "" and saved(found) == MADE
    assert found["saved"][1]["span"] == [11, 12] and Path(found["saved"][1]["file"]).is_file()


def test_progress_and_result_are_printed(case):
    lines = case("saves")["out"].splitlines()
    assert lines[0] == "Flow Inpaint: Starting the engine, 0%"
    assert f"'{STEM}_001' is on channel 2" in lines[-1] and len(lines) < 10


def test_without_save_the_file_stays(case):
    found = case("does_not_save")
    assert found["code"] == 0 and found["made"] == MADE and saved(found) == [SOURCE, "matte"]


def test_parameters(case):
    assert case("parameters")["params"] == {"preset": "draft", "reach": 12, "mask_grow": 3, "cuts": "no"}
    assert case("underscores")["params"] == {"preset": "standard", "mask_grow": 3}


def test_output_and_format(case):
    found = case("output")
    assert found["code"] == 0 and found["files"] == [] and f"{STEM}_001.mp4" in found["out"]


def test_images(case):
    found = case("images")
    assert found["code"] == 0 and saved(found) == MADE and found["saved"][1]["span"] == [11, 12]


def test_scene(case):
    assert case("wrong_scene")["code"] == 1
    assert case("scene")["code"] == 0 and case("scene")["made"] == MADE


@pytest.mark.parametrize(
    "name, code, words",
    [
        ("no_scene", 2, "there is no scene 'Cut'"),
        ("wrong_scene", 1, SOURCE),
        ("no_such_strip", 1, "no strip named 'Nobody'"),
        ("no_mask", 1, "channel 9"),
        ("nothing", 2, "--strip, --mask-channel"),
        ("bad_channel", 2, "channels go from 1 to 128"),
        ("bad_value", 2, "'9999' is not a whole number from 1 to 240"),
        ("bad_choice", 2, "'sideways'"),
        ("unknown", 2, "--reeach"),
        ("engine_dies", 1, "its last words: MemoryError"),
    ],
)
def test_an_error_is_one_line_and_a_code(case, name, code, words):
    found = case(name)
    assert found["code"] == code and words in found["errors"] and found["errors"].count("\n") == 1
    assert found["errors"].startswith("flow_inpaint: ")
    assert found["made"] == saved(found) == [SOURCE, "matte"] and found["files"] == []


def test_help(case):
    found = case("help")
    assert found["code"] == 0 and "--mask-grow" in found["out"] and "--save" in found["out"]
