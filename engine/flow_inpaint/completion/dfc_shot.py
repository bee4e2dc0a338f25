"""A whole shot's flow completed by DFC-Net, window by window, with memory that does not grow with the shot's length."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..device_errors import is_out_of_memory
from ..errors import Aborted, BadWeights, OutOfMemory
from ..poisson import bounding_box
from .dfc_input import initial_frame, initial_windows, refine_frame, refine_windows, restore_flow
from .dfc_net import STRIDE, DFCNet, DFCStage, Region

#: Windows at a time where there is room for more, and the share of the free memory that they may take.
_MOST = 16
_SHARE = 0.6
#: Numbers a pixel that a stage of width 1 holds at once.
_WORKING = 400
#: Crops begin and end at multiples of this, because every new size costs the libraries time to prepare.
_STEP = 8 * STRIDE

_TOO_LITTLE = "There is not enough memory to complete the flow with this network: choose a smaller one, or process a smaller picture."

#: (direction, number) of a flow; see `dfc_input` for the numbers.
Key = tuple[str, int]
Write = Callable[[Key, np.ndarray], None]
Done = Callable[[Key], bool]


def beats(flows: int, net: DFCNet) -> int:
    """How often `complete_shot` calls its `pulse` for a shot of so many forward flows."""
    return 2 * flows + 1 + (len(net.stages) - 1) * (flows + 1) if flows else 0


def complete_shot(
    forward: Any,
    backward: Any,
    holes: Any,
    net: DFCNet,
    *,
    device: torch.device | str,
    batch: int | None = None,
    allocate: Callable[[str, tuple[int, ...], type], Any] = lambda name, shape, dtype: np.empty(shape, dtype),
    enlarge: int = 0,
    crop: bool = True,
    margin: int | None = None,
    half: bool | None = None,
    pulse: Callable[[], None] = lambda: None,
    aborted: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Any, Any]:
    """The shot's flows with what lies inside the holes replaced by the network's answer; outside they are what was given.

    forward   (T-1, 2, H, W): forward[t] leads from frame t to t+1
    backward  (T-1, 2, H, W): backward[t] leads from frame t+1 to t
    holes     (T, H, W) bool; forward[t] is replaced where holes[t], backward[t] where holes[t+1], and what they hold
              there does not matter. All three are read frame by frame: arrays, memory maps, or anything with a length
              that is indexed by a number
    net       is put on the device, and left in the mode, training or not, that it is in
    batch     windows at a time; None: what the free memory of the device allows, 1 on a CPU
    allocate  (name, shape, dtype) -> an array to write into, for everything as long as the shot: the two results, named
              "dfc-forward" and "dfc-backward", and what each stage but the last leaves for the next, "dfc-1-forward" and so on.
              What an array says that it `has` (see `completion.Allocate`) is not computed again
    enlarge   grows the first stage's holes by a square of so many pixels
    crop      looks only at the box around the holes of a batch's centres and `margin` pixels of each stage's size beside it;
              with the margin None that is all that the answer depends on, and it is the whole frame's
    half      half precision; None: on CUDA
    pulse     is called `beats` times
    aborted   is asked before every convolution: True raises Aborted
    say       gets a sentence when memory runs out and something smaller is tried instead

    Raises OutOfMemory when a single window in half precision does not fit, BadWeights when an answer is no numbers.
    """
    source = _Source(forward, backward, holes)
    results = {name: allocate(f"dfc-{name}", (source.flows, 2, *source.size), np.float32) for name in ("forward", "backward")}
    if not source.flows:
        return results["forward"], results["backward"]
    device = torch.device(device)
    runner = _Runner(device, half if half is not None else device.type == "cuda", say)
    try:
        with torch.inference_mode(), _ready(net, device):
            before: dict[str, Any] = {}
            for index, (stage, size) in enumerate(zip(net.stages, net.stage_sizes(*source.size), strict=True)):
                look = _First(source, size, enlarge) if index == 0 else _Later(source, size, before)
                if index + 1 < len(net.stages):
                    lengths = {"forward": source.flows, "backward": source.flows + 1}
                    after = {name: allocate(f"dfc-{index + 1}-{name}", (count, 2, *size), np.float32) for name, count in lengths.items()}
                    write, done = _between(after), _is_between(after)
                else:
                    after, write, done = {}, _final(source, results), _is_final(results)
                runner.load(stage, size, batch)
                around = None if not crop else stage.reach if margin is None else margin
                with _watched(stage, aborted):
                    _run_stage(runner, look, write, done, around, pulse, aborted)
                before = after
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise OutOfMemory(_TOO_LITTLE) from error
        raise
    return results["forward"], results["backward"]


@dataclass(frozen=True)
class _Source:
    """What was given, by flow numbers."""

    forward: Any
    backward: Any
    holes: Any

    def __post_init__(self) -> None:
        if not len(self.holes) - 1 == len(self.forward) == len(self.backward):
            counts = f"{len(self.forward)} forward flows, {len(self.backward)} backward flows and {len(self.holes)} holes"
            raise ValueError(f"{counts} do not make a shot: it takes as many flows each way, and one hole more")

    @property
    def flows(self) -> int:
        return len(self.forward)

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.holes[0].shape)

    def flow(self, key: Key) -> np.ndarray:
        direction, number = key
        if direction == "forward":
            return np.asarray(self.forward[number], np.float32)
        return np.asarray(self.backward[number - 1], np.float32) if number else np.zeros((2, *self.size), np.float32)

    def hole(self, key: Key) -> np.ndarray:
        return np.asarray(self.holes[key[1]], bool)


@dataclass(frozen=True)
class _Job:
    """A window: the flows that it shows, in order, and those that it answers."""

    shown: list[Key]
    centres: list[Key]


@dataclass(frozen=True)
class _First:
    """What the first stage looks at."""

    source: _Source
    size: tuple[int, int]
    enlarge: int

    def jobs(self) -> Iterator[_Job]:
        for direction, centre, numbers in initial_windows(self.source.flows):
            yield _Job([(direction, k) for k in numbers], [(direction, centre)])

    def frame(self, key: Key) -> np.ndarray:
        return initial_frame(self.source.flow(key), self.source.hole(key), self.size, enlarge=self.enlarge, hide=True)


@dataclass(frozen=True)
class _Later:
    """What a later stage looks at: the answers `before`."""

    source: _Source
    size: tuple[int, int]
    before: dict[str, Any]

    def jobs(self) -> Iterator[_Job]:
        for ahead, behind, forward, backward in refine_windows(self.source.flows):
            shown = [("forward", k) for k in forward] + [("backward", k) for k in backward]
            yield _Job(shown, [("forward", ahead), ("backward", behind)])

    def frame(self, key: Key) -> np.ndarray:
        return refine_frame(np.asarray(self.before[key[0]][key[1]]), self.source.hole(key), self.size)


def _between(arrays: dict[str, Any]) -> Write:
    def write(key: Key, flow: np.ndarray) -> None:
        arrays[key[0]][key[1]] = flow

    return write


def _final(source: _Source, results: dict[str, Any]) -> Write:
    def write(key: Key, flow: np.ndarray) -> None:
        direction, number = key
        index = number if direction == "forward" else number - 1
        if index < 0:
            return
        given, hole = source.flow(key), source.hole(key)
        results[direction][index] = np.where(hole, restore_flow(flow, source.size), given) if hole.any() else given

    return write


def _is_between(arrays: dict[str, Any]) -> Done:
    return lambda key: _has(arrays[key[0]], key[1])


def _is_final(results: dict[str, Any]) -> Done:
    def done(key: Key) -> bool:
        direction, number = key
        index = number if direction == "forward" else number - 1
        return index < 0 or _has(results[direction], index)

    return done


def _has(array: Any, index: int) -> bool:
    return hasattr(array, "has") and array.has(index)


@dataclass(frozen=True)
class _Frame:
    """Three channels (3, h, w) on the device, and the box around the hole in them."""

    channels: Tensor
    box: tuple[slice, slice] | None


def _run_stage(
    runner: _Runner,
    look: _First | _Later,
    write: Write,
    done: Done,
    margin: int | None,
    pulse: Callable[[], None],
    aborted: Callable[[], bool],
) -> None:
    """Goes through the windows in order and remembers only the frames of the batch at hand."""
    frames: dict[Key, _Frame] = {}
    waiting: list[_Job] = []

    def frame(key: Key) -> _Frame:
        if key not in frames:
            channels = look.frame(key)
            frames[key] = _Frame(torch.from_numpy(channels).to(runner.device), bounding_box(channels[2] > 0))
        return frames[key]

    def flush() -> None:
        kept = {key: frame(key) for job in waiting for key in job.shown}
        _answer(runner, waiting, kept, look.size, margin, write, pulse)
        frames.clear()
        frames.update(kept)
        waiting.clear()

    for job in look.jobs():
        _check(aborted)
        if all(done(key) for key in job.centres):
            pulse()
            continue
        centres = [frame(key) for key in job.centres]
        if any(centre.box for centre in centres):
            waiting.append(job)
            if len(waiting) >= runner.batch:
                flush()
            continue
        if waiting:
            flush()
        for key, centre in zip(job.centres, centres, strict=True):
            write(key, centre.channels[:2].cpu().numpy())
        pulse()
        for key in frames.keys() - set(job.shown):
            del frames[key]
    if waiting:
        flush()


def _answer(
    runner: _Runner,
    jobs: list[_Job],
    frames: dict[Key, _Frame],
    size: tuple[int, int],
    margin: int | None,
    write: Write,
    pulse: Callable[[], None],
) -> None:
    rows, columns = whole = slice(0, size[0]), slice(0, size[1])
    if margin is not None:
        rows, columns = _around([frames[key].box for job in jobs for key in job.centres], size, margin)
    region = None if (rows, columns) == whole else Region(rows.start, columns.start, *size)
    windows = [[frames[key].channels[:, rows, columns] for key in job.shown] for job in jobs]
    for job, flows in zip(jobs, runner(windows, region), strict=True):
        for k, key in enumerate(job.centres):
            channels = frames[key].channels
            completed = channels[:2].clone()
            part = completed[:, rows, columns]
            part.copy_(torch.where(channels[2:, rows, columns] > 0, flows[2 * k : 2 * k + 2], part))
            write(key, completed.cpu().numpy())
        pulse()


def _around(boxes: list[tuple[slice, slice] | None], size: tuple[int, int], margin: int) -> tuple[slice, slice]:
    """Rows and columns of all boxes and the margin, on the grid of the features and in few different sizes."""
    out = []
    for axis, length in enumerate(size):
        parts = [box[axis] for box in boxes if box]
        margin = max(margin, STRIDE)
        start = max(min(part.start for part in parts) - margin, 0) // _STEP * _STEP
        stop = -(-(max(part.stop for part in parts) + margin) // _STEP) * _STEP
        # What is left of the frame beyond its last whole step is too little to be a crop by itself.
        out.append(slice(start, length if stop > length - _STEP else stop))
    return out[0], out[1]


class _Runner:
    """Puts windows through a stage in batches, and makes do with less when memory runs out."""

    def __init__(self, device: torch.device, half: bool, say: Callable[[str], None]):
        self.device, self.half, self.batch = device, half, 1
        self._say = say
        self._half_holds = True
        self._stage: DFCStage

    def load(self, stage: DFCStage, size: tuple[int, int], batch: int | None) -> None:
        self._stage = stage
        self.batch = batch or _fitting(stage, size, self.device, self.half)

    def __call__(self, windows: list[list[Tensor]], region: Region | None) -> Iterator[Tensor]:
        """The answers (out_channels, h, w) to windows of (3, h, w) frames."""
        done = 0
        while done < len(windows):
            part = windows[done : done + self.batch]
            answers = self._try(part, region)
            if answers is None:
                self._step_down()
            elif not torch.isfinite(answers).all():
                self._step_up()
            else:
                yield from answers
                done += len(part)

    def _try(self, windows: list[list[Tensor]], region: Region | None) -> Tensor | None:
        try:
            shape = (len(windows), self._stage.in_channels, *windows[0][0].shape[1:])
            # What the first convolution would make half precision of is not kept in full as well.
            dtype = _half_type(self.device) if self.half else torch.float32
            x = torch.empty(shape, dtype=dtype, device=self.device, memory_format=_memory_format(self.device))
            for frames, channels in zip(windows, x, strict=True):
                for k, frame in enumerate(frames):
                    channels[3 * k : 3 * k + 3] = frame
            with torch.autocast(self.device.type, _half_type(self.device), enabled=self.half):
                return self._stage(x, region).float()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _step_up(self) -> None:
        if not self.half:
            raise BadWeights("The weights of DFC-Net make no numbers of these flows: import others, or choose completion = smooth.")
        self._say("Half precision cannot hold these numbers: going on in full precision.")
        self.half = self._half_holds = False

    def _step_down(self) -> None:
        if self.batch > 1:
            self.batch //= 2
            self._say(f"Memory is short: completing the flow in batches of {self.batch}.")
        elif self._half_holds and not self.half:
            self.half = True
            self._say("Memory is short: completing the flow in half precision.")
        else:
            raise OutOfMemory(_TOO_LITTLE)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _memory_format(device: torch.device) -> torch.memory_format:
    # A quarter faster on CPUs too, and in less memory.
    return torch.channels_last if device.type in ("cuda", "cpu") else torch.contiguous_format


def _half_type(device: torch.device) -> torch.dtype:
    # Three more bits are worth more to a flow than bfloat16's range, which nothing here needs; CPUs have only that one.
    return torch.bfloat16 if device.type == "cpu" else torch.float16


def _fitting(stage: DFCStage, size: tuple[int, int], device: torch.device, half: bool) -> int:
    """Windows at a time. A CPU gains nothing by more than one."""
    if device.type == "cpu":
        return 1
    if device.type != "cuda":
        return 2
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    window = size[0] * size[1] * (4 * stage.in_channels + _WORKING * stage.width * (2 if half else 4))
    return int(min(max(_SHARE * free / window, 1), _MOST))


@contextmanager
def _ready(net: DFCNet, device: torch.device) -> Iterator[None]:
    net.to(device, memory_format=_memory_format(device))
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)


@contextmanager
def _watched(stage: nn.Module, aborted: Callable[[], bool]) -> Iterator[None]:
    hooks = [
        module.register_forward_pre_hook(lambda *_: _check(aborted)) for module in stage.modules() if isinstance(module, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _check(aborted: Callable[[], bool]) -> None:
    if aborted():
        raise Aborted("Stopped.")
