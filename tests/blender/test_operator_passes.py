"""Passes as strips and the alpha patch, in real Blenders with the real engine."""
from __future__ import annotations

import sys

import pytest
from addon_fixtures import addon_zip, found_in  # noqa: F401

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"
ALL = ("confidence", "patch", "provenance", "unseen")
DONE, NOT_DONE = "{'FINISHED'}", "Error: "


@pytest.fixture(scope="session")
def case(ask, clips, addon_zip, tmp_path_factory):  # noqa: F811
    work = tmp_path_factory.mktemp("work")
    return lambda name: found_in(ask("scripts_passes.py", addon_zip, clips, sys.executable, work), name)


def numbers(count: int, ending: str = ".png", first: int = 0) -> list[str]:
    return [f"{number:05d}{ending}" for number in range(first, first + count)]


def test_passes_lie_beside_the_result(case):
    files = case("revealed")["files"]
    assert [f for f in files if f.count("/") <= 1] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv", f"flow_inpaint/{STEM}_001.passes"]
    passes = [f.partition(".passes/")[2] for f in files if ".passes/" in f]
    assert passes == sorted([*ALL, *(f"{name}/{file}" for name in ALL for file in numbers(12, ".exr" if name == "provenance" else ".png"))])


def test_reveal_adds_them_above_the_result(case):
    found = case("revealed")
    assert found["before"] == {} and found["said"][:2] == [DONE, DONE] and found["same"]
    strips = {s["name"]: s for s in found["strips"]}
    assert strips[f"{STEM}_001"]["channel"] == 2 and not strips[f"{STEM}_001"]["muted"]
    passes = found["passes"]
    assert sorted(passes) == [f"{label} of {STEM}_001" for label in ("Alpha Patch", "Confidence", "Provenance", "Unseen")]
    assert sorted(p["channel"] for p in passes.values()) == [4, 5, 6, 7]
    assert all(p["span"] == [11, 12] and p["muted"] and p["there"] for p in passes.values())


def test_what_the_passes_show(case):
    found = case("revealed")
    assert found["patch_over_source"] == [0, 0] and found["source_itself"][0] > 100
    assert found["provenance_seen"][0] > 100 and 100 < found["provenance_seen"][1] <= 255


def test_they_are_taken_away_and_their_files_stay(case):
    found = case("revealed")
    assert found["said"][2:] == [DONE, DONE] and found["after"] == {} and found["files_after"] == found["files"]


def test_the_patch_over_the_source_is_the_whole_result(case):
    found = case("patch")
    assert found["over"] == [[0, 0]] * 3
    assert (found["blend"], found["alpha"], found["muted"], found["type"], found["span"]) == ("ALPHA_OVER", "STRAIGHT", False, "IMAGE", [11, 12])
    assert [f for f in found["files"] if f.count("/") <= 1] == ["flow_inpaint", f"flow_inpaint/{STEM}_001", f"flow_inpaint/{STEM}_001.passes"]
    assert [f.rpartition("/")[2] for f in found["files"] if f.startswith(f"flow_inpaint/{STEM}_001/")] == numbers(12)


def test_a_scaled_patch_has_no_rim(case):
    assert all(most <= 2 for _, most in case("scaled").values()), case("scaled")


def test_a_file_is_opened_once_until_it_changes(case):
    found = case("opened_once")
    assert found["sizes"] == [[160, 96]] * 3 + [[320, 192]] and found["opened"] == 3 and "opened-" in found["gone"]


def test_finished_frames_are_counted_from_the_first_that_has_a_picture(case):
    found = case("looked_at")
    assert found["beginning"] == [[3, 103, done] for done in range(7)]
    assert [count for _, _, count in found["late"]] == [0, 0, 0, 0, 0, 0, 1] and found["late"][-1] == [8, 108, 1]
    assert [count for _, _, count in found["never"]] == [0] * 7


