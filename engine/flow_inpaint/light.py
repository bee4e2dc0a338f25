"""How the light changes from frame to frame: exposure, white balance, flicker.

What was seen in another frame was seen in that frame's light. Joining in the gradient domain takes care of its level but
not of its contrast, and without it not even of that. So the gain between neighbours is measured on what both show, added
up over the shot, and carried pixels are brought from their frame's light to the light of the frame that they go to.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .flow.dis import DIS
from .media.info import full_scale
from .poisson import interpolate
from .propagation.trace import hops

#: Pictures are compared at this width or height at most, where grain has averaged out.
_SIZE = 160
_LEAST_PIXELS = 100
#: Shares of white between which a value says something about gain; what is linear has no upper end.
_DARK, _BRIGHT = 0.04, 0.92
_DARK_LINEAR = 0.002
#: Where the motion there and back differ by more than this, pixels of the small pictures, they do not show the same thing.
_SAME = 1.0
#: Parts that a picture has across its longer side, the share of a part that has to tell something, and the parts that it takes at least.
_PARTS, _TOLD, _LEAST_PARTS = 8, 0.25, 6
#: A change of less than this many times what its own uncertainty may be is none: added up it would be a drift.
_SURE = 3.0
_LARGEST = 0.7

_dis = DIS()


@dataclass(frozen=True)
class Glimpse:
    """A frame made small: rgb (h, w, 3) float32, share of white; hidden (h, w) bool, any of it in the hole; linear: its light is."""

    rgb: np.ndarray
    hidden: np.ndarray
    linear: bool


def glimpse_of(picture: np.ndarray, hole: np.ndarray) -> Glimpse:
    """picture (H, W, 3) in uint8, uint16 or float (1.0 = white, linear); hole (H, W) bool."""
    h, w = hole.shape
    scale = min(_SIZE / max(h, w), 0.5)
    size = (max(round(w * scale), 1), max(round(h * scale), 1))
    white = full_scale(picture.dtype)
    ready = picture if picture.dtype != np.float16 else picture.astype(np.float32)
    rgb = cv2.resize(ready, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(white)
    hidden = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return Glimpse(np.nan_to_num(rgb, posinf=0, neginf=0), hidden, not np.issubdtype(picture.dtype, np.integer))


def change_of_light(a: Glimpse, b: Glimpse) -> np.ndarray:
    """The natural logarithm of the gain from `a` to `b`, (3,) float64, one for each channel: the median over what both show.

    Zero where too little is shown to tell, or where parts of the picture do not tell the same: a camera that turns fast, or what moves by
    itself, looks brighter or darker here and there for other reasons than its light.
    """
    there, seen = _matched(a, b)
    dark, bright = (_DARK_LINEAR, np.inf) if a.linear else (_DARK, _BRIGHT)
    out = np.zeros(3)
    for channel in range(3):
        one, other = a.rgb[..., channel], there[..., channel]
        telling = seen & (np.minimum(one, other) > dark) & (np.maximum(one, other) < bright)
        if telling.sum() < _LEAST_PIXELS:
            continue
        told = np.log(other[telling] / one[telling]).astype(np.float64)
        middle = float(np.median(told))
        if abs(middle) <= _SURE * _uncertainty(told, middle):
            continue
        gain = np.full(seen.shape, np.nan)
        gain[telling] = told
        if abs(middle) > _SURE * _uncertainty(_by_parts(gain), middle):
            out[channel] = np.clip(middle, -_LARGEST, _LARGEST)
    return out


def _matched(a: Glimpse, b: Glimpse) -> tuple[np.ndarray, np.ndarray]:
    """What `b` shows where the pixels of `a` have moved, (h, w, 3), and where both show the same thing, (h, w) bool."""
    h, w = a.hidden.shape
    grey_a, grey_b = _grey(a), _grey(b)
    flow, back = _dis(grey_a, grey_b), _dis(grey_b, grey_a)
    x, y = np.arange(w, dtype=np.float32)[None] + flow[0], np.arange(h, dtype=np.float32)[:, None] + flow[1]
    there = cv2.remap(b.rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.remap((~b.hidden).astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT) > 0.999
    drift = hops(np.ones((h, w), bool), flow, back).drift.reshape(h, w)
    return there, seen & ~a.hidden & (drift < _SAME)


def _by_parts(gain: np.ndarray) -> np.ndarray:
    """The medians of square parts of (h, w), NaN where nothing is told: those that tell enough."""
    side = -(-max(gain.shape) // _PARTS)
    h, w = gain.shape
    whole = np.pad(gain, ((0, -h % side), (0, -w % side)), constant_values=np.nan)
    # All parts are sorted at a time: what says nothing goes to their ends.
    parts = np.sort(whole.reshape(len(whole) // side, side, -1, side).swapaxes(1, 2).reshape(-1, side**2), axis=1)
    told = np.isfinite(parts).sum(1)
    enough = told >= _TOLD * side**2
    parts, told = parts[enough], told[enough]
    each = np.arange(len(parts))
    return (parts[each, (told - 1) // 2] + parts[each, told // 2]) / 2


def _uncertainty(values: np.ndarray, middle: float) -> float:
    """Of the median of independent `values`, which is about `middle`; infinite where they are too few to say.

    1.4826 makes the median deviation a standard one, 1.2533 the mean's uncertainty the median's."""
    if values.size < _LEAST_PARTS:
        return np.inf
    return 1.4826 * 1.2533 * float(np.median(np.abs(values - middle))) / np.sqrt(values.size)


def seen_gain(change: float, linear: bool) -> float:
    """The gain of a picture for measuring (`motion.eight_bits`) under a change of light."""
    return float(np.exp(change / 2.2 if linear else change))


def _grey(glimpse: Glimpse) -> np.ndarray:
    shown = np.maximum(glimpse.rgb, 0) ** (1 / 2.2) if glimpse.linear else glimpse.rgb
    grey = cv2.cvtColor(np.clip(np.nan_to_num(shown), 0, 1) * np.float32(255), cv2.COLOR_RGB2GRAY)[..., None]
    if glimpse.hidden.any() and not glimpse.hidden.all():
        grey = interpolate(grey, glimpse.hidden, cycles=2)
    return np.rint(grey[..., 0]).astype(np.uint8)
