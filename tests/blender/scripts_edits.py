"""Makes an edit with one scene for each look that a source can have, resolves them all, and saves the .blend."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scripts_stage as stage
import strips
from scripts_stage import bpy

START = 11
TURNED = {"scale_x": 0.6, "scale_y": 0.5, "rotation": 0.25, "offset_x": 12, "offset_y": -6}


def movie(scene: Any, file: str = "c24.mp4", first: int = 20, count: int = 6) -> Any:
    strip = stage.movie(scene, file, 1, START - first, "source")
    length = strip.frame_final_duration
    strip.frame_offset_start, strip.frame_offset_end = first, length - first - count
    return strip


def images(scene: Any) -> Any:
    return stage.images(scene, channel=1, start=START, count=6, name="source")


def turned(scene: Any) -> Any:
    strip = movie(scene, "large.mp4", 2)
    for name, value in TURNED.items():
        setattr(strip.transform, name, value)
    strip.transform.origin = 0.3, 0.6
    strip.transform.filter = "BILINEAR"
    strip.crop.min_x, strip.crop.max_y = 30, 20
    strip.use_flip_x = True
    strip.blend_type, strip.blend_alpha = "ALPHA_OVER", 0.75
    strip.color_saturation, strip.color_multiply = 1.2, 1.25
    return strip


def reverse(scene: Any) -> Any:
    strip = movie(scene)
    strip.use_reverse_frames, strip.strobe = True, 2.0
    return strip


def retimed(scene: Any) -> Any:
    strip = movie(scene, count=10)
    stage.retime(strip, 50)
    strip.frame_final_end = START + 6
    return strip


def other_colours(scene: Any) -> Any:
    strip = images(scene)
    strip.colorspace_settings.name = "Non-Color"
    return strip


def deep(scene: Any) -> Any:
    strip = stage.image(scene, "coordinates_160x96.png", 1, START, 6, "source")
    strip.alpha_mode = "PREMUL"
    return strip


def with_modifier(strip: Any, scene: Any) -> Any:
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    modifier = strip.modifiers.new("bright", "BRIGHT_CONTRAST")
    modifier.bright, modifier.contrast = -10, 15
    return strip


def masked_modifier(scene: Any) -> Any:
    """A modifier that works only where another strip, a muted one, is white."""
    strip = with_modifier(turned(scene), scene)
    guide = stage.images(scene, "matte", 7, START, 6, "guide")
    guide.mute = True
    strip.modifiers[0].input_mask_strip = guide
    return strip


def with_pan(strip: Any) -> Any:
    for frame, value in ((START, 0.0), (START + 5, 10.0)):
        strip.transform.offset_x = value
        strip.transform.keyframe_insert("offset_x", frame=frame)
    return strip


def with_fade(strip: Any) -> Any:
    for frame, value in ((START, 0.2), (START + 3, 1.0), (START + 6, 0.5)):
        strip.blend_alpha = value
        strip.keyframe_insert("blend_alpha", frame=frame)
    return strip


def meta(scene: Any) -> Any:
    inner = movie(scene)
    inner.name = "inner"
    inner.transform.rotation = 0.2
    outer = stage.strips(scene).new_meta("source", 1, START)
    inner.move_to_meta(outer)
    outer.frame_final_end = START + 6
    outer.transform.scale_x = outer.transform.scale_y = 0.8
    return outer


def text(scene: Any) -> Any:
    strip = stage.effect(scene, "TEXT", 1, START, 6, name="source")
    strip.text, strip.font_size, strip.blend_type = "WWW", 70, "ALPHA_OVER"
    return strip


EDITS: dict[str, Callable[[Any], Any]] = {
    "movie": movie,
    "movie, other rate": lambda scene: movie(scene, "c30.mp4"),
    "movie, one frame": lambda scene: movie(scene, count=1),
    "movie turned and cropped": turned,
    "movie reversed": reverse,
    "movie retimed": retimed,
    "movie, 10 bit": lambda scene: movie(scene, "deep.mkv", 2),
    "images": images,
    "images, other colour space": other_colours,
    "one deep image": deep,
    "one frame of one image": lambda scene: stage.image(scene, "sequence/shot_0009.png", 1, START, 1, "source"),
    "faded": lambda scene: with_fade(movie(scene)),
    "modifier": lambda scene: with_modifier(turned(scene), scene),
    "modifier and fade": lambda scene: with_fade(with_modifier(images(scene), scene)),
    "masked modifier": masked_modifier,
    "panned": lambda scene: with_pan(turned(scene)),
    "meta": meta,
    "text": text,
}


def resolve(name: str) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene()
        scene.name = name
        strip = EDITS[name](scene)
        assert (strip.name, strip.channel, strip.frame_final_start) == ("source", 1, START), (strip.name, strip.frame_final_start)
        length = strip.frame_final_duration
        stage.effect(scene, "COLOR", 2, START + length - 1, 50, name="in the way")
        stage.effect(scene, "COLOR", 3, START - 5, 5, name="just before")
        stage.effect(scene, "COLOR", 3, START + length, 5, name="just after")
        stage.effect(scene, "COLOR", 5, START, length, name="mask")
        resolved = strips.resolve(scene, "source", 5, stage.WORK / f"job{len(bpy.data.scenes)}")
        stage.run(resolved)
        return {"document": resolved.document, "start": resolved.start, "length": resolved.length, "how": resolved.how.value}

    return case


def save() -> dict[str, Any]:
    bpy.ops.wm.save_as_mainfile(filepath=str(stage.ARGUMENTS[2]))
    return {}


if __name__ == "__main__":
    stage.answer({**{name: resolve(name) for name in EDITS}, "save": save})
