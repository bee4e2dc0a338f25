"""DeepFill v1 with its losses, and the paper's two baselines that look at several frames (Table 2).

Pictures are BGR in -1..1 inside the networks, as `fill.deepfill` has them.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ...errors import BadParameter
from ...fill.deepfill import DeepFill
from ..prefill import fill
from ..sources import FRAMES, Batch
from . import Group, Part, Sums, pictures, span

#: The discount goes no deeper into a hole than this, in pixels.
_DEEPEST = 48
_CRITIC_LAYERS = 4


@dataclass(frozen=True)
class DeepFillSettings:
    """How DeepFill is learnt.

    width        of its channels, 1 is the published one
    frames       neighbours' frames that are seen beside the one to fill; 0: DeepFill itself; even, half of them on either side
    stacked      so many networks in a row, each seeing what the one before has made (the paper's baseline has three)
    discount     what a hole's pixel counts, to the power of its distance from the known ones
    hole, known  weights of the error inside and outside the hole
    critics      whether there are critics in the model
    adversarial  weight of what they say; 0: they do not learn either
    critic_width channels of their first layer
    """

    width: float = 0.5
    frames: int = 0
    stacked: int = 1
    discount: float = 0.97
    hole: float = 1.2
    known: float = 1.0
    critics: bool = False
    adversarial: float = 0.0
    critic_width: int = 32


class Inpainter(nn.Module):
    """DeepFill, or several in a row that see the frames beside it as well."""

    def __init__(self, settings: DeepFillSettings):
        super().__init__()
        self.networks = nn.ModuleList(DeepFill(settings.width) for _ in range(settings.stacked))
        channels = max(round(32 * settings.width), 8)
        # What the neighbours show there is put into the hole first; where this finds nothing it leaves the usual 0.
        self.look = nn.ModuleList(_look(4 * settings.frames + 3, channels) for _ in range(settings.stacked if settings.frames else 0))

    def forward(self, masked: Tensor, hole: Tensor, neighbours: Tensor | None = None) -> list[Tensor]:
        """masked (N, 3, H, W), 0 in the hole (N, 1, H, W); neighbours (N, 4k, H, W): all answers, coarse to fine."""
        answers: list[Tensor] = []
        shown = masked
        for number, network in enumerate(self.networks):
            if neighbours is not None:
                shown = masked + hole * (shown + self.look[number](torch.cat([neighbours, shown], 1)).clamp(-1, 1))
            coarse, fine = network(shown, hole)
            answers += [coarse, fine]
            shown = masked + hole * fine
        return answers


def _look(inputs: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 5, padding=2), nn.ELU(), nn.Conv2d(channels, channels, 3, padding=2, dilation=2), nn.ELU(),
        nn.Conv2d(channels, 3, 3, padding=1),
    )  # fmt: skip


class Critic(nn.Module):
    """Says patch by patch how real a picture (N, 3, H, W) with its hole (N, 1, H, W) looks; its slope is bounded."""

    def __init__(self, channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        before = 4
        for number in range(_CRITIC_LAYERS):
            after = channels * min(2**number, 4)
            layers += [spectral_norm(nn.Conv2d(before, after, 5, 2, 2)), nn.LeakyReLU(0.2)]
            before = after
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(before, 1, 3, 1, 1)))

    def forward(self, picture: Tensor, hole: Tensor) -> Tensor:
        return self.layers(torch.cat([picture, hole], 1)).float()


class DeepFillTask:
    parts = ("hole", "known", "adversarial", "critic_loss")
    uses = (FRAMES,)
    metrics = ("l1_hole", "l1_smooth", "ratio", "psnr_hole")

    def __init__(self, settings: DeepFillSettings):
        self.settings = settings
        span("task.width", settings.width, 1 / 64, 4)
        span("task.discount", settings.discount, 0.5, 1)
        span("task.stacked", settings.stacked, 1, 8)
        if settings.frames % 2 or settings.frames < 0:
            raise BadParameter(f"task.frames cannot be {settings.frames}: as many neighbours are seen on either side, so it is even.")
        if settings.adversarial and not settings.critics:
            raise BadParameter("task.adversarial has no effect without critics: set task.critics to true as well.")
        self._plain = not settings.frames and settings.stacked == 1
        # What the critics want looks better and is farther from the truth.
        self.best = None if settings.adversarial else "l1_hole"

    def build(self) -> nn.Module:
        model = nn.ModuleDict({"inpainter": Inpainter(self.settings)})
        if self.settings.critics:
            model["whole"], model["near"] = Critic(self.settings.critic_width), Critic(self.settings.critic_width)
        return model

    def begin(self, model: nn.Module) -> None:
        pass

    def players(self, model: nn.Module) -> Mapping[str, list[Group]]:
        players = {"model": [Group(list(model["inpainter"].parameters()))]}
        if self.settings.adversarial:
            players["critic"] = [Group([*model["whole"].parameters(), *model["near"].parameters()])]
        return players

    def loss(self, model: nn.Module, batch: Batch, player: str) -> tuple[Tensor, dict[str, Tensor]]:
        picture, hole, neighbours = self._seen(batch)
        masked = picture * (1 - hole)
        if player == "critic":
            with torch.no_grad():
                made = masked + hole * model["inpainter"](masked, hole, neighbours)[-1].float()
            views = self._views(model, picture, made, hole)
            return sum(F.relu(1 - critic(x, h)).mean() + F.relu(1 + critic(y, h)).mean() for critic, x, y, h in views), {}
        answers = [answer.float() for answer in model["inpainter"](masked, hole, neighbours)]
        weight = _discounted(hole, self.settings.discount)
        inside = sum(_mean((answer - picture).abs(), weight) for answer in answers)
        outside = sum(_mean((answer - picture).abs(), 1 - hole) for answer in answers)
        loss = self.settings.hole * inside + self.settings.known * outside
        parts = {"hole": inside, "known": outside}
        if self.settings.adversarial:
            made = masked + hole * answers[-1]
            parts["adversarial"] = sum(-critic(y, h).mean() for critic, _, y, h in self._views(model, picture, made, hole))
            loss = loss + self.settings.adversarial * parts["adversarial"]
        return loss, parts

    def measure(self, model: nn.Module, batch: Batch) -> tuple[Sums, np.ndarray]:
        picture, hole, neighbours = self._seen(batch)
        masked = picture * (1 - hole)
        made = masked + hole * model["inpainter"](masked, hole, neighbours)[-1].float()
        smooth = fill(masked, hole[:, 0] > 0, cycles=6)
        count = float(hole.sum()) * 3
        square = ((made - picture) * hole).square().sum()
        sums: Sums = {
            "l1_hole": (float(((made - picture) * hole).abs().sum()), count),
            "l1_smooth": (float(((smooth - picture) * hole).abs().sum()), count),
            "square": (float(square), count),
        }
        rows = [[(x.flip(0) + 1) * 127.5 for x in row] for row in zip(picture, masked, smooth, made, strict=True)]
        return sums, pictures.images(rows, ["true picture", "seen", "smooth", "network"])

    def conclude(self, means: Mapping[str, float]) -> dict[str, float]:
        psnr = 10 * float(np.log10(4 / max(means["square"], 1e-12)))
        found = dict(means) | {"ratio": means["l1_hole"] / max(means["l1_smooth"], 1e-9), "psnr_hole": psnr}
        return {name: found[name] for name in self.metrics}

    def catalogued(self) -> list[Part]:
        return [Part("deepfill", "deepfill", self.settings.width, "inpainter.networks.0.")] if self._plain else []

    # --- what is seen ---

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """The picture to fill in -1..1, BGR, its hole (N, 1, H, W) as numbers, and the frames beside it with their holes."""
        frames = batch["frames"].float().flip(2) / 127.5 - 1
        n, count = frames.shape[:2]
        side = self.settings.frames // 2
        if count <= 2 * side:
            raise BadParameter(f"data.frames cannot be {count}: with task.frames = {2 * side} it is at least {2 * side + 1}.")
        # The published attention knows one hole for a whole batch.
        holes = batch["holes"][:1].expand(n, -1, -1, -1)[:, :, None].float()
        at = batch["key"].new_full((n,), count // 2)
        sample = torch.arange(n, device=frames.device)
        picture, hole = frames[sample, at], holes[sample, at]
        if not side:
            return picture, hole, None
        beside = [at + k for k in range(-side, side + 1) if k]
        neighbours = [torch.cat([frames[sample, k] * (1 - holes[sample, k]), holes[sample, k]], 1) for k in beside]
        return picture, hole, torch.cat(neighbours, 1)

    def _views(self, model: nn.Module, real: Tensor, made: Tensor, hole: Tensor) -> list[tuple[nn.Module, Tensor, Tensor, Tensor]]:
        """(critic, real, made, hole): the whole picture, and the half of it around the hole's middle."""
        h, w = hole.shape[-2:]
        mass = hole[0, 0]
        rows, columns = torch.arange(h, device=hole.device), torch.arange(w, device=hole.device)
        total = mass.sum().clamp(min=1)
        y, x = (mass.sum(1) * rows).sum() / total, (mass.sum(0) * columns).sum() / total
        high, wide = max(h // 2, 1), max(w // 2, 1)
        down = (rows[:high] + (y - high / 2).round().long().clamp(0, h - high))
        across = (columns[:wide] + (x - wide / 2).round().long().clamp(0, w - wide))
        part = [z.index_select(2, down).index_select(3, across) for z in (real, made, hole)]
        return [(model["whole"], real, made, hole), (model["near"], *part)]


def _mean(error: Tensor, weight: Tensor) -> Tensor:
    """(N, 3, H, W) weighted by (N, 1, H, W), each sample by itself, and their mean."""
    total = (error * weight).flatten(1).sum(1) / (3 * weight.flatten(1).sum(1)).clamp(min=1)
    return total.mean()


def _discounted(hole: Tensor, discount: float) -> Tensor:
    """What each of a hole's pixels counts: the deeper inside, the less the truth is the only good answer."""
    weight, left = torch.zeros_like(hole), hole
    for depth in range(_DEEPEST):
        smaller = -F.max_pool2d(-left, 3, 1, 1)
        weight = weight + (left - smaller) * discount**depth
        left = smaller
    return weight + left * discount**_DEEPEST
