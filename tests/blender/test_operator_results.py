"""Recipes of results and what Update does with them, previews and checks, in real Blenders with a stand-in for the engine."""
from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from addon_fixtures import addon_zip, query  # noqa: F401

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"
ONE, TWO = f"{STEM}_001.mkv", f"{STEM}_002.mkv"


@pytest.fixture(scope="session")
def case(query):  # noqa: F811
    return partial(query, "scripts_results.py")


def asked(found: dict) -> list:
    """Methods and frames."""
    return [(method, frames) for method, frames, _ in found["asked"]]


def file_of(found: dict, number: int = 1) -> str:
    return Path(found["strips"][number]["file"]).name


def test_the_recipe_is_saved_with_the_strip(case):
    found = case("kept")
    assert found["engine"] == "0.1.0" and found["source"] == {"name": SOURCE, "type": "MOVIE", "file": "deep.mkv"}
    wanted = {"mask_channel": 3, "output": "//flow_inpaint/", "format": "ffv1", "mute_source": True, "frames": None}
    wanted |= {"params": {"preset": "standard", "reach": 3}}
    assert {name: found["request"][name] for name in wanted} == wanted and "source" not in found["request"] and found["mattes"] == ["matte"]
    assert (found["start"], found["first"], found["count"], found["how"]) == (11, 0, 12, "direct") and len(found["keys"]) == 96
    assert Path(found["job"]).name == "deep.mkv" and found["muted"]


def test_nothing_changed_nothing_rendered(case):
    found = case("kept")
    assert found["again"]["said"] == "{'FINISHED'}" and asked(found["again"]) == [("fingerprint", None)]
    assert file_of(found["again"]) == ONE and found["files"] == ["flow_inpaint", f"flow_inpaint/{ONE}"]


def test_only_what_lies_within_reach_of_a_change_is_rendered(case):
    found = case("matte_of_some_frames")
    assert asked(found) == [("fingerprint", None), ("render", [1, 7]), ("splice", None)] and found["places"] == [[1]]
    assert file_of(found) == TWO and found["span_kept"] and found["files"] == ["flow_inpaint", f"flow_inpaint/{ONE}", f"flow_inpaint/{TWO}"]
    assert asked(found["again"]) == [("fingerprint", None)]


def test_two_changes_are_two_pieces(case):
    found = case("two_places")
    assert [a for a in asked(found) if a[0] == "render"] == [("render", [0, 2]), ("render", [9, 11])] and found["places"] == [[0, 9]]


def test_pictures(case):
    found = case("pictures")
    assert asked(found)[1] == ("render", [8, 11]) and found["places"] == [[8]]
    assert found["elements"] == [f"{k:05d}.png" for k in range(12)] and Path(found["strips"][1]["file"]).parent.name == f"{STEM}_002"
    assert len([f for f in found["files"] if f.endswith(".png")]) == 24


def test_missing_files_are_made_again(case):
    found = case("missing_pictures")
    assert found["missing"] == [3] and found["now_missing"] == [] and asked(found)[1] == ("render", [3, 3])
    found = case("missing_movie")
    assert found["missing"] == [0] and found["now_missing"] == [] and asked(found) == [("fingerprint", None), ("render", None)]


def test_a_format_that_cannot_be_spliced_is_made_as_a_whole(case):
    assert asked(case("inter_frame_format")) == [("fingerprint", None), ("render", None)]


def test_settings_come_from_the_recipe_unless_the_panels_are_asked_for(case):
    found = case("panel_settings")
    assert asked(found["kept"]) == [("fingerprint", None)]
    assert [a for a in found["panel"]["asked"] if a[0] == "render"] == [["render", None, {"preset": "draft"}]]
    assert asked(found["then"]) == [("fingerprint", None)] and found["preset"] == {"preset": "draft"}


def test_another_format_takes_the_strips_place(case):
    found = case("another_format")
    assert [(s["name"], s["channel"]) for s in found["strips"]] == [(SOURCE, 1), (f"{STEM}_002", 2), ("matte", 3)]
    assert f"flow_inpaint/{ONE}" in found["files"]


