"""Rendering strips in isolation: exactness, steps, and that nothing is left of it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scripts_stage as stage
import strips
from scripts_stage import bpy, counter
from strips.render import Render
from strips.treatment import How


def task(scene: Any, name: str, frames: int = 5, start: int = 1, how: How = How.PIXELS, folder: str = "", **more: Any) -> Render:
    size = (scene.render.resolution_x, scene.render.resolution_y)
    return Render(name, frames, scene.name, name, how, start, size, stage.WORK / (folder or scene.name), **more)


def data() -> list[int]:
    return [len(bpy.data.scenes), len(bpy.data.actions), len(bpy.data.images), len(bpy.data.masks)]


def leaves_nothing(case: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    def checked() -> dict[str, Any]:
        for scene in list(bpy.data.scenes)[1:]:
            bpy.data.scenes.remove(scene)
        before = data()
        found = case()
        return {**found, "left": [now - then for now, then in zip(data(), before)]}

    return checked


def steps() -> dict[str, Any]:
    scene = stage.scene()
    stage.movie(scene)
    return {"steps": list(task(scene, "movie").run_steps())}


def closed() -> dict[str, Any]:
    scene = stage.scene()
    strip = stage.movie(scene)
    strip.blend_alpha = 0.5
    strip.keyframe_insert("blend_alpha", frame=1)
    work = task(scene, "movie")
    generator = work.run_steps()
    during = []
    for _ in range(2):
        next(generator)
        during = data()
    generator.close()
    kept = strips.animation.animated(scene, strip) == {"blend_alpha"}
    return {"during": during, "files": len(list(work.folder.iterdir())), "curves": kept}


def failure(spoil: Callable[[Any, Any, Render], None], before: bool = True) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene()
        strip = stage.movie(scene)
        work = task(scene, "movie")
        generator = work.run_steps()
        try:
            if before:
                spoil(scene, strip, work)
            next(generator)
            if not before:
                spoil(scene, strip, work)
                next(generator)
        except strips.StripError as error:
            return {"said": str(error)}
        return {"said": ""}

    return case


def blocked(scene: Any, strip: Any, work: Render) -> None:
    work.folder = stage.WORK / "file" / "folder"
    work.folder.parent.write_text("not a folder")


def copy_gone(scene: Any, strip: Any, work: Render) -> None:
    bpy.data.scenes.remove(next(s for s in bpy.data.scenes if s.name.startswith("Flow Inpaint")))


def wild_settings() -> dict[str, Any]:
    """Everything in the scene that could get at the pixels."""
    scene = stage.scene()
    stage.images(scene)
    stage.effect(scene, "COLOR", 2, 1, 40).color = (0, 1, 0)
    render, view = scene.render, scene.view_settings
    view.view_transform, view.exposure, view.gamma = "AgX", 2.0, 1.5
    view.look = "AgX - High Contrast"
    view.use_curve_mapping = True
    view.curve_mapping.curves[3].points.new(0.5, 0.9)
    view.curve_mapping.update()
    render.resolution_percentage, render.use_border, render.use_crop_to_border, render.border_max_x = 50, True, True, 0.5
    render.dither_intensity, render.use_multiview, render.use_stamp, render.use_sequencer = 2.0, True, True, False
    render.pixel_aspect_x, render.use_file_extension, render.use_overwrite = 2.0, False, False
    render.frame_map_old, scene.frame_step = 100, 5
    render.image_settings.color_management = "OVERRIDE"
    render.image_settings.view_settings.view_transform = "AgX"
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    work = task(scene, "images")
    for _ in work.run_steps():
        pass
    wanted = [counter.picture(number) / 255 for number in range(5)]
    found = [stage.load(path) for path in sorted(work.folder.iterdir())]
    return {"shape": list(found[0].shape), "worst": max(float(np.abs(a[..., :3] - b).max()) * 255 for a, b in zip(found, wanted))}


def fade() -> dict[str, Any]:
    scene = stage.scene()
    strip = stage.images(scene)
    strip.blend_type = "ADD"
    for frame, value in ((1, 0.0), (5, 1.0)):
        strip.blend_alpha = value
        strip.keyframe_insert("blend_alpha", frame=frame)
    strip.transform.offset_x = 16
    found = []
    for how in (How.PIXELS, How.FRAME):
        work = task(scene, "images", how=how, folder=how.value)
        for _ in work.run_steps():
            pass
        found.append([stage.load(path)[..., :3] for path in sorted(work.folder.iterdir())])
    wanted = [counter.picture(number) / 255 for number in range(5)]
    return {
        "pixels": max(float(np.abs(a - b).max()) * 255 for a, b in zip(found[0], wanted)),
        "frame": max(float(np.abs(a[:, 16:] - b[:, :-16]).max()) * 255 for a, b in zip(found[1], wanted)),
        "keys": len(next(strips.animation._curves(scene.animation_data.action, None)).keyframe_points),
    }


def movement() -> dict[str, Any]:
    """The first picture, too, has the animated values of its frame. Truth is an animation render of the scene itself."""
    scene = stage.scene()
    strip = stage.images(scene)
    for frame, value in ((1, 0.0), (5, 40.0)):
        strip.transform.offset_x = value
        strip.transform.keyframe_insert("offset_x", frame=frame)
    strip.transform.offset_x = 99
    work = task(scene, "images", how=How.FRAME)
    for _ in work.run_steps():
        pass
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode = "PNG", "RGB"
    scene.frame_start, scene.frame_end, scene.render.filepath = 1, 5, str(stage.WORK / "truth" / "####")
    bpy.ops.render.render(animation=True, scene=scene.name)
    made = [stage.load(path) for path in sorted(work.folder.iterdir())]
    truth = [stage.load(path) for path in sorted((stage.WORK / "truth").iterdir())]
    return {"worst": max(float(np.abs(a - b).max()) * 255 for a, b in zip(made, truth)), "moves": float(np.abs(made[0] - made[4]).max())}


def edited_mask() -> dict[str, Any]:
    """A Mask strip that is edited between two renderings: newer Blenders keep its old picture in a cache."""
    scene = stage.scene()
    mask = bpy.data.masks.new("drawn")
    spline = mask.layers.new().splines.new()
    spline.points.add(3)
    spline.use_cyclic = True
    strip = stage.strips(scene).new_mask("mask", mask, 1, 1)
    strip.frame_final_end = 6
    areas = []
    for radius in (0.1, 0.2):
        for point, (x, y) in zip(spline.points, ((-1, -1), (1, -1), (1, 1), (-1, 1))):
            point.co = 0.5 + x * radius, 0.5 + y * radius
            point.handle_type = "VECTOR"
        mask.update_tag()
        bpy.context.view_layer.update()
        stage.shown(scene, 1)
        work = task(scene, "mask", 1, how=How.FRAME)
        for _ in work.run_steps():
            pass
        areas.append(int((stage.load(next(work.folder.iterdir()))[..., 0] > 0.5).sum()))
    scene.sequence_editor_clear()
    bpy.data.masks.remove(mask)
    return {"areas": areas}


def decoded(file: str, frames: int) -> Callable[[], dict[str, Any]]:
    """Blender's own pixels of a file, as 16-bit PNG."""

    def case() -> dict[str, Any]:
        scene = stage.scene()
        movie = file.endswith((".mp4", ".mkv"))
        stage.movie(scene, file, name="file") if movie else stage.image(scene, file, name="file")
        work = task(scene, "file", frames, folder=file.replace("/", " "), deep=True)
        for _ in work.run_steps():
            pass
        pictures = [str(path) for path in sorted(work.folder.iterdir())]
        return {"file": file, "pictures": pictures, "version": list(bpy.app.version[:2])}

    return case


CASES = {
    "steps": leaves_nothing(steps),
    "closed early": leaves_nothing(closed),
    "strip gone": failure(lambda scene, strip, work: stage.strips(scene).remove(strip)),
    "scene gone": failure(lambda scene, strip, work: bpy.data.scenes.remove(scene)),
    "copy gone": failure(copy_gone, before=False),
    "folder blocked": failure(blocked),
    "wild settings": leaves_nothing(wild_settings),
    "fade": fade,
    "movement": movement,
    "edited mask": edited_mask,
    "decoded h264": decoded("c24.mp4", 30),
    "decoded 10 bit": decoded("deep.mkv", 12),
    "decoded image": decoded("sequence/shot_0007.png", 1),
    "decoded deep image": decoded("coordinates_160x96.png", 1),
}

if __name__ == "__main__":
    stage.answer(CASES)
