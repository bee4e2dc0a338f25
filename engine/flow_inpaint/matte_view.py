"""The matte of one frame as a small picture: for a host that shows what will be removed while somebody turns the settings.

    size    [width, height] of the footage
    mask    as in a job document (job.py), of which frame 0 is shown; the footage itself is not read
    params  as in a job document
"""
from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from . import effect
from .clock import Clock
from .effect import Value
from .errors import BadParameter
from .heeding import heeding
from .job import MaskPart, mask_parts
from .media import ClipInfo, open_matte
from .media.matte import spread
from .poisson import bounding_box

#: Pixels of a picture; larger boxes are made smaller.
_PIXELS = 400_000
#: Of the footage, in pixels.
_LARGEST = 2**28


@dataclass(frozen=True)
class MatteView:
    """How much of each pixel would be replaced.

    box     x, y, width, height in the footage of the part that holds all of it; empty where nothing is
    size    width and height of the picture of that part
    shares  the picture: float32, 0 = untouched, 1 = replaced, row by row from the top, packed by zlib, in base64
    """

    box: tuple[int, int, int, int] | None
    size: tuple[int, int]
    shares: str


class MatteViewer:
    """Remembers what the mattes of the last frame cover, so that growing and feathering them again is fast."""

    def __init__(self) -> None:
        self._known: tuple[Any, np.ndarray] | None = None

    def view(self, wanted: Wanted, aborted: Callable[[], bool] = lambda: False) -> MatteView:
        """Raises what `open_matte` does."""
        clock = Clock(aborted=aborted)
        with heeding(clock.check):
            covered = self._covered(wanted)
        clock.check()
        grow, below, feather = (int(wanted.params[name]) for name in ("mask_grow", "mask_grow_below", "mask_feather"))
        return _packed(*spread(covered, grow, below, feather))

    def _covered(self, wanted: Wanted) -> np.ndarray:
        """(H, W) bool, not to be changed."""
        threshold = float(wanted.params["mask_threshold"])
        times = tuple(_time(part.clip.path) for part in wanted.mask if part.clip is not None)
        key = (wanted.size, wanted.mask, threshold, times)
        if self._known is None or self._known[0] != key:
            with open_matte(wanted.mask, _footage(wanted.size), 0, threshold) as matte:
                self._known = key, next(matte.read(0, 0))
        return self._known[1]


@dataclass(frozen=True)
class Wanted:
    """A document, checked."""

    size: tuple[int, int]
    mask: tuple[MaskPart, ...]
    params: Mapping[str, Value]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Wanted:
        """Raises `BadParameter`."""
        size, params = document.get("size"), document.get("params") or {}
        if not (isinstance(size, (list, tuple)) and len(size) == 2 and all(type(side) is int and 0 < side <= 65536 for side in size)):
            raise BadParameter(f"size has to be width and height in pixels, not {size!r}.")
        if size[0] * size[1] > _LARGEST:
            raise BadParameter(f"size cannot be {size!r}: no footage has more than {_LARGEST} pixels.")
        if not isinstance(params, Mapping):
            raise BadParameter("params has to be a table of parameter names and values.")
        return cls(tuple(size), mask_parts(document.get("mask"), Path()), effect.resolve(params))


def _packed(hole: np.ndarray, share: np.ndarray | None) -> MatteView:
    box = bounding_box(hole)
    if box is None:
        return MatteView(None, (0, 0), "")
    part = hole[box].view(np.uint8) * np.uint8(255) if share is None else share[box]
    height, width = part.shape
    scale = min(1.0, (_PIXELS / part.size) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    shares = base64.b64encode(zlib.compress(small.tobytes(), 1)).decode("ascii")
    return MatteView((box[1].start, box[0].start, width, height), size, shares)


def _footage(size: tuple[int, int]) -> ClipInfo:
    """One frame of footage of that size, as far as a matte looks at it."""
    return ClipInfo(
        path=Path("footage"),
        kind="images",
        width=size[0],
        height=size[1],
        count=1,
        rate=None,
        pixel_aspect=Fraction(1),
        dtype=np.uint8,
        pixel_format=None,
        depth=8,
        has_alpha=False,
        has_audio=False,
        clip_count=1,
        indices=range(1),
        files=(),
    )


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
