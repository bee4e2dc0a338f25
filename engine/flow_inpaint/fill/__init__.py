"""What no frame sees, invented in one picture."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .exemplar import fill as exemplar
from .telea import fill as telea

#: (picture (H, W, 3) float32 in 0..255, unknown (H, W) bool, other (picture, hidden) pairs of the shot) -> picture, filled.
Fill = Callable[[np.ndarray, np.ndarray, Sequence[tuple[np.ndarray, np.ndarray]], Callable[[], None]], np.ndarray]

#: Parameter value -> fill.
FILLS: dict[str, Fill] = {"exemplar": exemplar, "telea": telea}
