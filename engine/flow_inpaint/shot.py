"""A shot and its windows: holes traced through time, and what nothing shows invented in key frames.

Works over the frames' records in the work folder, so its memory depends on the size of a frame and of its hole, not on the
number of frames.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import numpy as np

from .background import EVERY, Evidence, beside, moves_with_camera
from .completion import Completion
from .fill import Fill
from .grain import without_grain
from .media.info import full_scale
from .motion import MotionSettings, hops_of
from .passes.pictures import Origins, origins
from .propagation.blend import Canvas
from .propagation.trace import UNSEEN, Hops, is_inside, nearest
from .shot_store import ShotStore, key_of
from .sources import Kind, Taken, background_of, links_of, sources
from .stillness import stands_still

#: What may be unseen in all frames of a window.
_WINDOW_PIXELS = 12_000_000
#: Key frames a window may have, and the share of its unseen pixels that is not worth another one.
KEYS = 4
_NEGLIGIBLE = 0.01

#: Motion before a camera that stands still which is no more than grain makes of none, pixels a frame.
_HARDLY = 2.0

Pulse = Callable[[], None]
Each = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]


@dataclass(frozen=True)
class Look:
    """How pictures are made: parameters of the same names."""

    reach: int
    candidates: int
    steadiness: float
    consistency: float
    gradient: bool
    fill: Fill
    match_sides: bool = True
    follow_camera: bool = True
    references_only_unseen: bool = False
    grain: float = 1.0


@dataclass
class Invented:
    """Where the unseen pixels of a frame come from: positions in key pictures. Arrays of length N; key UNSEEN = nowhere yet."""

    pixels: np.ndarray
    key: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def none(cls, pixels: np.ndarray) -> Invented:
        return cls(pixels, np.full(pixels.size, UNSEEN, np.int32), *(np.zeros(pixels.size, np.float32) for _ in range(2)))

    @property
    def open(self) -> np.ndarray:
        return self.key == UNSEEN


def complete_shot(
    store: ShotStore,
    first: int,
    last: int,
    completion: Completion,
    motion: MotionSettings,
    pulse: Callable[[float], None],
    aborted: Callable[[], bool],
) -> None:
    """Completes the flows of all frames first..last of a shot and stores the hops that come of them, those that `motion` asks for."""
    if all(store.later.has(k) and store.earlier.has(k + 1) for k in range(first, last)):
        pulse(1.0)
        return
    holes, shelf = store.holes_of(first, last), store.shelf(first)
    with closing(shelf):
        measured = (flows.stack()[: last - first] for flows in (store.forward, store.backward))
        forward, backward = completion(*measured, holes, shelf, pulse, aborted)
        for k in range(len(forward)):
            found = hops_of(holes[k], holes[k + 1], forward[k], backward[k], around=motion.around, camera=motion.camera)
            store.remember_hops(first + k, *found)
    shelf.clear()


def look_behind(store: ShotStore, first: int, last: int, shot: tuple[int, int], look: Look, each: Each, pulse: Pulse) -> None:
    """Finds out how what is hidden in the frames first..last of a shot moves. shot: its first and its last frame, or what lies beyond the
    reach of these. `each` maps a function over frames."""
    around = beside(look.reach)

    def tell(frame: int) -> None:
        if not store.evidence.has(frame):
            found = background_of(store, frame, look.reach - around)
            store.evidence.write(frame, np.array([found.told, found.better]))

    those = [k for k in range(max(first - around, shot[0]), min(last + around, shot[1]) + 1) if k % EVERY == 0]
    for _ in each(tell, those):
        pulse()
    evidence = {k: Evidence(*store.evidence.read(k)[0].tolist()) for k in those}
    for k in range(first, last + 1):
        store.by_camera.write(k, np.array([moves_with_camera(k, evidence, look.reach)]))


def trace_shot(store: ShotStore, first: int, last: int, look: Look, each: Each, pulse: Pulse) -> None:
    """What stays unseen in the frames first..last of a shot. `each` maps a function over frames."""

    def trace(frame: int) -> None:
        if store.unseen.has(frame):
            return
        pixels, by_camera = store.hole_pixels(frame), store.moves_with_camera(frame)
        for sign in (1, -1):
            (links,) = links_of(store, frame, pixels, sign, look.reach, 1, by_camera=by_camera)
            pixels = pixels[links.frame == UNSEEN]
        store.unseen.write(frame, pixels)

    for _ in each(trace, range(first, last + 1)):
        pulse()


def window_end(store: ShotStore, first: int, last: int) -> int:
    """The last frame of a window that begins with `first` and could go on to `last`: what is unseen in all of its frames has to
    fit into memory."""
    pixels = 0
    for k in range(first, last + 1):
        pixels += store.unseen.read(k)[0].size
        if pixels > _WINDOW_PIXELS and k > first:
            return k - 1
    return last


def invent(store: ShotStore, first: int, last: int, shot: int, look: Look, pulse: Pulse) -> list[int]:
    """Fills what no frame shows in the frames first..last of a shot: in few key frames, from where it is carried along the flow to
    all others. Returns the keys that are carried from. shot: the first frame of the shot, of which all that is before `first` has
    been filled."""
    window = {k: Invented.none(store.unseen.read(k)[0]) for k in range(first, last + 1)}
    still = any(made.pixels.size for made in window.values()) and _stands_still(store, first, last, shot)
    carrier = _Carrier(store, still)
    if first > shot:
        window[first - 1] = Invented(*store.invented.read(first - 1))
        carrier.carry(window, range(first, last + 1), -1, pulse)
        del window[first - 1]
    _fill_keys(store, window, carrier, look, pulse)
    for k, made in window.items():
        if not store.invented.has(k):
            store.invented.write(k, made.pixels, made.key, made.x, made.y)
    return sorted({key for made in window.values() for key in np.unique(made.key).tolist()} - {UNSEEN})


def _stands_still(store: ShotStore, first: int, last: int, shot: int) -> bool:
    """Whether the camera stands in the frames first..last where it stood when the shot began; the last are looked at first, because
    they tell soonest."""
    others = ((store.picture(k), store.hole(k)) for k in range(last, max(first - 1, shot), -1))
    return stands_still(chain([store.beginning(shot)], others), full_scale(store.dtype))


def _fill_keys(store: ShotStore, window: dict[int, Invented], carrier: _Carrier, look: Look, pulse: Pulse) -> None:
    enough = _NEGLIGIBLE * sum(made.pixels.size for made in window.values())
    for _ in range(KEYS):
        open_pixels = {k: int(made.open.sum()) for k, made in window.items()}
        if sum(open_pixels.values()) <= enough:
            return
        middle = (min(window) + max(window)) / 2
        # From the middle of the window it is not far to anywhere, and what is carried far is carried less well.
        key = max(window, key=lambda k: open_pixels[k] * (1 - 0.5 * abs(k - middle) / max(len(window), 1)))
        _fill_key(store, window, key, look, pulse)
        carrier.carry(window, range(key + 1, max(window) + 1), -1, pulse)
        carrier.carry(window, range(key - 1, min(window) - 1, -1), 1, pulse)


def _fill_key(store: ShotStore, window: dict[int, Invented], key: int, look: Look, pulse: Pulse) -> None:
    made = window[key]
    number = key_of(key, invented=True)
    if number not in store.keys:
        store.remember_key(number, _invented_picture(store, window, key, look, pulse))
    free = made.open
    y, x = np.divmod(made.pixels[free], store.shape[1])
    made.key[free], made.x[free], made.y[free] = number, x, y


def _invented_picture(store: ShotStore, window: dict[int, Invented], key: int, look: Look, pulse: Pulse) -> np.ndarray:
    """The region of a frame with what is open in it filled, (H, W, 3) float32."""
    canvas = canvas_of(store, key, sources(store, key, look, window[key]))
    unknown = canvas.missing()
    scale = 255 / full_scale(store.dtype)
    picture = canvas.finish(look.gradient, full_scale(store.dtype)) * scale
    others = [k for k in (min(window), max(window)) if abs(k - key) > 5]
    shown = [(store.picture(k).astype(np.float32) * scale, store.hole(k)) for k in others]
    picture = look.fill(picture, unknown, shown, pulse, store.hole(key))
    if look.grain and key in store.grain:
        picture = without_grain(picture, unknown, store.grain[key], 255.0)
    return picture / scale


class _Carrier:
    """Carries what was invented in one frame into its neighbours, coordinates again and not colours."""

    def __init__(self, store: ShotStore, still: bool):
        """still: the camera stands still, and what hardly moves does not move."""
        self.store, self.still = store, still
        self._slot = np.full(store.shape[0] * store.shape[1], -1, np.int32)

    def carry(self, window: dict[int, Invented], frames: range, beside: int, pulse: Pulse) -> None:
        """Visits `frames` in order; each takes from the frame at `beside` what its open pixels' hops lead to."""
        for frame in frames:
            pulse()
            self._take(window[frame], window[frame + beside], self.store.found_hops(frame, beside))

    def _take(self, made: Invented, neighbour: Invented, way: Hops) -> None:
        h, w = self.store.shape
        want = np.flatnonzero(made.open)
        if not want.size or not neighbour.pixels.size or not way.pixels.size:
            return
        pixels = made.pixels[want]
        at = np.searchsorted(way.pixels, pixels)
        ys, xs = np.divmod(pixels, w)
        u, v = way.u[at], way.v[at]
        if self.still:
            moves = np.hypot(u, v) > _HARDLY
            u, v = u * moves, v * moves
        x, y = xs + u, ys + v
        near = nearest(x, y, self.store.shape)
        near_y, near_x = np.divmod(near, w)
        self._slot[neighbour.pixels] = np.arange(neighbour.pixels.size)
        slot = self._slot[near]
        self._slot[neighbour.pixels] = -1
        good = is_inside(x, y, self.store.shape) & (slot >= 0)
        good[good] = neighbour.key[slot[good]] != UNSEEN
        slot, into = slot[good], want[good]
        made.key[into] = neighbour.key[slot]
        made.x[into] = np.clip(neighbour.x[slot] + (x - near_x)[good], 0, w - 1)
        made.y[into] = np.clip(neighbour.y[slot] + (y - near_y)[good], 0, h - 1)


def canvas_of(store: ShotStore, frame: int, found: Iterable[Taken]) -> Canvas:
    """The hole of a frame with all that was found for it."""
    canvas = Canvas(store.picture(frame), store.hole(frame))
    for taken in found:
        canvas.add(taken.stack, taken.candidate, grainy=taken.kind is not Kind.INVENTED)
    return canvas


def sources_of(store: ShotStore, frame: int, look: Look) -> list[Taken]:
    """Everything that the hole of a frame may be taken from, when all that is invented is."""
    return sources(store, frame, look, Invented(*store.invented.read(frame)))


def origins_of(store: ShotStore, frame: int, look: Look, origin: tuple[int, int], found: Sequence[Taken]) -> Origins:
    """Where the hole of a frame comes from, of what is `sources_of` it. `origin`: row and column of the region in the whole picture."""
    white = full_scale(store.dtype)
    return origins(found, store.hole(frame), frame, origin=origin, reach=look.reach, consistency=look.consistency, white=white)
