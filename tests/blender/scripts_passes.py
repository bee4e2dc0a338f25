"""Passes and the alpha patch: written, shown as strips, taken away, made again. With the real engine (given as ENGINES)."""
from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import CLIPS, ENGINES, MASK_CHANNEL, SOURCE, WORK, answer, edit, install, listing, room, run, seen, strips

STEM = "Street_take_1_flow_inpaint"
VERSION = bpy.app.version_string.split()[0]
COUNT, START = 12, 11


def pictures(case: str, passes: tuple[str, ...] = (), **given: Any) -> Path:
    """A saved file with a result of a sequence of pictures, whose matte may be changed. Frames 3 on of 15, as a user trims a strip."""
    mattes = WORK / f"mattes-{VERSION}-{case}"
    mattes.mkdir()
    for file in sorted((CLIPS / "matte").iterdir())[:COUNT]:
        shutil.copyfile(file, mattes / file.name)
    folder = edit(case, mattes=sorted(mattes.iterdir()))
    files = sorted(os.listdir(CLIPS / "sequence"))[: COUNT + 3]
    strips().remove(strips()[SOURCE])
    source = strips().new_image(SOURCE, str(CLIPS / "sequence" / files[0]), 1, START - 3)
    for file in files[1:]:
        source.elements.append(file)
    source.frame_final_start = START
    bpy.context.scene.sequence_editor.active_strip = source
    said = run(preset="draft", reach=2, passes=set(passes), **given)
    assert said == "{'FINISHED'}", said
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    return folder


def named(name: str = f"{STEM}_001") -> Any:
    return strips()[name]


def change_the_matte(case: str, frames: tuple[int, ...]) -> None:
    files = sorted((WORK / f"mattes-{VERSION}-{case}").iterdir())
    for k in frames:
        shutil.copyfile(CLIPS / "matte" / f"matte_{k + 30:04d}.png", files[k])


def act(action: str = "REVEAL", strip: str = f"{STEM}_001") -> str:
    try:
        return str(bpy.ops.sequencer.flow_inpaint_passes(strip=strip, action=action))
    except RuntimeError as error:
        return str(error).strip()


def updated(**settings: Any) -> dict[str, Any]:
    work = room("updating").Update(bpy.context.scene, f"{STEM}_001", str(ENGINES), settings or None)
    room("task").run(work, print)
    return work.result()


def of_passes() -> dict[str, Any]:
    """The strips of passes: what they show and how."""
    found = {}
    for strip in strips():
        if "flow_inpaint_pass" in strip.keys():
            folder = Path(bpy.path.abspath(strip.directory))
            files = [element.filename for element in strip.elements]
            about = {"folder": str(folder.relative_to(folder.parents[1])), "files": files, "there": all((folder / f).is_file() for f in files)}
            found[strip.name] = about | {"span": [strip.frame_final_start, strip.frame_final_duration], "muted": strip.mute, "channel": strip.channel}
    return found


def shown(frame: int, only: tuple[str, ...]) -> list[int]:
    """The bytes of what these strips show together, as a number list of the picture's RGB."""
    scene = bpy.context.scene
    before = {strip.name: strip.mute for strip in strips()}
    for strip in strips():
        strip.mute = strip.name not in only
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = str(WORK / f"shown-{VERSION}.png")
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    image.colorspace_settings.name = "Non-Color"
    values = [round(255 * value) for value in image.pixels]
    bpy.data.images.remove(image)
    for strip in strips():
        strip.mute = before[strip.name]
    return values


def differing(one: list[int], other: list[int]) -> tuple[int, int]:
    """How many values differ, and by how much at most."""
    apart = [abs(a - b) for a, b in zip(one, other, strict=True)]
    return sum(value > 0 for value in apart), max(apart)


