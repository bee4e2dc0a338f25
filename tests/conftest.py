"""Its place makes what the rooms' tests share, such as `scenery`, importable from all of them."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def work_is_kept_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test leaves work folders with the user, nor finds any."""
    place = tmp_path_factory.mktemp("cache")
    before = os.environ.get("FLOW_INPAINT_CACHE")
    os.environ["FLOW_INPAINT_CACHE"] = str(place)
    yield place
    os.environ.pop("FLOW_INPAINT_CACHE") if before is None else os.environ.update(FLOW_INPAINT_CACHE=before)
