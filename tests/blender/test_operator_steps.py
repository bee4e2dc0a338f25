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
