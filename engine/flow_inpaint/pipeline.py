"""The one path of a job: matte, flow, trace, fill, write."""
from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from . import coverage
from .completion import COMPLETIONS, Completion
from .completion.smooth import complete as smooth
from .cuts import CutFinder
from .effect import Value
from .errors import Aborted, BadClip, OutOfMemory
from .evaluation.sheet import save_png
from .fill import FILLS, Fill
from .flow import ESTIMATORS, Estimator
from .grain import grain_sample
from .job import Job
from .light import Glimpse, change_of_light, glimpse_of, seen_gain
from .machine import Choice, Machine, choose
from .media import ClipInfo, Matte, Source, open_matte, open_output, open_source
from .motion import MotionSettings, View, eight_bits, flows, measure, view_of
from .passes import Passes, open_passes
from .poisson import bounding_box
from .references import link_references, open_references, read_reference, relit
from .shot import Look, ShotStore, complete_shot, compose, invent, origins_of, trace_shot
from .work import work_folder

#: Stages in order, and about what share of the time each takes; then the same with a method that completes the flow shot by shot.
STAGES = {"matte": 0.04, "flow": 0.46, "trace": 0.05, "fill": 0.1, "write": 0.35}
STAGES_WITH_COMPLETION = {"matte": 0.02, "flow": 0.2, "completion": 0.6, "trace": 0.02, "fill": 0.06, "write": 0.1}
_SMALLEST = 16
#: A change of light, as a logarithm, that would be mistaken for motion.
_DISTURBING = 0.015
_LEAST_SURROUNDINGS = 64
#: Grain is looked at in every so many frames.
_GRAIN_EVERY = 4
#: Mattes that a check reads.
_CHECKED_MATTES = 100
_NOWHERE, _NO_HOLE = (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)

T, R = TypeVar("T"), TypeVar("R")
_Seen = tuple[View, Glimpse | None]


@dataclass(frozen=True)
class Progress:
    stage: str
    done: int
    total: int
    fraction: float
    eta_s: float | None


@dataclass(frozen=True)
class Result:
    """What a job made. `masked`: share of all pixels; `unseen`: share of the masked ones that no frame and no reference shows.
    `passes`: the folder of each pass that was asked for."""

    path: str
    format: str
    files: list[str]
    frames: int
    first: int
    width: int
    height: int
    identity: bool
    masked: float
    unseen: float
    seconds: float
    device: str
    flow: str
    completion: str
    fill: str
    passes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Forecast:
    """What a job would do. `seconds` and `memory_mib` are estimates for this machine; `coverage` is None where nothing is masked."""

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


def run(
    job: Job,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_message: Callable[[str, str], None] = lambda level, text: None,
    aborted: Callable[[], bool] = lambda: False,
    machine: Machine | None = None,
) -> Result:
    """Does a job. Raises the errors of `errors.py`; whatever happens, no half-written output is left behind.

    machine  with the weights to use; by default this one with what is installed, and the job's device
    """
    try:
        return _Run(job, _Clock(on_progress, aborted), on_message, machine).run()
    except MemoryError as error:
        raise OutOfMemory("There is not enough memory for this job: close other programs, or process a shorter range.") from error


def check(job: Job, *, aborted: Callable[[], bool] = lambda: False) -> Forecast:
    """Validates a job by reading its mattes, and says what it would take. Raises the same errors as `run`."""
    clock = _Clock(lambda progress: None, aborted)
    params = job.params
    methods = _Methods.of(params, Machine(str(params["device"])))
    with open_source(job.source) as source, _matte(job, source.info) as matte:
        first, last = frame_range(job, source.info)
        references = open_references(job.references, source.info)
        holes = coverage.RememberedMatte(matte)
        survey = _survey(holes, source.info, (first, last), int(params["reach"]), clock, references, _CHECKED_MATTES)
        foreseen = _coverage(job, source, holes, survey, (first, last), clock) if survey.region else None
    count = last - first + 1
    hole = survey.pixels / count
    notes = [*matte.notes] if survey.region else ["Nothing is masked: the source would pass through unchanged.", *matte.notes]
    if methods.networks:
        notes.append("The time and memory that networks take are not in this forecast.")
    height, width = source.info.height, source.info.width
    region = (survey.region[0].stop - survey.region[0].start) * (survey.region[1].stop - survey.region[1].start) if survey.region else 0
    return Forecast(
        frames=count,
        width=width,
        height=height,
        masked=hole / (width * height),
        memory_mib=int(160 + (region * 120 + hole * 900 + width * height * 60) / 2**20 * min(_workers(), 4)),
        seconds=round(count * (0.01 + 5e-8 * width * height + 7e-6 * hole), 1),
        device=methods.machine.name if methods.networks else "cpu",
        **methods.names,
        notes=notes,
        coverage=foreseen,
    )


