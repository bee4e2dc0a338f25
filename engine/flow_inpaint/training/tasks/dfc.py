"""DFC-Net: its stages one after another, each with those before it frozen, and then all of them jointly, end to end.

A clip is treated as the whole shot that `dfc_shot` would complete, so that each stage sees of the one before what it will
see at work: the same windows, the same smooth filling, the same resizing.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...completion.dfc_input import CENTRE, WINDOW
from ...completion.dfc_net import BACKBONES, DFCNet, DFCStage
from ...errors import BadParameter
from .. import chance
from ..losses import hard_regions, length, masked_l1, mined_l1, totals
from ..prefill import bilinear, fill, prefilled, resize_flow, resize_hole
from ..sources import MOTION, Batch
from . import Group, Part, Sums, choice, pictures, span

STAGES = ("stage1", "stage2", "stage3")
#: How far an estimator's errors reach out of a hole, in pixels, and how coarse they are.
_REACH, _COARSE = 12, 8


@dataclass(frozen=True)
class DFCSettings:
    """What of DFC-Net is learnt, and how.

    stage          "stage1", "stage2", "stage3", or "joint": all of them, with gradients through everything between them
    stages         of the whole network
    width          of its channels, 1 is the paper's
    mining_weight  lambda of eq. 2; 0: no mining
    mining_share   of the hole's pixels that are mined
    noise          errors in the known flow near holes, as a share of what an estimator makes; 0: none. With data.estimated they
                   are an estimator's own, and this has no effect
    ends           share of samples that lie near the end of a shot, where windows repeat it
    head_rate      the head learns so many times faster
    warm           a later stage begins with the weights of the one before
    upstream       joint: the earlier stages' own losses count so much
    at_once        windows that go through a stage together
    recompute      joint: compute twice instead of remembering
    """

    stage: str = "stage1"
    stages: int = 3
    backbone: str = "resnet50"
    width: float = 0.25
    multi_scale: bool = True
    mining_weight: float = 2.0
    mining_share: float = 0.5
    noise: float = 0.0
    ends: float = 0.15
    head_rate: float = 1.0
    warm: bool = True
    upstream: float = 0.5
    at_once: int = 256
    recompute: bool = False


@dataclass(frozen=True)
class Shot:
    """Flows by the numbers of the frames that they start from; the first frame's backward flow is no flow (see `dfc_input`).

    Each of (N, numbers, 2, H, W), holes (N, numbers, H, W); `truth` is exact, `given` is what an estimator would say.
    `centre` (N,): the number in the middle of the window that is learnt from.
    """

    truth: dict[str, Tensor]
    given: dict[str, Tensor]
    holes: dict[str, Tensor]
    centre: Tensor


class DFCTask:
    parts = ("l1", "hard")
    metrics = (
        "epe", "epe_smooth", "ratio", "epe_hard", "epe_smooth_hard", "ratio_hard", "epe_easy", "epe_smooth_easy", "ratio_easy",
    )  # fmt: skip
    uses = (MOTION,)
    best = "ratio"

    def __init__(self, settings: DFCSettings):
        self.settings = settings
        choice("task.stage", settings.stage, (*STAGES, "joint"))
        choice("task.backbone", settings.backbone, BACKBONES)
        span("task.stages", settings.stages, 1, 3)
        span("task.width", settings.width, 1 / 64, 4)
        span("task.mining_share", settings.mining_share, 0.01, 1)
        span("task.ends", settings.ends, 0, 1)
        if settings.stage in STAGES[settings.stages :]:
            raise BadParameter(f"task.stage cannot be '{settings.stage}' of a network of task.stages = {settings.stages}.")
        self._joint = settings.stage == "joint"
        self._last = settings.stages - 1 if self._joint else STAGES.index(settings.stage)

    def build(self) -> DFCNet:
        s = self.settings
        return DFCNet.build(s.stages, s.backbone, s.width, multi_scale=s.multi_scale)

    def begin(self, model: nn.Module) -> None:
        if self._last == 0 or self._joint or not self.settings.warm:
            return
        before, own = (model.stages[number] for number in (self._last - 1, self._last))
        weights = dict(before.state_dict())
        if self._last == 1:
            weights |= _both_ways(weights)
        own.load_state_dict(weights)

    def players(self, model: nn.Module) -> Mapping[str, list[Group]]:
        chosen = list(model.stages) if self._joint else [model.stages[self._last]]
        heads = [parameter for stage in chosen for parameter in stage.layer5.parameters()]
        known = set(heads)
        bodies = [parameter for stage in chosen for parameter in stage.parameters() if parameter not in known]
        return {"model": [Group(bodies), Group(heads, self.settings.head_rate)]}

    def loss(self, model: nn.Module, batch: Batch, player: str) -> tuple[Tensor, dict[str, Tensor]]:
        shot = self._shot(batch)
        total, plain, hard = 0, 0, 0
        for stage, answer in self._answers(model, shot):
            prediction, truth, hole = answer
            if stage < self._last and not self._joint:
                continue
            one = masked_l1(prediction, truth, hole).mean()
            two = mined_l1(prediction, truth, hole, self.settings.mining_share).mean()
            weight = 1 if stage == self._last else self.settings.upstream
            total = total + weight * (one + self.settings.mining_weight * two)
            plain, hard = one, two
        return total, {"l1": plain, "hard": hard}

    def measure(self, model: nn.Module, batch: Batch) -> tuple[Sums, np.ndarray]:
        shot = self._shot(batch)
        prediction, truth, hole = [answer for _, answer in self._answers(model, shot)][-1]
        with torch.autocast(truth.device.type, enabled=False):
            size = tuple(truth.shape[-2:])
            known = torch.cat([_taken(shot.given[name], shot.centre) for name in shot.given])
            full = torch.cat([_taken(shot.holes[name], shot.centre) for name in shot.holes])
            smooth = fill(resize_flow(known, size, full), hole, cycles=6)
            error, error_smooth = length(prediction.float() - truth), length(smooth - truth)
            hard = hard_regions(truth) & hole
            sums: Sums = {}
            for name, where in (("", hole), ("_hard", hard), ("_easy", hole & ~hard)):
                sums[f"epe{name}"] = totals(error, where)
                sums[f"epe_smooth{name}"] = totals(error_smooth, where)
            inside = hole[:, None]
            shown = [("true flow", truth), ("smooth", smooth), ("network", torch.where(inside, prediction.float(), truth))]
        return sums, pictures.flows(shown, hole)

    def conclude(self, means: Mapping[str, float]) -> dict[str, float]:
        ratios = {f"ratio{name}": means[f"epe{name}"] / max(means[f"epe_smooth{name}"], 1e-9) for name in ("", "_hard", "_easy")}
        return {name: (dict(means) | ratios)[name] for name in self.metrics}

    def catalogued(self) -> list[Part]:
        s = self.settings
        # The catalogue knows the published combinations; others are for the paper's tables.
        if s.multi_scale != (s.backbone == "resnet50"):
            return []
        if s.backbone == "resnet101":
            return [Part("dfc_single", "dfc_initial_resnet101", s.width, "stages.0.")] if s.stages == 1 else []
        kinds = ["dfc_initial_resnet50", "dfc_refine_resnet50", "dfc_refine_resnet50"][: s.stages]
        return [Part(f"dfc_{STAGES[number]}", kind, s.width, f"stages.{number}.") for number, kind in enumerate(kinds)]

    # --- from a batch to a shot ---

    def _shot(self, batch: Batch) -> Shot:
        keys, holes = batch["key"], batch["holes"]
        count = batch["forward"].shape[1]
        if count < WINDOW:
            raise BadParameter(f"data.frames cannot be {count + 1}: a window of {WINDOW} flows takes {WINDOW + 1} frames at least.")
        # The first backward flow: at the beginning of a shot there is none, in its middle it is about as the next one.
        begins = (chance.uniform(keys, "begins") < self.settings.ends)[:, None, None, None]

        def flows(prefix: str) -> dict[str, Tensor]:
            forward, backward = batch[f"{prefix}forward"].float(), batch[f"{prefix}backward"].float()
            before = torch.where(begins, torch.zeros_like(backward[:, 0]), backward[:, 0])
            return {"forward": forward, "backward": torch.cat([before[:, None], backward], 1)}

        first = torch.where(begins[:, 0], holes[:, 0], holes[:, 1])
        truth = flows("")
        where = {"forward": holes[:, :-1], "backward": torch.cat([first[:, None], holes[:, 1:]], 1)}
        near_end = chance.uniform(keys, "ends") < self.settings.ends
        anywhere = 1 + chance.below(keys, "centre", count)
        centre = torch.where(near_end, anywhere, torch.full_like(anywhere, count // 2))
        if "estimated_forward" in batch:
            given = flows("estimated_")
        else:
            given = {name: self._estimated(flow, where[name], keys, name) for name, flow in truth.items()}
        return Shot(truth, given, where, centre)

    def _estimated(self, flow: Tensor, hole: Tensor, keys: Tensor, name: str) -> Tensor:
        """What an estimator would say: near holes it is blurred and goes astray, the more so the faster the motion."""
        if not self.settings.noise:
            return flow
        n, numbers, _, h, w = flow.shape
        # A share of the samples is exact, so that the network learns to trust what it sees.
        strength = self.settings.noise * chance.uniform(keys, f"{name}/strength")[:, None, None, None, None]
        mask = hole.flatten(0, 1)[:, None].float()
        size = 2 * _REACH + 1
        near = F.avg_pool2d(F.max_pool2d(mask, size, 1, _REACH), size, 1, _REACH).view(n, numbers, 1, h, w)
        coarse = (h // _COARSE + 1, w // _COARSE + 1)
        astray = chance.normal(keys, f"{name}/astray", (numbers * 2, *coarse))
        astray = bilinear(astray, (h, w)).view(n, numbers, 2, h, w)
        flat = flow.flatten(0, 1)
        blurred = F.avg_pool2d(flat, 9, 1, 4, count_include_pad=False).view_as(flow)
        speed = length(flat).view(n, numbers, 1, h, w)
        return flow + near * strength * ((blurred - flow) + astray * (0.2 + 0.05 * speed))

    # --- the stages ---

    def _answers(self, net: nn.Module, shot: Shot) -> list[tuple[int, tuple[Tensor, Tensor, Tensor]]]:
        """(stage, (prediction, truth, hole)) at the centre, both directions together along the batch: (2N, 2, h, w)."""
        height, width = shot.truth["forward"].shape[-2:]
        sizes = net.stage_sizes(height, width)
        flows, answers = shot.given, []
        for number in range(self._last + 1):
            stage, size = net.stages[number], sizes[number]
            learns = torch.is_grad_enabled() and (self._joint or number == self._last)
            holes = {name: _each(lambda hole: resize_hole(hole, size), hole) for name, hole in shot.holes.items()}
            with torch.set_grad_enabled(learns):
                if number == 0:
                    seen = {name: _first_look(flows[name], shot.holes[name], holes[name], size) for name in flows}
                else:
                    seen = {name: _each(lambda flow: resize_flow(flow, size), flow) for name, flow in flows.items()}
                look = {name: torch.cat([flow, holes[name][:, :, None].to(flow.dtype)], 2) for name, flow in seen.items()}
                centres = None if number < self._last else shot.centre
                predicted = self._stage(stage, look, centres, first=number == 0)
            middle = {name: flow if centres is not None else _taken(flow, shot.centre) for name, flow in predicted.items()}
            truth = [resize_flow(_taken(shot.truth[name], shot.centre), size) for name in middle]
            hole = [_taken(holes[name], shot.centre) for name in middle]
            answers.append((number, (torch.cat(list(middle.values())), torch.cat(truth), torch.cat(hole))))
            if centres is None:
                flows = {name: torch.where(holes[name][:, :, None], predicted[name], seen[name]) for name in predicted}
        return answers

    def _stage(self, stage: DFCStage, look: dict[str, Tensor], centres: Tensor | None, *, first: bool) -> dict[str, Tensor]:
        """A stage's flows by direction: of the centres (N, 2, h, w), or without any of all numbers (N, numbers, 2, h, w)."""
        count = {name: channels.shape[1] for name, channels in look.items()}
        if first:
            # The last frame's forward flow is the one before it.
            own = {name: None if centres is None else centres.clamp(max=count[name] - 1) for name in look}
            return {name: self._windows(stage, [_windows_of(channels, own[name], count[name])]) for name, channels in look.items()}
        # As `dfc_input.refine_windows`: every frame is a centre, and the forward one of the last frame is the flow before.
        every = count["backward"]
        parts = [_windows_of(look[name], centres, every) for name in ("forward", "backward")]
        both = self._windows(stage, parts)
        forward, backward = both[..., :2, :, :], both[..., 2:, :, :]
        if centres is None:
            forward = torch.cat([forward[:, : every - 2], forward[:, every - 1 :]], 1)
        return {"forward": forward, "backward": backward}

    def _windows(self, stage: DFCStage, parts: list[Tensor]) -> Tensor:
        """(N, [numbers,] channels, h, w) windows through a stage, a part at a time; `parts` are channels side by side."""
        x = torch.cat(parts, -3)
        lead, flat = x.shape[:-3], x.flatten(0, -4)
        answers = []
        for chunk in flat.split(self.settings.at_once):
            if chunk.device.type == "cuda":
                chunk = chunk.contiguous(memory_format=torch.channels_last)
            if self._joint and self.settings.recompute and torch.is_grad_enabled():
                answers.append(checkpoint(stage, chunk, use_reentrant=False))
            else:
                answers.append(stage(chunk))
        return torch.cat(answers).float().unflatten(0, lead)


