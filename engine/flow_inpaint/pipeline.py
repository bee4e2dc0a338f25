"""The one path of a job: matte, flow, trace, fill, write."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import numpy as np

from .check import Forecast, check
from .clock import STAGES, STAGES_WITH_COMPLETION, Clock, Progress
from .composing import Filled, fill, finished, steadied
from .errors import BadClip, OutOfMemory
from .give_back import give_memory_back
from .job import Job
from .job_key import job_key
from .kept_work import kept_work
from .machine import Machine
from .media import ClipInfo, Matte, Source
from .media.picture import Picture
from .methods import Methods
from .passes.pictures import Origins
from .references import link_references, open_references, read_reference
from .results import Results, open_results
from .shot import Look, complete_shot, invent, origins_of, sources_of, trace_shot
from .shot_reading import ShotReader
from .shot_store import ShotStore
from .side_by_side import in_order, one_thread_each, pool_of_workers, threes
from .stand_ins import mended, open_footage
from .survey import Survey, context_of, frame_range, matte_of, survey
from .tone import Tone, tone_of

__all__ = ["STAGES", "STAGES_WITH_COMPLETION", "Forecast", "Progress", "Result", "check", "run"]

_SMALLEST = 16


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


def run(
    job: Job,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_message: Callable[[str, str], None] = lambda level, text: None,
    aborted: Callable[[], bool] = lambda: False,
    keep_work: Callable[[], bool] = lambda: False,
    machine: Machine | None = None,
) -> Result:
    """Does a job, or goes on with one that was cut off. Raises the errors of `errors.py`; whatever happens, no half-written output
    is left behind.

    keep_work  asked when `aborted` was heeded: whether a later run is to go on from here (see `kept_work`)
    machine    with the weights to use; by default this one with what is installed, and the job's device
    """
    try:
        return _Run(job, Clock(on_progress, aborted), on_message, keep_work, machine).run()
    except MemoryError as error:
        raise OutOfMemory("There is not enough memory for this job: close other programs, or process a shorter range.") from error
    finally:
        give_memory_back()


class _Run:
    def __init__(
        self, job: Job, clock: Clock, on_message: Callable[[str, str], None], keep_work: Callable[[], bool], machine: Machine | None
    ):
        self.job, self.clock, self.say, self.keep_work = job, clock, on_message, keep_work
        params = job.params
        self.methods = Methods.of(params, machine or Machine(str(params["device"]), on_message, after_failure=str(params["device_failure"])))
        machine = self.methods.machine
        self.tone = Tone()
        self.completion = self.methods.completion.make()
        if self.completion is not None:
            clock.shares = STAGES_WITH_COMPLETION
        self.motion = self.methods.motion(params)
        self.look = Look(
            reach=int(params["reach"]),
            candidates=int(params["candidates"]),
            match_sides=bool(params["match_sides"]),
            steadiness=float(params["steadiness"]),
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
            source = stack.enter_context(open_footage(job.source, str(job.params["damaged_frames"])))
            info = source.info
            if min(info.width, info.height) < _SMALLEST:
                raise BadClip(f"{info.path.name} is {info.width}x{info.height}: pictures of at least {_SMALLEST}x{_SMALLEST} pixels are needed.")
            first, last = frame_range(job, info)
            matte = mended(stack.enter_context(matte_of(job, info)), source)
            self.references = open_references(job.references, info)
            keep = {*matte.files, *(spec.path for spec in job.references)}
            results = stack.enter_context(open_results(job, source, first, last, keep))
            surveyed = survey(matte, info, (first, last), context_of(job.params), clock, self.references)
            masked = unseen = 0
            if surveyed.region is None:
                self.say("warning", "Nothing is masked, so the source passes through unchanged: check the matte, its channel and its threshold.")
                for done, picture in enumerate(source.read(first, last), 1):
                    clock.tick("write", done, last - first + 1)
                    results.write(results.untouched(picture))
            else:
                masked, unseen = self._filled(source, matte, surveyed, (first, last), results, stack)
            for note in getattr(source, "notes", ()):
                self.say("warning", note)
            for note in (*matte.notes, *results.notes):
                self.say("info", note)
            files, folders = results.commit()
        count = last - first + 1
        return Result(
            path=str(files.path),
            format=job.output.format,
            files=files.files,
            frames=count,
            first=first,
            width=info.width,
            height=info.height,
            identity=surveyed.region is None,
            masked=masked / (count * info.width * info.height),
            unseen=unseen / max(masked, 1),
            seconds=round(clock.seconds(), 3),
            device=self._device(),
            **self.methods.names,
            passes=folders,
        )

    def _device(self) -> str:
        """What the networks ran on, for a person."""
        if not self.methods.networks:
            return "cpu"
        machine = self.methods.machine
        return f"{machine.name}, then cpu" if machine.card_has_failed else machine.name

    def _filled(
        self,
        source: Source,
        matte: Matte,
        surveyed: Survey,
        wanted: tuple[int, int],
        results: Results,
        stack: ExitStack,
    ) -> tuple[int, int]:
        """All stages but the first. Returns the numbers of masked and of unseen pixels."""
        clock, region, needed, params = self.clock, surveyed.region, surveyed.needed, self.job.params
        stack.enter_context(one_thread_each())
        pool = stack.enter_context(pool_of_workers())
        self.tone = tone_of(source, *needed)
        pictures = source.read(*needed)
        head = next(pictures)
        key = job_key(params, self.methods, surveyed, self.job.references, self.tone, head.rgb[region])
        said = {"source": str(self.job.source.path), "output": str(self.job.output.path), "frames": f"{wanted[0]}-{wanted[1]}"}
        work = stack.enter_context(kept_work(key, said, keep=self.keep_work, say=self.say))
        if work.resumed:
            self.say("info", f"Going on with a run of this job that ended in the stage {work.resumed}.")
        shape = tuple(part.stop - part.start for part in region)
        store = ShotStore(work.path, shape, source.info.dtype, offset=needed[0])
        stack.callback(store.close)
        work.note("flow")
        shots = self._read(source.info, chain([head], pictures), matte, surveyed, store, pool)
        frames = needed[1] - needed[0] + 1
        if self.completion:
            work.note("completion")
            for begin, end in shots:
                self._complete(store, begin, end, needed)
        work.note("trace")
        with clock.beats("trace", frames * (3 if self.references else 1)) as pulse:
            for begin, end in shots:
                trace_shot(store, begin, end, self.look, partial(in_order, pool), pulse)
                link_references(store, begin, end, self.references, partial(self._valid, source.info, region), pulse)
        work.note("fill")
        with clock.beats("fill", 3 * frames) as pulse:
            for begin, end in shots:
                invent(store, begin, end, self.look, pulse)
        work.note("write")
        return self._write(source, store, region, needed, wanted, results, pool)

    def _read(
        self, info: ClipInfo, pictures: Iterable[Picture], matte: Matte, surveyed: Survey, store: ShotStore, pool: ThreadPoolExecutor
    ) -> list[tuple[int, int]]:
        params = self.job.params
        reader = ShotReader(
            store,
            info,
            surveyed.region,
            self.references,
            self.motion,
            self.tone,
            whole=self.completion is not None,
            cuts=bool(params["cuts"]),
            lighting=bool(params["lighting"]),
            grain=bool(self.look.grain),
            clock=self.clock,
            say=self.say,
        )
        return reader.read(pictures, matte.read(*surveyed.needed), surveyed.needed, pool)

    def _complete(self, store: ShotStore, begin: int, end: int, needed: tuple[int, int]) -> None:
        clock, frames = self.clock, needed[1] - needed[0] + 1

        def pulse(share: float) -> None:
            done = begin - needed[0] + share * (end - begin + 1)
            clock.tick("completion", min(round(done), frames), frames)

        complete_shot(store, begin, end, self.completion, self.motion.around, pulse, clock.stopped)

    def _valid(self, info: ClipInfo, region: tuple[slice, slice], frame: int) -> np.ndarray:
        return read_reference(self.references[frame], info).valid[region]

    def _write(
        self,
        source: Source,
        store: ShotStore,
        region: tuple[slice, slice],
        needed: tuple[int, int],
        wanted: tuple[int, int],
        results: Results,
        pool: ThreadPoolExecutor,
    ) -> tuple[int, int]:
        """Composes and writes the wanted frames. Returns the numbers of masked and of unseen pixels."""
        first, last = wanted
        masked = unseen = 0
        origin = (region[0].start, region[1].start)

        def filled(frame: int) -> tuple[Filled | None, Origins | None]:
            if not needed[0] <= frame <= needed[1] or not store.hole(frame).any():
                return None, None
            found = sources_of(store, frame, self.look)
            told = results.tell_origins and first <= frame <= last
            return fill(store, frame, self.look, found), origins_of(store, frame, self.look, origin, found) if told else None

        def made(task: tuple[Picture, tuple[tuple[Filled | None, Origins | None], ...]]):
            picture, ((before, _), (own, origins), (after, _)) = task
            if own is None:
                return 0, results.untouched(picture)
            hole = store.hole(picture.index)
            own = steadied(store, own, (before, after), self.look)
            corner = tuple(part.start + inner.start for part, inner in zip(region, own.box))
            result = picture.composite(self.tone.decoded(finished(store, own, self.look)), own.hole, origin=corner)
            return int(hole.sum()), results.encoded(picture, result, hole, region, origins)

        # Each frame is filled by itself, and then looked at beside its neighbours, which the range may leave out.
        fills = in_order(pool, filled, range(first - 1, last + 2))
        tasks = zip(source.read(first, last), threes(fills))
        for frame, (covered, encoded) in enumerate(in_order(pool, made, tasks), first):
            self.clock.tick("write", frame - first + 1, last - first + 1)
            results.write(encoded)
            masked += covered
            unseen += store.unseen.read(frame)[0].size
        return masked, unseen


