"""What happens around a running removal in a living Blender, and the add-on's comings and goings."""
from __future__ import annotations

from functools import partial

import pytest
from addon_fixtures import addon_zip, query  # noqa: F401

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"
RESULT = ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv"]


@pytest.fixture(scope="session")
def case(query):  # noqa: F811
    return partial(query, "scripts_removal.py")


@pytest.mark.parametrize("name", ["cancelled", "cancelled_deaf"])
def test_cancelling_takes_less_than_a_second_and_leaves_nothing(case, name):
    found = case(name)
    assert found["ending"].startswith("Cancelled") and found["seconds"] < 1.0
    assert found["idle"] and found["files"] == [] and found["strips"] == [SOURCE, "matte"]


def test_the_status_says_stage_percentage_and_time_left(case):
    assert case("cancelled")["status"] == "Copying, 10%, 0:01 left"


def test_one_at_a_time(case):
    found = case("second_at_once")
    assert "already at work" in found["said"] and found["ending"] == "done" and found["files"] == RESULT


@pytest.mark.parametrize("name, left", [("strip_deleted", ["matte"]), ("scene_deleted", [])])
def test_a_result_without_a_place_is_kept_and_named(case, name, left):
    found = case(name)
    assert found["ending"].startswith("TaskError") and f"{STEM}_001.mkv" in found["ending"]
    assert found["files"] == RESULT and found["strips"] == left and found["idle"]


@pytest.mark.parametrize("name", ["scene_renamed", "undone_meanwhile"])
def test_edits_meanwhile_do_no_harm(case, name):
    found = case(name)
    assert found["ending"] == "done" and found["strips"] == [SOURCE, f"{STEM}_001", "matte"]


def test_opening_another_file_ends_it(case):
    found = case("file_closed")
    assert found["idle"] and found["files"] == [] and found["strips"] == []


def test_registering_twice_leaves_nothing_behind(case):
    found = case("comes_and_goes")
    gone, there, gone_again, there_again = found["found"]
    assert gone == gone_again == [] and there == there_again and len(there) > 20
    assert found["said"] == "{'FINISHED'}" and found["files"] == RESULT


def test_disabling_the_addon_ends_it(case):
    found = case("leaves_while_running")
    assert found["left"] == [] and found["idle"] and found["files"] == [] and found["strips"] == [SOURCE, "matte"]


def test_jobs_run_one_after_the_other_in_one_engine(case):
    found = case("one_after_the_other")
    assert ["RUNNING", "WAITING", "WAITING"] in found["states"] and ["DONE", "DONE", "RUNNING"] in found["states"]
    assert not any(states.count("RUNNING") > 1 for states in found["states"]) and found["pids"] == 1 and found["ended"]
    assert found["files"] == ["flow_inpaint", *(f"flow_inpaint/{STEM}_00{n}.mkv" for n in (1, 2, 3))]
    assert f"'{STEM}_001' is on channel 2" in found["texts"][0]


def test_a_job_is_stopped_taken_out_tried_again_and_cleared(case):
    found = case("stopped_and_tried_again")
    assert found["first"] == ["CANCELLED", "CANCELLED", "WAITING"] and found["took"] < 1.0 and "Stopped" in found["texts"][0]
    assert [f for f in found["left"] if not f.startswith("flow_inpaint/.")] == ["flow_inpaint"]
    assert found["states"] == ["DONE", "DONE"] and not found["old"] and found["listed"] and found["order"] and found["cleared"]
    assert len([f for f in found["files"] if f.endswith(".mkv")]) == 2 and not [f for f in found["files"] if "part" in f]


def test_a_job_that_fails_does_not_hold_up_the_queue(case):
    found = case("fails_in_the_queue")
    assert found["states"] == ["FAILED"] * 3 and "its last words: MemoryError" in found["text"] and found["files"] == []
    assert "no strip named" in found["said"] and found["listed"] == 3


def test_opening_another_file_empties_the_queue_and_leaves_nothing(case):
    found = case("closed_with_a_queue")
    assert found["before"] > 3 and found["files"] == [] and found["listed"] == 0


def test_a_result_waits_while_strips_are_held(case):
    found = case("while_the_user_moves_strips")
    assert found["during"] == [SOURCE, "matte"] and found["after"] == [SOURCE, f"{STEM}_001", "matte"] and found["files"] == RESULT


def test_the_overlay_gives_way_to_the_result(case):
    assert case("hidden_overlay") == {"said": ["{'FINISHED'}"] * 2, "blend": ["ALPHA_OVER", 0.0]}


def test_another_blender_renders_the_same_and_does_not_outlive_this_one(case):
    found = case("second_blender")
    assert found["code"] == 0 and found["told"][-1]["done"] == found["steps"][-1] == found["count"] == 4
    assert found["same"] == [True, True] and found["orphan"] != 0
    assert found["scenes"] == 1 and found["size"] < 1_500_000  # without the scene's objects
