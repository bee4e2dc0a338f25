"""Telea's fast-marching inpainting (2004), as OpenCV has it: a smear of the border, for previews."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

_RADIUS = 5
#: OpenCV adds a slope of about 1 to whatever the values are: it has to be small against them.
_SCALE = np.float32(4096)


def fill(
    picture: np.ndarray,
    unknown: np.ndarray,
    others: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    pulse: Callable[[], None] = lambda: None,
    suspect: np.ndarray | None = None,
) -> np.ndarray:
    """See `fill.Fill`; only the hole's border is used. A channel at a time, because OpenCV takes three only in 8 bits."""
    del others, pulse, suspect
    if unknown.all():
        return picture
    mask = unknown.astype(np.uint8)
    channels = np.ascontiguousarray(np.moveaxis(picture * _SCALE, -1, 0), dtype=np.float32)
    smeared = np.stack([cv2.inpaint(channel, mask, _RADIUS, cv2.INPAINT_TELEA) for channel in channels], axis=-1)
    return np.where(unknown[..., None], smeared / _SCALE, picture)
