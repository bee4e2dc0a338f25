"""Clips for tests of training: a textured ground in affine motion, a box that moves over it, rectangular holes that drift."""
from __future__ import annotations

import torch
from torch import Tensor

from flow_inpaint.training import chance
from flow_inpaint.training.config import DataSettings
from flow_inpaint.training.sources import Batch, Share


class ToyBatches:
    def __init__(self, settings: DataSettings, seed: int, share: Share, device: torch.device):
        self.settings, self.seed, self.share, self.device = settings, seed, share, device

    def batch(self, step: int) -> Batch:
        first, (height, width), count = self.share.first(step), self.settings.size, self.settings.frames
        numbers = torch.arange(first, first + self.share.batch)
        keys = numbers + self.seed % (1 << 40)
        n = len(keys)
        draw = chance.uniform(keys, "scene", (16,)) * 2 - 1
        y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
        speed = draw[:, :2, None, None] * 3
        growth = draw[:, 2, None, None, None] * 0.02
        centred = torch.stack([x - width / 2, y - height / 2])[None]
        ground = speed + growth * centred
        box_speed = draw[:, 3:5, None, None] * 4
        corner = (chance.uniform(keys, "corner", (2,)) * 0.6).mul(torch.tensor([width, height]))
        box = torch.stack([self._rectangle(corner + box_speed[:, :, 0, 0] * t, (height, width), 3) for t in range(count)], 1)
        forward = torch.where(box[:, :-1, None], box_speed[:, None], ground[:, None])
        backward = -torch.where(box[:, 1:, None], box_speed[:, None], ground[:, None])
        frames = torch.stack([self._picture(keys, centred, speed, growth, box[:, t], t) for t in range(count)], 1)
        where = numbers.new_full((n,), self.share.first_of_all(step)) if self.settings.one_matte else keys
        start = (chance.uniform(where, "hole", (2,)) * 0.5).mul(torch.tensor([width, height]))
        drift = chance.uniform(where, "drift", (2,)) * 2 - 1
        holes = torch.stack([self._rectangle(start + drift * t, (height, width), 3) for t in range(count)], 1)
        nothing = torch.zeros(n, count - 1, height, width, dtype=torch.bool)
        made = {
            "key": keys, "frames": frames, "forward": forward, "backward": backward,
            "occluded_forward": nothing, "occluded_backward": nothing, "holes": holes,
        }  # fmt: skip
        return {name: values.to(self.device) for name, values in made.items()}

    @staticmethod
    def _rectangle(corner: Tensor, size: tuple[int, int], part: int) -> Tensor:
        y, x = torch.arange(size[0])[None, :, None], torch.arange(size[1])[None, None]
        left, top = corner[:, :1, None], corner[:, 1:, None]
        return (x >= left) & (x < left + size[1] / part) & (y >= top) & (y < top + size[0] / part)

    @staticmethod
    def _picture(keys: Tensor, centred: Tensor, speed: Tensor, growth: Tensor, box: Tensor, t: int) -> Tensor:
        place = (centred - speed * t) / (1 + growth * t)
        phase = chance.uniform(keys, "phase", (3, 4))[..., None, None] * 6.28
        rate = 0.1 + chance.uniform(keys, "rate", (3, 4))[..., None, None] * 0.5
        u, v = place[:, None, None, 0], place[:, None, None, 1]
        waves = torch.sin(u * rate + phase) + torch.cos(v * rate.flip(2) - phase)
        picture = 127 + waves.mean(2) * 60
        return torch.where(box[:, None], 255 - picture, picture).clamp(0, 255)


class OneBatch(ToyBatches):
    """The same batch at every step, to overfit."""

    def batch(self, step: int) -> Batch:
        return super().batch(0)


class PassingBoxes(ToyBatches):
    """A box that passes behind a hole in the middle of a picture that stands still: its edges are where interpolation is wrong, and
    before and after them the box can be seen. Only flow, and nothing else that moves."""

    slowest, fastest = 4.0, 4.0

    def batch(self, step: int) -> Batch:
        first, (height, width), count = self.share.first(step), self.settings.size, self.settings.frames
        numbers = torch.arange(first, first + self.share.batch)
        keys = numbers + self.seed % (1 << 40)
        draw = chance.uniform(keys, "box", (6,))
        speed = (self.slowest + (self.fastest - self.slowest) * draw[:, 0]) * torch.where(draw[:, 1] < 0.5, -1.0, 1.0)
        middle = (0.25 + 0.5 * draw[:, 2]) * width, (0.35 + 0.3 * draw[:, 3]) * height
        half = (0.12 + 0.1 * draw[:, 4]) * width, (0.14 + 0.1 * draw[:, 5]) * height
        y, x = torch.arange(height)[None, None, :, None], torch.arange(width)[None, None, None]
        left = middle[0][:, None] + speed[:, None] * (torch.arange(count) - count // 2)
        box = ((x - left[..., None, None]).abs() < half[0][:, None, None, None]) & (
            (y - middle[1][:, None, None, None]).abs() < half[1][:, None, None, None]
        )
        velocity = torch.stack([speed, torch.zeros_like(speed)], 1)[:, None, :, None, None]
        holes = torch.zeros(len(keys), count, height, width, dtype=torch.bool)
        holes[..., height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
        made = {"key": keys, "forward": box[:, :-1, None] * velocity, "backward": box[:, 1:, None] * -velocity, "holes": holes}
        return {name: values.to(self.device) for name, values in made.items()}


class PassingBoxesOfManySpeeds(PassingBoxes):
    slowest, fastest = 2.0, 6.0
