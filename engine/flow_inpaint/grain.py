"""Grain: how much of it the footage has, and what a filled hole lacks of it.

A pixel that is the mean of some frames, sampled between pixels, has less grain than the footage, and a clean patch in a grainy
shot is seen at once. How much is lost follows from the weights of the mean, so just that much is added, new in every frame.
What was invented in one frame and carried into others would take the grain of that frame along, frozen: it is made without.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from .media.info import full_scale
from .stillness import Standing

_BLOCK = 16
_MOST_BLOCKS = 600
_LEAST_BLOCKS = 12
#: The share of the blocks, the flattest, that is taken to show nothing but grain.
_FLAT = 0.2
#: How far the neighbouring frame is searched for a block, pixels.
_SEARCH = 16
#: Shares of white between which grain is not cut off.
_DARK, _BRIGHT = 0.06, 0.94
#: Less grain than this, as a share of white, is not seen, and is as likely the trace of a codec.
_VISIBLE = 1.5 / 255
#: More than this is texture that has been taken for grain.
_LARGEST = 0.08
#: The same where neighbours are more alike than this: softer grain cannot be told from fine texture and a codec's traces.
_LARGEST_LIKENESS = 0.4
#: The side of the windows that tell grain from what is there, pixels.
_SMOOTHED = 5
#: How far a camera that stands still may have moved between two frames, pixels.
_STILL = 0.05


@dataclass(frozen=True)
class Grain:
    """sigma: standard deviation of each channel, (3,), share of white; common: what the channels share of it, 0..1;
    likeness: correlation of pixels side by side, 0..0.4."""

    sigma: np.ndarray
    common: float
    likeness: float

    @property
    def steps(self) -> float:
        """The mean square of what it makes neighbouring pixels differ by, to the right and below together, share of white squared."""
        return float(4 * (self.sigma**2).mean() * (1 - self.likeness))


def grain_sample(picture: np.ndarray, hole: np.ndarray, beside: np.ndarray) -> np.ndarray | None:
    """What the flattest visible blocks of a frame show: (N, 5) variances of red, green and blue, covariance between channels,
    covariance of neighbours; None where nothing can be told.

    picture, beside  (H, W, 3), the frame and a neighbour in the same shot; linear footage tells nothing, because its grain
                     grows with its light
    hole             (H, W) bool, of the frame

    Only what is not found again in the neighbour is grain: texture moves along, or stands still.
    """
    if not np.issubdtype(picture.dtype, np.integer):
        return None
    h, w = (size // _BLOCK for size in hole.shape)
    tiles = picture[: h * _BLOCK, : w * _BLOCK].reshape(h, _BLOCK, w, _BLOCK, 3).swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK, 3)
    hidden = hole[: h * _BLOCK, : w * _BLOCK].reshape(h, _BLOCK, w, _BLOCK).any((1, 3)).ravel()
    seen = np.flatnonzero(~hidden)
    seen = seen[:: -(-seen.size // _MOST_BLOCKS) or 1]
    white = np.float32(full_scale(picture.dtype))
    blocks = tiles[seen].astype(np.float32) / white
    graded = (blocks.min((1, 2, 3)) > _DARK) & (blocks.max((1, 2, 3)) < _BRIGHT)
    seen, blocks = seen[graded], blocks[graded]
    if len(blocks) < _LEAST_BLOCKS:
        return None
    flattest = np.argsort(_without_slope(blocks).var((1, 2)).mean(1))[: max(int(len(blocks) * _FLAT), _LEAST_BLOCKS // 2)]
    blocks, corners = blocks[flattest], [((k // w) * _BLOCK, (k % w) * _BLOCK) for k in seen[flattest].tolist()]
    if Standing(beside, hole, float(white)).is_where(picture, hole, _STILL):
        # Everything else is the same in both, so texture does not matter, and what grain looks like is seen as it is.
        rest = _without_slope(np.stack([_difference(block, place, beside, white) for block, place in zip(blocks, corners)]))
        rest /= np.sqrt(2)
    else:
        news, rest = _news(blocks, corners, beside, white), _without_slope(blocks)
        rest = rest * np.sqrt(np.minimum(news / np.maximum(rest.var((1, 2, 3)), 1e-12), 1))[:, None, None, None]
    red, green, blue = (rest[..., c] for c in range(3))
    between = (red * green + green * blue + blue * red).mean((1, 2)) / 3
    near = ((rest[:, :, 1:] * rest[:, :, :-1]).mean((1, 2, 3)) + (rest[:, 1:] * rest[:, :-1]).mean((1, 2, 3))) / 2
    return np.column_stack([rest.var((1, 2)), between, near])


def _news(blocks: np.ndarray, corners: list[tuple[int, int]], beside: np.ndarray, white: np.float32) -> np.ndarray:
    """(N,) the variance of what a neighbouring frame does not show, wherever near it looks most like each block.

    Where two frames have the same grain, half of what they differ by is one's."""
    found = np.empty(len(blocks), np.float32)
    for number, (block, (top, left)) in enumerate(zip(blocks, corners)):
        window = beside[max(top - _SEARCH, 0) : top + _BLOCK + _SEARCH, max(left - _SEARCH, 0) : left + _BLOCK + _SEARCH]
        window = window.astype(np.float32) / white
        unlike = cv2.matchTemplate(window.mean(2), block.mean(2), cv2.TM_SQDIFF)
        y, x = np.unravel_index(np.argmin(unlike), unlike.shape)
        difference = window[y : y + _BLOCK, x : x + _BLOCK] - block
        found[number] = (difference - difference.mean((0, 1))).var() / 2
    return found


