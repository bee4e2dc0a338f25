"""A strip of thousands of images under a matte of as many: how long Blender would stand still when a removal is started."""
from __future__ import annotations

import os
import time
from typing import Any

import scripts_stage as stage
import strips

COUNT = 2000


def many() -> dict[str, Any]:
    folder = stage.WORK / "many"
    folder.mkdir()
    first = stage.CLIPS / "matte" / sorted(os.listdir(stage.CLIPS / "matte"))[0]
    for number in range(COUNT):
        os.link(first, folder / f"many_{number:04d}.png")
    scene = stage.scene(size=(160, 96))
    for channel in (1, 2):
        strip = stage.strips(scene).new_image("Many", str(folder / "many_0000.png"), channel, 1)
        for number in range(1, COUNT):
            strip.elements.append(f"many_{number:04d}.png")
    listings, inner = [], os.listdir
    os.listdir = lambda where: listings.append(str(where)) or inner(where)
    own = []
    for _ in range(5):
        begun = time.thread_time()
        resolved = strips.resolve(scene, "Many", 2, stage.WORK / "job")
        own.append(1000 * (time.thread_time() - begun))
    os.listdir = inner
    return {"own": min(own), "listings": len(listings) / len(own), "document": resolved.document}


def among_others() -> list[str]:
    """The names of the images that are linked for a strip beside whose first image lie others with fewer digits."""
    folder = stage.WORK / "others"
    folder.mkdir()
    image = stage.CLIPS / "matte" / sorted(os.listdir(stage.CLIPS / "matte"))[0]
    for number in range(998, 1004):
        os.link(image, folder / f"many_{number}.png")
    scene = stage.scene(size=(160, 96))
    for channel in (1, 2):
        strip = stage.strips(scene).new_image("Others", str(folder / "many_1000.png"), channel, 1)
        for number in range(1001, 1004):
            strip.elements.append(f"many_{number}.png")
    resolved = strips.resolve(scene, "Others", 2, stage.WORK / "job of others")
    return [file.name for file in resolved.links[0].files] if resolved.links else []


if __name__ == "__main__":
    stage.answer({"many": many, "among others": among_others})
