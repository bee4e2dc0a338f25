"""Estimated flow against exact flow, on generated clips: what the choice of an estimator rests on (with the paper's table 6)."""
from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from ..flow import ESTIMATORS, Estimator
from .bench import Aborted, Column, Found, Method, check
from .flow_errors import Sums, add_estimation
from .flow_pictures import flow_picture
from .footage import Exact, Footage
from .weight_choice import Weights

_COLUMNS = (
    Column("epe", "EPE, seen in both frames (px)"),
    Column("slow", "slow"),
    Column("medium", "medium"),
    Column("fast", "fast"),
    Column("edges", "near motion edges"),
    Column("thin", "thin structures"),
    Column("occluded", "hidden in the other frame"),
    Column("seconds", "seconds a flow"),
)


@dataclass(frozen=True)
class Ready:
    """frames (T, H, W, 3) uint8."""

    frames: np.ndarray
    exact: Exact


class EstimationBench:
    """`methods`: their work makes an `Estimator`."""

    columns = _COLUMNS
    around = ("Frame", "True flow")
    baseline = None
    identity = {"bench": "estimation"}

    def __init__(self, methods: Sequence[Method]):
        self.methods = methods

    @contextmanager
    def opened(self, footage: Footage, setting: str, aborted: Aborted) -> Iterator[Ready]:
        del setting
        check(aborted)
        exact = footage.exact()
        assert exact is not None, "only generated clips are given to this bench"
        yield Ready(np.stack(list(footage.frames())), exact)

    def surroundings(self, ready: Ready) -> tuple[np.ndarray, np.ndarray]:
        middle = len(ready.exact.forward) // 2
        return ready.frames[middle], flow_picture(ready.exact.forward[middle], ready.exact.forward[middle])

    def measure(self, method: Method, ready: Ready, aborted: Aborted) -> list[Found]:
        estimator: Estimator = method.work()
        frames = ready.frames if estimator.colour else np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in ready.frames])
        sums, seconds, exact = Sums(), 0.0, ready.exact
        middle, picture = len(exact.forward) // 2, None
        for t in range(len(exact.forward)):
            check(aborted)
            a, b = frames[t], frames[t + 1]
            begun = time.monotonic()
            found = estimator(a, b), estimator(b, a)
            seconds += time.monotonic() - begun
            add_estimation(sums, found[0], exact.forward[t], exact.occluded_forward[t])
            add_estimation(sums, found[1], exact.backward[t], exact.occluded_backward[t])
            if t == middle:
                picture = flow_picture(found[0], exact.forward[t])
        assert picture is not None
        return [(sums.means() | {"seconds": seconds / (2 * len(exact.forward))}, picture)]


def estimator(name: str, chosen: Weights | None, device: str) -> Method:
    """An estimator as the pipeline has it."""
    label = {"dis": "DIS", "flownet2": "FlowNet2"}[name] + (f" ({chosen.label})" if chosen and chosen.label else "")
    if ESTIMATORS[name].roles and chosen is None:
        return Method((label,))
    machine = (chosen or Weights("")).machine(device)
    make = cache(lambda: ESTIMATORS[name].make(machine))
    return Method((label,), {"estimator": name, "weights": chosen.identity if chosen else []}, make)
