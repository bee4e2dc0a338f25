"""Filling by example: every patch that touches the hole is made to look like some patch of the footage.

Coarse to fine, each patch looks for its nearest relative and all vote for the pixels they cover (Wexler,
Shechtman, Irani: Space-Time Completion of Video, PAMI 2007). Patches are compared by their principal
components; neighbours pass good matches on, which keeps whole pieces of texture together and sharp. Votes average, an
average is smooth, and what is smooth looks for smooth relatives: against that, how rough a place is goes into the
comparison and is voted for like a colour (Newson et al.: Video Inpainting of Complex Scenes, 2014, section 3.3).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..heeding import heed
from ..poisson import bounding_box, interpolate
from ..propagation.blend import Candidate, Canvas

_RADIUS = 3
_COMPONENTS = 20
_ROUNDS = 3
#: At the coarsest level the hole is about this wide, in pixels: a patch sees across it.
_COARSEST = 8
_MARGIN = 48
#: How much worse a match may be for the sake of continuing a neighbour's.
_COHERENCE = 1.4
#: Radius of the window that roughness is measured over, in pixels, and how much it counts against a colour.
_ROUGH_RADIUS = 5
_ROUGH_WEIGHT = 6.0
#: Patches that are gathered before the host's wish to stop is looked for again.
_AT_A_TIME = 20_000


@dataclass
class _Level:
    """One size of the pyramid. Pictures (H, W, 5) float32, colours and roughness; `hidden` bool masks of what is no source."""

    picture: np.ndarray
    unknown: np.ndarray
    sources: list[np.ndarray]
    hidden: list[np.ndarray]

    def halved(self) -> _Level:
        half = ((self.unknown.shape[1] + 1) // 2, (self.unknown.shape[0] + 1) // 2)
        sources = [_shrink(p, h, half) for p, h in zip(self.sources, self.hidden)]
        # A small pixel is known as soon as a part of it is, or a hole would grow on its way up.
        unknown, *hidden = (cv2.resize(h.astype(np.float32), half, interpolation=cv2.INTER_AREA) > 0.75 for h in (self.unknown, *self.hidden))
        return _Level(_shrink(self.picture, self.unknown, half), unknown, sources, hidden)


def fill(
    picture: np.ndarray,
    unknown: np.ndarray,
    others: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    pulse: Callable[[], None] = lambda: None,
    suspect: np.ndarray | None = None,
) -> np.ndarray:
    """`picture` with `unknown` filled from patches of itself and of `others`. See `fill.Fill`.

    Deterministic. With no whole patch known anywhere, the surroundings are continued smoothly instead.
    """
    box = bounding_box(unknown, 0)
    if box is None:
        return picture
    size = max(box[0].stop - box[0].start, box[1].stop - box[1].start)
    box = bounding_box(unknown, max(_MARGIN, size))
    assert box is not None
    out = picture.astype(np.float32, copy=True)
    hidden = unknown if suspect is None else unknown | suspect
    levels = _pyramid(out[box], unknown[box], hidden[box], [(p[box].astype(np.float32), h[box]) for p, h in others])
    filled: np.ndarray | None = None
    matches: _Matches | None = None
    for level in reversed(levels):
        if filled is None:
            guess = np.dstack([interpolate(part, level.unknown) for part in _parts(level.picture)])
        else:
            h, w = level.unknown.shape
            larger = _resized(filled, (w, h), cv2.INTER_CUBIC)
            guess = np.where(level.unknown[..., None], larger, level.picture)
        filled, matches = _fill_level(level, guess, matches, pulse)
    filled = filled[..., :3] if matches is None else _joined(filled, unknown[box], matches)
    out[box] = np.where(unknown[box][..., None], filled, out[box])
    return out


def _joined(voted: np.ndarray, unknown: np.ndarray, matches: _Matches) -> np.ndarray:
    """Each pixel from its own patch's match, joined in the gradient domain: votes average, and blur."""
    book = matches.book
    pixels = np.flatnonzero(unknown)
    ys, xs = np.divmod(pixels, book.w)
    # At the picture's rim no patch has its middle: the nearest one that covers the pixel speaks for it.
    middle_y, middle_x = np.clip(ys, _RADIUS, book.h - 1 - _RADIUS), np.clip(xs, _RADIUS, book.w - 1 - _RADIUS)
    source = matches.source[matches.slot[middle_y * book.w + middle_x]]
    frame, place = np.divmod(source + (ys - middle_y) * book.w + xs - middle_x, book.h * book.w)
    y, x = np.divmod(place, book.w)
    canvas = Canvas(voted[..., :3], unknown)
    canvas.add(
        book.flat[:, :3].reshape(-1, book.h, book.w, 3),
        Candidate(pixels, frame, x.astype(np.float32), y.astype(np.float32), np.ones(pixels.size, np.float32)),
    )
    return canvas.finish(gradient=True)


