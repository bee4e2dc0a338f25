"""Mattes over sources of many shapes: the job that resolve() makes, and what Blender shows of both in the scene.

The source is always a picture of coordinates, so that its place in the scene can be read from what Blender renders.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import scripts_stage as stage
import strips
from scripts_stage import bpy

START, LENGTH, CHANNEL = 5, 6, 3
SAME, SMALL, LARGE = (160, 96), (101, 77), (320, 192)
HALVED = {"scale_x": 0.5, "scale_y": 0.5}
TURNED = {"scale_x": 0.7, "scale_y": 0.6, "rotation": 0.3, "offset_x": 11.5, "offset_y": -4}


def source(scene: Any, size: tuple[int, int] = SAME, flips: str = "", **transform: Any) -> Any:
    strip = stage.image(scene, f"coordinates_{size[0]}x{size[1]}.png", 1, START, LENGTH, "source")
    strip.use_flip_x, strip.use_flip_y = "x" in flips, "y" in flips
    return shape(strip, **transform)


def shape(strip: Any, **transform: Any) -> Any:
    for name, value in transform.items():
        setattr(strip.transform, name, value)
    return strip


def matte(scene: Any, folder: str = "matte", start: int = START, count: int = LENGTH, name: str = "mask", **transform: Any) -> Any:
    return shape(stage.images(scene, folder, CHANNEL, start, count, name), **transform)


def look(build: Callable[[Any], Callable[[], None] | None], size: tuple[int, int] = SAME) -> Callable[[], dict[str, Any]]:
    """`build` puts the strips in; what it returns is done to them only after Blender has shown them."""

    def case() -> dict[str, Any]:
        folder = stage.WORK / f"case{len(list(stage.WORK.glob('case*')))}"
        folder.mkdir()
        scene = stage.scene(size=size)
        later = build(scene)
        shown = {str(k): show(scene, START + k, folder / f"mask{k}.png", "mask") for k in range(LENGTH)}
        coordinates = show(scene, START, folder / "coordinates.png", "source", deep=True)
        if later:
            later()
        before = state(scene)
        resolved = strips.resolve(scene, "source", CHANNEL, folder / "job")
        stage.run(resolved)
        return {
            "document": resolved.document,
            "frames": frames(scene, folder / "frames"),
            "how": resolved.how.value,
            "rendered": [task.strip_name for task in resolved.renders],
            "notes": resolved.notes,
            "masks": shown,
            "coordinates": coordinates,
            "changed": [f"{a} -> {b}" for a, b in zip(before, state(scene)) if a != b],
            "told_apart": told_apart(scene),  # the last, since it changes them
        }

    return case


def frames(scene: Any, folder: stage.Path) -> list[dict[str, Any]]:
    """What the mattes are at each frame for itself, with two pictures rendered at a time where Blender has to."""
    folder.mkdir()
    # What a retimed strip shows depends on what was rendered before (`api.whole_frame_cache`).
    most = LENGTH if any(len(getattr(one, "retiming_keys", ())) for one in stage.strips(scene)) else 2
    found, rendered = [], {}
    ground = strips.matte_frame.ground(scene, strips.find_source(scene, "source"), CHANNEL)
    for frame in range(START, START + LENGTH):
        document, lacking = strips.matte_frame.document(scene, ground, frame, rendered)
        for one in lacking:
            ahead = strips.matte_frame.ahead(scene, ground, one, most, folder / str(len(rendered)))
            for done, _ in ahead.task.run_steps():
                rendered[ahead.name, ahead.start + done - 1] = ahead.task.folder / f"{done - 1:06d}.png"
        found.append(strips.matte_frame.document(scene, ground, frame, rendered)[0] if lacking else document)
    return found


def told_apart(scene: Any) -> list[bool]:
    """Whether the signature is another when nothing, the matte's light, its transform and what is drawn in it has changed."""
    strip = next(one for one in stage.strips(scene) if one.channel == CHANNEL)

    def signature() -> Any:
        return strips.matte_frame.signature(scene, strips.find_source(scene, "source"), CHANNEL)

    def differs(change: Callable[[], None]) -> bool:
        before = signature()
        change()
        return signature() != before

    def draw() -> None:
        if strip.type == "MASK":
            strip.mask.layers[0].splines[0].points[0].co[0] += 0.01

    return [differs(change) for change in (lambda: None, lambda: strips.mattes.show([strip], True), lambda: shape(strip, offset_x=3), draw)]


