"""Telea's fast-marching inpainting (2004), as OpenCV has it: a smear of the border, for previews."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

_RADIUS = 5


def fill(
    picture: np.ndarray,
    unknown: np.ndarray,
    others: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    pulse: Callable[[], None] = lambda: None,
    suspect: np.ndarray | None = None,
) -> np.ndarray:
    """See `fill.Fill`; only the hole's border is used. OpenCV does this in 8 bits: half a grey level is lost."""
    del others, pulse, suspect
    if unknown.all():
        return picture
    grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    out = picture.copy()
    out[unknown] = cv2.inpaint(grey, unknown.astype(np.uint8), _RADIUS, cv2.INPAINT_TELEA)[unknown]
    return out
