"""One shot: its holes traced through time, what nothing shows invented in key frames, and each picture composed.

Works sweep by sweep over the frames' records in the work folder, so its memory depends on the size of a
frame and of its hole, not on the number of frames.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .completion import Completion
from .fill import Fill
from .grain import Grain, grain_like, grain_of
from .media.info import full_scale
from .motion import hops_of
from .passes.pictures import Origins, origins
from .poisson import bounding_box
from .propagation.blend import Canvas
from .propagation.trace import GUARD, UNSEEN, Hops, follow, guard_band, is_inside, nearest
from .sources import Taken, sources
from .work import Pictures, Records, scratch

#: A chunk of frames shares its key frames. What is invented in one chunk is carried on into the next.
_CHUNK = 80
_CHUNK_PIXELS = 12_000_000
#: Key frames a chunk may have, and the share of its unseen pixels that is not worth another one.
_KEYS = 4
_NEGLIGIBLE = 0.01

#: A difference of light, as a logarithm, that nobody sees and that is not worth touching a pixel for.
_SAME_LIGHT = 0.004

Pulse = Callable[[], None]
Each = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]


@dataclass(frozen=True)
class Look:
    """How pictures are made: parameters of the same names."""

    reach: int
    consistency: float
    gradient: bool
    fill: Fill
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


@dataclass
class ShotStore:
    """Everything remembered about a job's frames, by frame number. Region-sized pictures, hole-sized records.

    offset    the frame number of the first picture
    forward, backward           flows between a frame, numbered as pictures are, and the next; only if a method wants whole shots
    holes     rows and columns of the hole's box, and its pixels in it as packed bits
    guarded   flat indices of the hole and its guard
    later, earlier              hops into the next and the previous frame of the same shot
    links_later, links_earlier  where the hole's pixels come from
    unseen    flat indices of the hole pixels that no frame shows
    invented  where those come from
    references_later, references_earlier  where the hole's pixels lie in the next reference; only if there is one
    keys            pictures that pixels are carried from: of references and of frames in which something was invented
    key_frames      the frame of each
    reference_keys  the key of each frame that has a reference
    grain           of each frame of a shot that has any
    light           of each frame, the logarithm of its gain over the shot's first frame, (3,)
    """

    folder: Path
    shape: tuple[int, int]
    dtype: type[np.generic]
    offset: int
    pictures: Pictures = field(init=False)
    keys: Pictures = field(init=False)
    key_frames: list[int] = field(init=False, default_factory=list)
    reference_keys: dict[int, int] = field(init=False, default_factory=dict)
    grain: dict[int, Grain] = field(init=False, default_factory=dict)
    light: dict[int, np.ndarray] = field(init=False, default_factory=dict)
    forward: Pictures = field(init=False)
    backward: Pictures = field(init=False)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.folder, "pictures", (*self.shape, 3), self.dtype)
        self.keys = Pictures(self.folder, "keys", (*self.shape, 3), np.float32)
        self.forward, self.backward = (Pictures(self.folder, name, (2, *self.shape), np.float32) for name in ("forward", "backward"))
        for name in _RECORDS:
            setattr(self, name, Records(self.folder, name))

    def close(self) -> None:
        for part in (self.pictures, self.keys, self.forward, self.backward, *(getattr(self, name) for name in _RECORDS)):
            part.close()

    def remember(self, frame: int, picture: np.ndarray, hole: np.ndarray) -> None:
        """Stores the region of a frame; frames come in order. picture (H, W, 3), hole (H, W) bool."""
        self.pictures.append(picture)
        box = bounding_box(hole) or (slice(0, 0), slice(0, 0))
        edges = np.array([edge for part in box for edge in (part.start, part.stop)], np.int32)
        self.holes.write(frame, edges, np.packbits(hole[box]))
        self.guarded.write(frame, np.flatnonzero(guard_band(hole, GUARD)).astype(np.int32))

    def remember_hops(self, frame: int, later: Hops, earlier: Hops) -> None:
        """Stores the hops between a frame and the next."""
        self.later.write(frame, later.pixels, later.u, later.v, later.drift)
        self.earlier.write(frame + 1, earlier.pixels, earlier.u, earlier.v, earlier.drift)

    def remember_light(self, frame: int, change: np.ndarray) -> None:
        """Stores how the light changes, (3,) log gain, from the frame before; frames come in order."""
        self.light[frame] = self.light.get(frame - 1, np.zeros(3)) + change

    def gain(self, source: np.ndarray, frame: int) -> np.ndarray | None:
        """What pixels of the frames `source` (N,) are multiplied by to be in the light of `frame`: (N, 3) float32; None: 1 for all."""
        if not self.light or not source.size:
            return None
        frames = np.unique(source)
        gains = np.array([self.light.get(frame, np.zeros(3)) - self.light.get(int(k), np.zeros(3)) for k in frames])
        if np.abs(gains).max() < _SAME_LIGHT:
            return None
        return np.exp(gains).astype(np.float32)[np.searchsorted(frames, source)]

    def remember_grain(self, first: int, last: int, samples: Iterable[np.ndarray | None]) -> None:
        """Stores the grain of the frames first..last of a shot, as samples of some of them show it."""
        found = grain_of(samples)
        if found is not None:
            self.grain.update(dict.fromkeys(range(first, last + 1), found))

    def remember_flows(self, forward: np.ndarray | None, backward: np.ndarray | None) -> None:
        """Stores the flows between a frame and the next, in order of frames; None across a cut."""
        nothing = np.zeros((2, *self.shape), np.float32)
        self.forward.append(nothing if forward is None else forward)
        self.backward.append(nothing if backward is None else backward)

    def remember_key(self, frame: int, picture: np.ndarray) -> int:
        """Stores a picture (H, W, 3) float32 to carry pixels from and returns its number."""
        self.key_frames.append(frame)
        return self.keys.append(picture)

    def remember_reference(self, frame: int, picture: np.ndarray) -> None:
        """Stores a reference (H, W, 3) float32, in the frame's light."""
        self.reference_keys[frame] = self.remember_key(frame, picture)

    def picture(self, frame: int) -> np.ndarray:
        """(H, W, 3)."""
        return self.pictures.stack()[frame - self.offset]

    def hole(self, frame: int) -> np.ndarray:
        """(H, W) bool."""
        box, bits = self.holes.read(frame)
        top, bottom, left, right = (int(v) for v in box)
        out = np.zeros(self.shape, bool)
        size = (bottom - top) * (right - left)
        out[top:bottom, left:right] = np.unpackbits(bits, count=size).view(bool).reshape(bottom - top, right - left)
        return out