def _difference(block: np.ndarray, corner: tuple[int, int], beside: np.ndarray, white: np.float32) -> np.ndarray:
    """A block less what a neighbouring frame shows at its place, (B, B, 3)."""
    top, left = corner
    return block - beside[top : top + _BLOCK, left : left + _BLOCK].astype(np.float32) / white


def _without_slope(blocks: np.ndarray) -> np.ndarray:
    """Blocks (N, B, B, 3) less the plane that fits each best."""
    ramp = np.linspace(-1, 1, _BLOCK, dtype=np.float32)
    rest = blocks - blocks.mean((1, 2), keepdims=True)
    for line in (ramp[:, None, None] * np.ones((1, _BLOCK, 1), np.float32), ramp[None, :, None] * np.ones((_BLOCK, 1, 1), np.float32)):
        rest = rest - line * ((rest * line).sum((1, 2), keepdims=True) / (line**2).sum())
    return rest


def grain_of(samples: Iterable[np.ndarray | None]) -> Grain | None:
    """The grain of a shot from samples of some of its frames; None where there is none to be seen."""
    told = [np.median(sample, 0) for sample in samples if sample is not None]
    if not told:
        return None
    middle = np.median(told, 0)
    variance = np.maximum(middle[:3], 0)
    mean = float(variance.mean())
    if not _VISIBLE**2 <= mean <= _LARGEST**2 or middle[4] > _LARGEST_LIKENESS * mean:
        return None
    common, likeness = np.clip(middle[3:] / mean, 0, 1)
    return Grain(np.sqrt(variance), float(common), float(likeness))


def grain_like(grain: Grain, frame: int, shape: tuple[int, int]) -> np.ndarray:
    """Grain of a frame, (H, W, 3) float32, share of white. The same for the same frame, and unlike that of any other."""
    h, w = shape
    chance = np.random.Generator(np.random.Philox(key=frame))
    white = chance.standard_normal((4, h + 2, w + 2), np.float32)
    # A step of (k, 1, k) makes neighbours alike by 2k / (1 + 2k^2), each way.
    k = 0.0 if grain.likeness < 0.02 else (1 - np.sqrt(1 - 2 * grain.likeness**2)) / (2 * grain.likeness)
    white = (white[:, 1:-1] + k * (white[:, :-2] + white[:, 2:])) / np.sqrt(1 + 2 * k * k)
    white = (white[:, :, 1:-1] + k * (white[:, :, :-2] + white[:, :, 2:])) / np.sqrt(1 + 2 * k * k)
    mixed = np.sqrt(grain.common) * white[3] + np.sqrt(1 - grain.common) * white[:3]
    return (mixed.transpose(1, 2, 0) * grain.sigma).astype(np.float32)


def without_grain(picture: np.ndarray, where: np.ndarray, grain: Grain, white: float) -> np.ndarray:
    """A picture (H, W, 3) float32 smoothed `where` (H, W) bool, as far as its grain alone would make it uneven (Wiener's filter
    on small windows); `white` is the value of full scale."""
    window = (_SMOOTHED, _SMOOTHED)
    mean = cv2.blur(picture, window)
    variance = np.maximum(cv2.blur(picture * picture, window) - mean * mean, 0)
    share = np.maximum(variance - (grain.sigma * white).astype(np.float32) ** 2, 0) / np.maximum(variance, 1e-12)
    return np.where(where[..., None], mean + share * (picture - mean), picture)
