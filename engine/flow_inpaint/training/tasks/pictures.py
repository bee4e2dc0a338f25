"""Validation pictures."""
from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

_MOST = 4
_GAP = 4


def flows(columns: list[tuple[str, Tensor]], hole: Tensor) -> np.ndarray:
    """Flows (N, 2, h, w) side by side, a row for each of the first samples, as colours; the hole (N, h, w) is outlined."""
    rows = []
    for sample in range(min(len(hole), _MOST)):
        values = [column[sample].float().cpu().numpy() for _, column in columns]
        longest = max(float(np.percentile(np.hypot(*values[0]), 99)), 0.5)
        edge = hole[sample].cpu().numpy().astype(np.uint8)
        edge = edge - cv2.erode(edge, np.ones((3, 3), np.uint8))
        rows.append([np.where(edge[..., None] > 0, np.uint8(0), colours(value, longest)) for value in values])
    return grid(rows, [name for name, _ in columns])


def colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """(2, h, w) -> (h, w, 3) uint8 RGB: the direction as hue, the length up to `longest` as saturation."""
    angle = np.degrees(np.arctan2(flow[1], flow[0])) % 360
    length = np.minimum(np.hypot(*flow) / longest, 1)
    hsv = np.stack([angle, length, np.ones_like(length)], -1).astype(np.float32)
    return np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


def images(rows: list[list[Tensor]], names: list[str]) -> np.ndarray:
    """(3, h, w) RGB pictures, 0..255."""
    return grid([[x.float().clamp(0, 255).permute(1, 2, 0).byte().cpu().numpy() for x in row] for row in rows[:_MOST]], names)


def grid(rows: list[list[np.ndarray]], names: list[str]) -> np.ndarray:
    gap = ((0, _GAP), (0, _GAP), (0, 0))
    lines = [np.concatenate([np.pad(picture, gap, constant_values=255) for picture in row], 1) for row in rows]
    sheet = np.concatenate(lines)
    head = np.full((18, sheet.shape[1], 3), 255, np.uint8)
    for number, name in enumerate(names):
        at = (number * sheet.shape[1] // len(names) + 2, 13)
        cv2.putText(head, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([head, sheet])