def test_a_range_is_rendered_with_its_surroundings_and_updated_as_it_is(case):
    found = case("some_frames")
    assert found["source"]["first"] == 1 and found["source"]["count"] == 11 and found["frames"] == [4, 6] and found["mask"] == 0
    assert found["strips"][1]["span"] == [16, 3]
    assert asked(found["update"]) == [("fingerprint", [4, 6]), ("render", [4, 4]), ("splice", None)] and found["update"]["places"] == [[0]]


def test_named_ranges(case):
    found = case("named_ranges")
    first, outside, no_preview, preview = found["spans"]
    assert first == [11, 3] and "shows none of the frames 28 to 52" in outside and "no preview range" in no_preview
    assert preview == "{'FINISHED'}" and found["strips"][-1]["span"] == [11, 3]


def test_source_and_matte_are_found_again(case):
    assert asked(case("renamed_source")) == [("fingerprint", None)]
    assert "'Street: take #1.mp4' is gone" in case("gone_source")["said"]
    found = case("moved_matte")
    assert asked(found) == [("fingerprint", None)] and found["channel"] == 7


def test_a_trimmed_source_makes_a_new_strip(case):
    found = case("shorter_source")
    assert [(s["name"], s["channel"], s["span"]) for s in found["strips"][:2]] == [(SOURCE, 1, [11, 9]), (f"{STEM}_002", 2, [11, 9])]


def test_a_copy_of_the_result_follows(case):
    found = case("copied_result")
    assert [Path(s["file"]).name for s in found["strips"] if s["name"] in (f"{STEM}_001", "Twin")] == [TWO, TWO]


@pytest.mark.parametrize("which, words", [("source", "was not made by Flow Inpaint"), ("nobody", "no strip named 'Nobody'")])
def test_what_is_no_result_is_refused(case, which, words):
    assert words in case("no_result")[which]["said"] and asked(case("no_result")[which]) == []


def test_a_recipe_that_makes_no_sense_is_none(case):
    assert case("broken_recipe") == [True] * 7


def test_another_engine_makes_everything_again(case):
    assert asked(case("older_engine")) == [("fingerprint", None), ("render", None)]


def test_an_engine_that_cannot_tell_makes_everything_again(case):
    found = case("engine_without_fingerprints")
    assert asked(found) == [("fingerprint", None), ("render", None)] and file_of(found) == TWO


def test_undo_brings_the_earlier_files_back(case):
    assert case("undone") == {"after": TWO, "undone": ONE, "missing": []}


@pytest.mark.parametrize("name", ["engine_dies", "engine_refuses"])
def test_an_update_that_fails_changes_nothing(case, name):
    found = case(name)
    assert found["found"]["said"].startswith("Error: ") and found["untouched"] and set(found["recipe"]) == {"0"}
    assert file_of(found["found"]) == ONE


def test_preview_and_check(case):
    found = case("looks")
    assert "There is no mask strip in channel 2" in found["said"][0] and found["said"][1:4] == ["{'FINISHED'}"] * 3
    assert "shows none of the frames 90 to 90" in found["said"][4]
    assert found["frames"] == [3, 3] and found["reach"] == 16 and found["images"] == [["Flow Inpaint Preview", True, [1, 1]]]
    assert found["lines"][1] == "About 1 min 15 s and 300 MiB of memory on cpu." and found["lines"][-1] == "A note."
    assert found["lines"][2] == "40 MiB on disk while it runs." and found["lines"][3].startswith("Optical flow dis")
    assert found["lines"][4] == "Other frames show about 80% of what is masked; 20.0% is seen nowhere and will be invented."
    assert found["lines"][5] == "Best to paint as a reference: frame 15, which would show 50% of the unseen."
    assert found["strips"] == 2 and found["files"] == [] and found["gone"]
    assert found["of_another_file"] == {}