def show(scene: Any, frame: int, path: stage.Path, role: str, deep: bool = False) -> str:
    """Writes what Blender shows of the source, or of the strips of the mask channel, alone, over black."""
    strips_here = list(stage.strips(scene))
    mutes = [strip.mute for strip in strips_here]
    for strip in strips_here:
        strip.mute = strip.mute or (strip.channel == CHANNEL) != (role == "mask")
    if all(strip.mute or not strip.frame_final_start <= frame < strip.frame_final_end for strip in strips_here):
        path = path.with_name("nothing")
    else:
        stage.shown(scene, frame, deep, path)
    for strip, mute in zip(strips_here, mutes):
        strip.mute = mute
    return str(path)


def state(scene: Any) -> list[str]:
    """All that must not change."""
    found = [f"{len(bpy.data.scenes)} scenes, {len(bpy.data.actions)} actions, {len(bpy.data.images)} images"]
    found += [f"frame {scene.frame_current}, {scene.render.resolution_x}, {scene.view_settings.view_transform}, {scene.render.filepath}"]
    for strip in strips.api.everything(scene):
        shape_now = [strip.transform.offset_x, strip.transform.scale_x] if hasattr(strip, "transform") else []
        time_and_look = [strip.channel, strip.frame_final_start, strip.mute, strip.blend_type, strip.blend_alpha]
        found.append(f"{strip.name} {time_and_look} {shape_now}")
    return found


def both(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], None]:
    def build(scene: Any) -> None:
        first(scene)
        second(scene)

    return build


def mask_strip(scene: Any) -> None:
    """A Mask data-block: a circle-like shape."""
    source(scene, LARGE, **HALVED)
    data = bpy.data.masks.new("drawn")
    spline = data.layers.new().splines.new()
    spline.points.add(7)
    for number, point in enumerate(spline.points):
        point.co = 0.5 + 0.2 * math.cos(number * math.pi / 4), 0.5 + 0.2 * math.sin(number * math.pi / 4)
        point.handle_type = "AUTO"
    spline.use_cyclic = True
    strip = stage.strips(scene).new_mask("mask", data, CHANNEL, START)
    strip.frame_final_end = START + LENGTH


def colour(scene: Any, start: int = START, length: int = LENGTH, name: str = "mask", **transform: Any) -> Any:
    strip = stage.effect(scene, "COLOR", CHANNEL, start, length, name=name)
    strip.color = (1, 1, 1)
    return shape(strip, **transform)


def cropped(scene: Any) -> None:
    source(scene)
    matte(scene).crop.min_x = 60


def alpha(scene: Any) -> None:
    source(scene)
    stage.image(scene, "alpha.png", CHANNEL, START, LENGTH, "mask")


def in_meta(scene: Any) -> None:
    source(scene)
    strip = stage.images(scene, "matte", 2, START, LENGTH, "inner")
    meta = stage.strips(scene).new_meta("mask", CHANNEL, START)
    strip.move_to_meta(meta)
    meta.frame_final_end = START + LENGTH


def modified(scene: Any) -> None:
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    source(scene)
    matte(scene).modifiers.new("bright", "BRIGHT_CONTRAST").bright = 1


def retimed(scene: Any) -> None:
    """At half its speed, from before the source to its end."""
    source(scene)
    stage.retime(stage.movie(scene, "matte.mp4", CHANNEL, START - 3, "mask"), 50)


def modified_source(scene: Any) -> Callable[[], None]:
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    strip = source(scene, LARGE, "y", **TURNED)
    matte(scene)
    return lambda: strip.modifiers.new("bright", "BRIGHT_CONTRAST") and None


def animated_source(scene: Any) -> Callable[[], None]:
    strip = source(scene, SMALL, **TURNED)
    matte(scene)

    def later() -> None:
        for frame in (START, START + LENGTH):
            strip.transform.keyframe_insert("offset_x", frame=frame)

    return later


def shown_thinly(scene: Any) -> Callable[[], None]:
    """The way people look at a matte over its footage."""
    source(scene)
    strip = matte(scene)

    def later() -> None:
        strip.blend_type, strip.blend_alpha = "MULTIPLY", 0.2

    return later


