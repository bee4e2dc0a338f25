"""The one path of a job: matte, and then window by window flow, trace, fill, write."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial

from .as_they_were import AsTheyWere
from .check import Forecast, check
from .clock import STAGES, STAGES_WITH_COMPLETION, Clock, Progress
from .cost import of_a_worker
from .errors import BadClip, Failed, Forgotten, OutOfMemory
from .give_back import give_memory_back, share_one_pool
from .heeding import heeding
from .job import Job
from .job_key import job_key
from .kept_work import WorkPlace, kept_work
from .machine import Machine
from .media import ClipInfo, Matte, Source
from .media.output_place import refuse_folder_of
from .methods import Methods
from .references import open_references, read_reference
from .results import Results, open_results
from .shot import Look
from .shot_reading import ShotReader
from .shot_store import ShotStore
from .side_by_side import Workers, in_order, one_thread_each, workers
from .stand_ins import mended, open_footage
from .survey import Survey, context_of, frame_range, matte_of, survey
from .tone import Tone, tone_of
from .windows import Stages, Windows
from .writing import Writing

__all__ = ["STAGES", "STAGES_WITH_COMPLETION", "Forecast", "Progress", "Result", "check", "run"]

_SMALLEST = 16
#: How often a job begins again when what is remembered of an earlier run turns out not to hold.
_TRIES = 4


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
    clock = Clock(on_progress, aborted)
    share_one_pool()
    try:
        with heeding(clock.check):
            return _Run(job, clock, on_message, keep_work, machine).run()
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
            follow_camera=bool(params["follow_camera"]),
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
            if job.output.previews is not None:
                refuse_folder_of(job.output.previews, [*info.files, *keep])
            before = AsTheyWere([*info.files, *keep])
            results = stack.enter_context(open_results(job, source, first, last, keep))
            surveyed = survey(matte, info, (first, last), context_of(job.params), clock, self.references)
            masked = unseen = 0
            if surveyed.region is None:
                self.say("warning", "Nothing is masked, so the source passes through unchanged: check the matte, its channel and its threshold.")
                clock.finish("flow", "completion", "trace", "fill")
                for done, picture in enumerate(source.read(first, last), 1):
                    clock.tick("write", done, last - first + 1)
                    results.write(results.untouched(picture))
            else:
                masked, unseen = self._filled(source, matte, surveyed, (first, last), results, stack)
            for note in (*getattr(source, "notes", ()), *before.notes):
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
        needed = surveyed.needed
        stack.enter_context(one_thread_each())
        masked = surveyed.pixels / (wanted[1] - wanted[0] + 1)
        each = of_a_worker(surveyed.size, masked, str(self.job.params["flow_size"]))
        pool = stack.enter_context(Workers(workers(each)))
        self.tone = tone_of(source, *needed)
        head = next(source.read(needed[0], needed[0]))
        key = job_key(self.job.params, self.methods, surveyed, self.job.references, self.tone, head.rgb[surveyed.region])
        said = {"source": str(self.job.source.path), "output": str(self.job.output.path), "frames": f"{wanted[0]}-{wanted[1]}"}
        work = stack.enter_context(kept_work(key, said, keep=self.keep_work, say=self.say))
        if work.resumed:
            self.say("info", f"Going on with a run of this job that ended in the stage {work.resumed}.")
        writing = Writing(source, surveyed.region, needed, wanted, self.look, self.tone, results, self.clock, pool)
        for _ in range(_TRIES):
            try:
                self._go_on(source, matte, surveyed, work, writing, pool)
                return writing.masked, writing.unseen
            except Forgotten as forgotten:
                everything = forgotten.everything
            # Not while the exception lives, which holds maps of the files.
            if everything:
                work.clear()
        raise Failed(f"{source.info.path} changes while it is read: wait until it is whole, or use a copy.")

    def _go_on(
        self, source: Source, matte: Matte, surveyed: Survey, work: WorkPlace, writing: Writing, pool: Workers
    ) -> None:
        """Writes what is not written yet. Raises `Forgotten` where the work folder has other frames than the source, or not enough."""
        region, needed, info = surveyed.region, surveyed.needed, source.info
        shape = tuple(part.stop - part.start for part in region)
        with ExitStack() as stack:
            store = ShotStore(work.path, shape, info.dtype, offset=needed[0])
            stack.callback(store.close)
            reader = self._reader(info, region, store)
            arrivals = stack.enter_context(closing(reader.frames(source.read(*needed), matte.read_shares(*needed), needed, pool)))
            stages = Stages(
                self.look,
                self.completion,
                self.motion,
                self.references,
                valid=lambda frame: read_reference(self.references[frame], info).valid[region],
                each=partial(in_order, pool),
                note=work.note,
            )
            writing.go_on(store, Windows(store, arrivals, needed, stages, self.clock))

    def _reader(self, info: ClipInfo, region: tuple[slice, slice], store: ShotStore) -> ShotReader:
        params = self.job.params
        return ShotReader(
            store,
            info,
            region,
            self.references,
            self.motion,
            self.tone,
            whole=self.completion is not None,
            cuts=bool(params["cuts"]),
            lighting=bool(params["lighting"]),
            grain=bool(self.look.grain),
            grown_below=int(params["mask_grow_below"]),
            clock=self.clock,
            say=self.say,
        )