def revealed() -> dict[str, Any]:
    folder = pictures("revealed", ("unseen", "confidence", "provenance", "patch"))
    found = {"files": listing(folder), "before": of_passes(), "said": [act()], "strips": seen()}
    found["passes"] = of_passes()
    found["said"].append(act())
    again = of_passes()
    source, result = SOURCE, f"{STEM}_001"
    frame = START + 5
    whole = shown(frame, (result,))
    found["patch_over_source"] = differing(shown(frame, (source, f"Alpha Patch of {result}")), whole)
    found["source_itself"] = differing(shown(frame, (source,)), whole)
    found["unseen_white"] = sum(v == 255 for v in shown(frame, (f"Unseen of {result}",)))
    provenance = shown(frame, (f"Provenance of {result}",))
    found["provenance_seen"] = [sum(0 < v < 255 for v in provenance), max(provenance)]
    found["said"] += [act("REMOVE"), act("REMOVE")]
    return found | {"same": again == found["passes"], "after": of_passes(), "files_after": listing(folder)}


def scaled() -> dict[str, Any]:
    """At another size the edge of a patch is not seen: it differs from whole frames by no more than rounding."""
    found = {}
    for scale in (2.5, 0.6):
        shows = []
        for kind in ("frames", "patch"):
            pictures(f"scaled-{scale}-{kind}", result=kind)
            for strip in (strips()[SOURCE], named()):
                strip.transform.scale_x = strip.transform.scale_y = scale
            shows.append(shown(START + 5, (f"{STEM}_001",) if kind == "frames" else (SOURCE, f"{STEM}_001")))
        found[str(scale)] = differing(*shows)
    return found


def opened_once() -> dict[str, Any]:
    """A file whose beginning does not tell enough is opened by Blender once, until another takes its place."""
    edit("opened")
    files, opened = room("strips.files"), []
    picture = WORK / f"opened-{VERSION}.bmp"  # by its name; Blender goes by what is in it
    shutil.copyfile(CLIPS / "coordinates_160x96.png", picture)
    strip = strips().new_image("opened", str(picture), 7, 1)
    before = files._opened
    files._opened = lambda *of: opened.append(of) or before(*of)
    try:
        sizes = [files.picture(strip).size for _ in range(3)]
        shutil.copyfile(CLIPS / "coordinates_320x192.png", picture)
        sizes.append(files.picture(strip).size)
        picture.unlink()
        try:
            files.picture(strip)
        except room("strips").StripError as error:
            gone = str(error)
    finally:
        files._opened = before
    return {"sizes": sizes, "opened": len(opened), "gone": gone}


def looked_at() -> dict[str, Any]:
    """The finished frames of a job whose first picture is number 3, on frame 103: looked at from the beginning, or later, or never."""
    told = {}
    for name, asked_at in (("beginning", 0), ("late", 4), ("never", 99)):
        folder = WORK / f"looked-{name}-{VERSION}"
        so_far, counts = room("outputs").SoFar(folder, 3, 103), []
        for done in range(7):
            if done == asked_at:
                so_far.ask()
            # The engine encodes ahead: the frame after the next one has been passed over without a picture when it is asked.
            if folder.is_dir() and (asked_at == 0 or done > asked_at + 1):
                (folder / f"{3 + done - 1:05d}.jpg").touch()
            so_far.heard(done)
            counts.append([so_far.first, so_far.start, so_far.count])
        told[name] = counts
    return told


def patch() -> dict[str, Any]:
    """The patch over the source shows what whole frames show; an update makes it again in its frames only."""
    pictures("whole")
    frames = [START, START + 4, START + 11]
    whole = [shown(frame, (f"{STEM}_001",)) for frame in frames]
    folder = pictures("patch", ("unseen",), result="patch", format="h264", mute_source=True)
    strip = named()
    about = {"blend": strip.blend_type, "alpha": strip.alpha_mode, "muted": strips()[SOURCE].mute, "type": strip.type}
    about |= {"files": listing(folder), "span": [strip.frame_final_start, strip.frame_final_duration]}
    over = [differing(shown(frame, (SOURCE, f"{STEM}_001")), picture) for frame, picture in zip(frames, whole)]
    first = folder / "flow_inpaint" / f"{STEM}_001"
    old = {path.name: path.read_bytes() for path in first.iterdir()}
    change_the_matte("patch", (8, 9))
    act()
    result = updated()
    second = folder / "flow_inpaint" / f"{STEM}_002"
    same = [old[path.name] == path.read_bytes() for path in sorted(second.iterdir())]
    untouched = all(path.read_bytes() == old[path.name] for path in first.iterdir())
    about |= {"passes": of_passes(), "result": result, "same": same, "untouched": untouched, "listed": listing(folder)}
    return about | {"over": over, "nothing": updated()["done"], "whole_again": updated(result="frames"), "strips": seen()}


