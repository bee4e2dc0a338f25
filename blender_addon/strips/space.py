"""Where a strip's pixels lie in the scene's picture."""
from __future__ import annotations

from math import cos, sin

from . import api

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): x' = a x + b y + c, y' = d x + e y + f, in pixels with whole numbers at pixel centres, y down."""

Size = tuple[int, int]

IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def to_scene(strip: api.Strip, size: Size, scene_size: Size) -> Affine:
    """Where the strip's transform and flips put a pixel of its `size` picture. Cropping moves nothing.

    Blender's order, as measured: centred (the odd pixel rounded towards zero), scaled and turned about the origin,
    moved, and only then flipped, about the middle of the scene.
    """
    transform = strip.transform
    width, height = size
    pivot_x, pivot_y = width * transform.origin[0], height * transform.origin[1]
    move_x = pivot_x + transform.offset_x + int((scene_size[0] - width) / 2)
    move_y = pivot_y + transform.offset_y + int((scene_size[1] - height) / 2)
    c, s = cos(transform.rotation), sin(transform.rotation)
    upward: Affine = (c * transform.scale_x, -s * transform.scale_y, 0.0, s * transform.scale_x, c * transform.scale_y, 0.0)
    upward = compose((1, 0, move_x, 0, 1, move_y), compose(upward, (1, 0, -pivot_x, 0, 1, -pivot_y)))
    if strip.use_flip_x:
        upward = compose((-1, 0, scene_size[0], 0, 1, 0), upward)
    if strip.use_flip_y:
        upward = compose((1, 0, 0, 0, -1, scene_size[1]), upward)
    return compose((1, 0, -0.5, 0, -1, scene_size[1] - 0.5), compose(upward, (1, 0, 0.5, 0, -1, height - 0.5)))


def compose(second: Affine, first: Affine) -> Affine:
    """First `first`, then `second`."""
    a, b, c, d, e, f = second
    g, h, i, j, k, m = first
    return a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f


def inverse(affine: Affine) -> Affine | None:
    """The way back, or None when the affine has no area."""
    a, b, c, d, e, f = affine
    area = a * e - b * d
    if abs(area) < 1e-9:
        return None
    return e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area


def is_identity(affine: Affine, size: Size) -> bool:
    """Whether no pixel of a picture of that size moves by a hundredth of a pixel."""
    a, b, c, d, e, f = (value - same for value, same in zip(affine, IDENTITY))
    reach = max(size)
    return max(abs(a), abs(b), abs(d), abs(e)) * reach + max(abs(c), abs(f)) < 0.01
