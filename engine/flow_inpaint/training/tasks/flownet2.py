"""FlowNet2, in its published order: C, the two S behind it, SD, and the fusion, each with those before it frozen."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import BadParameter
from ...flow.flownet2 import DIVISOR, GRANULE, FlowNet2, beside, norm, quadrupled, warp
from .. import chance
from ..losses import enlarged, length, pyramid_epe, totals
from ..prefill import fill
from ..sources import EXACT, FRAMES, MOTION, Batch
from . import Group, Part, Sums, choice, pictures, span

#: Part -> the sub-network that learns.
PARTS = {"c": "flownetc", "s1": "flownets_1", "s2": "flownets_2", "sd": "flownets_d", "fusion": "flownetfusion"}
#: What is called near a hole, in pixels.
_NEAR = 16
#: Cycles of the pictures' filling, as at work.
_CYCLES = 2


@dataclass(frozen=True)
class FlowNet2Settings:
    """What of FlowNet2 is learnt, and how.

    part     "c", "s1", "s2", "sd" or "fusion"
    width    of its channels, 1 is the published one
    painted  share of the pairs whose holes are painted over as at work; there the loss counts outside of them only
    warm     s1's weights are where s2 begins
    """

    part: str = "c"
    width: float = 0.25
    painted: float = 0.5
    warm: bool = True


@dataclass(frozen=True)
class Pairs:
    """Pictures a and b with their mean subtracted, / 255, (N, 3, H, W); the flow between them, and where it is known."""

    a: Tensor
    b: Tensor
    shown: Tensor
    flow: Tensor
    valid: Tensor
    holes: Tensor


class FlowNet2Task:
    parts = ("epe",)
    metrics = ("epe", "epe_near_holes", "epe_occluded", "epe_standstill", "ratio")
    uses = (FRAMES, MOTION, EXACT)
    best = "epe"

    def __init__(self, settings: FlowNet2Settings):
        self.settings = settings
        choice("task.part", settings.part, PARTS)
        span("task.width", settings.width, 1 / 64, 4)
        span("task.painted", settings.painted, 0, 1)

    def build(self) -> FlowNet2:
        return FlowNet2(self.settings.width)

    def begin(self, model: nn.Module) -> None:
        if self.settings.part == "s2" and self.settings.warm:
            model.flownets_2.load_state_dict(model.flownets_1.state_dict())

    def players(self, model: nn.Module) -> Mapping[str, list[Group]]:
        return {"model": [Group(list(getattr(model, PARTS[self.settings.part]).parameters()))]}

    def loss(self, model: nn.Module, batch: Batch, player: str) -> tuple[Tensor, dict[str, Tensor]]:
        pairs = self._pairs(batch)
        flows, unit = self._predicted(model, pairs)
        loss = pyramid_epe(flows, pairs.flow, pairs.valid, unit=unit).mean()
        with torch.no_grad():
            size = tuple(pairs.flow.shape[-2:])
            error = length(enlarged(flows[0], size) / unit - pairs.flow) * pairs.valid
            epe = (error.flatten(1).sum(1) / pairs.valid.flatten(1).sum(1).clamp(min=1)).mean()
        return loss, {"epe": epe}

    def measure(self, model: nn.Module, batch: Batch) -> tuple[Sums, np.ndarray]:
        pairs = self._pairs(batch)
        flows, unit = self._predicted(model, pairs)
        flow = enlarged(flows[0], tuple(pairs.flow.shape[-2:])) / unit
        error = length(flow - pairs.flow)
        near = F.max_pool2d(pairs.holes[:, None].float(), 2 * _NEAR + 1, 1, _NEAR)[:, 0] > 0
        sums: Sums = {
            "epe": totals(error, pairs.valid),
            "epe_near_holes": totals(error, pairs.valid & near),
            "epe_standstill": totals(length(pairs.flow), pairs.valid),
            "epe_occluded": totals(error, pairs.valid & self._occluded(batch)),
        }
        return sums, pictures.flows([("true flow", pairs.flow), (f"network {self.settings.part}", flow)], ~pairs.valid)

    def conclude(self, means: Mapping[str, float]) -> dict[str, float]:
        return dict(means) | {"ratio": means["epe"] / max(means["epe_standstill"], 1e-9)}

    def catalogued(self) -> list[Part]:
        return [Part("flownet2", "flownet2", self.settings.width, "")]

    # --- the pairs ---

    def _chosen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Which pair of each clip, and whether it goes back."""
        keys = batch["key"]
        return chance.below(keys, "pair", batch["forward"].shape[1]), chance.uniform(keys, "back") < 0.5

    def _occluded(self, batch: Batch) -> Tensor:
        return _either(batch["occluded_forward"], batch["occluded_backward"], *self._chosen(batch))

    def _pairs(self, batch: Batch) -> Pairs:
        h, w = batch["frames"].shape[-2:]
        if h % GRANULE or w % GRANULE:
            raise BadParameter(f"data.size cannot be [{h}, {w}]: FlowNet2 learns from sizes that {GRANULE} divides.")
        at, back = self._chosen(batch)
        sample = torch.arange(len(at), device=at.device)
        begin, end = at + back.long(), at + (~back).long()
        frames, holes = batch["frames"].float(), batch["holes"]
        a, b, hole_a, hole_b = frames[sample, begin], frames[sample, end], holes[sample, begin], holes[sample, end]
        flow = _either(batch["forward"], batch["backward"], at, back).float()
        painted = (chance.uniform(batch["key"], "painted") < self.settings.painted)[:, None, None]
        hole_a, hole_b = hole_a & painted, hole_b & painted
        shown = _painted(torch.cat([a, b]), torch.cat([hole_a, hole_b]))
        a, b = shown.chunk(2)
        mean = torch.stack([a, b]).mean((0, 3, 4))[..., None, None]
        # Where a's pixel or its goal is hidden, nothing can be matched: at work that part is dropped.
        goal = warp(hole_b[:, None].float(), flow)[:, 0] > 0
        return Pairs((a - mean) / 255, (b - mean) / 255, a, flow, ~(hole_a | goal), hole_a | hole_b)

    # --- the networks ---

    def _predicted(self, net: nn.Module, pairs: Pairs) -> tuple[list[Tensor], float]:
        """The learning sub-network's flows, finest first, and how many of its units are a pixel."""
        part = self.settings.part
        a, b = pairs.a, pairs.b
        pair = torch.cat([a, b], 1)
        if part == "c":
            return net.flownetc(pair), 1 / DIVISOR
        if part == "sd":
            return net.flownets_d(pair), DIVISOR
        with torch.no_grad():
            seen = beside(pair, quadrupled(net.flownetc(pair)[0].float() * DIVISOR))
            if part != "s1":
                seen = beside(pair, quadrupled(net.flownets_1(seen)[0].float() * DIVISOR))
        if part in ("s1", "s2"):
            return getattr(net, PARTS[part])(seen), 1 / DIVISOR
        with torch.no_grad():
            large = quadrupled(net.flownets_2(seen)[0].float() * DIVISOR, "nearest")
            small = quadrupled(net.flownets_d(pair)[0].float() / DIVISOR, "nearest")
            errors = [norm(a - warp(b, flow)) for flow in (small, large)]
            seen = torch.cat([a, small, large, norm(small), norm(large), *errors], 1)
        return net.flownetfusion(seen), 1.0


def _either(forward: Tensor, backward: Tensor, at: Tensor, back: Tensor) -> Tensor:
    sample = torch.arange(len(at), device=at.device)
    one, other = forward[sample, at], backward[sample, at]
    return torch.where(back.reshape(-1, *[1] * (one.ndim - 1)), other, one)


def _painted(pictures_: Tensor, hole: Tensor) -> Tensor:
    """As `motion` paints holes over before it looks for motion."""
    painted = fill(pictures_, hole, cycles=_CYCLES).round().clamp(0, 255)
    return torch.where(hole[:, None], painted, pictures_)