def _pyramid(
    picture: np.ndarray, unknown: np.ndarray, hidden: np.ndarray, others: list[tuple[np.ndarray, np.ndarray]]
) -> list[_Level]:
    own = _with_roughness(picture, hidden)
    if not _whole_patches(hidden).any():
        hidden = unknown
    level = _Level(own, unknown, [own] + [_with_roughness(p, h) for p, h in others], [hidden] + [h for _, h in others])
    levels = [level]
    width = 2 * float(cv2.distanceTransform(np.pad(unknown, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    while width > _COARSEST and min(level.unknown.shape) >= 8 * _RADIUS:
        level = level.halved()
        levels.append(level)
        width /= 2
    return levels


def _with_roughness(picture: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(H, W, 5): the picture, and how steep it is across and down on average around each pixel, hidden pixels left out."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    seen = (~hidden).astype(np.float32)
    window = (2 * _ROUGH_RADIUS + 1,) * 2
    parts = []
    for axis in (1, 0):
        step = np.zeros_like(grey)
        both = np.zeros_like(grey)
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(2))
        behind = tuple(slice(None, -1) if a == axis else slice(None) for a in range(2))
        both[behind] = seen[ahead] * seen[behind]
        step[behind] = np.abs(grey[ahead] - grey[behind]) * both[behind]
        share = cv2.blur(both, window)
        parts.append(interpolate((cv2.blur(step, window) / np.maximum(share, 1e-3))[..., None], share < 0.1)[..., 0])
    return np.dstack([picture, *(part * _ROUGH_WEIGHT for part in parts)])


def _whole_patches(hidden: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a patch lies inside the picture and has no hidden pixel."""
    kernel = np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1), np.uint8)
    return _inner(cv2.dilate(hidden.astype(np.uint8), kernel) == 0)


def _shrink(picture: np.ndarray, hidden: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    weight = (~hidden).astype(np.float32)
    summed = _resized(picture * weight[..., None], size, cv2.INTER_AREA)
    return summed / np.maximum(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), 1e-3)[..., None]


def _resized(picture: np.ndarray, size: tuple[int, int], how: int) -> np.ndarray:
    return np.dstack([cv2.resize(part, size, interpolation=how) for part in _parts(picture)])


def _parts(picture: np.ndarray) -> list[np.ndarray]:
    """Colours and roughness apart: OpenCV takes four channels at most."""
    return [picture[..., :3], picture[..., 3:]]


def _fill_level(
    level: _Level, guess: np.ndarray, coarser: _Matches | None, pulse: Callable[[], None]
) -> tuple[np.ndarray, _Matches | None]:
    h, w = level.unknown.shape
    if min(h, w) <= 2 * _RADIUS:
        return guess, None
    kernel = np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1), np.uint8)
    targets = np.flatnonzero(_inner(cv2.dilate(level.unknown.astype(np.uint8), kernel) > 0))
    usable = np.stack([_whole_patches(hidden) for hidden in level.hidden])
    if not usable.any() or not targets.size:
        return guess, None
    book = _Book(np.stack(level.sources), usable)
    matches = _Matches(level.unknown.shape, targets, book, coarser)
    picture = guess.reshape(-1, guess.shape[2]).copy()
    hole = level.unknown.ravel()
    depth = cv2.distanceTransform(level.unknown.astype(np.uint8), cv2.DIST_L2, 3).ravel()
    # What lies deeper in the hole is less sure of itself.
    trust = np.float32(1.3) ** -np.minimum(depth[targets], 30)
    first = coarser is None
    for _ in range(_ROUNDS * (3 if first else 1)):
        pulse()
        matches.improve(book.describe(picture, targets, w), sweeps=4 if first else 1)
        _vote(picture, hole, book.flat, targets, matches, trust, w)
    return picture.reshape(guess.shape), matches


class _Book:
    """The source patches of one level and their principal components."""

    def __init__(self, stack: np.ndarray, usable: np.ndarray):
        _, self.h, self.w, channels = stack.shape
        self.flat = stack.reshape(-1, channels)
        self.usable = usable.ravel()
        self.places = np.flatnonzero(self.usable)
        some = _patches(self.flat, _thinned(self.places, 4000), self.w)
        self.mean = some.mean(0)
        _, vectors = np.linalg.eigh(np.cov(some - self.mean, rowvar=False) + np.eye(some.shape[1]) * 1e-3)
        self.basis = np.ascontiguousarray(vectors[:, -_COMPONENTS:]).astype(np.float32)
        # Into one array: of all there is in a fill, this is by far the largest.
        self.components = np.zeros((len(stack), self.h, self.w, _COMPONENTS), np.float32)
        for picture, components in zip(stack, self.components):
            self._write_components(picture, components)
        self.components = self.components.reshape(-1, _COMPONENTS)

    def describe(self, picture: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
        """(N, components) of the patches of a flat picture. A piece at a time: all patches of a large hole would take a kilobyte a pixel."""
        out = np.empty((len(at), _COMPONENTS), np.float32)
        for begin in range(0, len(at), _AT_A_TIME):
            heed()
            some = slice(begin, begin + _AT_A_TIME)
            out[some] = (_patches(picture, at[some], width) - self.mean) @ self.basis
        return out

    def _write_components(self, picture: np.ndarray, out: np.ndarray) -> None:
        """Those of the patches around all pixels, into `out` (H, W, components), which is 0."""
        side = 2 * _RADIUS + 1
        channels = picture.shape[2]
        kernels = self.basis.reshape(side, side, channels, _COMPONENTS)
        planes = [np.ascontiguousarray(picture[..., c]) for c in range(channels)]
        for i in range(_COMPONENTS):
            heed()
            for c in range(channels):
                out[..., i] += cv2.filter2D(planes[c], cv2.CV_32F, np.ascontiguousarray(kernels[..., c, i]))
        out -= self.mean @ self.basis


class _Matches:
    """The best source patch found so far for each target patch (Barnes et al.: PatchMatch, 2009, all pixels at once)."""

    def __init__(self, shape: tuple[int, int], targets: np.ndarray, book: _Book, coarser: _Matches | None):
        self.h, self.w = shape
        self.targets, self.book = targets, book
        self.random = np.random.default_rng(0)
        self.slot = np.full(self.h * self.w, -1, np.int64)
        self.slot[targets] = np.arange(targets.size)
        self.source = self.random.choice(book.places, targets.size)
        if coarser is not None:
            guess = self._from_coarser(coarser)
            good = (guess >= 0) & book.usable[guess]
            self.source[good] = guess[good]
        self.cost = np.full(targets.size, np.inf, np.float32)

    def _from_coarser(self, coarser: _Matches) -> np.ndarray:
        y, x = np.divmod(self.targets, self.w)
        parent = coarser.slot[np.minimum(y // 2, coarser.h - 1) * coarser.w + np.minimum(x // 2, coarser.w - 1)]
        frame, place = np.divmod(coarser.source[parent], coarser.h * coarser.w)
        source_y, source_x = np.divmod(place, coarser.w)
        source_y, source_x = 2 * source_y + y % 2, 2 * source_x + x % 2
        inside = (parent >= 0) & (source_y < self.h) & (source_x < self.w)
        return np.where(inside, frame * (self.h * self.w) + source_y * self.w + source_x, -1)

    def improve(self, wanted: np.ndarray, sweeps: int) -> None:
        """Neighbours offer their matches, chance offers others; the better one stays. wanted: (N, components)."""
        self.cost = self._cost(wanted, self.source)
        for _ in range(sweeps):
            for step in (4, 2, 1):
                for shift in (-step * self.w, step * self.w, -step, step):
                    neighbour = self.slot[np.clip(self.targets + shift, 0, self.slot.size - 1)]
                    self._offer(wanted, np.where(neighbour >= 0, self.source[neighbour] - shift, -1), _COHERENCE)
            for radius in (16, 4, 1):
                dy, dx = self.random.integers(-radius, radius + 1, (2, self.source.size))
                self._offer(wanted, self.source + dy * self.w + dx)
            self._offer(wanted, self.random.choice(self.book.places, self.source.size))

    def _offer(self, wanted: np.ndarray, source: np.ndarray, leniency: float = 1.0) -> None:
        heed()
        size = self.book.usable.size
        source = np.where((source >= 0) & (source < size), source, 0)
        open_to = np.flatnonzero(self.book.usable[source] & (source != self.source))
        cost = self._cost(wanted[open_to], source[open_to])
        better = cost < self.cost[open_to] * leniency
        self.source[open_to[better]] = source[open_to[better]]
        self.cost[open_to[better]] = cost[better]

    def _cost(self, wanted: np.ndarray, source: np.ndarray) -> np.ndarray:
        difference = wanted - self.book.components[source]
        return np.einsum("ij,ij->i", difference, difference)


def _vote(
    picture: np.ndarray, hole: np.ndarray, flat: np.ndarray, targets: np.ndarray, matches: _Matches, trust: np.ndarray, width: int
) -> None:
    spread = max(float(np.percentile(matches.cost, 60)), 1.0)
    weight = (trust * np.exp(-matches.cost / spread)).astype(np.float32)[:, None] + 1e-8
    votes, total = np.zeros_like(picture), np.zeros((len(picture), 1), np.float32)
    for offset in _offsets(width):
        heed()
        votes[targets + offset] += flat[matches.source + offset] * weight
        total[targets + offset] += weight
    voted = hole & (total[:, 0] > 0)
    picture[voted] = votes[voted] / total[voted]


def _inner(mask: np.ndarray) -> np.ndarray:
    """`mask` without the rim where a patch would stick out of the picture."""
    r = _RADIUS
    out = np.zeros_like(mask)
    out[r:-r, r:-r] = mask[r:-r, r:-r]
    return out


def _thinned(indices: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the indices, evenly but not regularly spread, the same at every call."""
    if indices.size <= most:
        return indices
    return np.sort(np.random.default_rng(0).choice(indices, most, replace=False))


def _offsets(width: int) -> np.ndarray:
    side = np.arange(-_RADIUS, _RADIUS + 1)
    return (side[:, None] * width + side[None]).ravel()


def _patches(flat: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
    return flat[at[:, None] + _offsets(width)[None]].reshape(len(at), -1)
