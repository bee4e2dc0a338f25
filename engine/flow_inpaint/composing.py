"""The pictures of a job: each frame's hole filled from its sources, steadied by the frames beside it, with detail and grain.

What a pixel is blended of changes from frame to frame, and so does what joining pulls it to; made one by one, frames flicker. So
each pixel takes a part of what the frames before and after have where the flow leads.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .detail import raised
from .grain import grain_like
from .media.info import full_scale
from .propagation.trace import sample
from .sharpness import likeness
from .shot import Look, canvas_of
from .shot_store import ShotStore
from .sources import Taken


@dataclass(frozen=True)
class Filled:
    """A frame's hole, filled.

    frame    its number
    box      rows and columns of the region that the arrays are of: the hole's box and a rim
    hole     (h, w) bool
    picture  (h, w, 3) float32, in the store's numbers, without grain that was not there
    kept     (h, w) float32, 0..1: the share of the grain's variance that is left
    detail   (h, w) float32: the detail where it comes from (see `Canvas.detail`)
    """

    frame: int
    box: tuple[slice, slice]
    hole: np.ndarray
    picture: np.ndarray
    kept: np.ndarray
    detail: np.ndarray


def fill(store: ShotStore, frame: int, look: Look, found: Iterable[Taken]) -> Filled | None:
    """A frame's hole filled from `sources_of` it, by itself; None where there is no hole."""
    canvas = canvas_of(store, frame, found)
    if canvas.box is None:
        return None
    box = canvas.box
    picture = canvas.filled(look.gradient, full_scale(store.dtype))
    # Copies: several frames are filled at a time, and each would hold whole pictures.
    return Filled(frame, box, canvas.hole[box], picture, canvas.kept_grain()[box].copy(), canvas.detail()[box].copy())


def steadied(store: ShotStore, own: Filled, beside: Sequence[Filled | None], look: Look) -> Filled:
    """A filled hole blended with the frames before and after, `look.steadiness` parts of each for one of its own.

    What cannot be trusted counts less: where forward and backward flow disagree, and frames that are more or less sharp. There
    is no way into another shot. A frame with a reference of its own is believed to be as that says.
    """
    believed = own.frame in store.reference_keys and not look.references_only_unseen
    if not look.steadiness or believed:
        return own
    top, left = (part.start for part in own.box)
    rows, columns = np.nonzero(own.hole)
    pixels = ((rows + top) * store.shape[1] + columns + left).astype(np.int32)
    total = own.picture[own.hole]
    weight = np.ones(pixels.size, np.float32)
    square = np.ones(pixels.size, np.float32)
    for other in beside:
        if other is None or not (way := store.found_hops(own.frame, other.frame - own.frame)).pixels.size:
            continue
        way = way.of(pixels)
        x, y = columns + left + way.u - other.box[1].start, rows + top + way.v - other.box[0].start
        h, w = other.hole.shape
        inside = (x >= 0) & (y >= 0) & (x <= w - 1) & (y <= h - 1)
        colours = sample(other.picture.transpose(2, 0, 1), np.clip(x, 0, w - 1), np.clip(y, 0, h - 1)).T
        gain = store.gain(np.array([other.frame]), own.frame)
        sharp = store.sharp(np.array([own.frame, other.frame]))
        share = look.steadiness * likeness(sharp[0], sharp[1:]) * inside / (1 + (way.drift / look.consistency) ** 2)
        share = share.astype(np.float32)
        total += (colours if gain is None else colours * gain) * share[:, None]
        weight += share
        square += share**2
    picture, kept = own.picture.copy(), own.kept.copy()
    picture[own.hole] = total / weight[:, None]
    # The frames' grain is partly the same, of the same sources: between all of it and what would be left of independent grain.
    kept[own.hole] *= (1 + square / weight**2) / 2
    return replace(own, picture=picture, kept=kept)


def detailed(store: ShotStore, own: Filled) -> Filled:
    """A filled hole with the detail given back that it lacks (see `detail`). Grain is no detail, but what is left of it is raised too."""
    white = full_scale(store.dtype)
    grain = np.float32(store.grain[own.frame].steps * white**2 if own.frame in store.grain else 0.0)
    picture, raised_by = raised(own.picture, own.hole, np.maximum(own.detail - grain, 0), white, grain * own.kept)
    return replace(own, picture=picture, kept=np.minimum(own.kept * (1 + raised_by) ** 2, 1))


def finished(store: ShotStore, own: Filled, look: Look) -> np.ndarray:
    """The box of a filled hole with its grain, (h, w, 3) in the store's type."""
    picture, white = own.picture, full_scale(store.dtype)
    if look.grain and own.frame in store.grain:
        lost = np.sqrt(1 - own.kept) * np.float32(look.grain * white)
        picture = picture + grain_like(store.grain[own.frame], own.frame, lost.shape) * lost[..., None]
    if np.issubdtype(store.dtype, np.integer):
        return np.clip(np.rint(picture), 0, white).astype(store.dtype)
    # Joining may overshoot: what is filled is no blacker than black, or than what is beside it.
    lowest = min(0.0, float(picture[~own.hole].min(initial=0)))
    return np.maximum(picture, lowest).astype(store.dtype)


def faded(store: ShotStore, frame: int, pixels: np.ndarray) -> np.ndarray:
    """The finished pixels (N, 3) of a frame's hole, mixed with the footage's own where they replace it only in part."""
    share = store.share(frame)
    if share is None:
        return pixels
    part = share < 255
    own, weight = store.picture(frame)[store.hole(frame)][part].astype(np.float32), share[part, None] / np.float32(255)
    mixed = own + weight * (pixels[part] - own)
    out = pixels.copy()
    out[part] = np.rint(mixed) if np.issubdtype(pixels.dtype, np.integer) else mixed
    return out