def _coverage(
    job: Job, source: Source, matte: coverage.RememberedMatte, survey: _Survey, wanted: tuple[int, int], clock: _Clock
) -> coverage.Coverage:
    """Looks at small pictures of some frames, and draws what it has found where the job asks for it."""
    reach, frames = int(job.params["reach"]), [spec.frame for spec in job.references]
    stretches = []
    for stretch in coverage.plan(*survey.needed, reach, frames):
        counted = max(stretch.counted[0], wanted[0]), min(stretch.counted[1], wanted[1])
        stretches.append((coverage.read_samples(source, matte, stretch.frames, survey.region, clock.check), counted))
    with _one_thread_each(), _pool() as pool:

        def each(work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
            for made in _in_order(pool, work, tasks):
                clock.check()
                yield made

        estimator = ESTIMATORS["dis"].make(Machine("cpu"))
        found = coverage.forecast(stretches, reach, frames, estimator, each, clock.check, cuts=bool(job.params["cuts"]))
    if job.coverage is None or found.coverage.worst is None:
        return found.coverage

    def look(frame: int) -> tuple[np.ndarray, np.ndarray]:
        picture, hole = next(iter(source.read(frame, frame))), next(iter(matte.read(frame, frame)))
        return eight_bits(picture.rgb), hole

    save_png(job.coverage, coverage.draw(found, survey.region, look))
    return replace(found.coverage, picture=str(job.coverage))


def frame_range(job: Job, info: ClipInfo) -> tuple[int, int]:
    """First and last job frame that are asked for."""
    first, last = job.frames or (0, info.count - 1)
    if last >= info.count:
        raise BadClip(f"Frames {first}-{last} are asked for, and {info.path.name} has frames 0-{info.count - 1}.")
    return first, last


def _context(first: int, last: int, reach: int, count: int) -> tuple[int, int]:
    """OpenFX's getFramesNeeded: the frames that the range may take pixels from."""
    return max(first - reach, 0), min(last + reach, count - 1)


def _matte(job: Job, info: ClipInfo) -> Matte:
    return open_matte(job.mask, info, int(job.params["mask_grow"]), float(job.params["mask_threshold"]))


@dataclass
class _Survey:
    """What the mattes say before any picture is read.

    region  OpenFX's getRegionsOfInterest: rows and columns that are processed; None: nothing is masked in the wanted frames
    needed  first and last frame that are read, so that the wanted ones see far enough
    pixels  how many are masked in the wanted frames
    """

    region: tuple[slice, slice] | None
    needed: tuple[int, int]
    pixels: int


def _survey(
    matte: Matte | coverage.RememberedMatte,
    info: ClipInfo,
    wanted: tuple[int, int],
    reach: int,
    clock: _Clock,
    references: Iterable[int] = (),
    most: int | None = None,
) -> _Survey:
    """`most`: how many mattes are read at most, evenly spaced; the others are taken to be as these are."""
    needed = _context(*wanted, reach, info.count)
    needed = min([needed[0], *references]), max([needed[1], *references])
    rows, columns = np.zeros(info.height, bool), np.zeros(info.width, bool)
    pixels = largest = 0
    everything = True
    step = 1 if most is None else -(-(needed[1] - needed[0] + 1) // most)
    counted = 0
    for frame in range(needed[0], needed[1] + 1, step):
        (hole,) = matte.read(frame, frame)
        counted += wanted[0] <= frame <= wanted[1]
        clock.tick("matte", frame - needed[0] + 1, needed[1] - needed[0] + 1)
        box = bounding_box(hole)
        if box is None:
            everything = False
            continue
        rows[box[0]], columns[box[1]] = True, True
        largest = max(largest, *(part.stop - part.start for part in box))
        covered = int(hole.sum())
        everything &= covered == hole.size
        if wanted[0] <= frame <= wanted[1]:
            pixels += covered
    if everything:
        raise BadClip("The matte covers the whole picture in every frame, so nothing is left to fill it from: check its channel, or invert it.")
    if not pixels and step > 1:
        return _survey(matte, info, wanted, reach, clock, references)
    if not pixels:
        return _Survey(None, wanted, 0)
    # A hole shows its background once it has moved by its own size: that much around it may be a source.
    around = max(largest, _LEAST_SURROUNDINGS)
    pixels = round(pixels * (wanted[1] - wanted[0] + 1) / max(counted, 1))
    return _Survey((_widened(rows, around), _widened(columns, around)), needed, pixels)


def _widened(marked: np.ndarray, by: int) -> slice:
    at = np.flatnonzero(marked)
    return slice(max(int(at[0]) - by, 0), min(int(at[-1]) + 1 + by, marked.size))


@dataclass(frozen=True)
class _Methods:
    """The chosen method of each stage. `networks`: whether any of them is one."""

    machine: Machine
    flow: Choice[Estimator]
    completion: Choice[Completion | None]
    fill: Choice[Fill]

    @classmethod
    def of(cls, params: Mapping[str, Value], machine: Machine) -> _Methods:
        """Raises `MissingWeights`."""
        return cls(
            machine,
            flow=choose("flow", ESTIMATORS, str(params["flow"]), machine),
            completion=choose("completion", COMPLETIONS, str(params["completion"]), machine),
            fill=choose("fill", FILLS, str(params["fill"]), machine),
        )

    @property
    def names(self) -> dict[str, str]:
        return {"flow": self.flow.name, "completion": self.completion.name, "fill": self.fill.name}

    @property
    def networks(self) -> bool:
        return any(choice.method.roles for choice in (self.flow, self.completion, self.fill))


class _Run:
    def __init__(self, job: Job, clock: _Clock, on_message: Callable[[str, str], None], machine: Machine | None):
        self.job, self.clock, self.say = job, clock, on_message
        params = job.params
        self.methods = _Methods.of(params, machine or Machine(str(params["device"]), on_message))
        machine = self.methods.machine
        self.completion = self.methods.completion.make()
        if self.completion is not None:
            clock.shares = STAGES_WITH_COMPLETION
        self.motion = MotionSettings(
            estimator=self.methods.flow.make(),
            complete=smooth,
            refinement=int(params["refinement"]),
            scale={"full": 1.0, "half": 0.5}[str(params["flow_size"])],
        )
        self.look = Look(
            reach=int(params["reach"]),
            consistency=float(params["consistency"]),
            gradient=params["blend"] == "gradient",
            fill=self.methods.fill.make(),
            grain=float(params["grain"]),
            references_only_unseen=params["reference_use"] == "unseen",
        )
        if self.methods.networks:
            names = self.methods.names
            self.say("info", f"Flow by {names['flow']}, completed by {names['completion']}, fill by {names['fill']}, on {machine.name}.")

    def run(self) -> Result:
        job, clock = self.job, self.clock
        with ExitStack() as stack:
            source = stack.enter_context(open_source(job.source))
            info = source.info
            if min(info.width, info.height) < _SMALLEST:
                raise BadClip(f"{info.path.name} is {info.width}x{info.height}: pictures of at least {_SMALLEST}x{_SMALLEST} pixels are needed.")
            first, last = frame_range(job, info)
            matte = stack.enter_context(_matte(job, info))
            self.references = open_references(job.references, info)
            keep = {*matte.files, *(spec.path for spec in job.references)}
            output = stack.enter_context(open_output(job.output, source, first, last, keep=keep))
            passes = None
            if job.output.passes is not None:
                passes = stack.enter_context(open_passes(job.output.passes, source, first, last, keep, job.output.path))
            survey = _survey(matte, info, (first, last), self.look.reach, clock, self.references)
            needed = survey.needed
            masked = unseen = 0
            if survey.region is None:
                self.say("warning", "Nothing is masked, so the source passes through unchanged: check the matte, its channel and its threshold.")
                for done, picture in enumerate(source.read(first, last), 1):
                    clock.tick("write", done, last - first + 1)
                    output.write(picture)
                    if passes:
                        passes.write(picture.index, passes.encoded(picture, picture, _NO_HOLE, _NOWHERE, None))
            else:
                stack.enter_context(_one_thread_each())
                pool = stack.enter_context(_pool())
                folder = stack.enter_context(work_folder())
                shape = tuple(part.stop - part.start for part in survey.region)
                store = ShotStore(folder, shape, info.dtype, offset=needed[0])
                stack.callback(store.close)
                shots = self._read(source, matte, survey.region, needed, store, pool)
                frames = needed[1] - needed[0] + 1
                for begin, end in shots if self.completion else ():
                    self._complete(store, begin, end, needed)
                with clock.beats("trace", frames * (3 if self.references else 1)) as pulse:
                    for begin, end in shots:
                        trace_shot(store, begin, end, self.look.reach, partial(_in_order, pool), pulse)
                        link_references(store, begin, end, self.references, partial(self._valid, info, survey.region), pulse)
                with clock.beats("fill", 3 * frames) as pulse:
                    for begin, end in shots:
                        invent(store, begin, end, self.look, pulse)
                masked, unseen = self._write(source, store, survey.region, (first, last), output, passes, pool)
            for note in (*matte.notes, *output.notes):
                self.say("info", note)
            folders = {name: str(made.path) for name, made in passes.commit().items()} if passes else {}
            try:
                files = output.commit()
            except BaseException:
                if passes:
                    passes.revoke()
                raise
        count = last - first + 1
        return Result(
            path=str(files.path),
            format=job.output.format,
            files=files.files,
            frames=count,
            first=first,
            width=info.width,
            height=info.height,
            identity=survey.region is None,
            masked=masked / (count * info.width * info.height),
            unseen=unseen / max(masked, 1),
            seconds=round(clock.seconds(), 3),
            device=self.methods.machine.name if self.methods.networks else "cpu",
            **self.methods.names,
            passes=folders,
        )

    def _complete(self, store: ShotStore, begin: int, end: int, needed: tuple[int, int]) -> None:
        clock, frames = self.clock, needed[1] - needed[0] + 1

        def pulse(share: float) -> None:
            done = begin - needed[0] + share * (end - begin + 1)
            clock.tick("completion", min(round(done), frames), frames)

        complete_shot(store, begin, end, self.completion, pulse, clock.stopped)

    def _read(
        self,
        source: Source,
        matte: Matte,
        region: tuple[slice, slice],
        needed: tuple[int, int],
        store: ShotStore,
        pool: ThreadPoolExecutor,
    ) -> list[tuple[int, int]]:
        """Stores the region of every frame and measures the motion beside its hole. Returns the shots, [first, last] each."""
        first, last = needed
        cuts = CutFinder() if self.job.params["cuts"] else None
        begins = [first]

        grains: dict[int, np.ndarray | None] = {}
        lighting = bool(self.job.params["lighting"])

        def pairs() -> Iterator[tuple[int, _Seen | None, _Seen]]:
            before: _Seen | None = None
            for picture, whole in zip(source.read(first, last), matte.read(first, last), strict=True):
                rgb, hole = picture.rgb[region], np.ascontiguousarray(whole[region])
                store.remember(picture.index, rgb, hole)
                self._remember_reference(store, picture.index, source.info, region)
                if cuts and cuts.is_cut(eight_bits(picture.rgb), whole):
                    begins.append(picture.index)
                    self.say("info", f"A new shot begins at frame {picture.index}.")
                    before = None
                seen = view_of(rgb, hole, colour=self.motion.estimator.colour), glimpse_of(rgb, hole) if lighting else None
                yield picture.index, before, seen
                before = seen

        whole = self.completion is not None

        def motion(task: tuple[int, _Seen | None, _Seen]) -> tuple[int, tuple | None, np.ndarray | None]:
            frame, before, (view, glimpse) = task
            if before is None:
                return frame, None, None
            light = change_of_light(before[1], glimpse) if lighting else None
            if light is not None and np.abs(light).max() > _DISTURBING:
                view = view.lit(seen_gain(-light.mean(), glimpse.linear))
            return frame, (flows if whole else measure)(before[0], view, self.motion), light

        for frame, found, light in _in_order(pool, motion, pairs()):
            if light is not None:
                store.remember_light(frame, light)
            if self.look.grain and frame not in begins and frame % _GRAIN_EVERY == 1:
                grains[frame] = grain_sample(store.picture(frame), store.hole(frame), store.picture(frame - 1))
            self.clock.tick("flow", frame - first + 1, last - first + 1)
            if whole and frame > first:
                store.remember_flows(*(found or (None, None)))
            elif found:
                store.remember_hops(frame - 1, *found)
        shots = list(zip(begins, [b - 1 for b in begins[1:]] + [last]))
        for begin, end in shots:
            store.remember_grain(begin, end, [sample for frame, sample in grains.items() if begin <= frame <= end])
        return shots

    def _remember_reference(self, store: ShotStore, frame: int, info: ClipInfo, region: tuple[slice, slice]) -> None:
        if frame not in self.references:
            return
        hole = store.hole(frame)
        if not hole.any():
            self.say("warning", f"The reference {self.references[frame].path.name} does nothing: nothing is masked in its frame {frame}.")
        given = read_reference(self.references[frame], info).part(region)
        store.remember_reference(frame, relit(given, store.picture(frame), hole, info.white))

    def _valid(self, info: ClipInfo, region: tuple[slice, slice], frame: int) -> np.ndarray:
        return read_reference(self.references[frame], info).valid[region]

    def _write(
        self, source, store: ShotStore, region, wanted: tuple[int, int], output, passes: Passes | None, pool: ThreadPoolExecutor
    ) -> tuple[int, int]:
        """Composes and writes the wanted frames. Returns the numbers of masked and of unseen pixels."""
        first, last = wanted
        masked = unseen = 0
        origin = (region[0].start, region[1].start)

        def made(picture):
            hole = store.hole(picture.index)
            if not hole.any():
                return picture, hole, passes and passes.encoded(picture, picture, hole, region, None)
            result = picture.composite(compose(store, picture.index, self.look), hole, origin=origin)
            about = passes and passes.encoded(picture, result, hole, region, origins_of(store, picture.index, self.look, origin))
            return result, hole, about

        for picture, hole, about in _in_order(pool, made, source.read(first, last)):
            self.clock.tick("write", picture.index - first + 1, last - first + 1)
            output.write(picture)
            if passes:
                passes.write(picture.index, about)
            masked += int(hole.sum())
            unseen += store.unseen.read(picture.index)[0].size
        return masked, unseen


class _Clock:
    """Progress over all stages, and the host's wish to stop."""

    def __init__(self, on_progress: Callable[[Progress], None], aborted: Callable[[], bool]):
        self._tell, self.stopped = on_progress, aborted
        self._start = time.monotonic()
        self._fraction = 0.0
        self.shares = STAGES

    def seconds(self) -> float:
        return time.monotonic() - self._start

    def check(self) -> None:
        if self.stopped():
            raise Aborted("Stopped before the end; nothing was written.")

    def tick(self, stage: str, done: int, total: int) -> None:
        """Says that `done` of `total` frames are through a stage. Raises `Aborted`."""
        self.check()
        before = 0.0
        for name, share in self.shares.items():
            if name == stage:
                self._fraction = max(self._fraction, min(before + share * done / max(total, 1), 1.0))
                break
            before += share
        passed = self.seconds()
        eta = passed * (1 / self._fraction - 1) if self._fraction > 0.05 else None
        self._tell(Progress(stage, done, total, self._fraction, eta))

    @contextmanager
    def beats(self, stage: str, expected: int) -> Iterator[Callable[[], None]]:
        """For a stage that goes over the frames several times: a sign of life to call at each step."""
        done = 0

        def beat() -> None:
            nonlocal done
            done = min(done + 1, expected - 1)
            self.tick(stage, done, expected)

        yield beat
        self.tick(stage, expected, expected)


def _workers() -> int:
    return min(os.cpu_count() or 1, 8)


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_workers(), "flow-inpaint")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Frames are worked on side by side, so OpenCV must not split each of them again."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """`map` over a pool that reads ahead only as far as its workers need, so that memory stays bounded."""
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > _workers():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
