"""An endless supply of short clips whose motion is known exactly.

A camera moves among textured layers at different depths, which move and bend themselves. Every map between a layer and the
picture can be inverted exactly, so a pixel's flow is that of its front-most layer without any search: back to the layer's
texture in its own frame, and from there into the next.
"""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import scene_motion, scene_shapes, scene_textures
from .chance import Draws, sample_seed
from .photometry import Looks, develop, draw_looks
from .scene_motion import bent, projected
from .scene_shapes import Outlines
from .scene_textures import Surfaces, TextureBank

__all__ = ["Clips", "SceneSettings", "TextureBank", "generate"]

#: On a CPU one sample at a time stays in the cache, and its layers are drawn only where they can be seen.
_AT_ONCE = {"cpu": 1}
#: Moments within an exposure, for each this many picture lines; odd, so that one of them is the frame's own.
_LINES_PER_MOMENT, _FEWEST_MOMENTS = 48, 5
_SCENE_DRAWS = 32
#: Above this level, light is held back.
_SHOULDER = 185.0
_PROBABILITIES = (
    "static", "shake", "zoom", "perspective", "ground", "moving", "thin", "deformation",
    "motion_blur", "grain", "exposure", "colour_drift", "softness", "compression", "vignette", "shadow", "bank_share",
)  # fmt: skip


@dataclass(frozen=True)
class SceneSettings:
    """What is shown, and how often.

    size              (height, width)
    layers            fewest and most layers, the background among them
    camera_speed      slowest and fastest, in pixels a frame of a picture 480 high
    object_speed      likewise, on top of the camera's
    static ... thin   probabilities: a standing camera, a shaken one, one that zooms, dollies or rolls, slanted layers, a floor,
                      a layer with a motion of its own, a layer that bends, a layer that is thin (poles, branches, letters, bars)
    photometry        whether frames look as filmed; without it they are what the exact flow transports
    motion_blur ...   probabilities of what makes them look filmed
    bank              photographs to take textures from, for `bank_share` of the layers
    """

    size: tuple[int, int] = (128, 224)
    frames: int = 12
    layers: tuple[int, int] = (2, 7)
    camera_speed: tuple[float, float] = (0.2, 25.0)
    object_speed: tuple[float, float] = (0.3, 40.0)
    static: float = 0.12
    shake: float = 0.35
    zoom: float = 0.35
    perspective: float = 0.6
    ground: float = 0.4
    moving: float = 0.6
    deformation: float = 0.3
    thin: float = 0.3
    photometry: bool = True
    motion_blur: float = 0.4
    grain: float = 0.7
    exposure: float = 0.35
    colour_drift: float = 0.25
    softness: float = 0.4
    compression: float = 0.35
    vignette: float = 0.3
    shadow: float = 0.5
    bank: TextureBank | None = None
    bank_share: float = 0.5

    def __post_init__(self) -> None:
        if min(self.size) < 32:
            raise ValueError(f"a scene of {self.size[0]} x {self.size[1]} pixels is too small: 32 are needed each way")
        if self.frames < 2:
            raise ValueError(f"a clip of {self.frames} frames has no motion")
        if not 1 <= self.layers[0] <= self.layers[1]:
            raise ValueError(f"from {self.layers[0]} to {self.layers[1]} layers cannot be drawn")
        for name in ("camera_speed", "object_speed"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} goes from {low} to {high}; it must be above 0 and not fall")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, which is no probability")


@dataclass(frozen=True, eq=False)
class Clips:
    """N clips of T frames.

    frames             (N, T, 3, H, W) float32 RGB, 0..255; of none of the frames, (N, 0, 3, H, W), where only motion was asked for
    forward            (N, T-1, 2, H, W) float32, pixels right and down: frame t -> t+1
    backward           (N, T-1, 2, H, W): frame t+1 -> t
    occluded_forward   (N, T-1, H, W) bool: this pixel of frame t is hidden, or out of the picture, in frame t+1
    occluded_backward  (N, T-1, H, W) bool: this pixel of frame t+1 is so in frame t
    """

    frames: Tensor
    forward: Tensor
    backward: Tensor
    occluded_forward: Tensor
    occluded_backward: Tensor


