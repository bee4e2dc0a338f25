"""Tables of completed flow: what is invented inside the hole against the true motion there (the paper's tables 3 and 4)."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .. import effect
from ..completion import continuation
from ..flow import Estimator
from ..machine import Machine
from ..motion import MotionSettings, flows, view_of
from ..work import scratch, work_folder
from .bench import Aborted, Column, Found, Method, check
from .flow_errors import SHARES, Sums, add_completion
from .flow_pictures import flow_picture
from .footage import Footage
from .holes import hidden_of

if TYPE_CHECKING:
    from ..completion.dfc_net import DFCNet

REGION_FILL, IN_LAYERS = "Region-Fill (smooth)", "In layers"
_PLACES = (Column("epe", "EPE (px)"), Column("ratio", "of Region-Fill"), Column("smooth", "smooth region"), Column("hard", "hard region"))
_WORST = tuple(Column(f"worst_{share}", f"worst {share}%") for share in SHARES)
_REST = tuple(Column(f"rest_{share}", f"other {100 - share}%") for share in SHARES)
_SECONDS = Column("seconds", "seconds a flow")


@dataclass(frozen=True)
class Ready:
    """A clip's flows on disk, (T-1, 2, H, W) each, and holes (T, H, W): the true ones, and what a method is given."""

    folder: Path
    true: tuple[np.ndarray, np.ndarray]
    given: tuple[np.ndarray, np.ndarray]
    holes: np.ndarray


#: A row's answer: both flows by number, and the seconds that all took, where they are known for this row alone.
Answer = tuple[Callable[[int], tuple[np.ndarray, np.ndarray]], float | None]


class CompletionBench:
    """`methods`: their work gives a context manager of `Answer`s for what is ready.

    estimator  what the true flow of footage is taken to be, unless it is known exactly; `named` is its identity
    seen       what is known outside the hole: "true", the true flow there, as in the paper, or "estimated", what the pipeline
               measures around the hole
    shares     whether the table tells apart where each method errs most (table 3)
    """

    around = ("Given flow", "True flow")
    baseline = REGION_FILL

    def __init__(self, methods: Sequence[Method], seed: int, *, estimator: Estimator, named: Any, seen: str, shares: bool):
        self.methods, self._seed, self._estimator, self._seen = methods, seed, estimator, seen
        self.columns = (*_PLACES, *_WORST, *_REST, _SECONDS) if shares else (*_PLACES, _SECONDS)
        self.identity = {"bench": "completion", "seed": seed, "estimator": named, "seen": seen}

    @contextmanager
    def opened(self, footage: Footage, setting: str, aborted: Aborted) -> Iterator[Ready]:
        made = hidden_of(footage, setting, self._seed)
        with work_folder() as folder, scratch(folder) as allocate:
            yield self._prepared(folder, footage, made, allocate, aborted)

    def _prepared(
        self, folder: Path, footage: Footage, made: Iterator[tuple[np.ndarray, ...]], allocate: Any, aborted: Aborted
    ) -> Ready:
        exact, ready = footage.exact(), None
        refinement = int(effect.parameters()["refinement"]["default"])
        motion = MotionSettings(self._estimator, continuation(), refinement=refinement, scale=1.0)
        before: tuple[np.ndarray, ...] | None = None
        for k, (truth, given, hole) in enumerate(made):
            check(aborted)
            if ready is None:
                shape = (footage.count - 1, 2, *hole.shape)
                true = (allocate("true-forward", shape, np.float32), allocate("true-backward", shape, np.float32))
                held = (allocate("given-forward", shape, np.float32), allocate("given-backward", shape, np.float32))
                ready = Ready(folder, true, held, allocate("holes", (footage.count, *hole.shape), np.bool_))
            ready.holes[k] = hole
            if before is not None:
                t = k - 1
                pair = (exact.forward[t], exact.backward[t]) if exact else self._estimated(before[0], truth)
                known = pair
                if self._seen == "estimated":
                    views = [view_of(*shown, colour=self._estimator.colour) for shown in ((before[1], before[2]), (given, hole))]
                    known = flows(*views, motion)
                for way in range(2):
                    ready.true[way][t], ready.given[way][t] = pair[way], known[way]
            before = (truth, given, hole)
        assert ready is not None
        return ready

    def _estimated(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self._estimator.colour:
            a, b = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (a, b))
        return self._estimator(a, b), self._estimator(b, a)

    def surroundings(self, ready: Ready) -> tuple[np.ndarray, np.ndarray]:
        middle = len(ready.true[0]) // 2
        truth, hole = ready.true[0][middle], ready.holes[middle]
        given = flow_picture(ready.given[0][middle], truth, hole)
        given[hole] = 127
        return given, flow_picture(truth, truth, hole)

    def measure(self, method: Method, ready: Ready, aborted: Aborted) -> list[Found]:
        found = []
        with method.work(ready, aborted) as answers:
            for flow_of, seconds in answers:
                sums = Sums()
                for t in range(len(ready.true[0])):
                    check(aborted)
                    for way, flow in enumerate(flow_of(t)):
                        add_completion(sums, flow, ready.true[way][t], ready.holes[t + way])
                middle = len(ready.true[0]) // 2
                picture = flow_picture(flow_of(middle)[0], ready.true[0][middle], ready.holes[middle])
                found.append((sums.means() | {"seconds": seconds and seconds / (2 * len(ready.true[0]))}, picture))
        return found


