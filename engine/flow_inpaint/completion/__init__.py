"""The flow inside the hole.

Every pair's flow is continued into its hole when it is measured. A method may improve on that, a whole shot at a time.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..failover import Failover
from ..flow.masked import Continuation
from ..machine import Machine, Method
from . import layers, smooth


class Holes(Protocol):
    """The holes of a shot's frames, made when they are asked for."""

    shape: tuple[int, int, int]

    def __len__(self) -> int: ...

    def __getitem__(self, frame: int) -> np.ndarray: ...


#: Gives room on disk for what is as long as a shot: name, shape, type. An array may say by `has(k)` that its part k was written
#: by an earlier run, for the same flows, holes and method.
Allocate = Callable[[str, tuple[int, ...], type[np.generic]], np.ndarray]


class Completion(Protocol):
    """Completes the flows of a shot."""

    def __call__(
        self,
        forward: np.ndarray,
        backward: np.ndarray,
        holes: Holes,
        allocate: Allocate,
        pulse: Callable[[float], None],
        aborted: Callable[[], bool],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both flows with what lies in the holes made anew, and the rest as it was.

        forward, backward  (T-1, 2, H, W) float32, pixels, continued into the holes; may be memory maps
        holes              T times (H, W) bool
        pulse              called now and then with the share that is done
        aborted            asked often; when it says so, `Aborted` is raised
        """
        ...


def _dfc(machine: Machine) -> Completion:
    from .dfc import DFC

    return Failover(DFC.installed, machine)


#: Parameter value -> method, the best first. None: the continuation of each pair's flow stays.
COMPLETIONS: dict[str, Method[Completion | None]] = {
    "dfc": Method(_dfc, ("dfc_stage1", "dfc_single")),
    "layers": Method(lambda _machine: None),
    "smooth": Method(lambda _machine: None),
}


def continuation(name: str = "layers") -> Continuation:
    """How each pair's flow is continued into its hole where `completion` has this value; without one, by the default."""
    return smooth.complete if name == "smooth" else layers.complete