def generate(
    seed: int,
    batch: int,
    settings: SceneSettings = SceneSettings(),
    device: torch.device | str = "cpu",
    *,
    first: int = 0,
    pictures: bool = True,
) -> Clips:
    """Samples `first` .. `first + batch - 1` of the endless sequence that belongs to `seed`.

    pictures  without them the motion is the same, and made some three times faster
    """
    device = torch.device(device)
    if batch < 1:
        raise ValueError(f"a batch of {batch} clips cannot be made")
    seeds = [sample_seed(seed, k) for k in range(first, first + batch)]
    step = _AT_ONCE.get(device.type, batch)
    with torch.no_grad():
        scene = _draw(seed, first, batch, settings)
        parts = [_made(_part(scene, slice(k, k + step)), seeds[k : k + step], settings, device, pictures) for k in range(0, batch, step)]
        return parts[0] if len(parts) == 1 else Clips(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Clips)))


@dataclass(frozen=True, eq=False)
class _Scene:
    """Everything that was drawn for N samples of up to L layers, on the CPU."""

    present: Tensor
    surfaces: Surfaces
    outlines: Outlines
    motion: scene_motion.Motion
    magnification: Tensor
    edge: Tensor
    shutter: Tensor
    shadow: Tensor
    haze: Tensor
    air: Tensor
    light: Tensor
    looks: Looks


def _draw(seed: int, first: int, batch: int, settings: SceneSettings) -> _Scene:
    most = settings.layers[1]
    s = settings
    scene, camera, layer_motion, outline, surface, look = Draws.of_samples(
        seed, first, batch, _SCENE_DRAWS, scene_motion.CAMERA_DRAWS + 20 * s.frames, most * (scene_motion.LAYER_DRAWS + 12 * s.frames),
        most * scene_shapes.DRAWS, most * scene_textures.DRAWS, 64 + 16 * s.frames,
    )  # fmt: skip
    layer_motion, outline, surface = (draws.per(most) for draws in (layer_motion, outline, surface))
    count = (scene.unit() * (most - s.layers[0] + 1)).long().clamp(max=most - s.layers[0]) + s.layers[0]
    ground = scene.happens(s.ground)
    surfaces = scene_textures.draw_surfaces(surface, s.size[0], s.bank_share if s.bank else 0.0)
    outlines = scene_shapes.draw_outlines(outline, s.size, s.thin, ground)
    magnification = layer_motion.log_between(0.8, 1.6)
    # The background shows its texture about as it is, a floor is seen from the side.
    magnification[:, 0] = 1.0
    magnification[:, 1:2] = torch.where(ground[:, None], 1.5, magnification[:, 1:2])
    motion = scene_motion.draw_motion(
        camera, layer_motion, s.size, s.frames, camera_speed=s.camera_speed, object_speed=s.object_speed, static=s.static, shake=s.shake,
        zoom=s.zoom, perspective=s.perspective, moving=s.moving, deformation=s.deformation, ground=ground, magnification=magnification,
    )  # fmt: skip
    shutter = torch.where(scene.happens(s.motion_blur if s.photometry else 0.0), scene.between(0.25, 0.75), 0.0)
    shadow = torch.where(scene.happens(s.shadow if s.photometry else 0.0), scene.between(0.05, 0.4), 0.0)
    edge = 1 + 1.5 * layer_motion.happens(0.2) * layer_motion.unit()
    looks = draw_looks(
        look, s.frames, grain=s.grain, exposure=s.exposure, colour_drift=s.colour_drift, softness=s.softness, compression=s.compression,
        vignette=s.vignette,
    )  # fmt: skip
    present = torch.arange(most) < count[:, None]
    # Far things pale in the air; one light falls on all of them.
    haze = (scene.happens(0.45) * scene.between(0.05, 0.4))[:, None] * motion.depth**3
    air = scene_textures.hsv(0.57 + 0.05 * scene.normal(), scene.between(0.02, 0.2), scene.between(0.55, 0.9))
    warm = 0.07 * scene.normal()[:, None] * torch.tensor([1.0, 0.1, -1.0])
    light = (warm + 0.22 * scene.normal()[:, None]).exp()
    return _Scene(present, surfaces, outlines, motion, magnification, edge, shutter, shadow, haze, air, light, looks)


