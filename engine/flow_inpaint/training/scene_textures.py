"""What the surfaces of a generated scene look like: earth, foliage, masonry, cloth, sky, and crops of photographs."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .chance import Draws
from .noise import again, as_unit, fractal, scramble_cells

#: Numbers drawn for each texture.
DRAWS = 64
KINDS = ("earth", "patches", "masonry", "stripes", "scatter", "plain", "cloth")
_WEIGHTS = [0.28, 0.14, 0.16, 0.05, 0.21, 0.10, 0.06]
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
#: A picture of so few levels is a matte.
_FEW_LEVELS = 24
#: Hue in turns, its spread, saturation, darkest and lightest, and how common it is: earth, foliage, sky, grey, anything.
_HUES = [
    (0.08, 0.022, 0.30, 0.15, 0.88, 0.34),
    (0.24, 0.035, 0.36, 0.12, 0.62, 0.23),
    (0.58, 0.025, 0.28, 0.35, 0.95, 0.12),
    (0.1, 0.2, 0.06, 0.06, 0.98, 0.23),
    (0.5, 0.5, 0.55, 0.20, 0.85, 0.08),
]


@dataclass(frozen=True, eq=False)
class TextureBank:
    """Photographs to cut textures from.

    images  (B, 3, H, W) uint8 RGB, on any device
    """

    images: Tensor

    @classmethod
    def from_folder(
        cls, path: str | Path, *, size: tuple[int, int] = (288, 512), scales: tuple[float, ...] = (1.0, 0.5), limit: int = 400
    ) -> TextureBank:
        """At most `limit` of the pictures below a folder, evenly chosen, see `of`. Raises `ValueError`."""
        files = sorted(f for f in Path(path).rglob("*") if f.suffix.lower() in _SUFFIXES)
        if not files:
            raise ValueError(f"there are no pictures below {path}")
        # Golden steps: wherever this stops, it has looked evenly.
        order = sorted(range(len(files)), key=lambda i: i * 0.6180339887 % 1)
        return cls.of((_read(files[i]) for i in order), size=size, scales=scales, limit=limit)

    @classmethod
    def of(
        cls, pictures: Iterable[np.ndarray], *, size: tuple[int, int] = (288, 512), scales: tuple[float, ...] = (1.0, 0.5), limit: int = 400
    ) -> TextureBank:
        """Of pictures (h, w, 3) uint8 RGB, so many that there are `limit` images.

        Each one is shrunk by every scale, or as far as it still covers `size`, and its middle is kept. Mattes among them are left out.
        Raises `ValueError` where there is nothing else.
        """
        images: list[np.ndarray] = []
        for picture in pictures:
            if len(np.unique(picture[::3, ::3])) < _FEW_LEVELS:
                continue
            least = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
            for factor in sorted({max(scale, least) for scale in scales}):
                images.append(_middle(_shrunk(picture, factor, size), size).transpose(2, 0, 1))
            if len(images) >= limit:
                break
        if not images:
            raise ValueError("there are only mattes in it")
        return cls(torch.from_numpy(np.stack(images[:limit])))

    def to(self, device: torch.device | str) -> TextureBank:
        return TextureBank(self.images.to(device))


def _read(file: Path) -> np.ndarray:
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{file} cannot be read as a picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _shrunk(picture: np.ndarray, factor: float, size: tuple[int, int]) -> np.ndarray:
    h, w = (max(round(n * factor), least) for n, least in zip(picture.shape[:2], size))
    return cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def _middle(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left = ((n - m) // 2 for n, m in zip(picture.shape[:2], size))
    return picture[top : top + size[0], left : left + size[1]]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What was drawn for M textures, on the CPU.

    kind     (M,) index into KINDS, or -1: cut from the bank
    numbers  (M, ...) by name
    """

    kind: Tensor
    numbers: dict[str, Tensor]

    def of(self, which: Tensor) -> Surfaces:
        return Surfaces(self.kind[which], {name: values[which] for name, values in self.numbers.items()})


