"""What DFC-Net sees: windows of eleven neighbouring flows with their holes, resized, and filled smoothly for the first stage.

Flows and holes of a shot go by the numbers of the frames that they start from. A forward flow leads to the
next frame, so the last frame has none; a backward flow leads to the previous frame, and the first frame has
one too, of zeros.
"""
from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

from ..poisson import interpolate

#: Flows in a window, and the place of the centre.
WINDOW = 11
CENTRE = WINDOW // 2
#: Channels in and out of each stage: u, v and the hole of every flow of one window, then of a forward and a backward one.
CHANNELS = ((3 * WINDOW, 2), (6 * WINDOW, 4), (6 * WINDOW, 4))
#: Up to so many unknown pixels a direct solver is as fast as multigrid, which comes within 1e-3 of the flow's deviation.
_FEW = 1000
_CYCLES = 6


def window(centre: int, last: int) -> list[int]:
    """Numbers of the flows around `centre`, of those numbered 0..`last`; the ends are repeated."""
    return [min(max(centre - CENTRE + k, 0), last) for k in range(WINDOW)]


def initial_windows(flows: int) -> Iterator[tuple[str, int, list[int]]]:
    """(direction, centre, numbers) of all the first stage's windows, for so many forward flows."""
    for direction, last in (("forward", flows - 1), ("backward", flows)):
        for centre in range(last + 1):
            yield direction, centre, window(centre, last)


def refine_windows(flows: int) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """(forward centre, backward centre, forward numbers, backward numbers) of a later stage's windows, for so many forward flows.

    The last forward flow is a centre twice, and the second answer, from the later window, is the one to keep.
    """
    for centre in range(flows + 1):
        yield min(centre, flows - 1), centre, window(centre, flows - 1), window(centre, flows)


def resize_flow(flow: np.ndarray, size: tuple[int, int], hole: np.ndarray | None = None) -> np.ndarray:
    """(2, H, W) in pixels of its size -> (2, h, w) in pixels of that size; values beyond a frame's size are clipped.

    Given a hole (H, W), what the flow holds in it does not matter (it may be NaN): known pixels next to it are
    made of known pixels only, and inside it there are zeros.
    """
    (h0, w0), (h, w) = flow.shape[1:], size
    if hole is not None and hole.any():
        out = _resize_known(flow, size, hole)
    else:
        out = _resize(flow, size)
    return np.stack([np.clip(out[..., 0], -w0, w0) / w0 * w, np.clip(out[..., 1], -h0, h0) / h0 * h]).astype(np.float32)


def restore_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A stage's answer (2, h, w) -> (2, H, W) in pixels of the frame's size."""
    (h0, w0), (h, w) = flow.shape[1:], size
    out = _resize(flow, size)
    return np.stack([out[..., 0] * np.float32(w / w0), out[..., 1] * np.float32(h / h0)])


def _resize(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    pixels = np.ascontiguousarray(flow.transpose(1, 2, 0), np.float32)
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)


def _resize_known(flow: np.ndarray, size: tuple[int, int], hole: np.ndarray) -> np.ndarray:
    known = (~hole).astype(np.float32)
    masked = np.stack([*np.where(hole, 0, flow).astype(np.float32), known], -1)
    if hole.shape == size:
        return masked[..., :2]
    out = cv2.resize(masked, size[::-1], interpolation=cv2.INTER_LINEAR)
    # A coarse grid's pixel may lie between hidden pixels although the nearest one, by which masks are resized, is seen.
    near = cv2.resize(masked, size[::-1], interpolation=cv2.INTER_NEAREST)
    weight = out[..., 2:]
    return np.where(weight > 1e-3, out[..., :2] / np.maximum(weight, 1e-3), near[..., :2])


def resize_hole(hole: np.ndarray, size: tuple[int, int], enlarge: int = 0) -> np.ndarray:
    """(H, W) -> (h, w) float32, 1 = hole, by the nearest pixel; grown by a square of `enlarge` pixels of the new size."""
    small = cv2.resize((hole > 0).astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    if enlarge > 1:
        small = cv2.dilate(small, np.ones((enlarge, enlarge), np.uint8))
    return small.astype(np.float32)


def prefill(flow: np.ndarray, hole: np.ndarray, *, exact: bool | None = None) -> np.ndarray:
    """The paper's smooth initialisation: the hole of (2, h, w) `flow` filled by Laplace's equation, solved at half the size.

    exact  solves directly, as the published tool does; False: by multigrid; None: whichever is faster
    """
    if not hole.any():
        return flow
    h, w = hole.shape
    half = (max(h // 2, 1), max(w // 2, 1))
    small = _resize(flow, half)
    unknown = cv2.resize(hole, half[::-1], interpolation=cv2.INTER_LINEAR) > 0
    if unknown.all():
        small = np.zeros_like(small)
    elif exact or (exact is None and np.count_nonzero(unknown) <= _FEW):
        small = solve_exactly(small, unknown)
    else:
        small = interpolate(small, unknown, cycles=_CYCLES)
    filled = cv2.resize(small.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    return flow * (1 - hole) + filled * hole


def solve_exactly(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """What `poisson.interpolate` approaches, by a direct solver in float64, for (H, W, C) `values`. Something must be known."""
    out = np.array(values, np.float64)
    ys, xs = np.nonzero(unknown)
    if not ys.size:
        return out
    order = np.full(unknown.shape, -1)
    order[ys, xs] = np.arange(ys.size)
    count = np.zeros(ys.size)
    right = np.zeros((ys.size, out.shape[2]))
    rows, columns = [], []
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = ys + dy, xs + dx
        inside = np.flatnonzero((y >= 0) & (x >= 0) & (y < unknown.shape[0]) & (x < unknown.shape[1]))
        y, x = y[inside], x[inside]
        count[inside] += 1
        beside = order[y, x]
        rows.append(inside[beside >= 0])
        columns.append(beside[beside >= 0])
        right[inside[beside < 0]] += out[y[beside < 0], x[beside < 0]]
    diagonal = np.arange(ys.size)
    entries = np.concatenate([count, np.full(sum(map(len, rows)), -1.0)])
    matrix = csr_matrix((entries, (np.concatenate([diagonal, *rows]), np.concatenate([diagonal, *columns]))))
    out[ys, xs] = spsolve(matrix.tocsc(), right).reshape(right.shape)
    return out


def initial_frame(
    flow: np.ndarray, hole: np.ndarray, size: tuple[int, int], *, enlarge: int = 0, hide: bool = False, exact: bool | None = None
) -> np.ndarray:
    """The three channels (3, h, w) of one flow of a first stage's window.

    enlarge  grows the hole, as the published video tool does by 10
    hide     looks at the flow outside the hole only; the published tool lets what lies inside reach over the edge in resizing
    exact    see `prefill`
    """
    small = resize_hole(hole, size, enlarge)
    resized = resize_flow(flow, size, hole if hide else None)
    return np.concatenate([prefill(resized, small, exact=exact), small[None]])


def refine_frame(flow: np.ndarray, hole: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The three channels (3, h, w) of one flow of a later stage's window; `flow` is what the stage before has completed."""
    return np.concatenate([resize_flow(flow, size), resize_hole(hole, size)[None]])