def _part(drawn: Any, rows: slice) -> Any:
    """Some of the samples of a scene, or of anything in it."""
    if isinstance(drawn, Tensor):
        return drawn[rows]
    if isinstance(drawn, dict):
        return {name: _part(values, rows) for name, values in drawn.items()}
    return type(drawn)(*(_part(getattr(drawn, field.name), rows) for field in fields(drawn)))


def _made(scene: _Scene, seeds: list[int], settings: SceneSettings, device: torch.device, pictures: bool) -> Clips:
    # Layer by layer over all samples, so that what is drawn at once lies together.
    order = torch.nonzero(scene.present.T)[:, [1, 0]]
    places = (order[:, 0], order[:, 1])
    outlines = scene.outlines.of(places)
    if not pictures:
        every = torch.arange(len(scene.present))
        distances = scene_shapes.distances(outlines, settings.size, device)[:, None]
        return Clips(*_rendered(scene, every, distances, order, settings, device, 0))
    textures = torch.empty(len(order), 4, *settings.size, device=device)
    textures[:, :3] = scene_textures.paint(scene.surfaces.of(places), settings.size, device, settings.bank)
    textures[:, 3] = scene_shapes.distances(outlines, settings.size, device)
    textures[:, :3] *= (1 + scene_shapes.rounding(outlines, textures[:, 3], device))[:, None]
    share, air = scene.haze[places].float().to(device).view(-1, 1, 1, 1), scene.air[order[:, 0]].float().to(device)[..., None, None]
    textures[:, :3].mul_(scene.light[order[:, 0]].float().to(device)[..., None, None]).lerp_(air * 255, share)
    _hold_highlights(textures[:, :3])
    still, blurred = (torch.nonzero(which).flatten() for which in (scene.shutter == 0, scene.shutter > 0))
    moments = max(_FEWEST_MOMENTS, settings.size[0] // _LINES_PER_MOMENT) | 1
    parts, rows = [], []
    for group, number in ((still, 1), (blurred, moments)):
        if len(group):
            parts.append(_rendered(scene, group, textures, order, settings, device, number))
            rows.append(group)
    back = torch.cat(rows).argsort().to(device)
    frames, *truth = (torch.cat(values)[back] if len(parts) > 1 else values[0] for values in zip(*parts))
    if settings.photometry:
        frames = develop(frames, scene.looks, [own ^ 1 for own in seeds])
    return Clips(frames, *truth)


def _hold_highlights(textures: Tensor) -> None:
    """Bends what is too bright towards white, in place, as cameras do: detail is left in it, and nothing exceeds 255."""
    room = 255 - _SHOULDER
    over = (textures - _SHOULDER).clamp_(min=0)
    textures.sub_(over).add_((over * (-1 / room)).expm1_(), alpha=-room)


def _rendered(
    scene: _Scene, rows: Tensor, textures: Tensor, order: Tensor, settings: SceneSettings, device: torch.device, moments: int
) -> tuple[Tensor, ...]:
    """Frames, flows and occlusion of the samples `rows`, painted from the background to the front.

    textures  (layers, 4, h, w): a picture and the distance to the outline; that distance alone for no `moments`, and so no frames
    """
    (h, w), n, t = settings.size, len(rows), settings.frames
    maps = scene.motion.maps[rows].transpose(1, 2)
    inverse = torch.linalg.inv(maps).flatten(-2).float().to(device)
    maps = maps.flatten(-2).float().to(device)
    bends = scene.motion.bends[rows].float().to(device)
    # How many picture pixels wide a texture pixel is, for edges as sharp as a lens makes them.
    sharp = (scene.magnification / scene.edge)[rows].float().to(device)
    shadow, shutter = (x[rows].float().to(device) for x in (scene.shadow, scene.shutter))
    pictures = textures.new_zeros(n, moments, 3, t, h, w)
    front = torch.zeros(n, t, h, w, dtype=torch.uint8, device=device)
    later, earlier = (textures.new_empty(n, 2, t, h, w) for _ in range(2))
    x = torch.arange(w, device=device, dtype=torch.float32) - (w - 1) / 2
    y = (torch.arange(h, device=device, dtype=torch.float32) - (h - 1) / 2)[:, None]
    offsets = [0.0] if moments < 2 else [k / (moments - 1) - 0.5 for k in range(moments)]
    for layer in range(scene.present.shape[1]):
        members = torch.nonzero(scene.present[rows, layer]).flatten()
        box = _seen_box(scene, rows[members], layer, settings) if len(members) else None
        if box is None:
            continue
        top, bottom, left, right = box
        which = slice(None) if len(members) == n else members.to(device)
        window = (which, slice(None), slice(None), slice(top, bottom), slice(left, right))
        wanted = torch.nonzero((order[:, 1] == layer) & torch.isin(order[:, 0], rows)).flatten()
        texture = textures[wanted[0] : wanted[-1] + 1] if int(wanted[-1] - wanted[0]) == len(wanted) - 1 else textures[wanted.to(device)]
        flat = projected(x[left:right], y[top:bottom], inverse[which, :, layer].movedim(-1, 0)[..., None, None])
        bending = scene.motion.bends[rows[members], layer, 0, :, 3].any(-1)
        (u, v), after, before = _bent_layer(flat, bends[which, layer], bending) if bending.any() else (flat, flat, flat)
        limits = _limits(scene.outlines, rows[members], layer, settings.size, device)
        rates = [_rate(c) * shutter[which].view(-1, 1, 1, 1) for c in (u, v)] if moments > 1 else None
        parts = [pictures[which, k, :, :, top:bottom, left:right] for k in range(moments)]
        for k, offset in enumerate(offsets):
            at = (u, v) if offset == 0 else tuple(torch.add(c, rate, alpha=offset) for c, rate in zip((u, v), rates))
            seen = _looked_up(texture, *at, limits)
            inside = seen[:, -1] * sharp[which, layer].view(-1, 1, 1, 1)
            if not parts:
                mask = inside + 0.5 >= 0.5
                continue
            if layer and scene.shadow[rows].any():
                dark = (1 + inside * (20 / h)).clamp_(0, 1).square_().mul_(-shadow[which].view(-1, 1, 1, 1)).add_(1)
                parts[k] *= dark[:, None]
            inside += 0.5
            if layer:
                parts[k].lerp_(seen[:, :3], inside.clamp(0, 1)[:, None])
            else:
                parts[k].copy_(seen[:, :3])
            if offset == 0:
                mask = inside >= 0.5
        if not isinstance(which, slice):
            for k, part in enumerate(parts):
                pictures[which, k, :, :, top:bottom, left:right] = part
        place = (which, slice(None), *window[3:])
        front[place] = torch.where(mask, layer, front[place]) if layer else 0
        for held, found in ((later, after), (earlier, before)):
            for c in range(2):
                target = (which, c, *window[2:])
                held[target] = torch.where(mask, found[c], held[target]) if layer else found[c]
    if not moments:
        return pictures.new_empty(n, 0, 3, h, w), *_truth(front, later, earlier, maps, x, y)
    frames = pictures[:, 0] if moments == 1 else pictures.mean(1)
    return (frames.transpose(1, 2).contiguous(), *_truth(front, later, earlier, maps, x, y))


def _bent_layer(flat: tuple[Tensor, Tensor], bends: Tensor, bending: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What lies at places (n, T, y, x) of layers as the camera sees them: the places on their texture, and where the camera
    would see these in the next frame and in the frame before, for the samples that are `bending`."""
    some = slice(None) if bending.all() else torch.nonzero(bending).flatten().to(bends.device)
    waves = bends[some].permute(2, 3, 0, 1)[..., None, None]
    after = torch.cat([waves[:, :, :, 1:], waves[:, :, :, -1:]], 3)
    before = torch.cat([waves[:, :, :, :1], waves[:, :, :, :-1]], 3)
    texture = bent(flat[0][some], flat[1][some], waves)
    found = texture, bent(*texture, after, back=True), bent(*texture, before, back=True)
    return [_with(flat, some, points) for points in found]


def _with(base: tuple[Tensor, Tensor], some: slice | Tensor, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    if isinstance(some, slice):
        return found
    out = tuple(c.clone() for c in base)
    for c, values in zip(out, found):
        c[some] = values
    return out


def _rate(c: Tensor) -> Tensor:
    """Change a frame of (n, T, ...), in the middle of each frame."""
    out = torch.empty_like(c)
    out[:, 1:-1] = (c[:, 2:] - c[:, :-2]) / 2
    out[:, 0], out[:, -1] = c[:, 1] - c[:, 0], c[:, -1] - c[:, -2]
    return out


def _limits(outlines: Outlines, rows: Tensor, layer: int, size: tuple[int, int], device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    """How far from its middle a texture may be looked at: without end if it is to repeat, else up to its last pixels."""
    edges = (torch.tensor([size[1], size[0], size[0]]) - 1) / 2
    side, above, below = torch.where(outlines.repeat[rows, layer], 1e5, edges).float().view(-1, 3, 1, 1, 1).to(device).unbind(1)
    return (-side, side), (-above, below)


def _looked_up(texture: Tensor, u: Tensor, v: Tensor, limits: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
    """Textures (n, c, h, w) at (n, T, y, x) places from their middles: (n, c, T, y, x)."""
    n, t, height, width = u.shape
    grid = u.new_empty(n, t, height, width, 2)
    for k, (c, (low, high), side) in enumerate(zip((u, v), limits, (texture.shape[3], texture.shape[2]))):
        torch.mul(c.clamp(low, high), 2 / (side - 1), out=grid[..., k])
    seen = F.grid_sample(texture, grid.view(n, t * height, width, 2), "bilinear", "reflection", align_corners=True)
    return seen.view(n, -1, t, height, width)


def _seen_box(scene: _Scene, rows: Tensor, layer: int, settings: SceneSettings) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of where the layer, its shadow and its blur may be seen in any frame; None: nowhere."""
    h, w = settings.size
    reach = scene.outlines.reach[rows, layer]
    if not reach.isfinite().all():
        return 0, h, 0, w
    swing = scene.motion.bends[rows, layer, 0, :, 3].sum(-1, keepdim=True)
    around = reach + swing + 2 + (h / 20 if scene.shadow[rows].any() else 0) / scene.magnification[rows, layer, None]
    corners = around[:, None] * torch.tensor([[-1, -1], [1, -1], [-1, 1], [1, 1]])
    maps = scene.motion.maps[rows, layer].permute(2, 3, 0, 1).flatten(0, 1)[..., None]
    px, py = projected(corners[:, None, :, 0], corners[:, None, :, 1], maps)
    spans = []
    for c, side in ((py, h), (px, w)):
        slack = (c[:, 1:] - c[:, :-1]).abs().max() / 2 if scene.shutter[rows].any() else 0
        low, high = int(c.min() + (side - 1) / 2 - slack) - 1, int(c.max() + (side - 1) / 2 + slack) + 3
        spans += [max(low, 0), min(high, side)]
    return tuple(spans) if spans[0] < spans[1] and spans[2] < spans[3] else None


def _truth(front: Tensor, later: Tensor, earlier: Tensor, maps: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Flow and occlusion, both ways, from each pixel's front-most layer and its place on it."""
    n, t = front.shape[:2]
    layers = maps.shape[2]
    base = (torch.arange(n * t, device=maps.device) * layers).view(n, t, 1, 1)
    table = maps.reshape(-1, 9)
    flows, hidden = [], []
    for held, here, there in ((later, slice(0, -1), slice(1, None)), (earlier, slice(1, None), slice(0, -1))):
        index = (base[:, there] + front[:, here]).flatten()
        own = [table[:, k].contiguous().index_select(0, index).view(n, t - 1, *front.shape[2:]) for k in range(9)]
        px, py = projected(held[:, 0, here], held[:, 1, here], own)
        hidden.append(_hidden(front[:, here], front[:, there], px, py))
        flows.append(torch.stack([px - x, py - y], 2))
    return *flows, *hidden


def _hidden(own: Tensor, other: Tensor, px: Tensor, py: Tensor) -> Tensor:
    """Whether something nearer covers the points (from the picture's middle) in the other frame, or its edge does.

    The layer itself reaches every one of these points, so a layer behind it at the nearest pixel is only that pixel's rounding.
    """
    h, w = own.shape[2:]
    outside = (px.abs() > (w - 1) / 2) | (py.abs() > (h - 1) / 2)
    column = (px + (w - 1) / 2).round_().clamp_(0, w - 1).long()
    row = (py + (h - 1) / 2).round_().clamp_(0, h - 1).long()
    return (other.flatten(2).gather(2, (row * w + column).flatten(2)).view_as(own) > own) | outside
