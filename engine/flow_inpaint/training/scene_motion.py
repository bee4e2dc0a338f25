"""Where the layers of a generated scene are in each frame: a camera among flat layers in space, which may bend."""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .chance import Draws

#: Numbers drawn for a sample's camera, and for each layer.
CAMERA_DRAWS = 300
LAYER_DRAWS = 160
#: Sideways waves that bend a layer, one after the other.
BENDS = 4
_KNOT = 4
#: How far a camera may turn in one clip, in radians, and travel, in depths of the background.
_TURN, _TRAVEL = 0.3, 0.10


@dataclass(frozen=True, eq=False)
class Motion:
    """N samples, L layers from far to near, T frames; on the CPU, in float64.

    maps   (N, L, T, 3, 3): from a layer's texture to the picture, both from their middles, in pixels. The last row gives the
           depth relative to the layer's middle.
    bends  (N, L, T, 4, 4): of each wave the wave vector (x, y), the phase and the amplitude. The amplitude is 0 where a layer is stiff.
    depth  (N, L): 1 = background
    """

    maps: Tensor
    bends: Tensor
    depth: Tensor


def spline(control: Tensor, frames: int, knot: float) -> Tensor:
    """(..., K) -> (..., frames): a uniform cubic B-spline, a knot every so many frames."""
    time = torch.arange(frames, dtype=torch.float64) / knot
    start = time.floor()
    t = time - start
    weights = torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], -1) / 6
    return (control[..., start.long()[:, None] + torch.arange(4)] * weights).sum(-1)


def knots(frames: int, knot: float) -> int:
    return int((frames - 1) / knot) + 4


def path(draws: Draws, speed: Tensor, frames: int, wander: float = 0.5) -> Tensor:
    """Positions (..., frames) that go by about `speed` (...) a frame, now faster, now slower; 0 in the middle of the clip."""
    steps = 1 + wander * draws.normal(*speed.shape[len(draws.lead) :], knots(frames, _KNOT))
    return _centred(spline((speed[..., None] * steps).cumsum(-1) * _KNOT, frames, _KNOT))


