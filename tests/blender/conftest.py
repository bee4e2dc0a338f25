"""Fixtures for tests inside real Blenders; see bpy_process.py."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import counter
import pytest
from bpy_process import interpreters, label, run_script


@pytest.fixture(
    scope="session",
    params=interpreters() or [pytest.param(None, marks=pytest.mark.skip(reason="no Blender to test with: run `make blender`"))],
    ids=lambda path: label(path) if path else "none",
)
def blender(request: pytest.FixtureRequest) -> Path:
    """One interpreter after the other."""
    return request.param


@pytest.fixture(scope="session")
def ask(blender: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """`ask("scripts_x.py", argument, ...)`: what the script puts into its answer; the same question is asked once."""
    answers: dict[tuple[str, ...], dict[str, Any] | str] = {}
    folder = tmp_path_factory.mktemp(label(blender))

    def question(script: str, *arguments: str | Path) -> dict[str, Any]:
        key = (script, *map(str, arguments))
        if key not in answers:
            answers[key] = run_script(blender, script, arguments, folder / f"{len(answers)}.json")
        answer = answers[key]
        if isinstance(answer, str):
            pytest.fail(answer, pytrace=False)
        return answer

    return question


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of counter clips and mattes; see counter.py."""
    folder = tmp_path_factory.mktemp("clips")
    counter.make(folder)
    return folder
