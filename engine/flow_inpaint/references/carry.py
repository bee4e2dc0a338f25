"""References carried through a shot: for each hole pixel, where in a reference the flow leads, through hidden frames alone.

One sweep in each direction of time, each frame taking its neighbour's answer one step on, so that it costs the same
however far the reference is. Coordinates are carried, with the fraction that lies between the pixels.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from ..propagation.trace import GUARD, UNSEEN, Hops, Links, guard_band, is_inside, nearest
from ..work import Records

#: Pixels of drift that a reference's pixels beside the hole begin with: they serve where nothing better does.
_DOUBT = 8.0


class Store(Protocol):
    """What is needed of a `ShotStore`."""

    shape: tuple[int, int]
    unseen: Records
    references_later: Records
    references_earlier: Records

    def hole(self, frame: int) -> np.ndarray: ...

    def hidden_hops(self, frame: int, sign: int) -> Hops: ...


def link_references(
    store: Store, first: int, last: int, references: Iterable[int], valid: Callable[[int], np.ndarray], pulse: Callable[[], None]
) -> None:
    """Writes the links into the next reference later and earlier of all frames first..last of a shot, and takes what they show
    off the records of what is unseen.

    references  frames that have one
    valid       (H, W) bool of a reference: where it says something
    """
    those = sorted(frame for frame in references if first <= frame <= last)
    if not those:
        return
    carrier = _Carrier(store)
    for frames, sign, records in (
        (range(last, first - 1, -1), 1, store.references_later),
        (range(first, last + 1), -1, store.references_earlier),
    ):
        beside = _nothing()
        for frame in frames:
            pulse()
            if beside.pixels.size:
                beside = carrier.step(store.hidden_hops(frame, sign), beside)
            if frame in those:
                own = _itself(frame, store.hole(frame), valid(frame))
                beside = _united(own, beside)
            inside = store.hole(frame).reshape(-1)[beside.pixels]
            records.write(frame, *(part[inside] for part in (beside.pixels, beside.frame, beside.x, beside.y, beside.drift)))
    for frame in range(first, last + 1):
        (unseen,) = store.unseen.read(frame)
        for records in (store.references_later, store.references_earlier):
            unseen = np.setdiff1d(unseen, records.read(frame)[0], assume_unique=True)
        store.unseen.write(frame, unseen)


def _nothing() -> Links:
    return Links(*(np.zeros(0, kind) for kind in (np.int32, np.int32, np.float32, np.float32, np.float32)))


def _itself(frame: int, hole: np.ndarray, valid: np.ndarray) -> Links:
    """The links of a reference's own frame. Around the hole, where footage is not trusted either, they are doubtful: whoever
    paints may leave halos there."""
    pixels = np.flatnonzero(guard_band(hole, GUARD) & valid).astype(np.int32)
    y, x = (part.astype(np.float32) for part in np.divmod(pixels, hole.shape[1]))
    drift = np.where(hole.ravel()[pixels], np.float32(0), np.float32(_DOUBT))
    return Links(pixels, np.full(pixels.size, frame, np.int32), x, y, drift)


def _united(own: Links, others: Links) -> Links:
    """`own`, and of the others those of other pixels."""
    free = ~np.isin(others.pixels, own.pixels)
    pairs = ((own.pixels, others.pixels), (own.frame, others.frame), (own.x, others.x), (own.y, others.y), (own.drift, others.drift))
    return Links(*(np.concatenate([mine, theirs[free]]) for mine, theirs in pairs))


class _Carrier:
    def __init__(self, store: Store):
        self._shape = store.shape
        self._slot = np.full(store.shape[0] * store.shape[1], UNSEEN, np.int32)

    def step(self, way: Hops, beside: Links) -> Links:
        """The links of a frame, from its hops into the neighbour whose links are `beside`."""
        width = self._shape[1]
        ys, xs = np.divmod(way.pixels, width)
        x, y = xs + way.u, ys + way.v
        near = nearest(x, y, self._shape)
        self._slot[beside.pixels] = np.arange(beside.pixels.size, dtype=np.int32)
        slot = self._slot[near]
        self._slot[beside.pixels] = UNSEEN
        good = (slot != UNSEEN) & is_inside(x, y, self._shape)
        slot, near_y, near_x = slot[good], *np.divmod(near[good], width)
        return Links(
            way.pixels[good],
            beside.frame[slot],
            (beside.x[slot] + x[good] - near_x).astype(np.float32),
            (beside.y[slot] + y[good] - near_y).astype(np.float32),
            beside.drift[slot] + way.drift[good],
        )
