"""Where a pixel of the source lies in the picture of a matte."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import BadClip
from .info import ClipInfo

_SHAPE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Sampling:
    """Nearest-pixel lookup. `rows` and `columns` broadcast to the source's size; `inside` is False beyond the matte's picture."""

    rows: np.ndarray | None = None
    columns: np.ndarray | None = None
    inside: np.ndarray | None = None

    @classmethod
    def between(cls, mask: ClipInfo, source: ClipInfo, transform: tuple[float, ...] | None) -> Sampling:
        """The lookup by an affine `transform` of pixel centres (see `job`), or by scaling one size to the other.

        Raises `BadClip` when there is no transform and the two pictures have different shapes.
        """
        if transform is None:
            if (mask.width, mask.height) == (source.width, source.height):
                return cls()
            stretch = mask.width * source.height / (mask.height * source.width)
            if abs(stretch - 1) > _SHAPE_TOLERANCE:
                raise BadClip(
                    f"The mask {mask.path} is {mask.width}x{mask.height} and the source {source.path} is {source.width}x{source.height}: "
                    "make the mask's picture the source's size."
                )
            along, down = mask.width / source.width, mask.height / source.height
            transform = (along, 0, (along - 1) / 2, 0, down, (down - 1) / 2)
        return cls._affine(transform, mask, source)

    @classmethod
    def _affine(cls, transform: tuple[float, ...], mask: ClipInfo, source: ClipInfo) -> Sampling:
        a, b, c, d, e, f = transform
        x, y = np.arange(source.width)[None, :], np.arange(source.height)[:, None]
        columns = np.floor(a * x + b * y + c + 0.5) if b else np.floor(a * x + c + 0.5)
        rows = np.floor(d * x + e * y + f + 0.5) if d else np.floor(e * y + f + 0.5)
        inside = (columns >= 0) & (columns < mask.width) & (rows >= 0) & (rows < mask.height)
        columns = np.clip(columns, 0, mask.width - 1).astype(np.int32)
        return cls(np.clip(rows, 0, mask.height - 1).astype(np.int32), columns, None if inside.all() else inside)

    def take(self, covered: np.ndarray) -> np.ndarray:
        """(H, W) of the source from (h, w) bool of the matte; False beyond it."""
        if self.rows is None:
            return covered
        if self.rows.shape[1] == self.columns.shape[0] == 1:
            sampled = covered[self.rows[:, 0]][:, self.columns[0]]
        else:
            sampled = covered[self.rows, self.columns]
        return sampled if self.inside is None else sampled & self.inside