# --- methods ---


def region_fill() -> Method:
    """Smooth interpolation from the hole's border."""
    return _continued(REGION_FILL, "smooth")


def in_layers() -> Method:
    """The same for each of the motions that meet there."""
    return _continued(IN_LAYERS, "layers")


def _continued(name: str, completion: str) -> Method:
    complete = continuation(completion)

    @contextmanager
    def work(ready: Ready, aborted: Aborted) -> Iterator[list[Answer]]:
        del aborted
        begun = time.monotonic()
        with scratch(ready.folder) as allocate:
            filled = [allocate(f"filled-{way}", flow.shape, np.float32) for way, flow in enumerate(ready.given)]
            for way, given in enumerate(ready.given):
                for t in range(len(given)):
                    filled[way][t] = complete(np.array(given[t]), np.array(ready.holes[t + way]))
            yield [(lambda t: (filled[0][t], filled[1][t]), time.monotonic() - begun)]

    return Method((name,), {"completion": completion}, work)


def network(rows: tuple[str | None, ...], make: Callable[[], DFCNet], identity: Any, device: str) -> Method:
    """DFC-Net: a row for each of its stages, all from one pass over the clip."""
    make = cache(make)

    @contextmanager
    def work(ready: Ready, aborted: Aborted) -> Iterator[list[Answer]]:
        from ..completion.dfc_input import restore_flow
        from ..completion.dfc_shot import complete_shot

        held: dict[str, np.ndarray] = {}
        with scratch(ready.folder) as allocate:

            def keep(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
                held[name] = allocate(name, shape, dtype)
                return held[name]

            begun = time.monotonic()
            whole = complete_shot(*ready.given, ready.holes, make(), device=Machine(device).device, allocate=keep, aborted=aborted)
            seconds = time.monotonic() - begun
            size = ready.holes.shape[1:]

            def of_stage(stage: int) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
                # Backward flows of a stage go by the frame that they start from.
                ways = (("forward", 0), ("backward", 1))
                return lambda t: tuple(restore_flow(held[f"dfc-{stage}-{way}"][t + later], size) for way, later in ways)

            early = [(of_stage(stage), None) for stage in range(1, len(rows))]
            yield [*early, (lambda t: (whole[0][t], whole[1][t]), seconds)]

    return Method(rows, {"completion": "dfc", "weights": identity}, work)