def hidden_source(scene: Any) -> Callable[[], None]:
    strip = source(scene)
    colour(scene, scale_x=0.5, scale_y=0.4, offset_x=20)

    def later() -> None:
        strip.mute = scene.sequence_editor.channels[1].mute = True

    return later


def parts(scene: Any) -> None:
    source(scene)
    matte(scene, start=START - 2, count=4, name="mask")
    colour(scene, START + 3, 1, "second", scale_x=0.3, scale_y=0.3)
    matte(scene, "large", START + 4, 12, name="third")
    muted = colour(scene, START + 2, 1, "muted")
    muted.mute = True


def faded(scene: Any) -> Callable[[], None]:
    """Key frames fade the mask and mute others in the action that the scene's copy shares."""
    source(scene)
    strip = matte(scene, **TURNED)
    strip.crop.max_y = 10

    def later() -> None:
        for frame, value in ((START, 0.0), (START + LENGTH, 1.0)):
            strip.blend_alpha = value
            strip.keyframe_insert("blend_alpha", frame=frame)

    return later


def tracked(scene: Any) -> None:
    """A square whose corners follow a track of the Movie Clip Editor."""
    source(scene)
    clip = bpy.data.movieclips.load(str(stage.CLIPS / "matte.mp4"))
    track = clip.tracking.tracks.new(name="Car", frame=1)
    for frame in range(1, 30):
        track.markers.insert_frame(frame, co=(0.02 * frame, 0.1))
    mask = bpy.data.masks.new("tracked")
    spline = mask.layers.new().splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    for point, place in zip(spline.points, ((0.2, 0.2), (0.5, 0.2), (0.5, 0.5), (0.2, 0.5))):
        point.co = point.handle_left = point.handle_right = place
        point.parent.id_type, point.parent.id = "MOVIECLIP", clip
        point.parent.type, point.parent.parent, point.parent.sub_parent = "POINT_TRACK", clip.tracking.objects[0].name, track.name
    strip = stage.strips(scene).new_mask("mask", mask, CHANNEL, START)
    strip.frame_final_end = START + LENGTH


def text(scene: Any) -> None:
    source(scene, SMALL)
    strip = stage.effect(scene, "TEXT", CHANNEL, START, LENGTH, name="mask")
    strip.text, strip.font_size = "OOO", 60


CASES = {
    "same size": look(both(source, matte)),
    "small source": look(both(lambda s: source(s, SMALL), matte)),
    "source scaled to fit": look(both(lambda s: source(s, LARGE, **HALVED), matte)),
    "both scaled to fit": look(both(lambda s: source(s, LARGE, **HALVED), lambda s: matte(s, "large", **HALVED))),
    "source turned": look(both(lambda s: source(s, **TURNED), matte)),
    "small source turned about its corner": look(both(lambda s: source(s, SMALL, origin=(0.1, 0.9), **TURNED), matte)),
    "source flipped and moved": look(both(lambda s: source(s, SMALL, "xy", offset_x=9, rotation=0.2), matte)),
    "source larger than the scene": look(both(lambda s: source(s, LARGE, offset_x=30, offset_y=12), matte)),
    "mask turned": look(both(source, lambda s: matte(s, **TURNED))),
    "both turned, odd sizes": look(
        both(lambda s: source(s, SMALL, scale_x=1.4, scale_y=1.2, rotation=-0.1), lambda s: matte(s, "odd", **TURNED)), (161, 97)
    ),
    "mask flipped": look(both(lambda s: source(s, SMALL), lambda s: setattr(matte(s), "use_flip_x", True))),
    "mask movie": look(both(source, lambda s: setattr(stage.movie(s, "matte.mp4", CHANNEL, START - 3, "mask"), "frame_offset_start", 3))),
    "mask cropped": look(cropped),
    "mask with alpha": look(alpha),
    "Mask strip": look(mask_strip),
    "tracked mask": look(tracked),
    "colour strip": look(both(lambda s: source(s, SMALL), lambda s: colour(s, scale_x=0.5, scale_y=0.4, offset_x=20))),
    "meta strip": look(in_meta),
    "text strip": look(text),
    "mask with modifier": look(modified),
    "mask retimed": look(retimed),
    "source with modifier": look(modified_source),
    "source animated": look(animated_source),
    "mask shown thinly": look(shown_thinly),
    "mask faded": look(faded),
    "source muted": look(hidden_source),
    "several parts": look(parts),
}

if __name__ == "__main__":
    stage.answer(CASES)
