"""Optical flow between neighbouring frames, without looking into the hole."""
from __future__ import annotations

from typing import Protocol

import numpy as np

from ..failover import Failover
from ..machine import Machine, Method


class Estimator(Protocol):
    """Flow from one picture to another. Safe to call from several threads at once.

    colour         whether it looks at RGB pictures (H, W, 3), or else at grey ones (H, W); uint8 both
    short_sighted  whether it measures small motion better than large, so that the camera's is worth taking out
    """

    colour: bool
    short_sighted: bool

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(2, H, W) float32 in pixels: a(p) looks like b(p + flow(p))."""
        ...


def _flownet2(machine: Machine) -> Estimator:
    from .network import NetworkFlow

    return Failover(NetworkFlow.installed, machine)


def _dis(_machine: Machine) -> Estimator:
    from .dis import DIS

    return DIS()


#: Parameter value -> method, the best first.
ESTIMATORS: dict[str, Method[Estimator]] = {
    "flownet2": Method(_flownet2, ("flownet2",)),
    "dis": Method(_dis),
}
