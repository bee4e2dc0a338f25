"""What a check says of a shadow that the matte leaves out."""
from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_inpaint import pipeline
from flow_inpaint.cost import Pair
from flow_inpaint.job import Job
from flow_inpaint.shadows import Below
from scenery import save, view

WIDTH, HEIGHT, COUNT = 300, 240, 6
#: The camera's pan and the object's way over the picture, pixels a frame.
PAN, WAY = 5.0, 2


def matte(k: int, shadow: int = 0) -> np.ndarray:
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[50 : 100 + shadow, 90 + WAY * k : 200 + WAY * k] = True
    return hole


@cache
def frame(k: int, shadow: int) -> np.ndarray:
    """Ground that pans by, and an object with a texture of its own that throws a soft, deep shadow of so many pixels, ragged below."""
    picture = view(WIDTH, HEIGHT, PAN * k)
    shade = matte(k, shadow) & ~matte(k)
    for column in range(0, WIDTH, 11) if shadow else ():
        shade[100 + shadow - column % 4 * 3 :, WAY * k + column : WAY * k + column + 6] = False
    soft = cv2.GaussianBlur(shade.astype(np.float32), None, 2)[..., None]
    thing = np.roll(view(WIDTH, HEIGHT, seed=3), WAY * k, axis=1)
    return np.where(matte(k)[..., None], thing, picture * (1 - 0.97 * soft)).astype(np.uint8)


def pair(k: int, shadow: int) -> Pair:
    return [frame(n, shadow) for n in (k, k + 1)], [matte(n) for n in (k, k + 1)]


@pytest.mark.parametrize("shadow", [20, 30])
def test_a_shadow_is_missed(shadow: int) -> None:
    below = Below()
    assert len(list(below.watched(pair(k, shadow) for k in range(4)))) == 4
    assert shadow * 0.8 <= below.missed <= shadow * 2.2


def test_ground_without_a_shadow_is_none() -> None:
    below = Below()
    for _ in below.watched(pair(k, 0) for k in range(5)):
        pass
    assert below.missed == 0


def test_too_little_says_nothing() -> None:
    """Two pairs of frames; an object that moves with the ground; one at the lower edge; nothing masked."""
    few, still, low, nothing = Below(), Below(), Below(), Below()
    for below, pairs in (
        (few, [pair(k, 30) for k in range(2)]),
        (still, [([frame(0, 30)] * 2, [matte(0)] * 2)] * 4),
        (low, [([one[:180] for one in frames], [one[:180] for one in holes]) for frames, holes in (pair(k, 30) for k in range(4))]),
        (nothing, [(frames, [hole & ~hole for hole in holes]) for frames, holes in (pair(k, 30) for k in range(4))]),
    ):
        assert len(list(below.watched(pairs))) == len(pairs)
        assert below.missed == 0


@pytest.mark.parametrize("grow", [0, 60])
def test_a_check_says_how_far_to_grow(tmp_path: Path, grow: int) -> None:
    for k in range(COUNT):
        save(tmp_path / "source" / f"{k:04d}.png", frame(k, 30))
        save(tmp_path / "mask" / f"{k:04d}.png", matte(k).astype(np.uint8) * 255)
    document = {"source": {"path": "source"}, "mask": {"path": "mask"}, "output": {"path": "out.mkv"}, "params": {"mask_grow_below": grow}}
    said = " ".join(pipeline.check(Job.from_document(document, tmp_path)).notes)
    found = re.search(r"Below the matte the picture moves with the object, as a shadow does: Grow Below (\d+) px would take it out too\.", said)
    assert (found is None) == (grow > 0), said
    assert grow or 24 <= int(found[1]) <= 66
