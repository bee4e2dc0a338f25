"""Flows as colours."""
from __future__ import annotations

import cv2
import numpy as np


def flow_picture(flow: np.ndarray, truth: np.ndarray, hole: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a flow (2, H, W): its direction as hue, its length as saturation; the hole (H, W) is outlined.

    All flows of one `truth` have one scale, on which its longest, a few pixels apart, are fully coloured.
    """
    longest = max(float(np.percentile(np.hypot(*truth), 99)), 0.5)
    angle = np.degrees(np.arctan2(flow[1], flow[0])) % 360
    length = np.minimum(np.hypot(*flow) / longest, 1)
    hsv = np.stack([angle, length, np.ones_like(length)], -1).astype(np.float32)
    picture = np.ascontiguousarray(np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8))
    if hole is not None:
        outlines, _ = cv2.findContours(hole.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, (0, 0, 0), 1)
    return picture
