"""The coverage as a picture: where nothing is seen, and when."""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..evaluation.sheet import contact_sheet
from .forecast import Found

_SEEN, _UNSEEN = np.array((40, 190, 90), np.float32), np.array((255, 40, 40), np.float32)
_PAPER, _INK, _BAR = (24, 24, 24), (235, 235, 235), (255, 80, 70)
_CHART_HEIGHT, _EDGE = 120, 34
_LETTERS = cv2.FONT_HERSHEY_SIMPLEX


def draw(found: Found, region: tuple[slice, slice], look: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the frame with the most unseen and the best one to paint, seen parts of the hole green and unseen
    ones red, over a chart of the unseen share in time.

    look  gives a frame's whole picture, (H, W, 3) uint8, and its hole, (H, W) bool
    """
    coverage = found.coverage
    frames = {"Least seen": coverage.worst} | ({} if coverage.reference is None else {"Best to paint": coverage.reference})
    cells = [_tinted(*look(frame), found.unseen.get(frame), region) for frame in frames.values()]
    sheet = contact_sheet([cells], [f"{title}: frame {frame}" for title, frame in frames.items()])
    return np.concatenate([sheet, _chart(found, sheet.shape[1])])


def _tinted(rgb: np.ndarray, hole: np.ndarray, unseen: np.ndarray | None, region: tuple[slice, slice]) -> np.ndarray:
    shown = rgb.copy()
    dark = np.zeros(hole.shape, bool)
    if unseen is not None:
        part = dark[region]
        size = part.shape[1], part.shape[0]
        dark[region] = cv2.resize(unseen.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
    for where, tint in ((hole & ~dark, _SEEN), (hole & dark, _UNSEEN)):
        shown[where] = (shown[where] * 0.45 + tint * 0.55).astype(np.uint8)
    return shown


def _chart(found: Found, width: int) -> np.ndarray:
    """The share of the hole that is unseen, over time; its scale goes to the next tenth above the largest."""
    coverage = found.coverage
    chart = np.full((_CHART_HEIGHT, width, 3), _PAPER, np.uint8)
    frames = [frame for frame, _ in coverage.by_frame]
    first, last = min(frames), max(frames)
    top = max(np.ceil(max(share for _, share in coverage.by_frame) * 10) / 10, 0.1)
    left, right, base = _EDGE + 20, width - 12, _CHART_HEIGHT - _EDGE

    def x(frame: float) -> int:
        return round(left + (frame - first) / max(last - first, 1) * (right - left))

    bar = max(1, (right - left) // (2 * len(frames)))
    for frame, share in coverage.by_frame:
        height = round(share / top * (base - 12))
        cv2.rectangle(chart, (x(frame) - bar // 2, base - height), (x(frame) + bar // 2, base), _BAR, cv2.FILLED)
    cv2.line(chart, (left, base), (right, base), _INK)
    for text, at in ((f"{top:.0%}", (6, 20)), ("0%", (6, base)), (f"{first}", (left, _CHART_HEIGHT - 12))):
        cv2.putText(chart, text, at, _LETTERS, 0.45, _INK, 1, cv2.LINE_AA)
    cv2.putText(chart, f"{last}", (right - 9 * len(str(last)), _CHART_HEIGHT - 12), _LETTERS, 0.45, _INK, 1, cv2.LINE_AA)
    said = f"unseen part of the hole by frame; {coverage.unseen:.1%} of the whole job"
    cv2.putText(chart, said, (left + 70, _CHART_HEIGHT - 12), _LETTERS, 0.45, _INK, 1, cv2.LINE_AA)
    if coverage.reference is not None:
        cv2.line(chart, (x(coverage.reference), 6), (x(coverage.reference), base), (120, 220, 255), 1)
    return chart
