"""Real Blenders for tests: which there are, and one process of its own for each script that runs inside one."""
from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
LIMIT_S = 240


def interpreters() -> list[Path]:
    """Pythons that have bpy, or Blender binaries: from FLOW_INPAINT_BPY_PYTHONS, else what `make blender` made."""
    named = os.environ.get("FLOW_INPAINT_BPY_PYTHONS")
    if named:
        return [Path(path) for path in named.split(os.pathsep) if path]
    return sorted(REPOSITORY.glob(".blender/bpy-*/bin/python"))


def label(interpreter: Path) -> str:
    return next((part for part in interpreter.parts if part.startswith("bpy-")), interpreter.name)


def run_script(
    blender: Path, script: str, arguments: Sequence[str | Path], answer: Path, before: Sequence[str] = ()
) -> dict[str, Any] | str:
    """What a script of this folder writes to `answer` (JSON), or a text that says how it failed: by a traceback, a
    segfault, or by taking more than LIMIT_S seconds, as when Blender hangs at exit. `before`: words that the command
    line is put behind, those of a program that becomes what it is told to.
    """
    python = blender.name.startswith("python")
    here = f"import sys; sys.path.insert(0, {str(HERE)!r})"
    binary = ["-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", here, "--python"]
    start = [str(blender)] if python else [str(blender), *binary]
    command = [*before, *start, str(HERE / script), *([] if python else ["--"]), str(answer), *map(str, arguments)]
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(answer.parent / "user"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, env=environment
        )
    except subprocess.TimeoutExpired as late:
        return f"{script} took more than {LIMIT_S} s.\n{_tail(late.stdout)}\n{_tail(late.stderr)}"
    if done.returncode or not answer.is_file():
        return f"{script} ended with {done.returncode}.\n{_tail(done.stdout)}\n{_tail(done.stderr)}"
    return json.loads(answer.read_text())


def _tail(text: str | bytes | None) -> str:
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return "\n".join((text or "").splitlines()[-25:])
