"""Blender renders a strip alone: the pixels are the strip's own, in steps, and nothing stays behind.

Also that Blender's decoding and the engine's agree, which is why most strips need no rendering at all.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from flow_inpaint import media
from flow_inpaint.job import ClipSpec

pytestmark = pytest.mark.blender


@pytest.fixture
def answer(ask: Callable[..., dict[str, Any]], clips: Path) -> Callable[[str], dict[str, Any]]:
    def one(case: str) -> dict[str, Any]:
        found = ask("scripts_rendering.py", clips)[case]
        assert "error" not in found, found["error"]
        return found

    return one


def test_one_picture_a_step(answer: Callable[[str], dict[str, Any]]) -> None:
    found = answer("steps")
    assert found["steps"] == [[k, 5] for k in range(1, 6)]
    assert found["left"] == [1, 0, 0, 0]  # the edit itself


def test_closing_it_early_leaves_nothing(answer: Callable[[str], dict[str, Any]]) -> None:
    found = answer("closed early")
    assert found["files"] == 2 and found["curves"]
    assert found["left"] == [1, 1, 0, 0]  # the edit and its fade


@pytest.mark.parametrize(
    ("case", "words"),
    {
        "strip gone": "Strip 'movie' is gone: start again",
        "scene gone": "Strip 'movie' is gone: start again",
        "copy gone": "Rendering strip 'movie' was interrupted: start again",
        "folder blocked": r"folder .* cannot be made \(.*\): choose another output folder",
    }.items(),
)
def test_what_goes_wrong_is_said(answer: Callable[[str], dict[str, Any]], case: str, words: str) -> None:
    assert re.search(words, answer(case)["said"])


def test_no_setting_of_the_scene_gets_at_the_pixels(answer: Callable[[str], dict[str, Any]]) -> None:
    found = answer("wild settings")
    assert found["shape"] == [96, 160, 4]
    assert found["worst"] < 0.001
    assert found["left"] == [1, 0, 0, 0]


def test_opacity_and_blend_do_not_get_at_the_pixels(answer: Callable[[str], dict[str, Any]]) -> None:
    found = answer("fade")
    assert found["pixels"] < 0.001 and found["frame"] < 0.001
    assert found["keys"] == 2


def test_every_picture_has_the_animated_values_of_its_frame(answer: Callable[[str], dict[str, Any]]) -> None:
    found = answer("movement")
    assert found["worst"] == 0 and found["moves"] > 0.1


def test_an_edited_mask_is_rendered_anew(answer: Callable[[str], dict[str, Any]]) -> None:
    small, large = answer("edited mask")["areas"]
    assert 3.5 < large / small < 4.5


@pytest.mark.parametrize(
    ("case", "worst_old", "mean_old", "worst"),
    [
        ("decoded h264", 3.01, 1.5, 1),
        ("decoded 10 bit", 64, 1.5, 1),  # they blur the chroma of 4:2:2 footage where it jumps
        ("decoded image", 0.01, 0.01, 0.01),
        ("decoded deep image", 0.02, 0.01, 0.02),
    ],
)
def test_the_engine_decodes_what_blender_decodes(
    answer: Callable[[str], dict[str, Any]], clips: Path, case: str, worst_old: float, mean_old: float, worst: float
) -> None:
    """In steps of 1/255. Blender 4.2 and 4.3 convert colours less precisely than later ones and the engine."""
    found = answer(case)
    old = found["version"] < [4, 4]
    with media.open_source(ClipSpec(clips / found["file"])) as source:
        assert source.info.count >= len(found["pictures"])
        read = [p.rgb / source.info.white for p in source.read(0, len(found["pictures"]) - 1)]
    difference = np.stack([np.abs(a - _picture(b)) for a, b in zip(read, found["pictures"])]) * 255
    assert difference.max() <= (worst_old if old else worst)
    assert difference.mean() <= (mean_old if old else worst)


def _picture(path: str) -> np.ndarray:
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)[..., 2::-1] / 65535
