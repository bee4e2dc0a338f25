"""Opens the edit of scripts_edits.py and places the results that a test has made of its jobs.

The third argument is the .blend, the fourth a JSON file: scene name -> path, files, start, length, how.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import scripts_stage as stage
import strips
from scripts_stage import bpy

LOOK = ("blend_type", "blend_alpha", "use_flip_x", "use_flip_y", "color_saturation", "color_multiply", "alpha_mode")


def place(name: str, result: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = bpy.data.scenes[name]
        before = others(scene)
        start, length = result["start"], result["length"]
        made = strips.place(scene, "source", stage.Path(result["path"]), result["files"], start, length, "source clean")
        source = strips.api.find(scene, "source")
        frames = range(start, start + length)
        return {
            "untouched": before == [o for o in others(scene) if not o.startswith(made.name)],
            "strip": {"name": made.name, "type": made.type, "channel": made.channel, "start": made.frame_final_start},
            "length": made.frame_final_duration,
            "file": made.filepath if made.type == "MOVIE" else made.directory,
            "look": look(made),
            "source look": look(source),
            "fade": [opacity(scene, made, f) for f in frames],
            "source fade": [opacity(scene, source, f) for f in frames],
            "frames": [compare(*both) for both in zip(alone(scene, source, frames), alone(scene, made, frames))],
        }

    return case


def others(scene: Any) -> list[str]:
    return [f"{s.name} {s.channel} {s.frame_final_start} {s.frame_final_end} {s.mute} {s.select}" for s in stage.strips(scene)]


def look(strip: Any) -> dict[str, Any]:
    found = {name: getattr(strip, name) for name in LOOK if hasattr(strip, name)}
    for part in (strip.transform, strip.crop):
        for setting in part.bl_rna.properties:
            value = getattr(part, setting.identifier)
            if not setting.is_readonly:
                found[setting.identifier] = list(value) if setting.identifier == "origin" else value
    if hasattr(strip, "colorspace_settings"):
        found["colour space"] = strip.colorspace_settings.name
    return found


def opacity(scene: Any, strip: Any, frame: int) -> float:
    scene.view_layers[0].update()
    scene.frame_set(frame)
    return round(strip.blend_alpha, 5)


def alone(scene: Any, strip: Any, frames: range) -> list[np.ndarray]:
    """(H, W, 3) float32 each: what Blender shows of the strip, over black, when it plays.

    In order and with nothing changed in between: what 5.x shows of a slow strip depends on what it has shown before.
    """
    mutes = [s.mute for s in stage.strips(scene)]
    for other in stage.strips(scene):
        other.mute = other != strip
    shown = [stage.shown(scene, frame) for frame in frames]
    for other, mute in zip(stage.strips(scene), mutes):
        other.mute = mute
    return [picture[..., :3] * picture[..., 3:] for picture in shown]


def compare(source: np.ndarray, result: np.ndarray) -> dict[str, Any]:
    """How much is painted red (by at least a third, so that fades count), and how much else differs, in steps of 1/255."""
    red = (result[..., 0] > 0.15) & (result[..., 1] < 0.02) & (result[..., 2] < 0.02)
    near = red.copy()
    for _ in range(3):
        near[1:] |= near[:-1].copy()
        near[:-1] |= near[1:].copy()
        near[:, 1:] |= near[:, :-1].copy()
        near[:, :-1] |= near[:, 1:].copy()
    difference = np.abs(source - result).max(-1)
    outside = difference[~near] * 255
    return {
        "red": int(red.sum()),
        "shown": int((source[~near].max(-1) > 0.05).sum()),
        "outside": round(float(outside.max()), 3),
        "nearly all outside": round(float(np.quantile(outside, 0.98)), 3),
    }


def main() -> None:
    bpy.ops.wm.open_mainfile(filepath=str(stage.ARGUMENTS[2]))
    bpy.context.preferences.filepaths.use_relative_paths = True
    results = json.loads(stage.ARGUMENTS[3].read_text())
    stage.answer({name: place(name, result) for name, result in results.items()})


if __name__ == "__main__":
    main()