def _centred(track: Tensor) -> Tensor:
    return track - track[..., track.shape[-1] // 2, None]


def draw_motion(
    camera: Draws,
    layers: Draws,
    size: tuple[int, int],
    frames: int,
    *,
    camera_speed: tuple[float, float],
    object_speed: tuple[float, float],
    static: float,
    shake: float,
    zoom: float,
    perspective: float,
    moving: float,
    deformation: float,
    ground: Tensor,
    magnification: Tensor,
) -> Motion:
    """Speeds are in pixels a frame of a picture 480 high. `ground` (N,): layer 1 is one. `magnification` (N, L): picture pixels
    per texture pixel."""
    h, w = size
    scale = h / 480
    n, count = layers.lead

    focal = camera.log_between(0.85, 1.8) * w
    still = camera.happens(static)
    speed = torch.where(still, 0.0, camera.log_between(*camera_speed) * scale)
    heading = torch.stack([torch.ones(n).double(), 0.35 * camera.normal()], -1)
    heading = torch.where(camera.happens(0.25)[:, None], heading.flip(-1), heading)
    heading = heading / heading.norm(dim=-1, keepdim=True) * camera.sign()[:, None]
    # A camera pans, travels, or travels and looks back.
    share = torch.where(camera.happens(0.35), 1.0, torch.where(camera.happens(0.5), 0.0, camera.between(-1.0, 1.0)))
    turning = (speed * share)[:, None] * heading / focal[:, None]
    # Its speed is that of things at a middle distance.
    travelling = 0.6 * (speed * torch.where(share < 0, 1 - share, 1 - share.abs()))[:, None] * heading / focal[:, None]
    zooming = camera.happens(zoom) & ~still
    forward = torch.where(zooming, 0.010 * camera.normal(), 0.0)
    closer = torch.where(zooming & camera.happens(0.4), 0.008 * camera.normal(), 0.0)
    rolling = torch.where(zooming & camera.happens(0.5), 0.006 * camera.normal(), 0.0)
    shaken = torch.where(camera.happens(shake) & (~still | camera.happens(0.5)), camera.log_between(0.2, 4.0) * scale, 0.0)
    trembling = spline(camera.normal(3, knots(frames, 1.6)), frames, 1.6) * (shaken / focal)[:, None, None]
    turn = path(camera, turning, frames)
    turn = _TURN * torch.tanh(turn / _TURN) + trembling[:, :2]
    roll = path(camera, rolling, frames) + 0.5 * trembling[:, 2]
    place = path(camera, torch.cat([travelling, forward[:, None]], -1), frames)
    # Near layers must not pass through the camera.
    place = torch.cat([place[:, :2], _TRAVEL * torch.tanh(place[:, 2:] / _TRAVEL)], 1)
    length = focal[:, None] * path(camera, closer, frames).exp()
    facing = _rotation(turn[:, 0], turn[:, 1], roll)

    depth = layers.between(0.30, 0.97).sort(1, descending=True).values
    depth[:, 0] = 1
    if count > 1:
        depth[:, 1] = torch.where(ground, 0.98, depth[:, 1])
    far = torch.arange(count) == 0
    floor = torch.zeros(n, count, dtype=torch.bool)
    floor[:, 1:2] = ground[:, None]
    fixed = far | floor
    moves = layers.happens(moving) & ~fixed
    rate = torch.where(moves, layers.log_between(*object_speed) * scale, 0.0)
    way = layers.angle()
    # Most things that move stay on the ground.
    way = torch.stack([way.cos(), way.sin() * torch.where(layers.happens(0.6), 0.25, 1.0)], -1)
    shift = path(layers, rate[..., None] * way, frames)
    turns = moves & layers.happens(0.7)
    spin = path(layers, torch.where(turns, 0.02 * layers.normal(), 0.0), frames)
    growth = path(layers, torch.where(turns, 0.010 * layers.normal(), 0.0), frames)
    sway = path(layers, torch.where((turns & layers.happens(perspective))[..., None], 0.03 * layers.normal(2), 0.0), frames)
    slant = torch.where(layers.happens(perspective), 1.0, 0.0)[..., None] * layers.normal(2).clamp(-2, 2)
    slant = slant * torch.where(far, 0.12, 0.25)[:, None]
    upright = torch.where(fixed | layers.happens(0.75), 0.0, layers.angle())
    tilt = layers.between(0.9, 1.2)
    slant = torch.where(floor[..., None], torch.stack([0 * tilt, -tilt], -1), slant)

    # Where each layer is seen from the middle of the clip, in pixels from the picture's middle.
    seen = layers.between(-0.5, 0.5, 2) * torch.tensor([w, h]) * torch.where(moves, 1.0, 0.9)[..., None]
    # What passes, passes at any time: not everything is in the picture in the middle frame.
    when = (layers.unit() * frames).long().clamp(max=frames - 1)
    seen = seen - shift.gather(-1, when[..., None, None].expand(n, count, 2, 1)).squeeze(-1).clamp(-w, w)
    seen = torch.where(far[:, None], 0.0, seen)
    # A ground's texture begins at its far edge, which is to be near the middle.
    edge = torch.stack([0 * tilt, layers.between(-0.12, 0.2) * h], -1)
    seen = torch.where(floor[..., None], edge, seen)

    texel = magnification * depth / focal[:, None]
    axes = _rotation(slant[..., 0, None] + sway[..., 0, :], slant[..., 1, None] + sway[..., 1, :], upright[..., None] + spin)
    axes = axes[..., :2] * (texel[..., None] * growth.exp())[..., None, None]
    spot = (seen[..., None] + shift) * (depth / focal[:, None])[..., None, None]
    spot = torch.cat([spot, depth[..., None, None].expand(n, count, 1, frames)], -2)
    # The floor hangs from its far edge.
    spot = spot + torch.where(floor, 0.42 * h, 0.0)[..., None, None] * axes[..., 1].transpose(-1, -2)
    offset = (spot - place[:, None]).transpose(-1, -2)[..., None]
    maps = facing[:, None] @ torch.cat([axes, offset], -1)
    lens = torch.zeros(n, frames, 3, 3, dtype=torch.float64)
    lens[..., 0, 0] = lens[..., 1, 1] = length
    lens[..., 2, 2] = 1
    maps = lens[:, None] @ maps / depth[..., None, None, None]
    return Motion(maps, _bends(layers, frames, h, deformation, magnification, floor), depth)


def _rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """(...) radians to (..., 3, 3): roll after pitch after yaw."""
    yaw, pitch, roll = torch.broadcast_tensors(yaw, pitch, roll)
    out = torch.eye(3, dtype=torch.float64).expand(*yaw.shape, 3, 3)
    for angle, (i, j) in ((yaw, (0, 2)), (pitch, (1, 2)), (roll, (0, 1))):
        turn = torch.eye(3, dtype=torch.float64).repeat(*yaw.shape, 1, 1)
        turn[..., i, i] = turn[..., j, j] = angle.cos()
        turn[..., i, j], turn[..., j, i] = -angle.sin(), angle.sin()
        out = turn @ out
    return out


def _bends(draws: Draws, frames: int, h: int, probability: float, magnification: Tensor, stiff: Tensor) -> Tensor:
    bent = draws.happens(probability) & ~stiff
    along = draws.angle(BENDS)
    length = draws.log_between(0.25, 1.1, BENDS) * h
    steep = draws.log_between(0.05, 0.35)[..., None] * draws.between(0.3, 1.0, BENDS) / BENDS**0.5
    amplitude = torch.where(bent[..., None], steep * length / (2 * math.pi), 0.0)
    pace = draws.log_between(0.03, 0.6)[..., None] * draws.between(0.5, 1.5, BENDS) * draws.sign(BENDS)
    phase = draws.angle(BENDS)[..., None] + path(draws, pace, frames, wander=0.3)
    wave = torch.stack([along.cos(), along.sin()], -1) * (2 * math.pi / length)[..., None]
    parts = [wave[..., 0, None].expand_as(phase), wave[..., 1, None].expand_as(phase), phase, amplitude[..., None].expand_as(phase)]
    return torch.stack(parts, -1).transpose(2, 3)


def bent(x: Tensor, y: Tensor, waves: Tensor, *, back: bool = False) -> tuple[Tensor, Tensor]:
    """Points of a bent layer, and `back` again, exactly: each wave shifts along its own crests, so it can be taken away.

    waves  (4, 4, ...) of `Motion.bends`, with the wave and its numbers first
    """
    for wave in reversed(waves) if back else waves:
        kx, ky, phase, amplitude = wave
        shift = torch.sin(kx * x + ky * y + phase)
        per = amplitude * torch.rsqrt(kx * kx + ky * ky) * (-1 if back else 1)
        x, y = torch.addcmul(x, shift, -ky * per), torch.addcmul(y, shift, kx * per)
    return x, y


def projected(x: Tensor, y: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Points through maps (9, ...), whose numbers come first."""
    a, b, c, d, e, f, g, h, i = maps
    depth = ((g * x + i) + h * y).clamp_(min=1e-3).reciprocal_()
    return ((a * x + c) + b * y).mul_(depth), ((d * x + f) + e * y).mul_(depth)
