"""What a check says of a shadow that the matte leaves out."""
from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_inpaint import effect, pipeline
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
    for k in range(4):
        below.look(*pair(k, shadow))
    assert shadow * 0.8 <= below.missed <= shadow * 2.2


def test_ground_without_a_shadow_is_none() -> None:
    below = Below()
    for k in range(5):
        below.look(*pair(k, 0))
    assert below.missed == 0 and below.advice(20) == []


def test_too_little_says_nothing() -> None:
    """Two pairs of frames; an object that moves with the ground; one at the lower edge; nothing masked."""
    few, still, low, nothing = Below(), Below(), Below(), Below()
    for below, pairs in (
        (few, [pair(k, 30) for k in range(2)]),
        (still, [([frame(0, 30)] * 2, [matte(0)] * 2)] * 4),
        (low, [([one[:140] for one in frames], [one[:140] for one in holes]) for frames, holes in (pair(k, 30) for k in range(4))]),
        (nothing, [(frames, [hole & ~hole for hole in holes]) for frames, holes in (pair(k, 30) for k in range(4))]),
    ):
        for frames, holes in pairs:
            below.look(frames, holes)
        assert below.missed == 0


@pytest.mark.parametrize("grow", [0, 60])
def test_a_check_and_a_run_say_how_far_to_grow(tmp_path: Path, grow: int) -> None:
    for k in range(COUNT):
        save(tmp_path / "source" / f"{k:04d}.png", frame(k, 30))
        save(tmp_path / "mask" / f"{k:04d}.png", matte(k).astype(np.uint8) * 255)
    document = {"source": {"path": "source"}, "mask": {"path": "mask"}, "output": {"path": "out.mkv"}}
    job = Job.from_document({**document, "params": {"mask_grow_below": grow, "preset": "draft"}}, tmp_path)
    warned: list[str] = []
    pipeline.run(job, on_message=lambda level, text: warned.append(text) if level == "warning" else None)
    advice = r"Below the matte the picture moves with the object, as a shadow does: Grow Below (\d+) px would take it out too\."
    for said in (pipeline.check(job).notes, warned):
        found = [re.fullmatch(advice, text) for text in said]
        assert [24 <= int(match[1]) <= 66 for match in found] == ([] if grow else [True]), said


def test_what_is_advised_for_a_large_picture_may_be_set() -> None:
    below = Below()
    # As far as is looked, in a picture of 4096 pixels.
    below._found, below._smeared = [90 * 6.4] * 3, 7 * 6.4
    assert 0 < below.missed <= effect.parameters()["mask_grow_below"]["max"]
