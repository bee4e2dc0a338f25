"""What resolve(), place() and free_channel() say to things that cannot be done."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scripts_stage as stage
import strips
from scripts_stage import bpy


def said(build: Callable[[Any], Any], channel: int = 2, name: str = "movie") -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene()
        build(scene)
        scenes = len(bpy.data.scenes)
        try:
            resolved = strips.resolve(scene, name, channel, stage.WORK / "job")
        except strips.StripError as error:
            return {"said": str(error), "leftover": len(bpy.data.scenes) - scenes}
        return {"said": "", "notes": resolved.notes}

    return case


def mask(scene: Any, start: int = 1, length: int = 20, name: str = "mask", channel: int = 2) -> Any:
    return stage.effect(scene, "COLOR", channel, start, length, name=name)


def with_mask(*builders: Callable[[Any], Any]) -> Callable[[Any], None]:
    def build(scene: Any) -> None:
        for one in builders:
            one(scene)
        mask(scene)

    return build


def muted(scene: Any) -> None:
    stage.movie(scene)
    mask(scene).mute = True


def muted_channel(scene: Any) -> None:
    stage.movie(scene)
    mask(scene)
    scene.sequence_editor.channels[2].mute = True


def missing_movie(scene: Any) -> None:
    stage.movie(scene, "gone.mp4")


def missing_images(scene: Any) -> None:
    strip = stage.images(scene, count=3, name="movie")
    strip.elements[1].filename, strip.elements[2].filename = "gone.png", "gone2.png"


def missing_mask(scene: Any) -> None:
    stage.movie(scene)
    strip = stage.images(scene, "matte", 2, name="mask")
    strip.elements[0].filename = "gone.png"


def missing_in_meta(scene: Any) -> None:
    inner = stage.movie(scene, "gone.mp4", name="inner")
    meta = stage.strips(scene).new_meta("movie", 1, 1)
    inner.move_to_meta(meta)
    meta.frame_final_end = 20


def inside_meta(scene: Any) -> None:
    inner = stage.movie(scene)
    inner.move_to_meta(stage.strips(scene).new_meta("meta", 1, 1))


def scene_strip(scene: Any) -> None:
    stage.strips(scene).new_scene("movie", bpy.data.scenes[0], 1, 1)


def scene_mask(scene: Any) -> None:
    stage.movie(scene)
    stage.strips(scene).new_scene("mask", bpy.data.scenes[0], 2, 1)


def scene_in_meta(scene: Any) -> None:
    inner = stage.strips(scene).new_scene("inner", bpy.data.scenes[0], 1, 1)
    meta = stage.strips(scene).new_meta("movie", 1, 1)
    inner.move_to_meta(meta)
    meta.frame_final_end = 20


def not_a_picture(scene: Any) -> None:
    stage.strips(scene).new_image("movie", str(stage.CLIPS / "c24.mp4"), 1, 1)
    (stage.WORK / "broken.png").write_text("nothing")
    strip = stage.strips(scene)[0]
    strip.directory, strip.elements[0].filename = str(stage.WORK), "broken.png"


def sped_up(scene: Any) -> None:
    stage.effect(scene, "SPEED", 4, 1, 60, stage.movie(scene))


def crossed(scene: Any) -> None:
    first = stage.movie(scene)
    second = stage.images(scene, channel=3, start=30)
    stage.effect(scene, "CROSS", 4, 30, 31, first, second)


def thin(scene: Any) -> None:
    stage.movie(scene).blend_alpha = 0.5


def fading(scene: Any) -> None:
    strip = stage.movie(scene)
    strip.keyframe_insert("blend_alpha", frame=1)


def overcut(scene: Any) -> None:
    strip = stage.images(scene, count=3, name="movie")
    strip.animation_offset_start = 3


def sound(scene: Any, name: str, channel: int) -> Any:
    return stage.strips(scene).new_sound(name, str(stage.CLIPS / "c24.mp4"), channel, 1)


def if_there_is_sound(case: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """The bpy module of 4.2 has no sound strips."""
    return case if bpy.app.build_options.audaspace else lambda: {"skip": "this Blender was built without sound"}


def no_room(scene: Any) -> str:
    stage.movie(scene)
    for channel in range(2, strips.api.last_channel() + 1):
        stage.effect(scene, "COLOR", channel, 10, 5)
    try:
        strips.free_channel(scene, 1, 14, 10)
    except strips.StripError as error:
        return str(error)
    return ""


def hidden_channels(scene: Any) -> int:
    """Channel 2 is muted, 3 is locked, 4 is taken and 5 is free."""
    stage.movie(scene)
    stage.effect(scene, "COLOR", 4, 10, 5)
    scene.sequence_editor.channels[2].mute = scene.sequence_editor.channels[3].lock = True
    return strips.free_channel(scene, 1, 14, 10)


def placing(source: str, result: str, files: list[str] | None, length: int) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene()
        stage.movie(scene)
        try:
            made = strips.place(scene, source, stage.CLIPS / result, files, 1, length, "result")
        except strips.StripError as error:
            return {"said": str(error), "leftover": len(stage.strips(scene)) - 1}
        return {"said": "", "length": made.frame_final_duration}

    return case


CASES = {
    "no such strip": said(with_mask(stage.movie), name="film"),
    "empty scene": said(lambda scene: None),
    "no mask": said(stage.movie),
    "sound only": if_there_is_sound(said(lambda s: (stage.movie(s), sound(s, "sound", 2)))),
    "mask muted": said(muted),
    "channel muted": said(muted_channel),
    "no overlap": said(lambda s: (stage.movie(s), mask(s, 61, 10), mask(s, 90, 10, "second"))),
    "own channel": said(with_mask(stage.movie), 1),
    "channel 0": said(with_mask(stage.movie), 0),
    "channel 129": said(with_mask(stage.movie), 129),
    "missing movie": said(with_mask(missing_movie)),
    "missing images": said(with_mask(missing_images)),
    "missing mask": said(missing_mask),
    "missing in meta": said(with_mask(missing_in_meta)),
    "inside meta": said(with_mask(inside_meta)),
    "scene strip": said(with_mask(scene_strip)),
    "scene mask": said(scene_mask),
    "scene in meta": said(with_mask(scene_in_meta)),
    "not a picture": said(with_mask(not_a_picture)),
    "adjustment layer": said(with_mask(lambda s: stage.effect(s, "ADJUSTMENT", 1, 1, 20, name="movie"))),
    "multicam": said(with_mask(lambda s: stage.effect(s, "MULTICAM", 1, 1, 20, name="movie"))),
    "sound": if_there_is_sound(said(with_mask(lambda s: sound(s, "movie", 1)))),
    "speed effect over it": said(with_mask(sped_up)),
    "nothing left": said(with_mask(overcut)),
    "cross over it": said(with_mask(crossed)),
    "half transparent": said(with_mask(thin)),
    "fading": said(with_mask(fading)),
    "no room": lambda: {"said": no_room(stage.scene())},
    "hidden channels": lambda: {"channel": hidden_channels(stage.scene())},
    "source gone": placing("film", "c24.mp4", None, 60),
    "result gone": placing("movie", "gone.mkv", None, 60),
    "one picture gone": placing("movie", "sequence", ["shot_0001.png", "gone.png"], 2),
    "result too short": placing("movie", "c24.mp4", None, 61),
    "result too long": placing("movie", "c24.mp4", None, 50),
    "result is no video": placing("movie", "text.mp4", None, 60),
}

if __name__ == "__main__":
    stage.answer(CASES)
