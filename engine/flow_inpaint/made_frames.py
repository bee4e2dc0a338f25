"""What a finished frame was made of, kept to the end of the job: an encoder cannot go on where a run was cut off, so every frame
is written again by the next run, and its own pixels are enough for that.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .packed import packed, unpacked
from .passes.pictures import Origins
from .shot_store import ShotStore


@dataclass(frozen=True)
class MadeFrame:
    """A frame's hole over the processed region with what has come into it.

    hole     (H, W) bool
    pixels   (N, 3) of the hole, in the store's numbers and type
    unseen   how many of them no frame shows
    origins  where they come from; None: nobody has asked, or there is no hole
    """

    hole: np.ndarray
    pixels: np.ndarray
    unseen: int
    origins: Origins | None = None

    def picture(self, box: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns `box` of the region, which hold the hole, (h, w, 3); 0 beside it."""
        hole = self.hole[box]
        out = np.zeros((*hole.shape, 3), self.pixels.dtype)
        out[hole] = self.pixels
        return out


def keep(store: ShotStore, frame: int, made: MadeFrame) -> None:
    """Raises `Failed`."""
    told = () if made.origins is None else (part[made.hole] for part in _parts(made.origins))
    store.made.write(frame, *packed(made.hole), made.pixels, np.array([made.unseen], np.int64), *told)


def kept(store: ShotStore, frame: int) -> MadeFrame:
    """As it was kept."""
    edges, bits, pixels, unseen, *told = store.made.read(frame)
    hole = unpacked(edges, bits, store.shape)
    return MadeFrame(hole, pixels, int(unseen[0]), _origins(told, hole) if told else None)


def kept_until(store: ShotStore, first: int, last: int, *, told: bool) -> int:
    """The first of the frames first..last that has to be made; `told`: kept ones have to say where they come from."""
    frame = first
    while frame <= last and store.made.has(frame) and not (told and _is_silent(store, frame)):
        frame += 1
    return frame


def _is_silent(store: ShotStore, frame: int) -> bool:
    return store.made.parts(frame) <= _UNTOLD and store.made.read(frame)[2].size > 0


#: Arrays of a record that says nothing of origins.
_UNTOLD = 4


def _parts(origins: Origins) -> tuple[np.ndarray, ...]:
    return origins.frame, origins.x, origins.y, origins.code, origins.confidence


def _origins(told: Sequence[np.ndarray], hole: np.ndarray) -> Origins:
    # Outside the hole all is 0, and certain.
    parts = [np.full(hole.shape, outside, inside.dtype) for outside, inside in zip((0, 0, 0, 0, 1), told)]
    for part, inside in zip(parts, told):
        part[hole] = inside
    return Origins(*parts)
