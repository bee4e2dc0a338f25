"""The outlines of a generated scene's layers, as distances to the edge: blobs, polygons, people, branches, letters, bars."""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .chance import Draws
from .noise import fractal

#: Numbers drawn for each layer's outline.
DRAWS = 224
BACKGROUND, GROUND, BLOB, POLYGON, FIGURE, LACE, POLE, BRANCH, LETTERS, FENCE = range(10)
THIN = (POLE, BRANCH, LETTERS, FENCE)
#: Thin and solid outlines, and how common each is.
_THIN_WEIGHTS = [0.3, 0.3, 0.2, 0.2]
_SOLID = (BLOB, POLYGON, FIGURE, LACE)
_SOLID_WEIGHTS = [0.35, 0.25, 0.25, 0.15]
_STROKES = 16
_SIDES = 7
_WAVES = 5
_NOWHERE = 1e4


@dataclass(frozen=True, eq=False)
class Outlines:
    """What was drawn for M layers, on the CPU; lengths in texture pixels from the texture's middle.

    kind    (M,) one of the constants above
    reach   (M, 2) half the width and height of the outline; infinite where it continues beyond its texture
    repeat  (M, 3) bool: it continues by reflection to the sides, above, below; otherwise by its last pixels
    """

    kind: Tensor
    reach: Tensor
    repeat: Tensor
    numbers: dict[str, Tensor]

    def of(self, which: Tensor) -> Outlines:
        return Outlines(self.kind[which], self.reach[which], self.repeat[which], {n: v[which] for n, v in self.numbers.items()})


def draw_outlines(draws: Draws, size: tuple[int, int], thin: float, ground: Tensor) -> Outlines:
    """`draws` leads with (N, L): layer 0 is the background, layer 1 a ground where `ground` (N,) says so."""
    h, w = size
    kind = torch.where(
        draws.happens(thin), torch.tensor(THIN)[draws.pick(_THIN_WEIGHTS)], torch.tensor(_SOLID)[draws.pick(_SOLID_WEIGHTS)]
    )
    kind[:, 0] = BACKGROUND
    if kind.shape[1] > 1:
        kind[:, 1] = torch.where(ground, GROUND, kind[:, 1])
    radius = draws.log_between(0.10, 0.42) * h
    largest = min(h, w) / 2 - 3
    stretch = draws.log_between(0.6, 1.7)
    waves = torch.arange(1, _WAVES + 1)
    swell = 0.45 * draws.normal(_WAVES).clamp(-1.5, 1.5) / waves**1.4
    blob = torch.minimum(radius, largest / (1 + swell.abs().sum(-1)) / torch.maximum(stretch, 1 / stretch).sqrt())
    strokes, thick = _strokes(draws, kind, torch.minimum(radius * 1.15, torch.tensor(largest / 1.3)), size)
    # Corners that are too sharp are cut off in a circle.
    polygon = torch.minimum(1.5 * radius, torch.tensor(largest))
    normals, offsets = _polygons(draws, polygon / 1.5)
    ends = (strokes.abs() + thick[..., None, None]).where((thick > 0)[..., None, None], 0.0).amax((-3, -2))
    reach = torch.full((*kind.shape, 2), math.inf, dtype=torch.float64)
    for some, extent in (
        ((BLOB, LACE), (blob * (1 + swell.abs().sum(-1)))[..., None] * torch.stack([stretch.sqrt(), 1 / stretch.sqrt()], -1)),
        ((POLYGON,), polygon[..., None].expand(*kind.shape, 2)),
        ((FIGURE, LETTERS), ends),
    ):
        reach = torch.where(_among(kind, some)[..., None], extent, reach)
    return Outlines(
        kind,
        reach,
        torch.stack([_among(kind, some) for some in ((BACKGROUND, GROUND, FENCE), (BACKGROUND, FENCE), (BACKGROUND, GROUND, FENCE))], -1),
        {
            "blob": blob,
            "stretch": stretch,
            "swell": swell,
            "phase": draws.angle(_WAVES),
            "strokes": strokes,
            "thick": thick,
            "polygon": polygon,
            "normals": normals,
            "offsets": offsets,
            "bars": torch.stack([draws.log_between(0.09, 0.4) * h, draws.log_between(0.006, 0.02) * h + 0.5], -1),
            "crossed": draws.happens(0.4),
            "seed": draws.seeds(),
            "holes": draws.between(-0.2, 0.9),
            "round": draws.between(0.0, 0.7) * draws.happens(0.8),
            # From above, more or less.
            "light": torch.stack([0.5 * draws.normal(), draws.between(0.2, 0.8)], -1) / 2,
        },
    )


