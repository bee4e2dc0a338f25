"""DIS optical flow (Kroeger et al., ECCV 2016), as OpenCV has it."""
from __future__ import annotations

import threading

import cv2
import numpy as np

from ..heeding import heed

_SMALLEST = 32


class DIS:
    """Flow from one grey picture to another. Safe to call from several threads at once."""

    colour = False
    short_sighted = True

    def __init__(self) -> None:
        # An OpenCV flow object keeps its buffers between calls, so each thread has one of its own.
        self._own = threading.local()

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(2, H, W) float32 flow in pixels from `a` to `b`, both (H, W) uint8."""
        heed()
        if not hasattr(self._own, "dis"):
            dis = self._own.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            self._own.finest, self._own.patch, self._own.stride = dis.getFinestScale(), dis.getPatchSize(), dis.getPatchStride()
        h, w = a.shape
        down, right = max(_SMALLEST - h, 0), max(_SMALLEST - w, 0)
        if down or right:
            # DIS cannot build its pyramid on a picture smaller than its patches.
            a, b = (cv2.copyMakeBorder(x, 0, down, 0, right, cv2.BORDER_REPLICATE) for x in (a, b))
        # A picture of less than about 45 pixels makes OpenCV set these otherwise, and for all pictures that follow.
        self._own.dis.setFinestScale(self._own.finest)
        self._own.dis.setPatchSize(self._own.patch)
        self._own.dis.setPatchStride(self._own.stride)
        flow = self._own.dis.calc(np.ascontiguousarray(a), np.ascontiguousarray(b), None)
        return np.ascontiguousarray(flow[:h, :w].transpose(2, 0, 1))
