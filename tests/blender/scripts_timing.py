"""For each way a strip can lie in time: what resolve() says the engine will read, and what Blender itself shows."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scripts_stage as stage
import strips
from scripts_stage import bpy, counter


def compare(build: Callable[[Any], Any], step: int = 1, fps: int = 24) -> dict[str, Any]:
    scene = stage.scene(fps)
    return _compare(scene, build(scene), step)


def _compare(scene: Any, strip: Any, step: int = 1) -> dict[str, Any]:
    start, end = strip.frame_final_start, strip.frame_final_end
    stage.effect(scene, "COLOR", 9, start, end - start)
    resolved = strips.resolve(scene, strip.name, 9, stage.WORK / "job")
    strip = strips.api.find(scene, strip.name)
    every = list(range(start, end))
    wanted = sorted({*every[:8], *every[::step], *every[-8:]})
    stage.strips(scene)["color"].mute = True
    shown = dict(zip(every, stage.numbers(scene, every))) if step == 1 else dict(zip(wanted, stage.numbers(scene, wanted)))
    read = _read(resolved)
    return {"frames": wanted, "shown": [shown[f] for f in wanted], "read": [read[f - start] for f in wanted], "how": resolved.how.value}


def _read(resolved: Any) -> list[int | None]:
    """The number on each job frame's picture."""
    stage.run(resolved)
    source = resolved.document["source"]
    indices = source.get("indices") or list(range(source["first"], source["first"] + source["count"]))
    path = stage.Path(source["path"])
    if path.suffix in (".mp4", ".mkv"):
        return indices
    files = sorted(path.iterdir() if path.is_dir() else path.parent.glob(path.name.replace("#", "?")))
    return [counter.read(stage.load(files[i])) for i in indices]


def change(strip: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(strip, name, value)
    return strip


def plain(file: str) -> Callable[[], dict[str, Any]]:
    return lambda: compare(lambda s: stage.movie(s, file), 7)


def changed(**values: Any) -> Callable[[], dict[str, Any]]:
    return lambda: compare(lambda s: change(stage.movie(s), **values), 5)


def pictures(**values: Any) -> Callable[[], dict[str, Any]]:
    return lambda: compare(lambda s: change(stage.images(s), **values), 5)


def stretched(name: str, fps: int, base: float = 1.0) -> Callable[[], dict[str, Any]]:
    """A strip that was added with its playback rate adjusted: no script can make one in 5.x, so another Blender did."""

    def case() -> dict[str, Any]:
        with bpy.data.libraries.load(str(stage.ARGUMENTS[2]), link=False) as (_, here):
            here.scenes = [name]
        scene = here.scenes[0]
        scene.render.fps, scene.render.fps_base = fps, base
        return _compare(scene, strips.api.top_strips(scene)[0])

    return case


def meta(scene: Any) -> Any:
    strip = stage.movie(scene, start=5)
    made = stage.strips(scene).new_meta("meta", 1, 5)
    strip.move_to_meta(made)
    made.frame_final_end = 40
    return made


def movie_clip(scene: Any) -> Any:
    clip = bpy.data.movieclips.load(str(stage.CLIPS / "c24.mp4"))
    return change(stage.strips(scene).new_clip("clip", clip, 1, 5), frame_offset_start=10)


def speed(scene: Any) -> Any:
    made = stage.effect(scene, "SPEED", 2, 1, 60, stage.movie(scene))
    made.speed_control, made.speed_factor = "MULTIPLY", 2.0
    return made


def modified(scene: Any) -> Any:
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    strip = change(stage.movie(scene), frame_offset_start=4, strobe=2)
    strip.modifiers.new("bright", "BRIGHT_CONTRAST").bright = 1
    return strip


def retimed(scene: Any, speed: float, **values: Any) -> Any:
    strip = change(stage.movie(scene), **values)
    stage.retime(strip, speed)
    return strip


def panned(scene: Any) -> Any:
    strip = change(stage.images(scene), frame_offset_start=5)
    strip.transform.keyframe_insert("offset_x", frame=1)
    strip.transform.offset_x = 4
    strip.transform.keyframe_insert("offset_x", frame=40)
    return strip


CASES = {
    **{f"movie {name} fps": plain(f"c{name}.mp4") for name in counter.RATES},
    "trimmed": changed(frame_offset_start=10, frame_offset_end=20),
    "trimmed for good": changed(animation_offset_start=10, animation_offset_end=5),
    "held": changed(frame_final_start=-4, frame_final_end=70),
    "reversed": changed(use_reverse_frames=True, frame_offset_start=10),
    "reversed and held": changed(use_reverse_frames=True, frame_final_start=-4, frame_final_end=70),
    "reversed and trimmed for good": changed(use_reverse_frames=True, animation_offset_start=10, animation_offset_end=5),
    "strobe 2": changed(strobe=2.0, frame_offset_start=3),
    "strobe 2.5": changed(strobe=2.5, frame_offset_start=4),
    "strobe 3 reversed": changed(strobe=3.0, use_reverse_frames=True),
    "sub-frame offset": changed(frame_offset_start=2.5),
    "sub-frame start": changed(frame_start=7.5),
    "before frame 0": changed(frame_start=-20),
    "images": pictures(),
    "images trimmed": pictures(frame_offset_start=5, frame_offset_end=10, animation_offset_start=3),
    "images held": pictures(frame_final_start=-3, frame_final_end=50),
    "images reversed strobe 2.5": pictures(use_reverse_frames=True, strobe=2.5),
    "images in another order": lambda: compare(lambda s: stage.images(s, "mixed")),
    "one image": lambda: compare(lambda s: stage.image(s, "sequence/shot_0005.png", start=3)),
    "an image only Blender reads": lambda: compare(lambda s: stage.image(s, "kind.tga", start=3)),
    "meta": lambda: compare(meta, 5),
    "movie clip": lambda: compare(movie_clip, 5),
    "speed effect": lambda: compare(speed, 5),
    "modifier": lambda: compare(modified, 5),
    "retimed, slower": lambda: compare(lambda s: retimed(s, 50, frame_offset_start=10)),
    "retimed, faster": lambda: compare(lambda s: retimed(s, 150), 5),
    "retimed, reversed": lambda: compare(lambda s: retimed(s, 80, use_reverse_frames=True), 5),
    "animated transform": lambda: compare(panned, 5),
}
STRETCHED = {
    "stretched 12 in 24": stretched("12", 24),
    "stretched 25 in 30": stretched("25", 30),
    "stretched 30 in 24": stretched("30", 24),
    "stretched 60 in 25": stretched("60", 25),
    "stretched 29.97 in 30": stretched("2997", 30),
    "stretched 24 in 23.976": stretched("24", 24, 1.001),
    "stretched trimmed": stretched("12 trimmed", 30),
    "stretched held": stretched("25 held", 30),
    "stretched reversed": stretched("30 reversed", 24),
    "stretched slow reversed": stretched("25 reversed", 30),
    "stretched strobe": stretched("12 strobe", 25),
    "stretched trimmed for good": stretched("60 cut", 24),
}

if __name__ == "__main__":
    stage.answer({**CASES, **(STRETCHED if len(stage.ARGUMENTS) > 2 else {})})
