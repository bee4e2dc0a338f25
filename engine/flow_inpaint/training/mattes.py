"""Holes for training: the paper's moving shapes and fixed rectangles, fixed blobs, and the outlines of real objects."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .chance import Draws
from .scene_motion import path

_WAVES = 6
_SUFFIXES = {".png", ".bmp", ".tif", ".tiff"}
#: A sequence's object that covers less of the picture hides nothing.
LEAST_SHARE = 0.003


@dataclass(frozen=True, eq=False)
class MatteBank:
    """Outlines of objects, moving as they were filmed.

    mattes  (F, h, w) bool, all sequences one after the other
    starts  where each begins; the last entry is F
    """

    mattes: Tensor
    starts: tuple[int, ...]

    @classmethod
    def from_folder(cls, path: str | Path, *, size: tuple[int, int] = (120, 214), limit: int = 4000) -> MatteBank:
        """Every folder of mask pictures below `path` is one sequence, in the order of its names; whatever is not black is object.

        DAVIS is laid out so (Annotations/480p/SEQUENCE/00000.png). Pictures that are not masks are passed over.
        """
        parts, starts = [], [0]
        for folder in sorted({f.parent for f in Path(path).rglob("*") if f.suffix.lower() in _SUFFIXES}):
            files = sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES)
            mattes = [_read(f, size) for f in files[: limit - starts[-1]]]
            if mattes and all(m is not None for m in mattes) and np.mean(mattes) > LEAST_SHARE:
                parts.append(np.stack(mattes))
                starts.append(starts[-1] + len(mattes))
        if not parts:
            raise ValueError(f"there are no sequences of masks below {path}")
        return cls(torch.from_numpy(np.concatenate(parts)), tuple(starts))

    def to(self, device: torch.device | str) -> MatteBank:
        return MatteBank(self.mattes.to(device), self.starts)


def _read(file: Path, size: tuple[int, int]) -> np.ndarray | None:
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{file} cannot be read as a picture")
    if len(np.unique(picture[::3, ::3].reshape(-1, 3), axis=0)) > 64:
        return None
    return cv2.resize((picture.max(2) > 0).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0.5


@dataclass(frozen=True)
class MatteSettings:
    """How often each kind is made, and how large.

    moving     irregular shapes that move and change (the paper's setting 1)
    rectangle  a rectangle that stays where it is, in every frame (setting 2)
    blob       an irregular shape that stays
    object     the outline of an object of `bank`; never without one
    area       smallest and largest share of the picture of a shape or rectangle
    speed      slowest and fastest movement, in pixels a frame of a picture 480 high
    """

    moving: float = 0.4
    rectangle: float = 0.2
    blob: float = 0.1
    object: float = 0.3
    area: tuple[float, float] = (0.01, 0.16)
    speed: tuple[float, float] = (0.5, 25.0)
    bank: MatteBank | None = None

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] < 1:
            raise ValueError(f"mattes of {self.area[0]} to {self.area[1]} of the picture cannot be made")
        weights = self.weights
        if min(weights) < 0 or not sum(weights):
            raise ValueError("no kind of matte is ever to be made")

    @property
    def weights(self) -> list[float]:
        return [self.moving, self.rectangle, self.blob, self.object if self.bank else 0.0]


def generate(
    seed: int,
    batch: int,
    size: tuple[int, int],
    frames: int,
    settings: MatteSettings = MatteSettings(),
    device: torch.device | str = "cpu",
    *,
    first: int = 0,
) -> Tensor:
    """(N, T, H, W) bool, True = hole: samples `first` .. `first + batch - 1` of `seed`. None of them is empty in its middle frame."""
    (draws,) = Draws.of_samples(seed ^ 0x6D61747465, first, batch, 160 + 24 * frames)
    kind = draws.pick(settings.weights)
    device = torch.device(device)
    out = torch.empty(batch, frames, *size, dtype=torch.bool, device=device)
    # Every sample draws the numbers of every kind, so that they do not depend on its neighbours.
    for number, make in enumerate(_KINDS):
        drawn = make(draws, size, frames, settings)
        group = torch.nonzero(kind == number).flatten()
        # On a CPU one sample at a time stays in the cache.
        for some in group.split(1 if device.type == "cpu" else max(len(group), 1)) if len(group) else ():
            out[some.to(device)] = drawn(some, device)
    return out


def generate_mattes(
    seed: int,
    batch: int,
    frames: int,
    size: tuple[int, int],
    kind: str,
    device: torch.device | str = "cpu",
    *,
    first: int = 0,
    bank: MatteBank | None = None,
) -> Tensor:
    """The same, all of one kind: moving, rectangle, blob, or with a bank, object. Raises ValueError for another."""
    kinds = ["moving", "rectangle", "blob"] + ["object"] * (bank is not None)
    if kind not in kinds:
        raise ValueError(f"there are no mattes of the kind '{kind}', but {', '.join(kinds[:-1])} and {kinds[-1]}")
    nothing = dict.fromkeys(("moving", "rectangle", "blob", "object"), 0.0)
    return generate(seed, batch, size, frames, MatteSettings(**(nothing | {kind: 1.0}), bank=bank), device, first=first)


def centre_rectangle(size: tuple[int, int], frames: int) -> Tensor:
    """The paper's setting 2 in its tables: (T, H, W) bool, a quarter of the height and width, in the middle."""
    h, w = size
    out = torch.zeros(frames, h, w, dtype=torch.bool)
    top, left = (h - h // 4) // 2, (w - w // 4) // 2
    out[:, top : top + h // 4, left : left + w // 4] = True
    return out


_Drawn = Callable[[Tensor, torch.device], Tensor]


def _shapes(draws: Draws, size: tuple[int, int], frames: int, settings: MatteSettings, *, moving: bool) -> _Drawn:
    """One or two irregular outlines whose radius is a sum of waves around their middle."""
    h, w = size
    scale = h / 480
    radius = (draws.log_between(*settings.area) * h * w / math.pi).sqrt()
    stretch = draws.log_between(0.5, 2.0).sqrt()
    place = draws.between(0.15, 0.85, 2) * torch.tensor([w, h])
    heading = draws.angle()
    speed = draws.log_between(*settings.speed) * scale * draws.happens(0.85)
    pace = draws.between(0, 0.12) * draws.sign()
    spin = draws.normal() * 0.03
    track = path(draws, speed[:, None] * torch.stack([heading.cos(), heading.sin()], -1), frames, wander=0.8)
    phases = draws.angle(2, _WAVES)[..., None] + path(draws, pace[:, None].expand(-1, _WAVES) * (1 + draws.unit(_WAVES)), frames)[:, None]
    turned = path(draws, spin, frames) + draws.angle()[:, None]
    swell = 0.4 * draws.normal(2, _WAVES) / torch.arange(1, _WAVES + 1) ** 0.9
    paired = draws.happens(0.4)
    apart = torch.where(paired[:, None], draws.normal(2), 1e4) * radius[:, None]
    if not moving:
        track, phases, turned = track * 0, phases[..., :1].expand_as(phases), turned[:, :1].expand_as(turned)

    def made(rows: Tensor, device: torch.device) -> Tensor:
        def of(values: Tensor) -> Tensor:
            return values[rows].float().to(device)

        middle = of(place[:, :, None] + track)
        y = torch.arange(h, device=device, dtype=torch.float32)[:, None] - middle[:, 1, :, None, None]
        x = torch.arange(w, device=device, dtype=torch.float32) - middle[:, 0, :, None, None]
        cos, sin = (of(f(turned))[..., None, None] for f in (torch.cos, torch.sin))
        long = of(stretch).view(-1, 1, 1, 1)
        x, y = (x * cos + y * sin) / long, (y * cos - x * sin) * long
        out = None
        for part in range(2 if paired[rows].any() else 1):
            if part:
                dx, dy = of(apart).view(-1, 2, 1, 1, 1).unbind(1)
                x, y = x - dx, y - dy
            angle = torch.atan2(y, x)
            waves, when = of(swell)[:, part], of(phases)[:, part]
            edge = 1 + sum(waves[:, k, None, None, None] * torch.cos((k + 1) * angle + when[:, k, :, None, None]) for k in range(_WAVES))
            inside = torch.hypot(x, y) < of(radius).view(-1, 1, 1, 1) * edge.clamp(min=0.3)
            out = inside if out is None else out | inside
        return out

    return made


def _moving(draws: Draws, size: tuple[int, int], frames: int, settings: MatteSettings) -> _Drawn:
    return _shapes(draws, size, frames, settings, moving=True)


def _blob(draws: Draws, size: tuple[int, int], frames: int, settings: MatteSettings) -> _Drawn:
    return _shapes(draws, size, frames, settings, moving=False)


def _rectangle(draws: Draws, size: tuple[int, int], frames: int, settings: MatteSettings) -> _Drawn:
    """A quarter of the height and width now and then, as in the paper's tables."""
    h, w = size
    quarter = draws.happens(0.35)
    area = draws.log_between(*settings.area) * h * w
    aspect = draws.log_between(0.4, 2.5) * w / h
    high = torch.where(quarter, h / 4, (area / aspect).sqrt()).clamp(2, h * 0.8).round()
    wide = torch.where(quarter, w / 4, (area * aspect).sqrt()).clamp(2, w * 0.8).round()
    centred = draws.happens(0.4)
    top = torch.where(centred, 0.5, draws.unit()).mul(h - high).floor()
    left = torch.where(centred, 0.5, draws.unit()).mul(w - wide).floor()

    def made(rows: Tensor, device: torch.device) -> Tensor:
        spans = []
        for side, start, length in ((h, top, high), (w, left, wide)):
            at = torch.arange(side, device=device)
            begin, end = (x[rows].to(device)[:, None] for x in (start, start + length))
            spans.append((at >= begin) & (at < end))
        return (spans[0][:, :, None] & spans[1][:, None, :])[:, None].expand(-1, frames, -1, -1)

    return made


def _object(draws: Draws, size: tuple[int, int], frames: int, settings: MatteSettings) -> _Drawn:
    """Another sequence's object, forwards or backwards, larger or smaller, elsewhere, wandering on its own."""
    h, w = size
    sequence, start = draws.unit(), draws.unit()
    backwards, flip = draws.happens(0.5), draws.happens(0.5)
    zoom = draws.log_between(0.5, 1.4)[:, None] * path(draws, 0.012 * draws.normal() * draws.happens(0.5), frames).exp()
    shift = draws.between(-0.4, 0.4, 2)
    drift = path(draws, draws.log_between(0.2, 8.0)[:, None] * (h / 480) * draws.normal(2) * draws.happens(0.5)[:, None], frames)

    def made(rows: Tensor, device: torch.device) -> Tensor:
        bank = settings.bank
        begins = torch.tensor(bank.starts[:-1])
        lengths = torch.tensor(bank.starts[1:]) - begins
        which = (sequence[rows] * len(begins)).long().clamp(max=len(begins) - 1)
        length = lengths[which][:, None]
        # There and back again where a sequence is shorter than the clip.
        turn = (2 * length - 2).clamp(min=1)
        at = torch.arange(frames) + (start[rows][:, None] * (length - frames + 1).clamp(min=1)).long()
        at = torch.where(backwards[rows][:, None], at.flip(1), at) % turn
        at = torch.where(at >= length, turn - at, at) + begins[which][:, None]
        mattes = bank.mattes[at.to(bank.mattes.device)].to(device).float()
        # The object's own middle is what is put somewhere.
        seen = mattes.sum(1).clamp(max=1)
        total = seen.sum((1, 2)).clamp(min=1)
        middle = torch.stack([
            (seen.sum(1) * torch.linspace(-1, 1, seen.shape[2], device=device)).sum(1) / total,
            (seen.sum(2) * torch.linspace(-1, 1, seen.shape[1], device=device)).sum(1) / total,
        ], -1)  # fmt: skip
        target = shift[rows][..., None] * 2 + drift[rows] / torch.tensor([w / 2, h / 2])[:, None]
        target = target.float().to(device)
        theta = torch.zeros(len(rows), frames, 2, 3, device=device)
        size_now = zoom[rows].float().to(device)
        theta[..., 0, 0] = torch.where(flip[rows], -1.0, 1.0).to(device)[:, None] / size_now
        theta[..., 1, 1] = 1 / size_now
        theta[..., 0, 2] = middle[:, 0, None] - theta[..., 0, 0] * target[:, 0]
        theta[..., 1, 2] = middle[:, 1, None] - theta[..., 1, 1] * target[:, 1]
        grid = F.affine_grid(theta.flatten(0, 1), [len(rows) * frames, 1, h, w], align_corners=False)
        moved = F.grid_sample(mattes.flatten(0, 1)[:, None], grid, "bilinear", "zeros", align_corners=False)
        return moved.view(len(rows), frames, h, w) > 0.5

    return made


_KINDS = (_moving, _rectangle, _blob, _object)
