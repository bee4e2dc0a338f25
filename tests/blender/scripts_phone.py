"""For footage as phones store it: what resolve() hands to the engine, and what Blender itself shows.

With a third argument, a JSON file of clips and results of theirs, it places those and tells what Blender shows of both.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import scripts_stage as stage
import strips


def compare(file: str, **values: Any) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene()
        strip = stage.movie(scene, file)
        for name, value in values.items():
            setattr(strip, name, value)
        scene.render.resolution_x, scene.render.resolution_y = size = strips.files.picture(strip).size
        start, end = strip.frame_final_start, strip.frame_final_end
        stage.effect(scene, "COLOR", 9, start, end - start)
        resolved = strips.resolve(scene, strip.name, 9, stage.WORK / "job")
        stage.strips(scene)["color"].mute = True
        picture = stage.WORK / f"{file}.png"
        stage.shown(scene, start + 2, path=picture)
        source, shown = resolved.document["source"], stage.numbers(scene, list(range(start, end)))
        return {"how": resolved.how.value, "source": source, "size": size, "shown": shown, "picture": str(picture)}

    return case


def placed(file: str, result: str) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene()
        source = stage.movie(scene, file)
        source.transform.offset_x, source.transform.scale_y = 6, 0.8
        start, length = source.frame_final_start, source.frame_final_duration
        made = strips.place(scene, source.name, stage.Path(result), None, start, length, "clean")
        frames = list(range(start, start + length))
        made.mute = True
        before = [stage.shown(scene, frame) for frame in frames]
        made.mute, source.mute = False, True
        apart = [float(abs(stage.shown(scene, frame) - old).max()) for frame, old in zip(frames, before, strict=True)]
        return {"length": made.frame_final_duration, "expected": length, "apart": apart}

    return case


if __name__ == "__main__" and len(stage.ARGUMENTS) > 2:
    stage.answer({file: placed(file, result) for file, result in json.loads(stage.ARGUMENTS[2].read_text()).items()})
elif __name__ == "__main__":
    files = sorted(path.name for path in stage.CLIPS.iterdir())
    cases = {file: compare(file) for file in files}
    cases["recording.mp4 from its middle, held"] = compare("recording.mp4", frame_final_start=14, frame_final_end=130)
    cases["darkening.mp4 reversed"] = compare("darkening.mp4", use_reverse_frames=True)
    cases["darkening.mp4 trimmed for good"] = compare("darkening.mp4", animation_offset_start=9, strobe=2.0)
    stage.answer(cases)