class _ShotHoles:
    """The holes of a shot, read when they are asked for."""

    def __init__(self, store: ShotStore, first: int, last: int):
        self._store, self._first = store, first
        self.shape = (last - first + 1, *store.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> np.ndarray:
        if not 0 <= frame < len(self):
            raise IndexError(frame)
        return self._store.hole(self._first + frame)


_RECORDS = (
    *("holes", "guarded", "later", "earlier", "links_later", "links_earlier", "unseen", "invented"),
    *("references_later", "references_earlier"),
)


def complete_shot(
    store: ShotStore, first: int, last: int, completion: Completion, pulse: Callable[[float], None], aborted: Callable[[], bool]
) -> None:
    """Completes the flows of all frames first..last of a shot and stores the hops that come of them."""
    if first == last:
        return
    begin, end = first - store.offset, last - store.offset
    holes = _ShotHoles(store, first, last)
    with scratch(store.folder) as allocate:
        forward, backward = completion(store.forward.stack()[begin:end], store.backward.stack()[begin:end], holes, allocate, pulse, aborted)
        for k in range(len(forward)):
            store.remember_hops(first + k, *hops_of(holes[k], holes[k + 1], forward[k], backward[k]))


def trace_shot(store: ShotStore, first: int, last: int, reach: int, each: Each, pulse: Pulse) -> None:
    """Links of all frames first..last of a shot, and what stays unseen. `each` maps a function over frames."""

    def guarded(frame: int) -> np.ndarray:
        return store.guarded.read(frame)[0]

    def trace(frame: int) -> None:
        pixels = np.flatnonzero(store.hole(frame)).astype(np.int32)
        unseen = np.ones(pixels.size, bool)
        for frames, hops, records in (
            (range(frame + 1, min(frame + reach, last) + 1), store.later, store.links_later),
            (range(frame - 1, max(frame - reach, first) - 1, -1), store.earlier, store.links_earlier),
        ):
            found = follow(pixels, frame, frames, store.shape, guarded, lambda k, hops=hops: Hops(*hops.read(k)))
            records.write(frame, found.pixels, found.frame, found.x, found.y, found.drift)
            unseen &= found.frame == UNSEEN
        store.unseen.write(frame, pixels[unseen])

    for _ in each(trace, range(first, last + 1)):
        pulse()


def invent(store: ShotStore, first: int, last: int, look: Look, pulse: Pulse) -> None:
    """Fills what no frame shows: in few key frames, from where it is carried along the flow to all others."""
    carrier = _Carrier(store)
    before: Invented | None = None
    frame = first
    while frame <= last:
        end = _chunk_end(store, frame, last)
        chunk = {k: Invented.none(store.unseen.read(k)[0]) for k in range(frame, end + 1)}
        if before is not None:
            chunk[frame - 1] = before
            carrier.carry(chunk, range(frame, end + 1), -1, pulse)
            del chunk[frame - 1]
        _fill_keys(store, chunk, carrier, look, pulse)
        for k, made in chunk.items():
            store.invented.write(k, made.pixels, made.key, made.x, made.y)
        before = chunk[end]
        frame = end + 1


def _chunk_end(store: ShotStore, frame: int, last: int) -> int:
    pixels = 0
    for k in range(frame, min(frame + _CHUNK - 1, last) + 1):
        pixels += store.unseen.read(k)[0].size
        if pixels > _CHUNK_PIXELS and k > frame:
            return k - 1
    return min(frame + _CHUNK - 1, last)


def _fill_keys(store: ShotStore, chunk: dict[int, Invented], carrier: _Carrier, look: Look, pulse: Pulse) -> None:
    enough = _NEGLIGIBLE * sum(made.pixels.size for made in chunk.values())
    for _ in range(_KEYS):
        open_pixels = {k: int(made.open.sum()) for k, made in chunk.items()}
        if sum(open_pixels.values()) <= enough:
            return
        middle = (min(chunk) + max(chunk)) / 2
        # From the middle of the chunk it is not far to anywhere, and what is carried far is carried less well.
        key = max(chunk, key=lambda k: open_pixels[k] * (1 - 0.5 * abs(k - middle) / max(len(chunk), 1)))
        _fill_key(store, chunk, key, look, pulse)
        carrier.carry(chunk, range(key + 1, max(chunk) + 1), -1, pulse)
        carrier.carry(chunk, range(key - 1, min(chunk) - 1, -1), 1, pulse)


def _fill_key(store: ShotStore, chunk: dict[int, Invented], key: int, look: Look, pulse: Pulse) -> None:
    made = chunk[key]
    canvas = _canvas(store, key, sources(store, key, look, made))
    unknown = canvas.missing()
    scale = 255 / full_scale(store.dtype)
    picture = canvas.finish(look.gradient, full_scale(store.dtype)) * scale
    others = [k for k in (min(chunk), max(chunk)) if abs(k - key) > 5]
    shown = [(store.picture(k).astype(np.float32) * scale, store.hole(k)) for k in others]
    number = store.remember_key(key, look.fill(picture, unknown, shown, pulse, store.hole(key)) / scale)
    free = made.open
    y, x = np.divmod(made.pixels[free], store.shape[1])
    made.key[free], made.x[free], made.y[free] = number, x, y


class _Carrier:
    """Carries what was invented in one frame into its neighbours, coordinates again and not colours."""

    def __init__(self, store: ShotStore):
        self.store = store
        self._slot = np.full(store.shape[0] * store.shape[1], -1, np.int32)

    def carry(self, chunk: dict[int, Invented], frames: range, beside: int, pulse: Pulse) -> None:
        """Visits `frames` in order; each takes from the frame at `beside` what its open pixels' hops lead to."""
        for frame in frames:
            pulse()
            self._take(chunk[frame], chunk[frame + beside], Hops(*(self.store.later if beside == 1 else self.store.earlier).read(frame)))

    def _take(self, made: Invented, neighbour: Invented, way: Hops) -> None:
        h, w = self.store.shape
        want = np.flatnonzero(made.open)
        if not want.size or not neighbour.pixels.size or not way.pixels.size:
            return
        pixels = made.pixels[want]
        at = np.searchsorted(way.pixels, pixels)
        ys, xs = np.divmod(pixels, w)
        x, y = xs + way.u[at], ys + way.v[at]
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


def _canvas(store: ShotStore, frame: int, found: Iterable[Taken]) -> Canvas:
    canvas = Canvas(store.picture(frame), store.hole(frame))
    for taken in found:
        canvas.add(taken.stack, taken.candidate)
    return canvas


def sources_of(store: ShotStore, frame: int, look: Look) -> list[Taken]:
    """Everything that the hole of a frame may be taken from, when all that is invented is."""
    return sources(store, frame, look, Invented(*store.invented.read(frame)))


def compose(store: ShotStore, frame: int, look: Look, found: Iterable[Taken]) -> np.ndarray:
    """The region of a frame with its hole filled from `sources_of` it, (H, W, 3) in the source's type."""
    canvas = _canvas(store, frame, found)
    picture = canvas.finish(look.gradient, full_scale(store.dtype))
    if look.grain and frame in store.grain:
        _add_grain(picture, canvas, store.grain[frame], frame, look.grain * full_scale(store.dtype))
    if np.issubdtype(store.dtype, np.integer):
        return np.clip(np.rint(picture), 0, full_scale(store.dtype)).astype(store.dtype)
    # Joining may overshoot: what is filled is no blacker than black, or than what is beside it.
    lowest = min(0.0, float(picture[~canvas.hole].min(initial=0)))
    return np.maximum(picture, lowest).astype(store.dtype)


def _add_grain(picture: np.ndarray, canvas: Canvas, grain: Grain, frame: int, scale: float) -> None:
    box = bounding_box(canvas.hole)
    if box is None:
        return
    lost = np.sqrt(1 - canvas.kept_grain()[box])
    picture[box] += grain_like(grain, frame, lost.shape) * (lost * np.float32(scale))[..., None]


def origins_of(store: ShotStore, frame: int, look: Look, origin: tuple[int, int], found: Sequence[Taken]) -> Origins:
    """Where the hole of a frame comes from, of what is `sources_of` it. `origin`: row and column of the region in the whole picture."""
    white = full_scale(store.dtype)
    return origins(found, store.hole(frame), frame, origin=origin, reach=look.reach, consistency=look.consistency, white=white)
