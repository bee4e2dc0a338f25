"""Recipes of result strips, and what Update makes of them; with the stand-in for the engine."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import MASK_CHANNEL, SOURCE, WORK, answer, edit, engine, install, listing, room, run, seen, strips

ASKED, KEYS = WORK / "asked.jsonl", WORK / "keys.txt"
os.environ |= {"FAKE_ENGINE_ASKED": str(ASKED), "FAKE_ENGINE_KEYS": str(KEYS)}
STEM = "Street_take_1_flow_inpaint"


def made(case: str, keys: list[int] | None = None, **given: Any) -> Path:
    """A result in a saved and opened file. `keys`: what the footage looks like to the engine."""
    folder = edit(case)
    engine("copy")
    look(keys)
    said = run(**given)
    assert said == "{'FINISHED'}", said
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    ASKED.unlink(missing_ok=True)
    return folder


def look(keys: list[int] | None) -> None:
    KEYS.write_text("".join(f"{key:08x}" for key in keys or [0] * 12))


def result(name: str = f"{STEM}_001") -> Any:
    return strips()[name]


def update(**given: Any) -> dict[str, Any]:
    """What Update says, asks of the engine, and leaves."""
    ASKED.unlink(missing_ok=True)
    try:
        said = str(bpy.ops.sequencer.flow_inpaint_update(**{"strip": f"{STEM}_001", **given}))
    except RuntimeError as error:
        said = str(error).strip()
    asked = [json.loads(line) for line in ASKED.read_text().splitlines()] if ASKED.exists() else []
    work = [(one["method"], one["params"].get("frames"), one["params"].get("params")) for one in asked if one["method"] not in ("describe", "shutdown")]
    pieces = [one["params"]["pieces"] for one in asked if one["method"] == "splice"]
    places = [[piece["at"] for piece in some] for some in pieces]
    return {"said": said, "asked": work, "places": places, "strips": seen(), "processes": len({one["pid"] for one in asked})}


def kept() -> dict[str, Any]:
    folder = made("kept", reach=3, mute_source=True)
    found = room("recipe").read(result())
    return {**vars(found), "job": found.job["source"]["path"], "muted": strips()[SOURCE].mute, "again": update(), "files": listing(folder)}


def matte_of_some_frames() -> dict[str, Any]:
    folder = made("some", reach=2)
    look([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
    before = result().frame_final_start, result().frame_final_duration
    found = update()
    span = result().frame_final_start, result().frame_final_duration
    return found | {"again": update(), "span_kept": before == span, "files": listing(folder)}


def two_places() -> dict[str, Any]:
    made("two", reach=1)
    look([9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])
    return update()


def pictures() -> dict[str, Any]:
    folder = made("pictures", format="png", reach=2)
    look([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])
    found = update()
    elements = [element.filename for element in result().elements]
    return found | {"elements": elements, "files": listing(folder)}


def missing_pictures() -> dict[str, Any]:
    folder = made("lost", format="png")
    (folder / "flow_inpaint" / f"{STEM}_001" / "00003.png").unlink()
    missing = room("recipe").missing(result())
    return update() | {"missing": missing, "now_missing": room("recipe").missing(result())}


def missing_movie() -> dict[str, Any]:
    folder = made("lostmovie")
    (folder / "flow_inpaint" / f"{STEM}_001.mkv").unlink()
    missing = room("recipe").missing(result())
    return update() | {"missing": missing, "now_missing": room("recipe").missing(result()), "files": listing(folder)}


def inter_frame_format() -> dict[str, Any]:
    made("h264", format="h264", reach=1)
    look([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
    return update()


def panel_settings() -> dict[str, Any]:
    made("panel")
    bpy.context.scene.flow_inpaint.preset = "draft"
    kept = update()
    return {"kept": kept, "panel": update(settings="PANEL"), "then": update(), "preset": room("recipe").read(result()).request["params"]}


def another_format() -> dict[str, Any]:
    folder = made("format")
    bpy.context.scene.flow_inpaint.format = "png"
    return update(settings="PANEL") | {"files": listing(folder)}


def some_frames() -> dict[str, Any]:
    """Only frames 16 to 18 of the timeline; the engine sees what lies within reach, and within that of the frames beside them."""
    made("range", [0] * 11, frames=(16, 18), reach=3)
    job = json.loads(Path(os.environ["FAKE_ENGINE_JOB"]).read_text())
    look([0] * 11)
    first = {"frames": job["frames"], "source": job["source"], "mask": job["mask"][0]["at"]}
    look([9] + [0] * 10)
    return first | {"strips": seen(), "update": update()}


def named_ranges() -> dict[str, Any]:
    made("ranges", range="PLAYHEAD")
    scene = bpy.context.scene
    spans = [seen()[1]["span"]]
    scene.frame_current = 40
    spans.append(run(source=SOURCE, range="PLAYHEAD"))
    scene.frame_current = 11
    spans.append(run(source=SOURCE, range="PREVIEW"))
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 1, 13
    spans.append(run(source=SOURCE, range="PREVIEW", reach=1))
    return {"spans": spans, "strips": seen()}


def renamed_source() -> dict[str, Any]:
    made("renamed")
    strips()[SOURCE].name = "Another name"
    return update()


def gone_source() -> dict[str, Any]:
    made("gone")
    strips().remove(strips()[SOURCE])
    return update()


def moved_matte() -> dict[str, Any]:
    made("moved")
    strips()["matte"].channel = 7
    return update() | {"channel": room("recipe").read(result()).request["mask_channel"]}


def shorter_source() -> dict[str, Any]:
    """The source was trimmed: the result has another length, so a new strip takes its place."""
    made("shorter")
    strips()[SOURCE].frame_final_end = 20
    look([0] * 9)
    return update()


def copied_result() -> dict[str, Any]:
    """A copy of the result shows the new files too."""
    made("copied", reach=1)
    twin = strips().new_movie("Twin", bpy.path.abspath(result().filepath), 9, 60)
    twin["flow_inpaint"] = result()["flow_inpaint"]
    look([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
    return update()


def no_result() -> dict[str, Any]:
    made("none")
    return {"source": update(strip=SOURCE), "nobody": update(strip="Nobody")}


def broken_recipe() -> list[bool]:
    made("broken")
    found = []
    about = json.loads(result()["flow_inpaint"])
    cut = json.dumps(about | {"request": {"format": "ffv1"}})
    for text in ("", "{", "[]", '{"version": 99}', '{"version": 1}', cut, 7):
        result()["flow_inpaint"] = text
        found.append(room("recipe").read(result()) is None and room("recipe").results(bpy.context.scene) == [])
    return found


def older_engine() -> dict[str, Any]:
    made("older")
    about = json.loads(result()["flow_inpaint"])
    result()["flow_inpaint"] = json.dumps(about | {"engine": "0.0.9"})
    return update()


def engine_without_fingerprints() -> dict[str, Any]:
    """One that the user names may be older than the add-on: it makes everything again each time."""
    room("warm_engine").end(wait=3.0)
    os.environ["FAKE_ENGINE_KEYS"] = "unknown"
    try:
        made("nokeys")
        return update()
    finally:
        room("warm_engine").end(wait=3.0)
        os.environ["FAKE_ENGINE_KEYS"] = str(KEYS)


def undone() -> dict[str, Any]:
    """Undo after an update brings the earlier file back, which is still there."""
    made("undo", reach=1)
    bpy.ops.ed.undo_push(message="before")
    look([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
    bpy.ops.sequencer.flow_inpaint_update("EXEC_DEFAULT", True, strip=f"{STEM}_001")
    after = Path(bpy.path.abspath(result().filepath)).name
    bpy.ops.ed.undo()
    return {"after": after, "undone": Path(bpy.path.abspath(result().filepath)).name, "missing": room("recipe").missing(result())}


def fails(mode: str) -> dict[str, Any]:
    folder = made(f"fails-{mode}", reach=1)
    files = listing(folder)
    look([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0])
    engine(mode)
    return {"found": update(), "untouched": listing(folder) == files, "recipe": room("recipe").read(result()).keys}


def looks() -> dict[str, Any]:
    folder = edit("looks", saved=False)
    engine("copy")
    look(None)
    bpy.context.scene.frame_current = 14
    said = [_said(bpy.ops.sequencer.flow_inpaint_preview)]
    bpy.context.scene.flow_inpaint.mask_channel = MASK_CHANNEL
    said += [_said(bpy.ops.sequencer.flow_inpaint_preview), _said(bpy.ops.sequencer.flow_inpaint_preview), _said(bpy.ops.sequencer.flow_inpaint_check)]
    job = json.loads(Path(os.environ["FAKE_ENGINE_JOB"]).read_text())
    images = [(image.name, bool(image.packed_file), list(image.size)) for image in bpy.data.images if image.name != "Render Result"]
    bpy.context.scene.frame_current = 90
    said.append(_said(bpy.ops.sequencer.flow_inpaint_preview))
    found = {
        "said": said,
        "frames": job["frames"],
        "reach": job["params"]["reach"],
        "images": images,
        "lines": room("looking").last_check["lines"],
        "strips": len(strips()),
        "files": listing(folder),
        "gone": not Path(job["output"]["path"]).parent.exists(),
    }
    bpy.ops.wm.read_homefile(use_empty=True)
    return found | {"of_another_file": room("looking").last_check}


def _said(operator: Any) -> str:
    try:
        return str(operator())
    except RuntimeError as error:
        return str(error).strip()


install()
answer(
    {
        "kept": kept,
        "matte_of_some_frames": matte_of_some_frames,
        "two_places": two_places,
        "pictures": pictures,
        "missing_pictures": missing_pictures,
        "missing_movie": missing_movie,
        "inter_frame_format": inter_frame_format,
        "panel_settings": panel_settings,
        "another_format": another_format,
        "some_frames": some_frames,
        "named_ranges": named_ranges,
        "renamed_source": renamed_source,
        "gone_source": gone_source,
        "moved_matte": moved_matte,
        "shorter_source": shorter_source,
        "copied_result": copied_result,
        "no_result": no_result,
        "broken_recipe": broken_recipe,
        "older_engine": older_engine,
        "engine_without_fingerprints": engine_without_fingerprints,
        "undone": undone,
        "engine_dies": lambda: fails("die"),
        "engine_refuses": lambda: fails("refuse"),
        "looks": looks,
    }
)
