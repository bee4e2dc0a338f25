"""Whether the object throws a shadow, or a reflection, below its matte.

On the ground it moves with what throws it. Left outside the matte it stays in the picture, and is worse than a rim: the motion of
what is hidden is continued from its edge, so that the ground behind the object is taken to move with the object.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from .flow.dis import DIS
from .motion import eight_bits

#: The larger side of the pictures that are compared. All other lengths are in pixels of those.
_SIDE = 640
#: How far below the matte is looked, at most and at least; in the last part of that it is the ground's own motion.
_FAR, _NEAR, _GROUND = 90, 45, 20
#: Object and ground have to move apart by so many pixels a frame to be told apart.
_APART = 2.5
#: What an estimator smears over an edge, and so is no shadow.
_SMEARED = 7
#: Columns of the picture that have to say something, and pairs of frames.
_COLUMNS, _LEAST = 12, 3

_dis = DIS()


class Below:
    """Looks at what lies below the mattes of some frames."""

    def __init__(self) -> None:
        self._found: list[float] = []
        self._smeared = 0.0

    def look(self, frames: Sequence[np.ndarray], holes: Sequence[np.ndarray]) -> None:
        """Two neighbouring frames, (H, W, 3) each as in `eight_bits`, and their holes, (H, W) bool."""
        scale = min(_SIDE / max(holes[0].shape), 1.0)
        hole = _small(holes[0].astype(np.uint8) * np.uint8(255), scale) > 0
        if not hole.any():
            return
        reached = _reached(_dis(*(_small(cv2.cvtColor(eight_bits(frame), cv2.COLOR_RGB2GRAY), scale) for frame in frames)), hole)
        if reached is not None:
            self._found.append(reached / scale)
            self._smeared = _SMEARED / scale

    @property
    def missed(self) -> int:
        """By how many pixels the mattes would have to grow downwards to cover what moves there with the object; 0: nothing does, or it
        cannot be told. It is an estimate, and a generous one."""
        # A shadow may be seen in a part of the footage only.
        if len(self._found) < _LEAST or (reached := float(np.percentile(self._found, 75))) <= self._smeared:
            return 0
        # Where half of the motion is the object's, the shadow is not at its end.
        return math.ceil((1.5 * reached + self._smeared) / 10) * 10

    def advice(self, grown: int) -> list[str]:
        """What there is to say to the user, whose mattes have grown by so many pixels there already."""
        if not self.missed:
            return []
        far = grown + self.missed
        return [f"Below the matte the picture moves with the object, as a shadow does: Grow Below {far} px would take it out too."]


def _small(picture: np.ndarray, scale: float) -> np.ndarray:
    return picture if scale == 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _reached(flow: np.ndarray, hole: np.ndarray) -> float | None:
    """How far below a hole (H, W), not an empty one, the flow (2, H, W) is rather the object's than the ground's, in pixels; None: they
    do not differ."""
    columns = np.flatnonzero(hole.any(0))
    room = np.argmax(hole[::-1, columns], 0)
    # As far as is wanted, where enough columns reach that far; else as most of them do.
    far = _FAR if (room >= _FAR).sum() >= _COLUMNS else int(np.median(room))
    columns, lowest = columns[room >= far], hole.shape[0] - 1 - room[room >= far]
    if columns.size < _COLUMNS or far < _NEAR:
        return None
    below = flow[:, lowest[:, None] + np.arange(1, far + 1), columns[:, None]]
    ground = np.median(below[:, :, -_GROUND:], 2)
    away = np.median(flow[:, hole], 1)[:, None] - ground
    square = (away**2).sum(0)
    if np.median(square) < _APART**2:
        return None
    share = ((below - ground[..., None]) * away[..., None]).sum(0) / np.maximum(square, 1e-6)[:, None]
    # From the matte on, but for a few gaps: what moves like the object further away is something else.
    own = np.median(share, 0) > 0.5
    together = own & (np.cumsum(own) >= 0.5 * np.arange(1, far + 1))
    return float(np.flatnonzero(together)[-1] + 1 if together.any() else 0)
