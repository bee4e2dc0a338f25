"""What the scripts that run inside Blender share: arguments and answer, scenes, strips, what Blender itself shows."""
from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[2] / "blender_addon"))

import bpy
import counter
import numpy as np

ARGUMENTS = [Path(a) for a in (sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])]
ANSWER = ARGUMENTS[0]
CLIPS = ARGUMENTS[1] if len(ARGUMENTS) > 1 else None
WORK = ANSWER.with_suffix("")


def answer(cases: dict[str, Callable[[], Any]]) -> None:
    """Runs every case; its value, or {"error": traceback}, goes into the answer under its name."""
    WORK.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, case in cases.items():
        print("case", name, flush=True)
        try:
            found[name] = case()
        except Exception:  # noqa: BLE001  whatever it is, the test of this case has to show it, and the others go on
            found[name] = {"error": traceback.format_exc()}
    ANSWER.write_text(json.dumps(found))


def scene(fps: int = 24, size: tuple[int, int] = (counter.WIDTH, counter.HEIGHT)) -> bpy.types.Scene:
    made = bpy.data.scenes.new("Edit")
    made.render.resolution_x, made.render.resolution_y = size
    made.render.fps = fps
    made.sequence_editor_create()
    made.view_settings.view_transform = "AgX"
    return made


def strips(of: bpy.types.Scene) -> Any:
    editor = of.sequence_editor
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def movie(of: bpy.types.Scene, file: str = "c24.mp4", channel: int = 1, start: int = 1, name: str = "movie") -> Any:
    return strips(of).new_movie(name, str(CLIPS / file), channel, start)


def images(
    of: bpy.types.Scene, folder: str = "sequence", channel: int = 1, start: int = 1, count: int | None = None, name: str = "images"
) -> Any:
    files = sorted(os.listdir(CLIPS / folder))[:count]
    strip = strips(of).new_image(name, str(CLIPS / folder / files[0]), channel, start)
    for file in files[1:]:
        strip.elements.append(file)
    return strip


def image(of: bpy.types.Scene, file: str, channel: int = 1, start: int = 1, length: int = 10, name: str = "image") -> Any:
    strip = strips(of).new_image(name, str(CLIPS / file), channel, start)
    strip.frame_final_end = start + length
    return strip


def effect(of: bpy.types.Scene, kind: str, channel: int, start: int, length: int, *inputs: Any, name: str | None = None) -> Any:
    new_effect = strips(of).new_effect
    known = strips(of).bl_rna.functions["new_effect"].parameters.keys()
    span = {"length": length} if "length" in known else {"frame_end": start + length}
    slots = [key for key in known if key in ("seq1", "seq2", "input1", "input2")]
    return new_effect(name or kind.lower(), kind, channel, start, **span, **dict(zip(slots, inputs)))


def retime(strip: Any, speed: float) -> None:
    """Makes the whole strip faster or slower, in per cent. The data's own `retiming_keys.add` crashes without a window."""
    scene = strip.id_data
    window = bpy.context.window_manager.windows[0]
    window.scene = scene
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    region = next(r for r in area.regions if r.type == "WINDOW")
    for other in strips(scene):
        other.select = other == strip
    scene.sequence_editor.active_strip = strip
    with bpy.context.temp_override(window=window, area=area, region=region, scene=scene):
        bpy.ops.sequencer.retiming_segment_speed_set(speed=speed)
    assert len(strip.retiming_keys) >= 2


def shown(of: bpy.types.Scene, frame: int, deep: bool = False, path: Path | None = None) -> np.ndarray:
    """(H, W, 4) float32, 0..1: what Blender renders at a frame, in the Standard view, rows downward. `path` keeps the PNG."""
    before = [of.view_settings.view_transform, of.render.filepath, of.frame_current]
    settings = of.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "16" if deep else "8"
    of.view_settings.view_transform = "Standard"
    path = path or WORK / "shown.png"
    path.unlink(missing_ok=True)
    of.render.filepath = str(path)
    of.view_layers[0].update()
    of.frame_set(frame)
    with bpy.context.temp_override(scene=of):
        bpy.ops.render.render(write_still=True)
    of.view_settings.view_transform, of.render.filepath, of.frame_current = before
    return load(path)


def load(path: Path) -> np.ndarray:
    """(H, W, 4) float32: a file's own values, rows downward."""
    loaded = bpy.data.images.load(str(path))
    loaded.colorspace_settings.name = "Non-Color"
    width, height = loaded.size
    pixels = np.empty(width * height * 4, np.float32)
    loaded.pixels.foreach_get(pixels)
    bpy.data.images.remove(loaded)
    return pixels.reshape(height, width, 4)[::-1].copy()


def numbers(of: bpy.types.Scene, frames: list[int]) -> list[int | None]:
    """The frame numbers that Blender shows."""
    return [counter.read(shown(of, frame)) for frame in frames]


def run(resolved: Any) -> None:
    """Does all the rendering that a resolved strip asks for."""
    for links in resolved.links:
        links.make()
    for task in resolved.renders:
        for _ in task.run_steps():
            pass
