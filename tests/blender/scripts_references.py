"""Reference strips, and the frame that goes out to be painted, in the installed add-on."""
from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
from scripts_addon import CLIPS, MASK_CHANNEL, SOURCE, START, WORK, answer, edit, engine, install, listing, room, run, seen, strips

CHANNEL = 4


def given(case: str, *pictures: tuple[int, str], channel: int = CHANNEL, change: Any = None, **more: Any) -> dict[str, Any]:
    """A run with image strips at (frame, name), and the references of its job."""
    edit(case)
    engine("copy")
    for frame, name in pictures:
        strips().new_image(name, str(picture(name)), CHANNEL, frame)
    if change:
        change()
    job = Path(os.environ["FAKE_ENGINE_JOB"])
    job.unlink(missing_ok=True)
    said = run(reference_channel=channel, **more)
    return {"said": said, "references": json.loads(job.read_text()).get("references") if job.is_file() else None}


def picture(name: str) -> Path:
    path = WORK / f"{name}.png"
    if not path.exists():
        path.write_bytes(sorted((CLIPS / "matte").iterdir())[0].read_bytes())
    return path


def sequence() -> dict[str, Any]:
    def add() -> None:
        files = sorted((CLIPS / "matte").iterdir())
        strip = strips().new_image("several", str(files[3]), CHANNEL, START + 4)
        for file in files[4:6]:
            strip.elements.append(file.name)

    return given("sequence", change=add)


def longer() -> dict[str, Any]:
    def stretch() -> None:
        strips()["clean"].frame_final_end = START + 9

    return given("longer", (START + 5, "clean"), change=stretch)


def muted() -> dict[str, Any]:
    def mute() -> None:
        strips()["b"].mute = True

    return given("muted", (START + 1, "a"), (START + 3, "b"), change=mute)


def movie() -> dict[str, Any]:
    return given("movie", change=lambda: strips().new_movie("film", str(CLIPS / "deep.mkv"), CHANNEL, START))


def early() -> dict[str, Any]:
    def stretch() -> None:
        strips()["clean"].frame_final_end = START + 2

    return given("early", (START - 3, "clean"), change=stretch)


def gone() -> dict[str, Any]:
    return given("gone", (START + 1, "gone"), change=lambda: picture("gone").unlink())


def export(case: str, frame: int = START + 4, images: bool = False, **settings: Any) -> dict[str, Any]:
    folder = edit(case)
    scene = bpy.context.scene
    if images:
        files = sorted((CLIPS / "matte").iterdir())[:4]
        source = strips().new_image("pictures", str(files[0]), 1, 100)
        for file in files[1:]:
            source.elements.append(file.name)
        scene.sequence_editor.active_strip = source
    for name, value in settings.items():
        setattr(scene.flow_inpaint, name, value)
    scene.frame_set(frame)
    before = seen()
    said = press()
    made = [one for one in seen() if one not in before]
    found = {"said": said, "made": made, "files": listing(folder), "channel": scene.flow_inpaint.reference_channel}
    found |= {"frame": scene.frame_current, "active": scene.sequence_editor.active_strip.name, "before": [one["name"] for one in before]}
    found["scenes"] = len(bpy.data.scenes)
    return found


def press() -> str:
    try:
        return str(bpy.ops.sequencer.flow_inpaint_export_frame())
    except RuntimeError as error:
        return str(error).strip()


def exported() -> dict[str, Any]:
    """The file against what Blender shows of the source there; then once more, and a run with it."""
    found = export("exported")
    path = Path(found["made"][0]["file"])
    shown = pixels(path)
    found |= {"shape": shown.shape, "mean": float(shown[..., :3].mean()), "again": press(), "said again": None}
    strips().remove(strips()[found["made"][0]["name"]])
    found["once more"] = press()
    found["files after"] = sorted(p.name for p in path.parent.iterdir())
    engine("copy")
    run()
    found["references"] = json.loads(Path(os.environ["FAKE_ENGINE_JOB"]).read_text()).get("references")
    return found


