"""The flow inside the hole."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .smooth import complete as smooth

#: Parameter value -> completion: (flow (2, H, W), unknown (H, W) bool) -> flow (2, H, W).
COMPLETIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"smooth": smooth}
