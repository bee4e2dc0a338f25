"""Without a window: marks, --all, --update, --list, the documented render script; and the buttons around mattes."""
from __future__ import annotations

import re
from pathlib import Path

import pytest
from addon_fixtures import addon_zip, engines, found_in  # noqa: F401
from bpy_process import REPOSITORY

pytestmark = pytest.mark.blender
SOURCE, STEM = "Street: take #1.mp4", "Street_take_1_flow_inpaint"


@pytest.fixture(scope="session")
def case(ask, clips, addon_zip, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("engines")
    for mode in ("copy", "forever"):
        engines.fake(folder, mode)
    work = tmp_path_factory.mktemp("work")
    script = folder / "render_edit.py"
    script.write_text(re.search(r"```python\n(.*?)```", (REPOSITORY / "docs/headless.md").read_text("utf-8"), re.DOTALL)[1])
    return lambda name: found_in(ask("scripts_headless.py", addon_zip, clips, folder, work, script), name)


def done(found: dict) -> list[tuple]:
    return [(r["strip"], r["done"], r.get("frames")) for r in found["told"]["results"]]


def test_a_marked_strip_is_listed_with_what_the_panel_was_set_to(case):
    found = case("whole_story")["list"]
    marked = found["told"]["strips"][0]
    assert found["code"] == 0 and len(found["told"]["strips"]) == 1
    assert marked == {
        "strip": SOURCE, "kind": "marked", "frames": [11, 22], "mask_channel": 3,
        "params": {"preset": "draft", "reach": 2}, "format": "ffv1", "output": "//flow_inpaint/",
    }  # fmt: skip


def test_all_makes_then_has_nothing_to_do_then_updates(case):
    found = case("whole_story")
    assert (found["first"]["code"], done(found["first"])) == (0, [(f"{STEM}_001", "made", 12)])
    assert [s["name"] for s in found["strips"]] == [SOURCE, f"{STEM}_001", "matte"]
    listed = found["listed"]["told"]["strips"]
    assert [(s["kind"], s["strip"]) for s in listed] == [("marked", SOURCE), ("result", f"{STEM}_001")]
    assert listed[1]["missing"] == 0 and listed[1]["files"] == 1 and listed[1]["source"] == SOURCE and listed[1]["params"]["reach"] == 2
    assert done(found["second"]) == [(f"{STEM}_001", "nothing", 0)] and found["second"]["told"]["saved"] is None
    assert done(found["third"]) == [(f"{STEM}_001", "updated", 3)]
    assert found["third"]["told"]["results"][0]["ranges"] == [[11, 13]] and found["third"]["told"]["results"][0]["why"]
    assert done(found["fourth"]) == [(f"{STEM}_001", "nothing", 0)]
    assert found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv", f"flow_inpaint/{STEM}_002.mkv"]


def test_update_with_another_parameter_makes_everything_again(case):
    found = case("whole_story")["changed"]
    assert done(found) == [(f"{STEM}_001", "updated", 12)] and found["told"]["results"][0]["why"] == "the settings have changed"


def test_nothing_marked_is_nothing_to_do(case):
    found = case("unmarked")
    assert found["marked"] and found["then"]
    for which in ("all", "update"):
        assert found[which]["code"] == 0 and found[which]["told"] == {"results": [], "saved": None} and "nothing to do" in found[which]["errors"][-1]


def test_one_that_fails_does_not_hold_up_the_others(case):
    found = case("one_fails")
    assert found["code"] == 2 and [d[:2] for d in done(found)] == [(f"{STEM}_001", "made"), ("Alone", "failed")]
    assert "does not overlap strip 'Alone'" in found["told"]["results"][1]["error"]
    assert len([line for line in found["errors"] if line.startswith("flow_inpaint: ")]) == 1
    assert found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv"]


def test_a_mark_moves_with_its_strip(case):
    found = case("moved_mark")
    assert found["code"] == 0 and found["strips"][1]["span"] == [113, 3]


def test_sigterm_stops_it_and_leaves_nothing(case):
    found = case("terminated")
    assert found["code"] == 130 and done(found) == [(SOURCE, "stopped", None)] and found["files"] == [] and found["handler"]


def test_sigterm_counts_whenever_it_comes(case):
    found = case("terminated_at_once")
    assert found["code"] == 130 and done(found) == [(SOURCE, "stopped", None)] and found["files"] == []
    found = case("terminated_between")
    assert found["code"] == 130 and [d[:2] for d in done(found)] == [(f"{STEM}_001", "made"), ("Other", "stopped")]
    assert found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv"]


def test_the_documented_script(case):
    found = case("script")
    assert [s["name"] for s in found["strips"]] == [SOURCE, f"{STEM}_001", "matte"]
    assert found["files"] == ["flow_inpaint", f"flow_inpaint/{STEM}_001.mkv", "render", *(f"render/{k:04d}.png" for k in (11, 12, 13))]
    failed = case("script_fails")
    assert failed["code"] == 1 and "There is no mask strip in channel 3" in failed["errors"] and failed["files"] == []


def test_what_is_wrong_is_said_with_the_button_that_helps(case):
    found = case("matte_operators")
    assert [operator for _, operator in found["none"]] == ["flow_inpaint.make_matte"] and "channel 2" in found["none"][0][0]
    assert [operator for _, operator in found["empty"]] == ["flow_inpaint.draw_matte"] and found["drawn"] == []
    assert [operator for _, operator in found["muted"]] == ["flow_inpaint.unmute_matte"] and found["unmuted"] == []
    assert found["output"] == ["No output folder is set: choose one."] and "shows none of the frames" in found["outside"][0]
    assert found["nobody"][0].startswith("No strip is active")
    assert found["references on the matte"] == ["Channel 3 is the mask channel: put the references on another channel."]
    assert found["references on the source"] == [f"Channel 1 is the one that strip '{SOURCE}' is on: put the references on another channel."]
    assert found["no references"] == []


def test_make_and_show_matte(case):
    found = case("matte_operators")
    assert found["made"] == [2, 11, 12, 11, 2, "ADD"] and found["active"] == SOURCE and found["draw"] == "{'FINISHED'}"
    assert found["shown"] == [True, [False, "ALPHA_OVER", 0.0], [True, "ADD", 0.5]]
    assert found["channels"] == {"3": "Channel 3", "2": "Channel 2", "1": "Channel 1"}


def test_a_results_settings_come_back_into_the_panel(case):
    found = case("matte_operators")
    assert found["said"] == "{'FINISHED'}" and found["changed"] == {"reach": 7} and found["of_result"] == ["matte"]
    assert found["loaded"] == {"mask_channel": 3, "reference_channel": 6, "preset": "draft", "reach": 7, "format": "png", "mute_source": True}


def test_the_documentation_names_every_option():
    text = (REPOSITORY / "docs/headless.md").read_text("utf-8")
    options = (Path(REPOSITORY) / "blender_addon/command_options.py").read_text("utf-8")
    for option in re.findall(r'parser\.add_argument\("(--[a-z-]+)"', options):
        assert option in text, option
