"""Filling by a network: DeepFill v1 (Yu et al.: Generative Image Inpainting with Contextual Attention, CVPR 2018).

A coarse network guesses the hole; a second one refines the guess, with an attention that copies what the known
surroundings look like. Names and shapes in `DeepFill.state_dict()` are those of the published weights.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..device_errors import is_out_of_memory
from ..errors import BadWeights, OutOfMemory
from ..machine import Machine
from ..poisson import bounding_box

#: The two networks and the attention work at an eighth: pictures are padded to a multiple of it.
STRIDE = 8
#: Bytes of attention scores alive at once, as long as one line of the image fits.
TILE_BYTES = 128 << 20
_SMALLEST_TILE = 16 << 20
#: What the attention divides by at the least, and how sharply it chooses.
_LEAST_NORM = 1e-4
_SHARPNESS = 10.0
_FEWEST_CHANNELS = 8
_DILATIONS = (2, 4, 8, 16)
#: Pixels around the hole that the network sees at least, and the longest side that it works at.
_MARGIN = 128
_LONGEST = 1024
_SHORTEST = 128

Pulse = Callable[[], None]


def _silent(*_: object) -> None:
    """The pulse and the message that nobody asked for."""


class DeepFill(nn.Module):
    """Two estimates of pictures (N, 3, H, W) BGR in -1..1, of any size: `stage1`, coarse, and `stage2`, the result.

    width       scales every inner channel count; 1.0 is the published one
    tile_bytes  bounds the attention's memory; the result does not depend on it
    """

    def __init__(self, width: float = 1.0, *, tile_bytes: int = TILE_BYTES):
        super().__init__()
        if not width > 0:
            raise ValueError(f"width is {width!r} and has to be more than 0")
        self.width = width
        self.stage_1 = _Coarse(width)
        self.stage_2 = _Refinement(width, tile_bytes)

    @property
    def attention(self) -> ContextualAttention:
        return self.stage_2.CAttn

    def forward(
        self, masked_bgr: Tensor, mask: Tensor, small_mask: Tensor | None = None, *, pulse: Pulse = _silent
    ) -> tuple[Tensor, Tensor]:
        """masked_bgr (N, 3, H, W) is 0 in the hole, mask (N or 1, 1, H, W) is 1 there.

        small_mask (N or 1, 1, H/8, W/8) says what the attention must not copy from: by default every eighth pixel of
        `mask`. Only that of the first picture counts, as in the published network. `pulse` is called in between.
        """
        height, width = _checked(masked_bgr, mask)
        x, mask = _padded(masked_bgr), _padded(mask.to(masked_bgr.dtype)).expand(len(masked_bgr), -1, -1, -1)
        small = (x.shape[2] // STRIDE, x.shape[3] // STRIDE)
        if small_mask is None:
            small_mask = mask[:, :, ::STRIDE, ::STRIDE]
        elif small_mask.shape[2:] != small:
            small_mask = F.interpolate(small_mask.to(x.dtype), small)
        hole = torch.cat([torch.ones_like(mask), mask], 1)
        stage1 = self.stage_1(torch.cat([x, hole], 1), pulse)
        x = stage1 * mask + x * (1 - mask)
        stage2 = self.stage_2(torch.cat([x, hole], 1), small_mask, pulse)
        return stage1[..., :height, :width], stage2[..., :height, :width]


class ContextualAttention(nn.Module):
    """Features (N, C, H, W), H and W even, put together anew from 4x4 pieces of themselves that lie in known places.

    Every second position (y, x) of the image, L in all, looks for pieces whose surroundings are like its own: an
    L x L matrix of scores, which exists only one tile at a time. All the work is done on the transposed image, where
    a tile is a range of lines. Positions are numbered along those lines, so that the second sum along diagonals, over
    (i-1, j-1), (i, j), (i+1, j+1) in that order, is a sum of shifted slices. The first one steps across the lines, and
    from the end of the last line to the start of the first, one position on; with one more line on either side, made
    of the image's own opposite line so shifted, it is a sum of slices shifted by a line (`_with_neighbours`).
    """

    def __init__(self, channels: int, tile_bytes: int = TILE_BYTES):
        super().__init__()
        self.tile_bytes = tile_bytes
        self.out = nn.Sequential(_Conv(channels, channels), _Conv(channels, channels))

    def forward(self, features: Tensor, small_mask: Tensor, pulse: Pulse = _silent) -> Tensor:
        return self.out(self.attend(features, small_mask, pulse))

    def attend(self, features: Tensor, small_mask: Tensor, pulse: Pulse = _silent) -> Tensor:
        """The attention without the convolutions that follow it. small_mask (N, 1, H/2, W/2), 1 = hole; the first one is used."""
        # Scores are sums of a thousand products and go through an exponential: half precision is not enough for them.
        exact = features.transpose(2, 3).to(torch.promote_types(features.dtype, torch.float32))
        # A piece may be copied when there is no hole next to it either; what lies outside the image is no hole.
        valid = F.max_pool2d(small_mask[:1].transpose(2, 3).to(exact.dtype), 3, 1, 1).flatten() == 0
        with torch.autocast(features.device.type, enabled=False):
            pictures = [self._attend(picture, valid.to(exact.dtype), pulse) for picture in exact]
        return torch.stack(pictures).transpose(2, 3).to(features.dtype)

    def _attend(self, picture: Tensor, valid: Tensor, pulse: Pulse) -> Tensor:
        channels, height, width = picture.shape
        lines, line = height // 2, width // 2
        places = F.unfold(picture[None, :, ::2, ::2], 3, padding=1)[0].T
        norms = torch.linalg.vector_norm(places, dim=1, keepdim=True).clamp_min(_LEAST_NORM)
        keys, norms = _with_neighbours(places / norms, line), _with_neighbours(norms, line)
        pieces = F.unfold(picture[None], 4, padding=1, stride=2)[0] * valid
        out = picture.new_zeros(channels, height + 2, width + 2)
        # At most two matrices of a tile's lines and two lines more are alive at a time.
        count = self.tile_bytes // (2 * line * lines * line * picture.element_size()) - 2
        for first, last, scores in _fused_tiles(keys, norms, line, max(1, count)):
            pulse()
            scores *= valid * _SHARPNESS
            copied = pieces @ torch.softmax(scores, 1).T
            rows = slice(2 * first, 2 * last + 2)
            out[:, rows] += F.fold(copied[None], (2 * (last - first) + 2, width + 2), 4, stride=2)[0]
        return out[:, 1:-1, 1:-1] / 4


def _with_neighbours(places: Tensor, line: int) -> Tensor:
    """(L, K) with a line of neighbours before and after, and a zero before and after those: (L + 2 * line + 2, K).

    What lies before the first line's position y is the last line's y-1, what lies behind the last line's is the first
    line's y+1: going across the lines, the image is read as one sequence.
    """
    nothing = places.new_zeros(2, places.shape[1])
    return torch.cat([nothing, places[-line:-1], places, places[1:line], nothing])


def _fused_tiles(keys: Tensor, norms: Tensor, line: int, count: int) -> Iterator[tuple[int, int, Tensor]]:
    """(first, last, scores): those of the lines first..last-1 against all L positions, summed along diagonals in both orders.

    keys and norms as `_with_neighbours` gives them, count: lines in a tile.
    """
    lines = (len(keys) - 2) // line - 2
    total = lines * line
    # A line around the tile is for the first sum, one position more at either end for the second one. So the tiles
    # overlap: what the next one needs again is kept.
    overlap = 2 * line + 2
    kept = keys.new_empty(0, total + 2 * line)
    for first in range(0, lines, count):
        last = min(first + count, lines)
        asking = slice(first * line + len(kept), last * line + overlap)
        scores = torch.cat([kept, (keys[asking] * norms[asking]) @ keys[1:-1].T])
        kept = scores[-overlap:].clone()
        inner = (last - first) * line + 2
        fused = scores[:inner, :total] + scores[line : line + inner, line : line + total]
        fused += scores[2 * line :, 2 * line :]
        del scores
        # The matrix ends here: no score comes from beyond.
        if first == 0:
            fused[0] = 0
        if last == lines:
            fused[-1] = 0
        twice = fused[1:-1].clone()
        twice[:, 1:] += fused[:-2, :-1]
        twice[:, :-1] += fused[2:, 1:]
        del fused
        yield first, last, twice


class _Coarse(nn.Module):
    def __init__(self, width: float):
        super().__init__()
        _, c32, c64, c128 = _channels(width)
        self.down = _Chain(_Conv(5, c32, 5), _Down(c32, c64), _Conv(c64, c64), _Down(c64, c128), _Conv(c128, c128), _Conv(c128, c128))
        self.atrous = _atrous(c128)
        self.up = _up(c128, width)

    def forward(self, x: Tensor, pulse: Pulse) -> Tensor:
        for part in (self.down, self.atrous, self.up):
            pulse()
            x = part(x)
        return x.clamp(-1, 1)


class _Refinement(nn.Module):
    def __init__(self, width: float, tile_bytes: int):
        super().__init__()
        _, c32, c64, c128 = _channels(width)
        self.down_conv_branch = _Chain(
            _Conv(5, c32, 5), _Down(c32, c32), _Conv(c32, c64), _Down(c64, c64), _Conv(c64, c128), _Conv(c128, c128)
        )
        self.down_attn_branch = _Chain(
            _Conv(5, c32, 5), _Down(c32, c32), _Conv(c32, c64), _Down(c64, c128), _Conv(c128, c128), _Conv(c128, c128, activation=nn.ReLU)
        )
        self.atrous = _atrous(c128)
        self.CAttn = ContextualAttention(c128, tile_bytes)
        self.up = _up(2 * c128, width)

    def forward(self, x: Tensor, small_mask: Tensor, pulse: Pulse) -> Tensor:
        pulse()
        seen = self.down_conv_branch(x)
        pulse()
        seen = self.atrous(seen)
        pulse()
        copied = self.CAttn(self.down_attn_branch(x), small_mask, pulse)
        pulse()
        return self.up(torch.cat([seen, copied], 1)).clamp(-1, 1)


class _Chain(nn.Module):
    def __init__(self, *parts: nn.Module):
        super().__init__()
        self.out = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x)


class _Conv(nn.Module):
    """A convolution that keeps the size, and what follows it."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, dilation: int = 1, activation: type[nn.Module] | None = nn.ELU):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(inputs, outputs, kernel, 1, dilation * (kernel // 2), dilation))
        if activation is not None:
            self.conv.append(activation(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class _Down(nn.Module):
    """A convolution that halves the size; zeros are added on the right and at the bottom only."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(inputs, outputs, 3, 2), nn.ELU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _atrous(channels: int) -> _Chain:
    return _Chain(*(_Conv(channels, channels, dilation=dilation) for dilation in _DILATIONS))


def _up(inputs: int, width: float) -> _Chain:
    c16, c32, c64, c128 = _channels(width)
    return _Chain(
        _Conv(inputs, c128),
        _Conv(c128, c128),
        nn.Upsample(scale_factor=2),
        _Conv(c128, c64),
        _Conv(c64, c64),
        nn.Upsample(scale_factor=2),
        _Conv(c64, c32),
        _Conv(c32, c16),
        _Conv(c16, 3, activation=None),
    )


def _channels(width: float) -> list[int]:
    return [max(_FEWEST_CHANNELS, round(count * width)) for count in (16, 32, 64, 128)]


def _checked(masked_bgr: Tensor, mask: Tensor) -> tuple[int, int]:
    """The size, if the two go together."""
    if masked_bgr.ndim != 4 or masked_bgr.shape[1] != 3 or 0 in masked_bgr.shape:
        raise ValueError(f"masked_bgr is {tuple(masked_bgr.shape)} and has to be (N, 3, H, W)")
    n, _, height, width = masked_bgr.shape
    if mask.ndim != 4 or mask.shape[0] not in (1, n) or mask.shape[1:] != (1, height, width):
        raise ValueError(f"mask is {tuple(mask.shape)} and has to be {(n, 1, height, width)}")
    return height, width


def _padded(x: Tensor) -> Tensor:
    """Continued to the right and to the bottom, by its last pixels, up to a multiple of STRIDE.

    Picture and mask go on alike: what is known stays known, and a hole at the rim goes on as a hole. That makes no
    false edge. Measured inside the hole it changes the result half as much as zeros that count as known do, and
    less than a mirror does. The grid of the strided convolutions stays where it is in a picture that needs no padding.
    """
    return F.pad(x, (0, -x.shape[3] % STRIDE, 0, -x.shape[2] % STRIDE), mode="replicate")


class Filler:
    """A `fill.Fill` made of a network, which it takes over: the network is put on `device`, in `dtype`.

    Only the surroundings of the hole are looked at, reduced to `longest` pixels if they are larger. When memory does
    not suffice it takes smaller steps, then half precision, then smaller pictures, from then on; `notify` gets a sentence
    about it.
    """

    def __init__(
        self,
        network: DeepFill,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        longest: int = _LONGEST,
        notify: Callable[[str], None] = _silent,
    ):
        self.device, self.dtype = torch.device(device), dtype
        self._half_holds = True
        self.network = network.to(self.device, dtype, memory_format=torch.channels_last).eval()
        self.longest, self.notify = longest, notify

    @classmethod
    def installed(cls, machine: Machine) -> Filler:
        """With the installed weights. Raises `MissingWeights`."""
        found, tensors = machine.loaded("deepfill")
        network = DeepFill(found.width)
        network.load_state_dict(tensors, strict=True)
        return cls(network.requires_grad_(False), machine.device, notify=lambda text: machine.say("warning", text))

    def __call__(
        self,
        picture: np.ndarray,
        unknown: np.ndarray,
        others: Sequence[tuple[np.ndarray, np.ndarray]] = (),
        pulse: Pulse = _silent,
        suspect: np.ndarray | None = None,
    ) -> np.ndarray:
        """See `fill.Fill`; only the picture itself is used. Exact where `unknown` is False. Raises `OutOfMemory`, and `BadWeights`
        when what comes out is no numbers."""
        del others, suspect
        box = bounding_box(unknown)
        if box is None:
            return picture
        size = max(box[0].stop - box[0].start, box[1].stop - box[1].start)
        box = bounding_box(unknown, max(_MARGIN, size))
        assert box is not None
        part, hole = picture[box].astype(np.float32), unknown[box]
        filled = None
        while filled is None:
            try:
                filled = self._filled(part, hole, pulse)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            # Here and not above: the exception holds on to everything that was in memory.
            if filled is None:
                self._step_down(max(hole.shape))
            elif not np.isfinite(filled).all():
                self._step_up()
                filled = None
        out = picture.astype(np.float32, copy=True)
        out[box] = np.where(hole[..., None], filled, out[box])
        return out

    def _filled(self, part: np.ndarray, hole: np.ndarray, pulse: Pulse) -> np.ndarray:
        height, width = hole.shape
        if max(height, width) <= self.longest:
            return self._run(part, hole, pulse)
        scale = self.longest / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        # Any hole in a small pixel makes it hole, so that the others are means of what is known.
        small_hole = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 1e-6
        small = cv2.resize(np.where(hole[..., None], np.float32(0), part), size, interpolation=cv2.INTER_AREA)
        small = np.where(small_hole[..., None], self._run(small, small_hole, pulse), small)
        return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255)

    @torch.inference_mode()
    def _run(self, part: np.ndarray, hole: np.ndarray, pulse: Pulse) -> np.ndarray:
        # Whatever the hole holds, the network sees the middle of the range there, its 0.
        masked = np.where(hole[..., None], np.float32(0), part[..., ::-1] / 127.5 - 1)
        image = torch.from_numpy(masked.transpose(2, 0, 1)[None].copy()).to(self.device, self.dtype, memory_format=torch.channels_last)
        mask = torch.from_numpy(hole[None, None].copy()).to(self.device)
        _, result = self.network(image, mask, pulse=pulse)
        return (result[0].float().permute(1, 2, 0).cpu().numpy()[..., ::-1] + 1) * 127.5

    def _step_down(self, side: int) -> None:
        attention = self.network.attention
        side = min(side, self.longest)
        if attention.tile_bytes > _SMALLEST_TILE:
            attention.tile_bytes = max(_SMALLEST_TILE, attention.tile_bytes // 8)
            self.notify("Memory is short: DeepFill goes on in smaller steps.")
        elif self._half_holds and self.dtype != torch.float16:
            self._to(torch.float16)
            self.notify("Memory is short: DeepFill goes on in half precision.")
        elif side >= 2 * _SHORTEST:
            self.longest = side // 2
            self.notify(f"Memory is short: DeepFill goes on with pictures of at most {self.longest} pixels, which are less sharp.")
        else:
            raise OutOfMemory("There is not enough memory for DeepFill: close other programs, or choose another fill.")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _step_up(self) -> None:
        if self.dtype != torch.float16:
            raise BadWeights("The weights of DeepFill make no numbers of this picture: import others, or choose another fill.")
        self._half_holds = False
        self._to(torch.float32)
        self.notify("Half precision cannot hold these numbers: DeepFill goes on in full precision.")

    def _to(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.network.to(dtype)
