"""A texture without end that can be looked at from anywhere, between pixels too, so that every test knows the truth."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

_WAVES = 40


def view(width: int, height: int, x: float = 0.0, y: float = 0.0, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: what a camera sees whose first pixel lies at (x, y) of the texture."""
    ys, xs = np.mgrid[:height, :width]
    return np.rint(seen_at(xs + x, ys + y, seed=seed)).astype(np.uint8)


def seen_at(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(..., 3) float in 0..255 at any positions of the texture."""
    chance = np.random.default_rng(seed)
    length = chance.uniform(7, 60, _WAVES)
    angle, phase = chance.uniform(0, 2 * np.pi, (2, _WAVES))
    colour = chance.uniform(-1, 1, (_WAVES, 3)) + chance.uniform(-1, 1, (_WAVES, 1))
    turns = (np.multiply.outer(x, np.cos(angle) / length) + np.multiply.outer(y, np.sin(angle) / length)) * 2 * np.pi
    return np.clip(128 + 14 * (np.sin(turns + phase) @ colour), 0, 255)


def rectangle(width: int, height: int, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """(H, W) bool, True inside."""
    hole = np.zeros((height, width), bool)
    hole[top:bottom, left:right] = True
    return hole


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(20 * np.log10(255 / max(np.sqrt(np.mean((a.astype(float) - b.astype(float)) ** 2)), 1e-9)))


def save(path: Path, picture: np.ndarray) -> None:
    """An image file of an (H, W, 3) RGB or (H, W) grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)
