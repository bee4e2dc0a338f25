"""Optical flow between neighbouring frames, without looking into the hole."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .dis import DIS

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Parameter value -> what makes an estimator.
ESTIMATORS: dict[str, Callable[[], Estimator]] = {"dis": DIS}
