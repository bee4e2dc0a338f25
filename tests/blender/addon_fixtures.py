"""What the tests of the installed add-on need outside Blender: the zip, engines to run, and the question to a script."""
from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


build_addon = load(HERE.parents[1] / "build_addon.py")
engines = load(HERE / "engines.py")


def found_in(answer: dict[str, Any], case: str) -> Any:
    """What a script says of one of its cases; the test fails with what went wrong there."""
    found = answer[case]
    if isinstance(found, dict) and "error" in found:
        pytest.fail(found["error"], pytrace=False)
    return found


@cache
def _built(folder: Path) -> Path:
    return build_addon.build(folder / "dist")


@pytest.fixture(scope="session")
def addon_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, also when several test modules import this fixture."""
    return _built(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def query(ask: Callable[..., dict], clips: Path, addon_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """`query(script, case)`: what a case of a script found; a script runs once for all its cases."""
    folder = tmp_path_factory.mktemp("engines")
    for mode in ("copy", "slow", "forever", "deaf", "die", "kill", "old", "refuse"):
        engines.fake(folder, mode)
    engines.bare(folder)
    work = tmp_path_factory.mktemp("work")

    def one(script: str, case: str) -> Any:
        return found_in(ask(script, addon_zip, clips, folder, work / script), case)

    return one