def _both_ways(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What differs in a later stage that is to answer as the first one does, given its first and last convolution.

    Of one frame, the flow back is about the opposite of the flow on. So both windows are looked at alike, the backward one's flows
    with the other sign, and the backward answer is the forward one's opposite.
    """
    name = "conv1.weight"
    sign = weights[name].new_tensor([-1.0, -1.0, 1.0]).repeat(WINDOW)[:, None, None]
    found = {name: torch.cat([weights[name], weights[name] * sign], 1) / 2}
    last = next(f"layer5.{conv}" for conv in ("conv3", "conv1") if f"layer5.{conv}.weight" in weights)
    return found | {key: torch.cat([weights[key], -weights[key]]) for key in (f"{last}.weight", f"{last}.bias")}


def _first_look(flow: Tensor, hole: Tensor, small: Tensor, size: tuple[int, int]) -> Tensor:
    """Every number's flow at a size, hidden in the hole and filled smoothly there."""
    n, numbers = flow.shape[:2]
    resized = resize_flow(flow.flatten(0, 1), size, hole.flatten(0, 1))
    return prefilled(resized, small.flatten(0, 1)).unflatten(0, (n, numbers))


def _windows_of(channels: Tensor, centres: Tensor | None, every: int) -> Tensor:
    """(N, numbers, 3, h, w) -> windows (N, 33, h, w) around the centres (N,), or (N, every, 33, h, w) around 0..every-1."""
    last = channels.shape[1] - 1
    reach = torch.arange(-CENTRE, CENTRE + 1, device=channels.device)
    middle = torch.arange(every, device=channels.device)[None] if centres is None else centres[:, None]
    index = (middle[..., None] + reach).clamp(0, last)
    sample = torch.arange(len(channels), device=channels.device)[:, None, None]
    windows = channels[sample, index].flatten(2, 3)
    return windows if centres is None else windows[:, 0]


def _taken(values: Tensor, centre: Tensor) -> Tensor:
    """Each sample's number `centre`; the last forward flow is that of the last frame too."""
    sample = torch.arange(len(values), device=values.device)
    return values[sample, centre.clamp(max=values.shape[1] - 1)]


def _each(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    return function(values.flatten(0, 1)).unflatten(0, values.shape[:2])
