"""Thousands of images: what is asked of them when a removal is started keeps Blender's window waiting."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.blender

COUNT = 2000
LIMIT_MS = 20.0


def test_starting_with_thousands_of_images_is_quick(ask: Callable[..., dict[str, Any]], clips: Path) -> None:
    found = ask("scripts_many.py", clips)["many"]
    assert "error" not in found, found["error"]
    document = found["document"]
    for part in (document["source"], document["mask"][0]):
        assert (Path(part["path"]).name, part["first"], part["count"]) == ("many_####.png", 0, COUNT)
    assert found["own"] < LIMIT_MS
    # Source and matte lie in one folder, and names are compared more than once.
    assert found["listings"] == 1


def test_images_that_go_on_with_fewer_digits_are_told_apart_by_links(ask: Callable[..., dict[str, Any]], clips: Path) -> None:
    """A pattern is read by number, and a folder where one would leave images out is refused."""
    assert ask("scripts_many.py", clips)["among others"] == [f"many_{number}.png" for number in range(1000, 1004)]
