"""The passes of one frame as arrays. What their numbers mean is said in docs/passes_and_references.md."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..media import Picture
from ..sources import Kind, Taken

#: The alpha of the provenance pass.
KIND_CODES = {Kind.FOOTAGE: 1.0, Kind.REFERENCE: 0.75, Kind.INVENTED: 0.5}
#: Colours that differ by this share of white are no longer of one thing.
_DISAGREE = 0.08
#: The edge of a patch: two pixels, which lets it be made larger, and smaller by half.
_EDGE = np.ones((5, 5), np.uint8)
#: How far the colours go on beyond it, eight pixels.
_RIM = np.ones((17, 17), np.uint8)


@dataclass(frozen=True)
class Origins:
    """Where the hole of a frame comes from. Arrays (H, W) over the processed region.

    frame       int32, the source frame, x, y float32, the place in it, in pixels of the whole picture; 0 outside the hole
    code        float32, what kind of origin it is (`KIND_CODES`), 0 outside the hole
    confidence  float32, 0..1, 1 outside the hole
    """

    frame: np.ndarray
    x: np.ndarray
    y: np.ndarray
    code: np.ndarray
    confidence: np.ndarray


def origins(
    found: Sequence[Taken], hole: np.ndarray, frame: int, *, origin: tuple[int, int], reach: int, consistency: float, white: float
) -> Origins:
    """The candidate that counts most for each pixel of `hole`, (H, W) bool, of a frame.

    found   all candidates of the frame (`sources`)
    origin  row and column of the region in the whole picture

    A pixel that has no candidate is a continuation of its surroundings: invented, at its own place.
    """
    h, w = hole.shape
    ys, xs = np.mgrid[:h, :w].astype(np.float32)
    best = np.zeros(h * w, np.float32)
    out = Origins(
        np.where(hole, np.int32(frame), 0).ravel(),
        np.where(hole, xs + origin[1], 0).ravel(),
        np.where(hole, ys + origin[0], 0).ravel(),
        np.where(hole, np.float32(KIND_CODES[Kind.INVENTED]), np.float32(0)).ravel(),
        np.where(hole, np.float32(0), np.float32(1)).ravel(),
    )
    agreement = _Agreement(h * w)
    for taken in found:
        candidate = taken.candidate
        better = candidate.weight > best[candidate.pixels]
        pixels = candidate.pixels[better]
        best[pixels] = candidate.weight[better]
        out.frame[pixels], out.code[pixels] = taken.frame[better], KIND_CODES[taken.kind]
        out.x[pixels], out.y[pixels] = candidate.x[better] + origin[1], candidate.y[better] + origin[0]
        if taken.kind is Kind.INVENTED:
            continue
        sure = 1 / (1 + (taken.drift / consistency) ** 2)
        distance = np.maximum(np.abs(taken.frame - frame), 1) - 1
        sure = sure * reach / (reach + distance)
        out.confidence[candidate.pixels] = np.maximum(out.confidence[candidate.pixels], sure)
        agreement.add(candidate.pixels, _colours(taken) / np.float32(white), candidate.weight)
    out.confidence[:] *= agreement.factor()
    return Origins(*(part.reshape(h, w) for part in (out.frame, out.x, out.y, out.code, out.confidence)))


class _Agreement:
    """How well the colours of a pixel's candidates agree: weighted mean and spread, gathered one candidate at a time."""

    def __init__(self, size: int):
        self._weight = np.zeros(size, np.float32)
        self._sum, self._square = (np.zeros((size, 3), np.float32) for _ in range(2))

    def add(self, pixels: np.ndarray, colours: np.ndarray, weight: np.ndarray) -> None:
        self._weight[pixels] += weight
        self._sum[pixels] += colours * weight[:, None]
        self._square[pixels] += colours**2 * weight[:, None]

    def factor(self) -> np.ndarray:
        weight = np.maximum(self._weight, 1e-9)[:, None]
        spread = np.maximum(self._square / weight - (self._sum / weight) ** 2, 0).mean(1)
        return np.exp(-spread / _DISAGREE**2)


def _colours(taken: Taken) -> np.ndarray:
    """(N, 3) float32 of the nearest pixels, in the light of the frame that they go to."""
    _, h, w, _ = taken.stack.shape
    y = np.clip(np.rint(taken.candidate.y).astype(np.int64), 0, h - 1)
    x = np.clip(np.rint(taken.candidate.x).astype(np.int64), 0, w - 1)
    colours = taken.stack[taken.candidate.frame, y, x].astype(np.float32)
    return colours if taken.candidate.gain is None else colours * taken.candidate.gain


def patch(result: Picture, source: Picture, hole: np.ndarray, region: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """RGB (H, W, 3) and alpha (H, W) in the source's type: what was replaced and its edge, opaque, and nothing elsewhere.

    Everything that differs is in it, whether the hole covers it or not, so that over the source it makes the result. The edge
    is for hosts that scale it: between patch and source they mix what is the same in both, and no rim of the object comes back.
    Where samples are integers the colours go on further, since hosts scale those before they apply alpha: black there would
    darken the rim. Floating point pictures are taken as premultiplied, so theirs end with alpha.
    """
    replaced = (result.rgb != source.rgb).any(2)
    replaced[region] |= hole
    covered = cv2.dilate(replaced.astype(np.uint8), _EDGE) > 0
    integers = np.issubdtype(result.rgb.dtype, np.integer)
    coloured = cv2.dilate(covered.astype(np.uint8), _RIM) > 0 if integers else covered
    rgb = np.where(coloured[..., None], result.rgb, 0)
    white = np.iinfo(rgb.dtype).max if integers else 1
    return rgb, np.where(covered, rgb.dtype.type(white), rgb.dtype.type(0))
