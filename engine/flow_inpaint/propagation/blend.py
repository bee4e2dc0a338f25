"""Carried pixels into one picture: candidates weighed, joined in the gradient domain (paper, section 3.3)."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ..heeding import heed
from ..poisson import bounding_box, interpolate, solve
from .trace import between

#: Taps around a sample that its colour and its four one-pixel differences need: a 4 x 4 block without its corners.
_TAPS = [(dy, dx) for dy in range(-1, 3) for dx in range(-1, 3) if not (dy in (-1, 2) and dx in (-1, 2))]
#: Of the four taps around a sample, (row, column), those side by side and those one below the other.
_ACROSS = [((dy, 0), (dy, 1)) for dy in (0, 1)]
_DOWNWARDS = [((0, dx), (1, dx)) for dx in (0, 1)]
#: From this share of full scale on, two pixels at the rim are more likely two things than two exposures of one.
_EDGE = 0.25
#: What joining darkens by more than this share of full scale is in a shadow that the matte leaves out, and not seen otherwise exposed;
#: and what it lightens by more than this share beyond all that was carried there and all that stands beside the hole glows. Over so many
#: pixels either fades into the hole.
_SHADOW, _GLOW, _FADE = 0.12, 0.02, 12.0
#: Frames that are added to all distances in time, because what is wrong with a pixel does not begin at nothing.
_ALIKE = 1
#: Pixels that are sampled at a time: a large hole's at once would take ten times what comes of them.
_AT_ONCE = 1 << 16
_COLOUR, _RIGHT, _LEFT, _DOWN, _UP = (slice(3 * i, 3 * i + 3) for i in range(5))


@dataclass(frozen=True)
class Candidate:
    """Somewhere that N hole pixels could come from.

    pixels  flat indices of the hole pixels
    frame   index into the stack that is sampled
    x, y    position in it, pixels
    weight  > 0, relative to the other candidates of the same pixel
    gain    (N, 3), what its light is multiplied by; None: 1
    """

    pixels: np.ndarray
    frame: np.ndarray
    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    gain: np.ndarray | None = None


def weight_of(distance: np.ndarray, drift: np.ndarray, consistency: float) -> np.ndarray:
    """Inverse temporal distance (the paper's blend, but that the nearest frames are more alike), taken down for what drifts by
    more than `consistency` pixels.

    Nothing is rejected: a doubtful candidate loses to a good one and still serves where it is the only one.
    """
    return (1 / ((distance + _ALIKE) * (1 + (drift / consistency) ** 2))).astype(np.float32)


class Canvas:
    """One frame's hole being filled. Candidates are added, then `finish` makes the picture."""

    def __init__(self, picture: np.ndarray, hole: np.ndarray):
        """picture (H, W, 3), any numeric type; hole (H, W) bool."""
        self.picture, self.hole = picture, hole
        self.box = bounding_box(hole, 1)
        self._place = np.full(hole.size, -1, np.int32)
        pixels = np.flatnonzero(hole)
        self._place[pixels] = np.arange(pixels.size)
        self._pixels = pixels
        self._sum = np.zeros((pixels.size, 15), np.float32)
        self._weight = np.zeros(pixels.size, np.float32)
        self._square = np.zeros(pixels.size, np.float32)
        self._detail = np.zeros(pixels.size, np.float32)

    def add(self, stack: np.ndarray, candidate: Candidate, *, grainy: bool = True) -> None:
        """Samples `stack` (T, H, W, 3) at the candidate's positions. grainy: whether there is grain in it."""
        for part in _parts(candidate):
            heed()
            place = self._place[part.pixels]
            samples, detail = _samples(stack, part)
            if part.gain is not None:
                gain = part.gain.astype(np.float32)
                samples *= np.tile(gain, 5)
                detail *= gain**2
            self._detail[place] += detail.mean(1) * part.weight
            self._sum[place] += samples * part.weight[:, None]
            self._weight[place] += part.weight
            if grainy:
                self._square[place] += part.weight**2 * _kept_by_sampling(part)

    def missing(self) -> np.ndarray:
        """(H, W) bool: hole pixels without any candidate."""
        out = np.zeros(self.hole.size, bool)
        out[self._pixels[self._weight == 0]] = True
        return out.reshape(self.hole.shape)

    def kept_grain(self) -> np.ndarray:
        """(H, W) float32, 0..1: the share of the grain's variance that is left where candidates were sampled and averaged.

        1 outside the hole, 0 where there is no candidate.
        """
        out = np.ones(self.hole.size, np.float32)
        out[self._pixels] = np.minimum(self._square / np.maximum(self._weight, 1e-9) ** 2, 1)
        return out.reshape(self.hole.shape)

    def detail(self) -> np.ndarray:
        """(H, W) float32: how much detail there is where candidates come from, the mean square of what neighbouring pixels differ by, to the
        right and below together; 0 outside the hole and where there is no candidate."""
        out = np.zeros(self.hole.size, np.float32)
        out[self._pixels] = self._detail / np.maximum(self._weight, 1e-9)
        return out.reshape(self.hole.shape)

    def finish(self, gradient: bool, white: float = 255.0) -> np.ndarray:
        """(H, W, 3) float32: the picture with its hole filled; what has no candidate continues its surroundings.

        gradient  join in the gradient domain; `white` is the value of full scale there
        """
        out = self.picture.astype(np.float32)
        if self.box is not None:
            out[self.box] = self.filled(gradient, white)
        return out

    def filled(self, gradient: bool, white: float = 255.0) -> np.ndarray:
        """What `finish` makes of `box` alone, where there is one: of a large picture the rest is several times as large."""
        hole, inner = self.hole[self.box], self.picture[self.box].astype(np.float32)
        has = self._weight > 0
        seen = np.zeros(hole.shape, bool)
        seen[hole] = has
        inner[seen] = self._mean(_COLOUR, has)
        rest = hole & ~seen
        if rest.any():
            inner = interpolate(inner, rest)
        if not (gradient and has.any()):
            return inner

        def carried(part: slice) -> np.ndarray:
            plane = np.zeros(inner.shape, np.float32)
            plane[seen] = self._mean(part, has)
            return plane

        wanted = _divergence(carried, seen, inner, hole, _EDGE * white)
        return _in_bounds(solve(inner, hole, wanted), inner, hole, wanted, white)

    def _mean(self, part: slice, has: np.ndarray) -> np.ndarray:
        """(n, 3) what was added of `part`, of the pixels that have a candidate."""
        return self._sum[has, part] / self._weight[has, None]


def _parts(candidate: Candidate) -> Iterator[Candidate]:
    """A candidate in pieces of `_AT_ONCE` pixels."""
    for begin in range(0, candidate.pixels.size, _AT_ONCE):
        some = slice(begin, begin + _AT_ONCE)
        of_pixels = (candidate.pixels, candidate.frame, candidate.x, candidate.y, candidate.weight)
        yield Candidate(*(part[some] for part in of_pixels), None if candidate.gain is None else candidate.gain[some])


def colours(stack: np.ndarray, candidate: Candidate) -> np.ndarray:
    """What `stack` (T, H, W, 3) shows at a candidate's positions, in the light that it is brought to: (N, 3) float32."""
    _, h, w, _ = stack.shape
    out = between(stack.reshape(-1, 3), candidate.frame.astype(np.int64) * (h * w), (h, w), candidate.x, candidate.y)
    return out if candidate.gain is None else out * candidate.gain.astype(np.float32)


def _kept_by_sampling(candidate: Candidate) -> np.ndarray:
    """(N,) the share of independent noise's variance that bilinear sampling keeps."""
    fx, fy = candidate.x - np.floor(candidate.x), candidate.y - np.floor(candidate.y)
    return ((fx**2 + (1 - fx) ** 2) * (fy**2 + (1 - fy) ** 2)).astype(np.float32)


def _samples(stack: np.ndarray, candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
    """(N, 15): colour, and the differences to the right, from the left, down, from above, at each position; and (N, 3): the squares of what
    the pixels around it differ by, across and down together, which unlike those differences lose nothing between pixels."""
    _, h, w, _ = stack.shape
    x, y = candidate.x, candidate.y
    x0 = np.clip(np.floor(x).astype(np.int64), 0, w - 1)
    y0 = np.clip(np.floor(y).astype(np.int64), 0, h - 1)
    fx = np.clip(x - x0, 0, 1).astype(np.float32)[:, None]
    fy = np.clip(y - y0, 0, 1).astype(np.float32)[:, None]
    flat = stack.reshape(-1, 3)
    columns = {d: np.clip(x0 + d, 0, w - 1) for d in range(-1, 3)}
    rows = {d: (candidate.frame.astype(np.int64) * h + np.clip(y0 + d, 0, h - 1)) * w for d in range(-1, 3)}
    tap = {(dy, dx): flat[rows[dy] + columns[dx]].astype(np.float32) for dy, dx in _TAPS}

    def at(dy: int, dx: int) -> np.ndarray:
        top = tap[dy, dx] + (tap[dy, dx + 1] - tap[dy, dx]) * fx
        bottom = tap[dy + 1, dx] + (tap[dy + 1, dx + 1] - tap[dy + 1, dx]) * fx
        return top + (bottom - top) * fy

    across, along = ([(tap[there] - tap[here]) ** 2 for here, there in pairs] for pairs in (_ACROSS, _DOWNWARDS))
    detail = across[0] + (across[1] - across[0]) * fy + along[0] + (along[1] - along[0]) * fx
    centre = at(0, 0)
    right, left, down, up = at(0, 1) - centre, centre - at(0, -1), at(1, 0) - centre, centre - at(-1, 0)
    # Beyond the picture's edge nothing is known: the slope runs on.
    for place, size, ahead, behind in ((x, w, right, left), (y, h, down, up)):
        near, far = place < 1, place > size - 2
        behind[near] = ahead[near]
        ahead[far] = behind[far]
    return np.concatenate([centre, right, left, down, up], 1), detail


def _divergence(carried: Callable[[slice], np.ndarray], seen: np.ndarray, picture: np.ndarray, hole: np.ndarray, edge: float) -> np.ndarray:
    """Divergence (H, W, 3) of the carried differences; `carried` gives them, (H, W, 3), for one side of the pixels. Both ends of an edge
    share one value, or brightness would not be conserved and large holes would drift."""
    out = np.zeros(picture.shape, np.float32)
    for axis, (ahead, behind) in enumerate(((_DOWN, _UP), (_RIGHT, _LEFT))):
        one = tuple(slice(None, -1) if a == axis else slice(None) for a in range(2))
        other = tuple(slice(1, None) if a == axis else slice(None) for a in range(2))
        a, b = seen[one][..., None].astype(np.float32), seen[other][..., None].astype(np.float32)
        step = (carried(ahead)[one] * a + carried(behind)[other] * b) / np.maximum(a + b, 1)
        rim = (hole[one] != hole[other]) & (seen[one] | seen[other])
        step[rim] = _kept_apart(step[rim], (picture[other] - picture[one])[rim], edge)
        out[one] += step
        out[other] -= step
    return out


def _kept_apart(wanted: np.ndarray, actual: np.ndarray, edge: float) -> np.ndarray:
    """Differences (N, 3) across the hole's rim. Where what was carried and what stands beside it are so unlike that the
    rim must be the outline of something in front (a post that the matte leaves out), its colour is not let in."""
    unlike = np.abs(actual - wanted).max(1, keepdims=True) / edge
    return wanted + (actual - wanted) * (1 - 1 / (1 + unlike**4))


def _in_bounds(joined: np.ndarray, carried: np.ndarray, hole: np.ndarray, wanted: np.ndarray, white: float) -> np.ndarray:
    """A joined picture (H, W, 3), joined again where that has made it far darker than what was carried, and than along most of the rim, or
    lighter than all there is.

    An object's shadow that the matte leaves out is a part of the rim, and lies beside the mattes of the frames that are carried from; joined
    like a change of light it would make the whole hole a dark cloud. Where pieces that do not belong together meet, what they differ by may
    add up beyond white. Here both fade within a few pixels. (Perez et al., "Poisson Image Editing", 2003, with a term that holds to the
    carried colours.)
    """
    darker = carried - joined
    rim, beside = (cv2.dilate(x.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool) & ~x for x in (~hole, hole))
    # Without a rim, where all of the picture is missing, nothing is joined to anything.
    usual = np.maximum(np.median(darker[rim], 0), 0) if rim.any() else 0
    lightest = carried[beside].max(0) if beside.any() else np.inf
    shadow, glow = (darker - usual).min(2), (joined - np.maximum(carried, lightest)).max(2)
    off = np.maximum(shadow / (_SHADOW * white), glow / (_GLOW * white))
    if not (off[hole] > 1).any():
        return joined
    del joined, darker, shadow, glow
    held = 1 / (1 + (1 / np.maximum(off, 1e-3)) ** 4)
    return solve(carried, hole, wanted, pull=held / _FADE**2)
