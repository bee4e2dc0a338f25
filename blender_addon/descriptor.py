"""The engine's descriptor, `effect.toml`, as the add-on sees it before any engine is installed."""
from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


@cache
def descriptor() -> dict[str, Any]:
    """The parsed `effect.toml`: the copy inside the packed add-on, or in a checkout the engine's own. Shared: do not modify."""
    packed = _HERE / "effect.toml"
    path = packed if packed.is_file() else _HERE.parent / "engine" / "flow_inpaint" / "effect.toml"
    return tomllib.loads(path.read_text("utf-8"))


def version() -> str:
    return descriptor()["effect"]["version"]


def default_preset() -> str:
    return descriptor()["effect"]["default_preset"]


def presets() -> dict[str, dict[str, Any]]:
    return descriptor()["presets"]


def groups() -> list[dict[str, Any]]:
    return descriptor()["groups"]


def parameters() -> dict[str, dict[str, Any]]:
    """Parameter declarations by name, in panel order."""
    return {p["name"]: p for p in descriptor()["parameters"]}


def formats() -> dict[str, dict[str, Any]]:
    """Output formats by name."""
    return {f["name"]: f for f in descriptor()["formats"]}


def passes() -> dict[str, dict[str, Any]]:
    """Pictures about a result by name."""
    return {p["name"]: p for p in descriptor()["passes"]}


def preset_value(preset: str, name: str) -> Any:
    """What parameter `name` is when only the preset says so."""
    return presets()[preset]["values"].get(name, parameters()[name]["default"])


def bundled_wheel() -> Path | None:
    """The engine's wheel inside the packed add-on; None in a checkout."""
    return next(iter(sorted((_HERE / "engine_wheel").glob("*.whl"))), None)
