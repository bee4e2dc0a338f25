"""The reference channel and the export of a frame, in real Blenders, with the add-on installed from its zip."""
from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from addon_fixtures import addon_zip, query  # noqa: F401

pytestmark = pytest.mark.blender
STEM = "Street_take_1_reference_0015"


@pytest.fixture(scope="session")
def case(query):  # noqa: F811
    return partial(query, "scripts_references.py")


def frames(found: dict) -> list[tuple[int, str]]:
    assert found["said"] == "{'FINISHED'}"
    return [(one["frame"], Path(one["path"]).name) for one in found["references"] or []]


def test_both_channels_are_chosen_from_a_menu_with_their_names(case):
    """Text, whether it is translated, what pressing it says, the setting's number then, and what the closed drop-down says."""
    found = case("choosing")
    of_strips = [
        ["Clean plates (5): clean", False, "{'FINISHED'}", 5, "Clean plates (5)"],
        ["Channel 3: matte", False, "{'FINISHED'}", 3, "Channel 3"],
        ["Channel 1: Street: take #1.mp4", False, "{'FINISHED'}", 1, "Channel 1"],
    ]
    assert found["mask_channel"] == {"closed": "Channel 3", "entries": of_strips}
    assert found["reference_channel"] == {"closed": "None", "entries": [["None", True, "{'FINISHED'}", 0, "None"], *of_strips]}
    assert found["without strips"] == "Channel 9"


def test_a_strips_left_edge_is_its_frame(case):
    assert frames(case("one")) == [(5, "clean.png")]
    assert frames(case("longer")) == [(5, "clean.png")]
    assert frames(case("two")) == [(0, "a.png"), (7, "b.png")]


def test_a_sequence_stands_for_each_of_its_frames(case):
    assert [frame for frame, _ in frames(case("sequence"))] == [4, 5, 6]
    assert len({name for _, name in frames(case("sequence"))}) == 3


@pytest.mark.parametrize("name", ["none", "outside"])
def test_without_references_the_job_says_nothing_of_them(case, name):
    assert case(name)["references"] is None and case(name)["said"] == "{'FINISHED'}"


def test_muted_strips_do_not_count(case):
    assert frames(case("muted")) == [(1, "a.png")]


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("movie", "Strip 'film' on the reference channel is not an image strip: give one picture for each clean frame."),
        ("early", "Reference strip 'clean' begins at frame 8, before strip 'Street: take #1.mp4': move its left edge to the frame that it shows."),
        ("gone", "gone.png is missing: put it back, or give the strip another file."),
        ("own", "Channel 1 is the one that strip 'Street: take #1.mp4' is on: put the references on another channel."),
        ("matte", "Channel 3 is the mask channel: put the references on another channel."),
    ],
)
def test_strips_that_are_no_reference(case, name, sentence):
    found = case(name)
    assert found["said"].endswith(sentence) and found["references"] is None


def test_a_frame_goes_out_to_be_painted(case):
    found = case("exported")
    assert found["said"] == "{'FINISHED'}" and found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}.png"]
    (made,) = found["made"]
    assert made["span"] == [15, 1] and made["channel"] == found["channel"] == 4 and made["name"] == STEM
    assert found["frame"] == 15 and found["active"] == "Street: take #1.mp4" and found["scenes"] == 1
    assert found["shape"] == [96, 160, 4] and 0.05 < found["mean"] < 0.95


def test_what_was_painted_is_never_written_over(case):
    found = case("exported")
    assert found["again"].endswith(f"Channel 4 already has strip '{STEM}' at frame 15: move or delete it first.")
    assert found["once more"] == "{'FINISHED'}"
    assert found["files after"] == [f"{STEM}.png", f"{STEM}_2.png"]


def test_the_exported_frame_is_the_reference_of_the_next_run(case):
    (one,) = case("exported")["references"]
    assert one["frame"] == 4 and Path(one["path"]).name == f"{STEM}_2.png"


def test_the_picture_of_an_image_strip_is_copied(case):
    found = case("copied")
    assert found["said"] == "{'FINISHED'}" and found["same"]


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("export outside", "Frame 5 is outside strip 'Street: take #1.mp4' (frames 11 to 22): move the playhead over it."),
        ("export on mask", "The reference channel 3 is the source's or the mask's: choose another, or None to have one found."),
        ("taken", "Channel 4 already has strip 'painted' at frame 13: move or delete it first."),
    ],
)
def test_frames_that_cannot_go_out(case, name, sentence):
    found = case(name)
    assert found["said"].endswith(sentence) and not found.get("made") and not found.get("files")