def _among(kind: Tensor, some: tuple[int, ...]) -> Tensor:
    return torch.isin(kind, torch.tensor(some))


def _polygons(draws: Draws, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Two convex polygons of which a layer is the union: normals (..., 2, 7, 2) and their distances (..., 2, 7)."""
    sides = (3.999 * draws.unit(2)).int() + 3
    number = torch.arange(_SIDES)
    angle = (number + 0.5 * draws.unit(2, _SIDES)) * (2 * math.pi / sides[..., None]) + draws.angle(2)[..., None]
    normals = torch.stack([angle.cos(), angle.sin()], -1)
    centre = torch.stack([torch.zeros(*draws.lead, 2), 0.5 * draws.normal(2).clamp(-1, 1)], -2).double()
    offsets = radius[..., None, None] * (0.5 + 0.35 * draws.unit(2, _SIDES) + (normals * centre[..., None, :]).sum(-1))
    offsets = torch.where(number < sides[..., None], offsets, _NOWHERE)
    alone = draws.happens(0.5)
    offsets[..., 1, :] = torch.where(alone[..., None], -_NOWHERE, offsets[..., 1, :])
    return normals, offsets


def _strokes(draws: Draws, kind: Tensor, radius: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Ends (..., 16, 2, 2) as (stroke, end, xy) and half widths (..., 16) of thick lines; a width of zero or less: none."""
    ends = torch.zeros(*kind.shape, _STROKES, 2, 2, dtype=torch.float64)
    thick = torch.zeros(*kind.shape, _STROKES, dtype=torch.float64)
    for some, (made_ends, made_thick) in (
        (FIGURE, _figure(draws, radius)),
        (LETTERS, _letters(draws, radius)),
        (POLE, _pole(draws, size)),
        (BRANCH, _branch(draws, size)),
    ):
        here = kind == some
        ends[here, : made_ends.shape[-3]] = made_ends[here]
        thick[here, : made_thick.shape[-1]] = made_thick[here]
    return ends, thick


def _along(angle: Tensor, length: Tensor) -> Tensor:
    """Downwards at angle 0."""
    return torch.stack([angle.sin() * length, angle.cos() * length], -1)


def _figure(draws: Draws, r: Tensor) -> tuple[Tensor, Tensor]:
    """Somebody: head, trunk, arms and legs. `r` is half the height."""
    lean = 0.12 * draws.normal()
    up = _along(lean, r)
    neck, hip = -0.55 * up, 0.05 * up
    strokes = [(neck - 0.22 * up, neck - 0.25 * up, 0.14 * r), (neck + 0.08 * up, hip, 0.19 * r)]
    for root, spread, upper, lower, width in ((neck + 0.1 * up, 0.5, 0.36, 0.34, 0.07), (hip, 0.3, 0.46, 0.46, 0.1)):
        for side in (-1, 1):
            start = root + side * 0.13 * torch.stack([r, 0 * r], -1)
            first = lean + spread * draws.normal()
            elbow = start + _along(first, upper * r)
            strokes.append((start, elbow, width * r))
            strokes.append((elbow, elbow + _along(first + 0.4 * draws.normal(), lower * r), 0.8 * width * r))
    return torch.stack([torch.stack([a, b], -2) for a, b, _ in strokes], -3), torch.stack([width for *_, width in strokes], -1)


#: Strokes that glyphs are made of, from x, y to x, y.
_LETTER = torch.tensor(
    [(0, 0, 0, 2), (1, 0, 1, 2), (0, 0, 1, 0), (0, 1, 1, 1), (0, 2, 1, 2), (0, 0, 1, 2), (1, 0, 0, 2), (0, 1, 1, 2)], dtype=torch.float64
).view(-1, 2, 2)


def _letters(draws: Draws, r: Tensor) -> tuple[Tensor, Tensor]:
    """Four glyphs of four strokes each: a sign, a caption on a van."""
    chosen = draws.unit(4, len(_LETTER)).argsort(-1)[..., :4]
    glyphs = _LETTER[chosen] - torch.tensor([0.5, 1.0])
    high = r * draws.between(0.22, 0.5)
    glyphs = glyphs * high[..., None, None, None, None] * torch.tensor([1.0, 0.8])
    places = (torch.arange(4) - 1.5) * 1.7
    glyphs[..., 0] += (high[..., None] * places)[..., None, None]
    fit = torch.minimum(torch.tensor(1.0), r / (high * 3.3))
    width = (high * draws.between(0.05, 0.14) * fit).clamp(min=0.9)
    return glyphs.flatten(-4, -3) * fit[..., None, None, None], width[..., None].expand(*r.shape, _STROKES)


def _pole(draws: Draws, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """From edge to edge of the texture, and beyond, with a neighbour now and then."""
    h, w = size
    lean = torch.where(draws.happens(0.75), 0.08 * draws.normal(), math.pi / 2 + 0.1 * draws.normal())
    length = torch.full_like(lean, 1.5 * (h + w))
    beside = torch.stack([torch.zeros_like(lean), draws.between(-0.25, 0.25) * w], -1)
    tip = _along(lean, length)[..., None, :]
    across = _along(lean + math.pi / 2, torch.ones_like(lean))[..., None, :] * beside[..., None]
    width = draws.log_between(0.005, 0.032).mul(h).clamp(min=0.9)
    return torch.stack([across - tip, across + tip], -2), torch.stack([width, torch.where(draws.happens(0.4), 0.7 * width, 0.0)], -1)


def _branch(draws: Draws, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A tree whose trunk leaves the picture below."""
    h, _ = size
    root = torch.stack([0.1 * h * draws.normal(), torch.full(draws.lead, 0.6 * h, dtype=torch.float64)], -1)
    width = draws.log_between(0.008, 0.032) * h
    angle, length = math.pi + 0.15 * draws.normal(), draws.between(0.5, 0.8) * h
    starts, ends = [root], [root + _along(angle, length)]
    angles, lengths, widths = [angle], [length], [width]
    for number in range(1, 13):
        parent = (draws.unit() ** 1.5 * min(number, 6)).long().unsqueeze(-1)
        along = draws.between(0.35, 1.0)[..., None]
        start, end = (torch.stack(x, -2).gather(-2, parent[..., None].expand(*parent.shape, 2)).squeeze(-2) for x in (starts, ends))
        starts.append(start + (end - start) * along)
        angle = torch.stack(angles, -1).gather(-1, parent).squeeze(-1) + draws.sign() * draws.between(0.3, 1.0)
        length = torch.stack(lengths, -1).gather(-1, parent).squeeze(-1) * draws.between(0.4, 0.75)
        width = torch.stack(widths, -1).gather(-1, parent).squeeze(-1) * 0.65
        ends.append(starts[-1] + _along(angle, length))
        angles.append(angle), lengths.append(length), widths.append(width)
    return torch.stack([torch.stack(starts, -2), torch.stack(ends, -2)], -2), torch.stack(widths, -1).clamp(min=0.8)


# ---- drawing


def distances(outlines: Outlines, size: tuple[int, int], device: torch.device) -> Tensor:
    """(M, h, w): how far inside the outline each texture pixel lies, in pixels; negative outside."""
    h, w = size
    numbers = {name: (values.float() if values.is_floating_point() else values).to(device) for name, values in outlines.numbers.items()}
    y = (torch.arange(h, device=device, dtype=torch.float32) - (h - 1) / 2)[:, None]
    x = torch.arange(w, device=device, dtype=torch.float32) - (w - 1) / 2
    out = torch.full((len(outlines.kind), h, w), _NOWHERE, device=device)
    for some, draw in (
        ((GROUND,), _ground_edge),
        ((BLOB,), _blob_edge),
        ((LACE,), _lace_edge),
        ((POLYGON,), _polygon_edge),
        ((FIGURE, LETTERS, POLE, BRANCH), _stroke_edge),
        ((FENCE,), _fence_edge),
    ):
        group = torch.nonzero(_among(outlines.kind, some)).flatten()
        if len(group):
            there = group.to(device)
            out[there] = draw({name: values[there] for name, values in numbers.items()}, x, y)
    return out


def _ground_edge(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Everything below a skyline near the texture's upper edge."""
    turns = x * (2 * math.pi / len(x)) * torch.arange(1, _WAVES + 1, device=x.device)[:, None]
    skyline = (p["swell"][..., None] * (turns + p["phase"][..., None]).cos()).sum(1) * (0.04 * len(y))
    return y + 0.42 * len(y) - skyline[:, None]


def _blob_edge(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    stretch = p["stretch"][:, None, None].sqrt()
    x, y = x / stretch, y * stretch
    angle = torch.atan2(y, x)
    radius = 1 + sum(p["swell"][:, k, None, None] * ((k + 1) * angle + p["phase"][:, k, None, None]).cos() for k in range(_WAVES))
    return p["blob"][:, None, None] * radius.clamp(min=0.15) - torch.hypot(x, y)


def _lace_edge(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Foliage against the light."""
    one = torch.ones_like(p["holes"])
    noise = fractal(p["seed"], 1.1 * one, 0.010 * len(y) * one, one, 0 * one, (len(y), len(x)))[:, 0]
    blob = _blob_edge(p, x, y)
    leaves = (noise + p["holes"][:, None, None]) * (0.022 * len(y))
    return torch.minimum(blob, leaves)


def _polygon_edge(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    best = None
    for part in range(2):
        inside = None
        for side in range(_SIDES):
            nx, ny = p["normals"][:, part, side].unbind(-1)
            away = p["offsets"][:, part, side, None, None] - (nx[:, None, None] * x + ny[:, None, None] * y)
            inside = away if inside is None else torch.minimum(inside, away)
        best = inside if best is None else torch.maximum(best, inside)
    return torch.minimum(best, p["polygon"][:, None, None] - torch.hypot(x, y))


def _stroke_edge(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    out = None
    for k in range(_STROKES):
        (ax, ay), (bx, by) = (p["strokes"][:, k, end, :, None, None].unbind(1) for end in (0, 1))
        dx, dy = bx - ax, by - ay
        along = (((x - ax) * dx + (y - ay) * dy) / (dx.square() + dy.square()).clamp(min=1e-6)).clamp(0, 1)
        thick = p["thick"][:, k, None, None]
        away = torch.where(thick > 0, thick, -_NOWHERE) - torch.hypot(x - ax - along * dx, y - ay - along * dy)
        out = away if out is None else torch.maximum(out, away)
    return out


def rounding(outlines: Outlines, inside: Tensor, device: torch.device) -> Tensor:
    """Light and shade (M, h, w) about 0 on the solid ones among the layers, whose `distances` are given, as if they were round."""
    h = inside.shape[1]
    solid = _among(outlines.kind, (BLOB, POLYGON, FIGURE))
    depth = torch.where(solid, outlines.numbers["round"], 0.0).float().to(device)[:, None, None]
    light = outlines.numbers["light"].float().to(device)
    slope = (1 - inside.clamp(min=0) / (0.10 * h)).clamp_(min=0) * depth
    dy = F.pad(inside[:, 2:] - inside[:, :-2], (0, 0, 1, 1)).clamp_(-2, 2)
    dx = F.pad(inside[..., 2:] - inside[..., :-2], (1, 1)).clamp_(-2, 2)
    return slope * (dx * light[:, 0, None, None] + dy * light[:, 1, None, None] - 0.3)


def _fence_edge(p: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Upright, so that its reflections continue it."""
    period, width = (n[:, None, None] for n in p["bars"].unbind(-1))
    bars = width - (x.remainder(period) - period / 2).abs()
    rails = width - (y.remainder(period * 1.4) - period * 0.7).abs()
    return torch.where(p["crossed"][:, None, None], torch.maximum(bars, rails), bars)
