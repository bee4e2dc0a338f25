"""`sequencer.flow_inpaint` in real Blenders, with the add-on installed from its zip and a stand-in for the engine."""
from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from addon_fixtures import addon_zip, query  # noqa: F401

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"


@pytest.fixture(scope="session")
def case(query):  # noqa: F811
    return partial(query, "scripts_operator.py")


def names(strips: list[dict]) -> list[str]:
    return [strip["name"] for strip in strips]


def test_the_result_lies_on_a_free_channel_above_the_source(case):
    found = case("places")
    assert found["said"] == "{'FINISHED'}"
    made = found["strips"][1]
    assert made["name"] == f"{STEM}_001" and made["channel"] == 2 and made["span"] == found["strips"][0]["span"] == [11, 12]
    assert Path(made["file"]) == Path(found["folder"], "flow_inpaint", f"{STEM}_001.mkv").resolve()
    assert found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv"]


def test_a_second_run_overwrites_nothing(case):
    found = case("places")
    assert found["again"] == "{'FINISHED'}"
    assert found["files_after"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv", f"flow_inpaint/{STEM}_002.mkv"]
    assert names(found["strips_after"]) == [SOURCE, f"{STEM}_001", "matte", f"{STEM}_002"]


def test_images(case):
    found = case("images")
    assert found["said"] == "{'FINISHED'}" and found["strips"][1]["span"] == [11, 12]
    assert found["files"][1] == f"flow_inpaint/{STEM}_001" and len(found["files"]) == 14
    assert Path(found["strips"][1]["file"]) == Path(found["folder"], found["files"][2]).resolve()


def test_an_unsaved_file_with_a_given_folder(case):
    found = case("given_folder")
    assert found["said"] == "{'FINISHED'}" and "elsewhere-" in found["strips"][1]["file"]


@pytest.mark.parametrize(
    "name, params",
    [
        ("defaults", {"preset": "standard"}),
        ("preset", {"preset": "draft"}),
        ("parameter", {"preset": "draft", "reach": 40, "mask_threshold": 0.1, "cuts": False}),
        ("panel", {"preset": "draft", "reach": 77, "blend": "linear", "consistency": 0.7}),
        ("panel_and_caller", {"preset": "draft", "reach": 30, "blend": "linear", "consistency": 0.7}),
        ("panel_and_preset", {"preset": "high"}),
        ("panel_changed_back", {"preset": "draft"}),
    ],
)
def test_only_what_somebody_changed_beats_the_preset(case, name, params):
    assert case(name) == params


def test_the_panels_settings_are_saved_and_show_the_presets_values(case):
    found = case("kept_in_file")
    changed = {"reach": 77, "blend": "linear", "consistency": 0.7}
    assert found == {"reach": 77, "blend": "linear", "differ": [], "changed": changed}


def test_one_undo_step(case):
    assert case("undo") == {"said": "{'FINISHED'}", "after": 3, "undone": 2, "redone": 3}


@pytest.mark.parametrize(
    "name, words",
    [
        ("no_active_strip", "No strip is active: select the strip to repair, or give its name."),
        ("no_such_strip", "There is no strip named 'Nobody'"),
        ("no_mask", "channel 7"),
        ("unsaved", "has never been saved: save it, or give a whole path."),
        ("engine_unset", "The engine is not installed yet: press Install Engine (without a window: blender -b --online-mode --command flow_inpaint --install-engine)."),
        ("engine_missing", "python-missing does not exist: set 'Engine Python'"),
        ("engine_bare", "The engine is not installed in"),
        ("engine_refuses", "The matte covers everything. There is nothing to take pixels from."),
        ("engine_dies", "ended unexpectedly with exit code 3; its last words: MemoryError: the last word."),
        ("engine_killed", "was killed by SIGKILL"),
        ("readonly", "cannot be used"),
    ],
)
def test_an_error_is_one_sentence_and_leaves_nothing(case, name, words):
    found = case(name)
    assert found["said"].startswith("Error: ") and words in found["said"] and "\n" not in found["said"]
    assert names(found["strips"]) == [SOURCE, "matte"]
    assert found.get("files", []) in ([], ["file"])


def test_a_named_engine_of_another_version_is_used(case):
    assert case("engine_old")["said"] == "{'FINISHED'}"


def test_the_preference_names_the_interpreter(case):
    assert case("preference")["said"] == "{'FINISHED'}"
