"""A job looked at before it is done: whether it can be, what it would take, and what other frames see."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from . import cost, coverage
from .clock import Clock
from .evaluation.sheet import save_png
from .flow import ESTIMATORS
from .give_back import give_memory_back
from .heeding import heeding
from .job import Job
from .machine import Machine
from .media import Source
from .media.output_place import refuse_picture
from .methods import Methods
from .motion import eight_bits
from .references import open_references
from .shadows import Below
from .side_by_side import Workers, in_order, one_thread_each, workers
from .stand_ins import mended, open_footage
from .survey import Survey, context_of, frame_range, matte_of, spread, survey

#: Mattes that are read.
_MATTES = 100

T, R = TypeVar("T"), TypeVar("R")


@dataclass(frozen=True)
class Forecast:
    """What a job would do. `seconds`, `memory_mib` and `disk_mib` (the work folder when it is largest) are estimates for this machine,
    doing nothing else; `coverage` is None where nothing is masked."""

    frames: int
    width: int
    height: int
    masked: float
    memory_mib: int
    seconds: float
    device: str
    flow: str
    completion: str
    fill: str
    notes: list[str]
    coverage: coverage.Coverage | None = None
    disk_mib: int = 0


def check(job: Job, *, aborted: Callable[[], bool] = lambda: False) -> Forecast:
    """Validates a job by reading its mattes, and says what it would take. Raises the same errors as `run`."""
    clock = Clock(aborted=aborted)
    try:
        with heeding(clock.check):
            return _checked(job, clock)
    finally:
        give_memory_back()


def _checked(job: Job, clock: Clock) -> Forecast:
    params = job.params
    methods = Methods.of(params, Machine(str(params["device"])))
    with open_footage(job.source, str(params["damaged_frames"])) as source, matte_of(job, source.info) as matte:
        first, last = frame_range(job, source.info)
        if job.coverage is not None:
            refuse_picture(job.coverage, [*source.info.files, *matte.files, *(spec.path for spec in job.references)])
        references = open_references(job.references, source.info)
        holes = coverage.RememberedMatte(mended(matte, source))
        found = survey(holes, source.info, (first, last), context_of(params), clock, references, _MATTES)
        below = Below()
        foreseen = _coverage(job, source, holes, found, (first, last), below, clock) if found.region else None
        costs = _costs(job, source, holes, found, last - first + 1, foreseen, methods, clock)
    count = last - first + 1
    notes = [*matte.notes] if found.region else ["Nothing is masked: the source would pass through unchanged.", *matte.notes]
    notes += below.advice(int(params["mask_grow_below"]))
    if methods.networks:
        notes.append("The time and memory that networks take are not in this forecast.")
    return Forecast(
        frames=count,
        width=source.info.width,
        height=source.info.height,
        masked=found.pixels / count / (source.info.width * source.info.height),
        **costs,
        device=methods.machine.name if methods.networks else "cpu",
        **methods.names,
        notes=notes,
        coverage=foreseen,
    )


def _costs(
    job: Job,
    source: Source,
    matte: coverage.RememberedMatte,
    found: Survey,
    wanted: int,
    foreseen: coverage.Coverage | None,
    methods: Methods,
    clock: Clock,
) -> dict[str, Any]:
    size = source.info.width * source.info.height
    if foreseen is None:
        return {"seconds": round(cost.passing(wanted, size), 1), "memory_mib": cost.PROGRAM_MIB, "disk_mib": 0}
    # A network's pairs are not timed: it would have to be loaded.
    flow = methods if not methods.flow.method.roles else Methods.of({**job.params, "flow": "dis"}, methods.machine)
    motion = flow.motion(job.params)
    known = cost.Known(
        found,
        wanted,
        size,
        stored=source.info.frame_bytes,
        video=source.info.kind == "video",
        format=job.output.format,
        hole=found.pixels / wanted,
        unseen=foreseen.unseen,
        itemsize=np.dtype(source.info.dtype).itemsize,
        reach=int(job.params["reach"]),
        candidates=int(job.params["candidates"]),
        match_sides=bool(job.params["match_sides"]),
        follow_camera=bool(job.params["follow_camera"]),
        around=motion.around,
        whole=bool(methods.completion.method.roles),
        shots=bool(job.references),
        origins=job.output.passes is not None,
        steadied=bool(job.params["steadiness"]),
        fill=methods.fill.name,
        flow_size=str(job.params["flow_size"]),
    )
    pair = cost.seconds_of_a_pair(source, matte, found, motion, bool(job.params["lighting"]), clock.check)
    return {
        "seconds": round(cost.seconds_of(known, pair, cost.slowness()), 1),
        "memory_mib": round(cost.memory_of(known) / 2**20),
        "disk_mib": round(cost.disk_of(known) / 2**20),
    }


def _coverage(
    job: Job,
    source: Source,
    matte: coverage.RememberedMatte,
    surveyed: Survey,
    wanted: tuple[int, int],
    below: Below,
    clock: Clock,
) -> coverage.Coverage:
    """Looks at small pictures of some frames, and draws what it has found where the job asks for it. `below` sees some of them too."""
    reach, frames = int(job.params["reach"]), [spec.frame for spec in job.references]
    plan = coverage.plan(*surveyed.needed, reach, frames)
    sampled = [k for stretch in plan for k in stretch.frames]
    pairs = {min(sampled, key=lambda k: abs(k - place)) for place in spread(*surveyed.needed)}

    def samples(of: list[int]) -> Iterator[coverage.Sample]:
        for sample in coverage.read_samples(source, matte, of, surveyed.region, clock.check):
            yield sample
            # Here the next frame is at hand. To come back for it would mean to decode from the key frame on.
            if sample.frame in pairs and sample.frame < surveyed.needed[1]:
                below.look(*cost.pair(source, matte, surveyed.region, sample.frame))

    stretches = []
    for stretch in plan:
        counted = max(stretch.counted[0], wanted[0]), min(stretch.counted[1], wanted[1])
        stretches.append((samples(stretch.frames), counted))
    with one_thread_each(), Workers(workers()) as pool:

        def each(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
            for made in in_order(pool, work, tasks):
                clock.check()
                yield made

        estimator = ESTIMATORS["dis"].make(Machine("cpu"))
        found = coverage.forecast(stretches, reach, frames, estimator, each, clock.check, cuts=bool(job.params["cuts"]))
    if job.coverage is None or found.coverage.worst is None:
        return found.coverage

    def look(frame: int) -> tuple[np.ndarray, np.ndarray]:
        picture, hole = next(iter(source.read(frame, frame))), next(iter(matte.read(frame, frame)))
        return eight_bits(picture.rgb), hole

    save_png(job.coverage, coverage.draw(found, surveyed.region, look))
    return replace(found.coverage, picture=str(job.coverage))
