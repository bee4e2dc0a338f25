"""Interpreters to run an engine with, made for a test: a small program that sets up what the test wants and becomes Python."""
from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
VERSION = re.search(r'__version__ = "(.+)"', (REPOSITORY / "engine/flow_inpaint/__init__.py").read_text())[1]


def fake(folder: Path, mode: str, **variables: str) -> Path:
    """A Python whose `flow_inpaint` is the fake engine in that mode."""
    package = folder / "fake" / "flow_inpaint"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    shutil.copyfile(HERE / "fake_engine.py", package / "__main__.py")
    variables = {"PYTHONPATH": str(package.parent), "FAKE_ENGINE": mode, "FAKE_ENGINE_VERSION": VERSION} | variables
    return _program(folder / f"python-{mode}", variables)


def bare(folder: Path) -> Path:
    """A Python without the engine."""
    return _program(folder / "python-bare", {}, "-S")


def _program(path: Path, variables: dict[str, str], *options: str) -> Path:
    settings = " ".join(f"{name}='{value}'" for name, value in variables.items())
    path.write_text(f"#!/bin/sh\nexec env {settings} '{sys.executable}' {' '.join(options)} \"$@\"\n")
    path.chmod(0o755)
    return path
