"""The settings of the tables: what is hidden of a clip whose true picture is known, and what is shown instead."""
from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import MissingWeights

if TYPE_CHECKING:
    from .footage import Footage

#: square: the paper's fixed rectangle; random: its moving shapes; object: another clip's object, pasted over.
SETTINGS = ("square", "random", "object")
_GREY = 127
#: The side of the square that a pasted object's matte is grown by, because mattes in practice have a margin too.
_GROWTH = 9


def square(size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the rectangle of H/4 x W/4 in the middle (the paper's setting 2)."""
    h, w = size
    hole = np.zeros(size, bool)
    hole[(h - h // 4) // 2 : (h + h // 4) // 2, (w - w // 4) // 2 : (w + w // 4) // 2] = True
    return hole


def moving_shapes(name: str, seed: int, count: int, size: tuple[int, int]) -> np.ndarray:
    """(T, H, W) bool: irregular shapes that move and change (the paper's setting 1), of a clip's own for each name and seed.

    Raises `MissingWeights` without PyTorch.
    """
    try:
        from ..training.mattes import generate_mattes
    except ImportError as error:
        raise MissingWeights(f"The setting 'random' needs PyTorch ({error}): pip install 'flow-inpaint[networks]' brings it.") from error
    return generate_mattes(seed, 1, count, size, "moving", first=zlib.crc32(name.encode()))[0].numpy()


def painted(truth: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A copy of a picture (H, W, 3) uint8 with its hole grey, so that nothing of what it hides is left."""
    given = truth.copy()
    given[hole] = _GREY
    return given


def pasted(truth: np.ndarray, thing: np.ndarray, outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, 3) with another picture's object over it, and its matte (H, W) bool, a little larger than the object.

    thing, outline  the other picture (h, w, 3) and the object in it (h, w) bool, resized to fit
    """
    size = truth.shape[1::-1]
    shape = cv2.resize(outline.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    pixels = cv2.resize(thing, size, interpolation=cv2.INTER_AREA)
    given = np.where(shape[..., None], pixels, truth)
    return given, cv2.dilate(shape.astype(np.uint8), np.ones((_GROWTH, _GROWTH), np.uint8)) > 0


def hidden(
    setting: str, frames: Iterable[np.ndarray], *, name: str, seed: int, count: int, objects: Iterable[tuple[np.ndarray, np.ndarray]] = ()
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(true picture, given picture, hole) of each of `count` frames (H, W, 3) uint8.

    objects  for the setting 'object': pictures and outlines, at least as many as frames
    """
    if setting == "object":
        for truth, (thing, outline) in zip(frames, objects):
            yield truth, *pasted(truth, thing, outline)
        return
    shapes = None
    for k, truth in enumerate(frames):
        if setting == "square":
            hole = square(truth.shape[:2])
        else:
            shapes = moving_shapes(name, seed, count, truth.shape[:2]) if shapes is None else shapes
            hole = shapes[k]
        yield truth, painted(truth, hole), hole


def hidden_of(footage: Footage, setting: str, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same of a clip."""
    return hidden(setting, footage.frames(), name=footage.name, seed=seed, count=footage.count, objects=footage.objects())
