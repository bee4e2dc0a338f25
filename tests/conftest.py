"""Its place makes what the rooms' tests share, such as `scenery`, importable from all of them."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests that run at a time share out the cores: threads of PyTorch's that wait for one another take them from the tests beside.
# This is read when PyTorch is imported, here and in the processes that tests start.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))))


# Before pytest-xdist looks for the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares fixtures goes to one process, where tests are shared out to several: the tests of a file, and those with a Blender,
    which answers a question once for all of them."""
    for item in items:
        called = getattr(item, "callspec", None)
        blender = called.params.get("blender") if called else None
        item.add_marker(pytest.mark.xdist_group(str(blender or item.path)))


@pytest.fixture(scope="session", autouse=True)
def work_is_kept_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test leaves work folders with the user, nor finds any."""
    place = tmp_path_factory.mktemp("cache")
    before = os.environ.get("FLOW_INPAINT_CACHE")
    os.environ["FLOW_INPAINT_CACHE"] = str(place)
    yield place
    os.environ.pop("FLOW_INPAINT_CACHE") if before is None else os.environ.update(FLOW_INPAINT_CACHE=before)
