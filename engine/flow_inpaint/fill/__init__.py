"""What no frame sees, invented in one picture."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ..failover import Failover
from ..machine import Machine, Method


class Fill(Protocol):
    """Invents a part of a picture."""

    def __call__(
        self,
        picture: np.ndarray,
        unknown: np.ndarray,
        others: Sequence[tuple[np.ndarray, np.ndarray]] = (),
        pulse: Callable[[], None] = ...,
        suspect: np.ndarray | None = None,
    ) -> np.ndarray:
        """The picture with `unknown` filled, and the rest as it was.

        picture  (H, W, 3) float32, 0..255, in linear footage with highlights above and noise below
        unknown  (H, W) bool, what to invent
        others   other pictures of the shot, and what of them is not to be seen, (H, W) bool each
        pulse    called now and then; raises when the host wants to stop
        suspect  (H, W) bool, what was carried here from other frames: to be fitted in with, no example to follow
        """
        ...


def _exemplar(_machine: Machine) -> Fill:
    from .exemplar import fill

    return fill


def _deepfill(machine: Machine) -> Fill:
    from .deepfill import Filler

    return Failover(Filler.installed, machine)


def _telea(_machine: Machine) -> Fill:
    from .telea import fill

    return fill


#: Parameter value -> method, the best first.
FILLS: dict[str, Method[Fill]] = {
    "exemplar": Method(_exemplar),
    "deepfill": Method(_deepfill, ("deepfill",)),
    "telea": Method(_telea),
}
