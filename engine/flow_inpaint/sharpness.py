"""How sharp frames are, so that what is carried into a frame is as sharp as the frame is.

Focus and the camera's shake come and go from frame to frame. A pixel out of a blurred frame is a soft spot in a sharp one, and
the other way round.
"""
from __future__ import annotations

import cv2
import numpy as np

#: A difference of sharpness, as a logarithm, that a change of what is to be seen makes too, and how fast weight falls beyond it.
_SAME = 0.1
_FALL = 0.1


def sharpness(picture: np.ndarray, hole: np.ndarray) -> float:
    """The logarithm of how much the slopes in a picture (H, W, 3) change over how steep they are, outside the hole (H, W) bool;
    nan where nothing is to be seen. Neither contrast nor brightness changes it, blur takes it down."""
    grey = picture.astype(np.float32).mean(2)
    # Neighbours averaged first: of single pixels grain would say more than focus.
    grey = cv2.blur(grey, (2, 2))
    visible = cv2.erode((~hole).astype(np.uint8), np.ones((7, 7), np.uint8), borderValue=0).view(bool)
    bend = np.abs(cv2.Laplacian(grey, cv2.CV_32F))[visible].sum(dtype=np.float64)
    slope = sum(np.abs(cv2.Sobel(grey, cv2.CV_32F, *way, ksize=1))[visible].sum(dtype=np.float64) for way in ((1, 0), (0, 1)))
    return float(np.log(bend / slope)) if bend > 0 and slope > 0 else float("nan")


def likeness(own: float, others: np.ndarray) -> np.ndarray:
    """Weights (N,) float32, 0..1, of frames as sharp as `others` (N,) for one that is as sharp as `own`; 1 where one is unknown."""
    apart = np.nan_to_num(np.maximum(np.abs(others - own) - _SAME, 0) / _FALL)
    return (1 / (1 + apart**2)).astype(np.float32)