def draw_surfaces(draws: Draws, height: int, bank_share: float) -> Surfaces:
    """`draws` leads with (N, L); the surfaces lead with it too."""
    kind = draws.pick(_WEIGHTS)
    kind = torch.where(draws.happens(bank_share), -1, kind)
    scale = height / 128
    colours = _palette(draws)
    return Surfaces(
        kind,
        {
            "colours": colours,
            "seed": draws.seeds(),
            "slope": draws.between(0.85, 1.3),
            "smooth": 0.3 + 0.35 * draws.unit() + 1.5 * draws.happens(0.15) * draws.unit(),
            "stretch": 1 + 1.2 * draws.unit() * draws.happens(0.4),
            "angle": torch.where(draws.happens(0.6), 0.12 * draws.normal(), draws.angle()),
            "contrast": draws.log_between(0.14, 0.5),
            "tint": draws.between(0.0, 0.10) * draws.sign(),
            "period": draws.log_between(4.5, 22) * scale,
            "aspect": draws.log_between(1, 7),
            "shift": torch.where(draws.happens(0.3), 0.0, torch.where(draws.happens(0.6), 0.5, draws.unit())),
            "joint": draws.between(0.5, 1.6) * scale,
            "variety": draws.between(0.05, 0.32),
            "checked": draws.happens(0.2).double(),
            "sharp": draws.log_between(0.8, 6),
            "second": draws.log_between(0.4, 2.5),
            "wobble": draws.between(0, 0.10) * draws.happens(0.6),
            "round": draws.between(0.35, 1.0),
            "gradient": 0.2 * draws.normal(2),
            "flat": draws.between(0.01, 0.05),
            "crisp": draws.between(0.2, 1.6),
            "place": draws.unit(3),
            "flip": draws.happens(0.5),
        },
    )


def _palette(draws: Draws) -> Tensor:
    """Three colours of each surface, (..., 3, 3) in 0..1: two of one family, the third of another."""
    weights = [share for *_, share in _HUES]
    family = torch.stack([draws.pick(weights), draws.pick(weights)], -1)[..., [0, 0, 1]]
    hue, spread, saturation, dark, light = (torch.tensor(column, dtype=torch.float64)[family] for column in list(zip(*_HUES))[:5])
    hue = hue + spread * draws.normal(3)
    # Joints, undersides and neighbours are much like the first colour.
    hue[..., 1] = hue[..., 0] + 0.02 * draws.normal()
    saturation = (saturation * draws.between(0.4, 1.5, 3)).clamp(0, 0.85)
    value = dark + (light - dark) * draws.unit(3)
    value[..., 1] = (value[..., 0] * draws.between(0.45, 1.3)).clamp(0.05, 0.92)
    return hsv(hue % 1, saturation, value)


def hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Hue in turns. (...) to RGB (..., 3) in 0..1."""
    turns = hue[..., None] + torch.tensor([0, 2 / 3, 1 / 3], dtype=hue.dtype)
    ramp = ((turns % 1 * 6 - 3).abs() - 1).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - ramp))


# ---- painting


def paint(surfaces: Surfaces, size: tuple[int, int], device: torch.device, bank: TextureBank | None) -> Tensor:
    """(M, 3, h, w) float32, about 0..255, which continues by reflection."""
    numbers = {name: (values.float() if values.is_floating_point() else values).to(device) for name, values in surfaces.numbers.items()}
    noise = fractal(numbers["seed"], numbers["slope"], numbers["smooth"], numbers["stretch"], numbers["angle"], size)
    # Light and dark are not equally strange in photographs: shadows have a long tail.
    fine = noise[:, 0] * (1 - 0.08 * noise[:, 0])
    picture = noise.new_empty(len(noise), 3, *size)
    for number, kind in enumerate((*KINDS, "bank")):
        group = torch.nonzero(surfaces.kind == (number if kind != "bank" else -1)).flatten()
        if not len(group):
            continue
        if kind == "bank":
            picture[group.to(device)] = _cut(surfaces.of(group), size, bank).to(device, torch.float32)
            continue
        there = group.to(device)
        p = {name: values[there] for name, values in numbers.items()}
        colours = p["colours"][..., None, None]
        # A weight of each of the three colours, and the brightness of the relief.
        second, third, relief = _PAINTERS[kind](p, *_plane(p, size, noise[there, 1]), fine[there], noise[there, 1])
        colour = colours[:, 0] + second[:, None] * (colours[:, 1] - colours[:, 0]) + third[:, None] * (colours[:, 2] - colours[:, 0])
        drift = (p["tint"][:, None] * noise[there, 1].flatten(1)).view(-1, 1, *size) * noise.new_tensor([1.0, 0.15, -1.0]).view(1, 3, 1, 1)
        picture[there] = colour * (1 + relief + _gradient(p, size))[:, None].clamp(min=0.12) * (255 * (1 + drift))
    # Between pixels a texture is seen softened; a photograph of it is not.
    edges = F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="reflect"), 3, 1).sub_(picture)
    return picture.addcmul_(edges, -numbers["crisp"].view(-1, 1, 1, 1)).clamp_(0, 255)


def _plane(p: dict[str, Tensor], size: tuple[int, int], wander: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates along and across the grain, in pixels, (M, h, w) each, not quite straight."""
    h, w = size
    y = torch.arange(h, device=wander.device, dtype=torch.float32)[:, None] - (h - 1) / 2
    x = torch.arange(w, device=wander.device, dtype=torch.float32) - (w - 1) / 2
    cos, sin, off = (n[:, None, None] for n in (p["angle"].cos(), p["angle"].sin(), p["wobble"] * p["period"]))
    bend = wander * off
    return x * cos + y * sin + bend, y * cos - x * sin + bend


