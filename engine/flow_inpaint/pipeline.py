"""The one path of a job: matte, flow, trace, fill, write."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from .check import Forecast, check
from .clock import STAGES, STAGES_WITH_COMPLETION, Clock, Progress
from .completion.smooth import complete as smooth
from .cuts import CutFinder
from .errors import BadClip, OutOfMemory
from .grain import grain_sample
from .job import Job
from .light import Glimpse, change_of_light, glimpse_of, seen_gain
from .machine import Machine
from .media import ClipInfo, Matte, Source, open_output
from .methods import Methods
from .motion import MotionSettings, View, eight_bits, flows, measure, view_of
from .passes import Passes, open_passes
from .references import link_references, open_references, read_reference, relit
from .shot import Look, ShotStore, complete_shot, compose, invent, origins_of, sources_of, trace_shot
from .side_by_side import in_order, one_thread_each, pool_of_workers
from .stand_ins import mended, open_footage
from .survey import frame_range, matte_of, survey
from .tone import Tone, tone_of
from .work import work_folder

__all__ = ["STAGES", "STAGES_WITH_COMPLETION", "Forecast", "Progress", "Result", "check", "run"]

_SMALLEST = 16
#: A change of light, as a logarithm, that would be mistaken for motion.
_DISTURBING = 0.015
#: Grain is looked at in every so many frames.
_GRAIN_EVERY = 4
_NOWHERE, _NO_HOLE = (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)

_Seen = tuple[View, Glimpse | None]


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
    machine: Machine | None = None,
) -> Result:
    """Does a job. Raises the errors of `errors.py`; whatever happens, no half-written output is left behind.

    machine  with the weights to use; by default this one with what is installed, and the job's device
    """
    try:
        return _Run(job, Clock(on_progress, aborted), on_message, machine).run()
    except MemoryError as error:
        raise OutOfMemory("There is not enough memory for this job: close other programs, or process a shorter range.") from error


class _Run:
    def __init__(self, job: Job, clock: Clock, on_message: Callable[[str, str], None], machine: Machine | None):
        self.job, self.clock, self.say = job, clock, on_message
        params = job.params
        self.methods = Methods.of(params, machine or Machine(str(params["device"]), on_message))
        machine = self.methods.machine
        self.tone = Tone()
        self.completion = self.methods.completion.make()
        if self.completion is not None:
            clock.shares = STAGES_WITH_COMPLETION
        self.motion = MotionSettings(
            estimator=self.methods.flow.make(),
            complete=smooth,
            refinement=int(params["refinement"]),
            scale={"full": 1.0, "half": 0.5}[str(params["flow_size"])],
            beside_camera=bool(params["beside_camera"]),
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
            source = stack.enter_context(open_footage(job.source, str(job.params["damaged_frames"])))
            info = source.info
            if min(info.width, info.height) < _SMALLEST:
                raise BadClip(f"{info.path.name} is {info.width}x{info.height}: pictures of at least {_SMALLEST}x{_SMALLEST} pixels are needed.")
            first, last = frame_range(job, info)
            matte = mended(stack.enter_context(matte_of(job, info)), source)
            self.references = open_references(job.references, info)
            keep = {*matte.files, *(spec.path for spec in job.references)}
            output = stack.enter_context(open_output(job.output, source, first, last, keep=keep))
            passes = None
            if job.output.passes is not None:
                passes = stack.enter_context(open_passes(job.output.passes, source, first, last, keep, job.output.path))
            surveyed = survey(matte, info, (first, last), self.look.reach, clock, self.references)
            needed = surveyed.needed
            masked = unseen = 0
            if surveyed.region is None:
                self.say("warning", "Nothing is masked, so the source passes through unchanged: check the matte, its channel and its threshold.")
                for done, picture in enumerate(source.read(first, last), 1):
                    clock.tick("write", done, last - first + 1)
                    output.write(picture)
                    if passes:
                        passes.write(picture.index, passes.encoded(picture, picture, _NO_HOLE, _NOWHERE, None))
            else:
                stack.enter_context(one_thread_each())
                pool = stack.enter_context(pool_of_workers())
                folder = stack.enter_context(work_folder())
                shape = tuple(part.stop - part.start for part in surveyed.region)
                store = ShotStore(folder, shape, info.dtype, offset=needed[0])
                stack.callback(store.close)
                self.tone = tone_of(source, *needed)
                shots = self._read(source, matte, surveyed.region, needed, store, pool)
                frames = needed[1] - needed[0] + 1
                for begin, end in shots if self.completion else ():
                    self._complete(store, begin, end, needed)
                with clock.beats("trace", frames * (3 if self.references else 1)) as pulse:
                    for begin, end in shots:
                        trace_shot(store, begin, end, self.look.reach, partial(in_order, pool), pulse)
                        link_references(store, begin, end, self.references, partial(self._valid, info, surveyed.region), pulse)
                with clock.beats("fill", 3 * frames) as pulse:
                    for begin, end in shots:
                        invent(store, begin, end, self.look, pulse)
                masked, unseen = self._write(source, store, surveyed.region, (first, last), output, passes, pool)
            for note in getattr(source, "notes", ()):
                self.say("warning", note)
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
            identity=surveyed.region is None,
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
                rgb, hole = self.tone.exposed(picture.rgb[region]), np.ascontiguousarray(whole[region])
                store.remember(picture.index, self.tone.coded(picture.rgb[region]), hole)
                self._remember_reference(store, picture.index, source.info, region)
                if cuts and cuts.is_cut(eight_bits(self.tone.exposed(picture.rgb)), whole):
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
            if self.look.grain and frame % _GRAIN_EVERY == 1:
                grains[frame] = grain_sample(store.picture(frame), view.hole, store.picture(frame - 1))
            light = change_of_light(before[1], glimpse) if lighting else None
            if light is not None and np.abs(light).max() > _DISTURBING:
                view = view.lit(seen_gain(-light.mean(), glimpse.linear))
            return frame, (flows if whole else measure)(before[0], view, self.motion), light

        for frame, found, light in in_order(pool, motion, pairs()):
            if light is not None:
                store.remember_light(frame, self.tone.coded_gain(light))
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
        given = replace(given, rgb=self.tone.coded(given.rgb))
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
            found = sources_of(store, picture.index, self.look)
            filled = self.tone.decoded(compose(store, picture.index, self.look, found))
            result = picture.composite(filled, hole, origin=origin)
            about = passes and passes.encoded(picture, result, hole, region, origins_of(store, picture.index, self.look, origin, found))
            return result, hole, about

        for picture, hole, about in in_order(pool, made, source.read(first, last)):
            self.clock.tick("write", picture.index - first + 1, last - first + 1)
            output.write(picture)
            if passes:
                passes.write(picture.index, about)
            masked += int(hole.sum())
            unseen += store.unseen.read(picture.index)[0].size
        return masked, unseen