def made_again() -> dict[str, Any]:
    """The passes follow an update, in the frames that it makes again; then pictures of them are lost."""
    folder = pictures("again", ("unseen", "provenance"), format="ffv1")
    act()
    place = folder / "flow_inpaint"
    old = {name: (place / f"{STEM}_001.passes" / "provenance" / name).read_bytes() for name in os.listdir(place / f"{STEM}_001.passes" / "provenance")}
    change_the_matte("again", (4, 5))
    found = {"result": updated(), "strips": of_passes()}
    new = place / f"{STEM}_002.passes" / "provenance"
    found["same"] = [old[path.name] == path.read_bytes() for path in sorted(new.iterdir())]
    found["old_kept"] = all((place / f"{STEM}_001.passes" / "provenance" / name).read_bytes() == data for name, data in old.items())
    (new / "00007.exr").unlink()
    found["lost_one"] = updated()
    shutil.rmtree(place / f"{STEM}_003.passes" / "unseen")
    found["lost_pass"] = updated()
    found["more"] = updated(passes=("unseen", "provenance", "confidence"))
    found["fewer"] = updated(passes=("unseen",))
    change_the_matte("again", (0,))
    found["fewer_made"] = updated()
    return found | {"left": of_passes(), "files": listing(folder)}


def some_frames_and_a_cut() -> dict[str, Any]:
    """A result of frames 14 to 19 only; then cut in two, and moved."""
    folder = pictures("cut", ("unseen",), frames=(14, 19))
    result = named()
    result.frame_final_start = 16
    result.frame_start += 40
    said = act()
    return {"said": said, "passes": of_passes(), "files": listing(folder)}


def refused() -> dict[str, Any]:
    pictures("none")
    found = {"none": act(), "source": act(strip=SOURCE), "nobody": act(strip="nobody")}
    strips()[SOURCE].blend_alpha = 0.5
    found["blended"] = run(result="patch")
    settings = bpy.context.scene.flow_inpaint
    settings.result, settings.mask_channel = "patch", MASK_CHANNEL
    bpy.context.scene.sequence_editor.active_strip = strips()[SOURCE]
    found["problem"] = [problem.text for problem in room("diagnosis").problems(bpy.context.scene)]
    found["retried"] = run(result="frames")
    return found | {"strips": [s["name"] for s in seen()]}


def command() -> dict[str, Any]:
    folder = edit("command")
    needed = ["--strip", SOURCE, "--mask-channel", str(MASK_CHANNEL), "--preset", "draft", "--reach", "2"]
    main, out, errors = room("command_line").main, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        codes = [main([*needed, "--passes", "unseen,sure"]), main([*needed, "--result", "patch", "--mute-source"])]
        codes.append(main([*needed, "--passes", "confidence,unseen", "--result", "patch", "--save"]))
        codes.append(main(["--list"]))
    told = [json.loads(line) for line in out.getvalue().splitlines() if line.startswith("{")]
    bpy.ops.wm.open_mainfile(filepath=str(folder / "edit.blend"))
    made = room("recipe").read(named()).request
    settings = bpy.context.scene.flow_inpaint
    bpy.context.scene.sequence_editor.active_strip = named()
    bpy.ops.flow_inpaint.load_settings()
    loaded = [settings.result, sorted(settings.passes)]
    errors = [line for line in errors.getvalue().splitlines() if line.startswith("flow_inpaint:")]
    return {"codes": codes, "told": told, "errors": errors, "request": made, "files": listing(folder), "loaded": loaded}


os.environ["FLOW_INPAINT_PYTHON"] = str(ENGINES)
install()
answer(
    {
        "revealed": revealed,
        "scaled": scaled,
        "opened_once": opened_once,
        "looked_at": looked_at,
        "patch": patch,
        "made_again": made_again,
        "some_frames_and_a_cut": some_frames_and_a_cut,
        "refused": refused,
        "command": command,
    }
)
