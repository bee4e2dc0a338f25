"""How light and grain go on through a shot, added up while its frames come by."""
from __future__ import annotations

import numpy as np

from .grain import Grain, grain_of

#: Frames that share one measure of grain: that of the shot from its beginning to the last of them. A whole shot cannot be waited
#: for, and a measure of frames of each length of look-ahead would depend on that.
_STRETCH = 80


class Course:
    """Writes into the `light` and the `grain` of a store."""

    def __init__(self, light: dict[int, np.ndarray], grain: dict[int, Grain]):
        self._light, self._grain = light, grain
        self._samples: list[np.ndarray] = []
        self._shot = self._stretch = 0
        self._began = False

    def add(self, frame: int, step: list[np.ndarray] | None, *, begins: bool, ends: bool) -> None:
        """Frames come in order. step: a record of `ShotStore.steps`; begins: a shot does; ends: the job does."""
        if begins:
            if self._began:
                self._settle(frame - 1)
            self._shot = self._stretch = frame
            self._samples, self._began = [], True
        if step is not None:
            light, sampled, grain = step
            if light.size:
                self._light[frame] = self._light.get(frame - 1, np.zeros(3)) + light
            if sampled[0]:
                self._samples.append(grain[None])
        if ends or (frame - self._shot + 1) % _STRETCH == 0:
            self._settle(frame)

    def _settle(self, last: int) -> None:
        found = grain_of(self._samples) if self._stretch <= last else None
        if found is not None:
            self._grain.update(dict.fromkeys(range(self._stretch, last + 1), found))
        self._stretch = last + 1


def settled_until(shot: int, frame: int) -> int:
    """The frame that has to be known for the grain of a frame of a shot to be so, if the shot is long enough; `shot`: its first."""
    return shot + ((frame - shot) // _STRETCH + 1) * _STRETCH - 1