def test_a_patch_is_made_again_where_something_has_changed(case):
    found = case("patch")
    assert found["result"]["done"] == "updated" and found["result"]["frames"] == 6 and found["nothing"] == "nothing"
    assert found["same"][:6] == [True] * 6 and not found["same"][8] and not found["same"][9] and found["untouched"]
    assert found["passes"][f"Unseen of {STEM}_001"]["folder"] == f"{STEM}_002.passes/unseen" and found["passes"][f"Unseen of {STEM}_001"]["there"]
    assert found["listed"].count(f"flow_inpaint/{STEM}_002") == 1 and not any(".part" in f for f in found["listed"])


def test_whole_frames_instead_of_a_patch(case):
    found = case("patch")
    assert found["whole_again"]["frames"] == 12 and found["whole_again"]["why"] == "the settings have changed"
    results = [s for s in found["strips"] if s["name"].startswith(STEM)]
    assert len(results) == 1 and results[0]["file"].endswith(".mp4") and results[0]["channel"] == 2


def test_passes_follow_an_update(case):
    found = case("made_again")
    assert found["result"]["frames"] == 6 and found["result"]["passes"] == ["provenance", "unseen"] and found["old_kept"]
    assert found["same"][:2] == [True, True] and found["same"][8:] == [True] * 4 and not found["same"][4]
    folders = {name: (p["folder"], p["files"], p["there"]) for name, p in found["strips"].items()}
    assert folders == {
        f"Provenance of {STEM}_001": (f"{STEM}_002.passes/provenance", numbers(12, ".exr"), True),
        f"Unseen of {STEM}_001": (f"{STEM}_002.passes/unseen", numbers(12), True),
    }


def test_lost_passes_are_made_again(case):
    found = case("made_again")
    assert found["lost_one"]["ranges"] == [[18, 18]] and found["lost_one"]["why"] == "files are missing"
    assert found["lost_pass"]["frames"] == 12 and found["lost_pass"]["why"] == "passes are wanted that are not there"


def test_more_passes_and_fewer(case):
    found = case("made_again")
    assert found["more"]["frames"] == 12 and found["more"]["passes"] == ["provenance", "unseen", "confidence"]
    assert found["fewer"]["done"] == "nothing" and found["fewer_made"]["frames"] == 3 and found["fewer_made"]["passes"] == ["unseen"]
    assert list(found["left"]) == [f"Unseen of {STEM}_001"] and not any(".part" in f for f in found["files"])


def test_passes_of_a_part_lie_on_its_frames(case):
    """Frames 14 to 19 are 3 to 8 of the strip. With two frames of reach the engine sees 1 on, so they are 2 to 7 to it; 16 is its 4th."""
    found = case("some_frames_and_a_cut")
    passes = found["passes"][f"Unseen of {STEM}_001"]
    assert found["said"] == DONE and passes["span"] == [56, 4] and passes["files"] == numbers(4, first=4) and passes["there"]


def test_what_is_refused(case):
    found = case("refused")
    assert "has no passes: choose some under Output" in found["none"] and "was not made by Flow Inpaint" in found["source"]
    assert "no strip named 'nobody'" in found["nobody"]
    sentence = f"Strip '{SOURCE}' is blended with what is below it, so an alpha patch over it would not hide the object: choose Whole Frames."
    assert sentence in found["blended"] and found["problem"] == [sentence]
    assert found["retried"] == DONE and len(found["strips"]) == 4


def test_the_command(case):
    found = case("command")
    assert found["codes"] == [2, 2, 0, 0]
    assert "'sure' is no pass: choose from provenance, unseen, confidence, patch" in found["errors"][0] and "patch lies over its source" in found["errors"][1]
    result, listed = found["told"]
    assert result["results"][0]["passes"] == ["unseen", "confidence"] and listed["strips"][0]["passes"] == ["unseen", "confidence"]
    assert found["request"]["result"] == "patch" and found["request"]["passes"] == ["unseen", "confidence"]
    assert found["loaded"] == ["patch", ["confidence", "unseen"]]