def pixels(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    width, height = image.size
    out = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(out)
    bpy.data.images.remove(image)
    return out.reshape(height, width, 4)


def copied() -> dict[str, Any]:
    found = export("copied", 102, images=True)
    original = sorted((CLIPS / "matte").iterdir())[2]
    return found | {"same": Path(found["made"][0]["file"]).read_bytes() == original.read_bytes()}


def taken() -> dict[str, Any]:
    edit("taken")
    scene = bpy.context.scene
    strips().new_image("painted", str(picture("painted")), CHANNEL, START + 2)
    scene.flow_inpaint.reference_channel = CHANNEL
    scene.frame_set(START + 2)
    return {"said": press()}


class Layout:
    """Notes what is drawn into it, in Blender's own words."""

    def __init__(self) -> None:
        self.drawn: list[dict[str, Any]] = []
        self.alignment = ""

    def split(self, **_: Any) -> Layout:
        return self

    row = split

    def label(self, **_: Any) -> None:
        pass

    def menu(self, name: str, **said: Any) -> None:
        self.drawn.append({"menu": name} | said)

    def operator(self, name: str, **said: Any) -> SimpleNamespace:
        button = SimpleNamespace(channel=None)
        self.drawn.append({"operator": name, "button": button} | said)
        return button


def choosing() -> dict[str, Any]:
    """The panel's drop-downs, and every entry of their menus pressed."""
    edit("choosing")
    scene, found = bpy.context.scene, {}
    settings = scene.flow_inpaint
    strips().new_image("clean", str(picture("clean")), 5, START)
    scene.sequence_editor.channels[5].name = "Clean plates"
    settings.mask_channel, settings.reference_channel = 3, 0
    for setting, draw in (("mask_channel", room("channels").draw_mask), ("reference_channel", room("channels").draw_reference)):
        closed, opened = Layout(), Layout()
        draw(closed, scene)
        (button,) = closed.drawn
        getattr(bpy.types, button["menu"]).draw(SimpleNamespace(layout=opened, **of_menu(button["menu"])), bpy.context)
        entries = []
        for entry in opened.drawn:
            group, name = entry["operator"].split(".")
            said = str(getattr(getattr(bpy.ops, group), name)(channel=entry["button"].channel))
            again = Layout()
            draw(again, scene)
            entries.append([entry["text"], entry.get("translate", True), said, getattr(settings, setting), again.drawn[0]["text"]])
        found[setting] = {"closed": button["text"], "entries": entries}
    settings.reference_channel = 9
    gone = Layout()
    room("channels").draw_reference(gone, scene)
    return found | {"without strips": gone.drawn[0]["text"]}


def of_menu(name: str) -> dict[str, Any]:
    """What a menu's class says of itself: its `draw` is called here without Blender's making one."""
    cls = getattr(bpy.types, name)
    return {key: getattr(cls, key) for key in ("setting", "optional", "_said")}


CASES = {
    "choosing": choosing,
    "none": lambda: given("none", (START + 5, "clean"), channel=0),
    "one": lambda: given("one", (START + 5, "clean")),
    "two": lambda: given("two", (START + 7, "b"), (START, "a")),
    "longer": longer,
    "sequence": sequence,
    "muted": muted,
    "outside": lambda: given("outside", (START + 40, "clean")),
    "movie": movie,
    "early": early,
    "gone": gone,
    "own": lambda: given("own", channel=1),
    "matte": lambda: given("matte", channel=MASK_CHANNEL),
    "exported": exported,
    "copied": copied,
    "export outside": lambda: export("export_outside", 5),
    "export on mask": lambda: export("export_mask", mask_channel=MASK_CHANNEL, reference_channel=MASK_CHANNEL),
    "taken": taken,
}

if __name__ == "__main__":
    install()
    assert room("properties") and SOURCE
    answer(CASES)
