"""The engine installed from inside Blender, from a folder of wheels; the zip carries a small engine that does no work."""
from __future__ import annotations

import contextlib
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import ENGINES, NAME, answer, edit, install, room, run, seen

WHEELS, PYTHON = ENGINES / "wheels", (ENGINES / "python").read_text()
FOLDER = ("--wheels", str(WHEELS), "--python", PYTHON)


def command(*words: str) -> dict[str, Any]:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = room("command_line").main(list(words))
    return {"code": code, "out": out.getvalue(), "errors": errors.getvalue()}


def choice() -> Any:
    room("engine_choice").forget()
    return room("engine_choice").current(bpy.context)


def state() -> dict[str, Any]:
    now = choice()
    root = now.place.root
    there = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    return {"state": now.state, "advice": now.advice, "usable": now.usable, "root": str(root), "there": there}


def removal(case: str) -> dict[str, Any]:
    edit(case)
    return {"said": run(), "strips": [strip["name"] for strip in seen()]}


def stamped(**changes: str) -> None:
    """Another stamp, as another add-on would have left it."""
    path = choice().place.root / "engine.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def by_command() -> dict[str, Any]:
    before = {"before": state(), "refused": removal("refused")}
    return before | {"command": command("--install-engine", *FOLDER), "after": state(), "removal": removal("own")}


def by_operator() -> dict[str, Any]:
    said = bpy.ops.flow_inpaint.install_engine(wheels=str(WHEELS), python=PYTHON, torch="none")
    return {"said": str(said), "after": state()}


def by_operator_in_vain() -> dict[str, Any]:
    before = state()
    try:
        said = str(bpy.ops.flow_inpaint.install_engine(wheels=str(WHEELS / "none")))
    except RuntimeError as error:
        said = str(error).strip()
    return {"said": said, "same": state() == before}


def responsive() -> dict[str, Any]:
    """How long the main thread is kept, while an installation goes on and is cancelled."""
    operators, took, clock = room("engine_operators"), [], []

    def timed(work: Any) -> Any:
        begun, begun_at = time.thread_time(), time.perf_counter()
        try:
            return work()
        finally:
            took.append(time.thread_time() - begun)
            clock.append(time.perf_counter() - begun_at)

    choice()  # reads the wheel once, as the panel has done before anybody can press a button
    begun = timed(lambda: operators.begin(bpy.context, PYTHON, "none", str(WHEELS)))
    stages = set()
    while not begun.finished:
        timed(operators._look)
        stages.add(begun.stage)
        if begun.stage == "Installing" and not begun.cancelled:
            timed(begun.cancel)
        time.sleep(0.02)
    timed(operators._look)
    longest = {"longest": max(took), "longest on the clock": max(clock)}
    return longest | {"stages": sorted(stages), "error": begun.error, "running": operators.running is not None, "after": state()}


def other_versions() -> dict[str, Any]:
    found = {}
    version = room("descriptor").version()
    sha256 = choice().carried.sha256
    for case, changes in {
        "older": {"version": "0.0.1"},
        "newer": {"version": "9.1.0"},
        "patch": {"version": f"{'.'.join(version.split('.')[:2])}.99"},
        "build": {"sha256": "0" * 64},
    }.items():
        stamped(**{"version": version, "sha256": sha256} | changes)
        found[case] = state() | removal(case)
    stamped(version=version, sha256=sha256)
    return found | {"put right": state()}


def broken() -> dict[str, Any]:
    python = choice().place.python()
    os.rename(python, f"{python}.away")
    try:
        return state() | removal("broken")
    finally:
        os.rename(f"{python}.away", python)


def other_folder() -> dict[str, Any]:
    preferences = bpy.context.preferences.addons[NAME].preferences
    preferences.engine_folder = str(ENGINES / "elsewhere é")
    try:
        return {
            "state": state(),
            "in vain": command("--install-engine", "--wheels", str(WHEELS / "none")),
            "removed": command("--remove-engine"),
        }
    finally:
        preferences.engine_folder = ""


def weights() -> dict[str, Any]:
    named = Path(room("engine_client").clean_environment()["FLOW_INPAINT_WEIGHTS"])
    return {"catalog": (named / "catalog.toml").is_file(), "inside": named.parent == Path(room("engine_client").__file__).parent}


def offline() -> dict[str, Any]:
    return {"allowed": bpy.app.online_access, "command": command("--install-engine"), "after": state()}


os.environ.pop("FLOW_INPAINT_PYTHON", None)
os.environ["FAKE_ENGINE_VERSION"] = (ENGINES / "version").read_text()
install()
answer(
    {
        "offline": offline,
        "usage": lambda: command("--install-engine", "--torch", "quantum"),
        "help": lambda: command("--install-engine", "--help"),
        "no_python": lambda: command("--install-engine", "--wheels", str(WHEELS), "--python", "/none/python"),
        "command": by_command,
        "operator": by_operator,
        "in_vain": by_operator_in_vain,
        "responsive": responsive,
        "versions": other_versions,
        "broken": broken,
        "other_folder": other_folder,
        "weights": weights,
        "operator_removes": lambda: {"said": str(bpy.ops.flow_inpaint.remove_engine()), "after": state(), "refused": removal("removed")},
        "remove_nothing": lambda: command("--remove-engine"),
    }
)