def _gradient(p: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
    h, w = size
    y = torch.linspace(-1, 1, h, device=p["gradient"].device)[:, None]
    x = torch.linspace(-1, 1, w, device=p["gradient"].device)
    return p["gradient"][:, 0, None, None] * x + p["gradient"][:, 1, None, None] * y


def _each(p: dict[str, Tensor], *names: str) -> list[Tensor]:
    return [p[name][:, None, None] for name in names]


def _ramp(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def _earth(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (contrast,) = _each(p, "contrast")
    return (0.5 + 0.4 * other).clamp(0, 1), torch.zeros_like(a), contrast * fine


def _patches(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    contrast, sharp, shift = _each(p, "contrast", "sharp", "shift")
    return torch.zeros_like(a), _ramp((other - shift) * sharp + 0.5), 0.8 * contrast * fine


def _masonry(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bricks, planks, tiles, panes, checks: rows of oblong cells with joints."""
    contrast, variety, checked = _each(p, "contrast", "variety", "checked")
    period, aspect, shift, joint = _each(p, "period", "aspect", "shift", "joint")
    aspect = torch.where(checked > 0, 1.0, aspect)
    row = torch.floor(b / period)
    length = period * aspect
    along = a / length + shift * row
    column = torch.floor(along)
    fa, fb = (along - column) * length, b - row * period
    edge = torch.minimum(torch.minimum(fa, length - fa), torch.minimum(fb, period - fb))
    seam = 1 - _ramp((edge - joint * 0.5) / 1.2 + 0.5)
    tone = as_unit(scramble_cells(column.int(), row.int(), p["seed"][:, None, None])) - 0.5
    odd = (column + row * torch.where(shift == 0, 1.0, 0.0)).remainder(2) * checked
    bevel = (_ramp(fb / 3) - _ramp((period - fb) / 3)) * -0.05
    return (seam * (1 - odd)).clamp(0, 1), odd, 2 * variety * tone * (1 - seam) + bevel + 0.6 * contrast * fine


def _wave(x: Tensor, sharp: Tensor) -> Tensor:
    return 0.5 + 0.5 * torch.tanh(torch.sin(x * (2 * math.pi)) * sharp) / torch.tanh(sharp)


def _stripes(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    contrast, period, sharp, variety = _each(p, "contrast", "period", "sharp", "variety")
    band = _wave(b / period, sharp)
    tone = as_unit(scramble_cells(torch.floor(b / period).int(), torch.zeros_like(b).int(), p["seed"][:, None, None])) - 0.5
    return band, torch.zeros_like(a), variety * tone * band + 0.5 * contrast * fine


def _cloth(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    contrast, period, sharp, second = _each(p, "contrast", "period", "sharp", "second")
    over = _wave(a / (period * second).clamp(min=4), sharp)
    return 0.7 * _wave(b / period, sharp), 0.45 * over, 0.35 * contrast * fine + 0.12 * other


def _plain(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sky, plaster, paint: next to nothing to hold on to."""
    (flat,) = _each(p, "flat")
    fall = torch.linspace(0, 1, a.shape[1], device=a.device)[:, None].expand_as(a)
    return 0.6 * fall, torch.zeros_like(a), flat * fine


def _scatter(p: dict[str, Tensor], a: Tensor, b: Tensor, fine: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leaves, grass, pebbles, a crowd: little ovals at random places, the higher ones over the lower ones."""
    contrast, period, variety, roundness = _each(p, "contrast", "period", "variety", "round")
    seed = p["seed"][:, None, None]
    x, y = a / (period * 0.6), b / (period * 0.6)
    column, row = torch.floor(x).int(), torch.floor(y).int()
    x, y = x - column, y - row
    top = torch.full_like(a, -1.0)
    light, tone = torch.full_like(a, 0.25), torch.zeros_like(a)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            cell = scramble_cells(column + i, row + j, seed)
            turn = as_unit(cell)
            cell = again(cell)
            high = as_unit(cell)
            dx, dy = x - i - (cell & 0xFF00).float() / 0xFF00, y - j - ((cell >> 16) & 0x7F).float() / 0x7F
            cos, sin = (turn * (2 * math.pi)).cos(), (turn * (2 * math.pi)).sin()
            along, across = dx * cos + dy * sin, (dy * cos - dx * sin) / roundness
            far = along.square() + across.square()
            here = (far < 0.6) & (high > top)
            top = torch.where(here, high, top)
            light = torch.where(here, 0.35 + 0.65 * high - 0.5 * far + 0.25 * across, light)
            tone = torch.where(here, turn, tone)
    deep = 1.2 + 2 * contrast
    return (tone * (0.4 + variety * 2)).clamp(0, 1), torch.zeros_like(a), (light - 0.6) * deep * 0.6 + 0.35 * contrast * fine


_PAINTERS: dict[str, Callable[..., tuple[Tensor, Tensor, Tensor]]] = {
    "earth": _earth,
    "patches": _patches,
    "masonry": _masonry,
    "stripes": _stripes,
    "scatter": _scatter,
    "plain": _plain,
    "cloth": _cloth,
}


def _cut(surfaces: Surfaces, size: tuple[int, int], bank: TextureBank) -> Tensor:
    """(M, 3, h, w) uint8, continued by reflection where a photograph is smaller."""
    images = bank.images
    place, flip = surfaces.numbers["place"], surfaces.numbers["flip"]
    which = (place[:, 0] * len(images)).long().clamp(max=len(images) - 1)
    spans = []
    for n, have, where, turned in ((size[0], images.shape[2], place[:, 1], None), (size[1], images.shape[3], place[:, 2], flip)):
        start = (where * max(have - n + 1, 1)).long().clamp(max=max(have - n, 0))
        span = start[:, None] + torch.arange(n)
        if turned is not None:
            span = torch.where(turned[:, None], span.flip(1), span)
        span = span % max(2 * have - 2, 1)
        spans.append(torch.where(span >= have, 2 * have - 2 - span, span).to(images.device))
    rows, columns = spans
    return images[which.to(images.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
