"""The transform from source to scene, to a few hundredths of a pixel."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.blender

CASES = [
    "as it is", "moved", "scaled", "turned", "turned about a corner", "small and odd", "large in odd",
    "flipped across", "flipped down", "all of it",
]  # fmt: skip


def test_every_case_is_looked_at(ask: Callable[..., dict[str, Any]], clips: Path) -> None:
    assert set(ask("scripts_space.py", clips)) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_where_blender_shows_them(ask: Callable[..., dict[str, Any]], clips: Path, case: str) -> None:
    found = ask("scripts_space.py", clips)[case]
    assert "error" not in found, found["error"]
    assert found["pixels"] > 3000
    assert found["worst"] < 0.03 and found["mean"] < 0.01, found
