"""How far Blender's own rendering of a transformed strip lies from where to_scene() says that its pixels are."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scripts_stage as stage
from scripts_stage import counter
from strips import space

TURNED = {"scale_x": 1.3, "scale_y": 0.8, "rotation": 0.3}


def error(size: tuple[int, int], scene_size: tuple[int, int], flips: str = "", **transform: Any) -> Callable[[], dict[str, Any]]:
    def case() -> dict[str, Any]:
        scene = stage.scene(size=scene_size)
        strip = stage.image(scene, f"coordinates_{size[0]}x{size[1]}.png")
        strip.use_flip_x, strip.use_flip_y = "x" in flips, "y" in flips
        strip.transform.filter = "BILINEAR"
        for name, value in transform.items():
            setattr(strip.transform, name, value)
        shown = stage.shown(scene, 1, deep=True)
        inside = shown[..., 2] > 0.88
        for axis in (0, 1):
            inside &= np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        inside[[0, -1]] = inside[:, [0, -1]] = False
        y, x = np.nonzero(inside)
        position = counter.position(shown[y, x], *size)
        a, b, c, d, e, f = space.to_scene(strip, size, scene_size)
        there = np.stack([a * position[:, 0] + b * position[:, 1] + c, d * position[:, 0] + e * position[:, 1] + f], -1)
        off = np.abs(there - np.stack([x, y], -1))
        return {"pixels": len(x), "worst": float(off.max()), "mean": float(off.mean())}

    return case


CASES = {
    "as it is": error((160, 96), (160, 96)),
    "moved": error((160, 96), (160, 96), offset_x=3.4, offset_y=-5.7),
    "scaled": error((320, 192), (160, 96), scale_x=0.5, scale_y=0.5),
    "turned": error((160, 96), (160, 96), **TURNED),
    "turned about a corner": error((160, 96), (160, 96), origin=(0.2, 0.7), offset_x=4, **TURNED),
    "small and odd": error((101, 77), (160, 96)),
    "large in odd": error((320, 192), (161, 97), scale_x=0.5, scale_y=0.5, rotation=0.1),
    "flipped across": error((101, 77), (160, 96), "x", offset_x=9),
    "flipped down": error((101, 77), (161, 97), "y", offset_y=9),
    "all of it": error((101, 77), (160, 96), "xy", origin=(0.1, 0.9), offset_x=5, **TURNED),
}

if __name__ == "__main__":
    stage.answer(CASES)
