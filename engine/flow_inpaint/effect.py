"""The descriptor (`effect.toml`) as Python sees it, and the checks that its parameters imply."""
from __future__ import annotations

import difflib
import math
import tomllib
from functools import cache
from importlib import resources
from typing import Any, Mapping

from .errors import BadParameter

Value = int | float | bool | str


@cache
def descriptor() -> dict[str, Any]:
    """The parsed `effect.toml`. Shared: do not modify."""
    return tomllib.loads(resources.files(__package__).joinpath("effect.toml").read_text("utf-8"))


def describe() -> dict[str, Any]:
    """What a host needs to know (OpenFX: describe and describeInContext, context *general*)."""
    return descriptor()


def parameters() -> dict[str, dict[str, Any]]:
    """Parameter declarations by name, in panel order."""
    return {p["name"]: p for p in descriptor()["parameters"]}


def formats() -> dict[str, dict[str, Any]]:
    """Output formats by name."""
    return {f["name"]: f for f in descriptor()["formats"]}


def passes() -> dict[str, dict[str, Any]]:
    """Pictures about the result that may be written beside it, by name."""
    return {p["name"]: p for p in descriptor()["passes"]}


def presets() -> dict[str, dict[str, Any]]:
    """Presets by name."""
    return descriptor()["presets"]


def resolve(given: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """Every parameter with a valid value: defaults, then the preset's values, then the given ones.

    `given` may hold `preset` beside parameter names. Raises `BadParameter` naming the offending one.
    """
    given = dict(given or {})
    preset = given.pop("preset", None)
    if preset is None:
        preset = descriptor()["effect"]["default_preset"]
    if not isinstance(preset, str) or preset not in presets():
        raise BadParameter(f"There is no preset '{preset}': choose one of {', '.join(presets())}.")
    declared = parameters()
    values = {name: p["default"] for name, p in declared.items()} | presets()[preset]["values"]
    for name, value in given.items():
        if name not in declared:
            near = difflib.get_close_matches(str(name), declared, 1)
            raise BadParameter(f"There is no parameter '{name}'" + (f"; did you mean '{near[0]}'?" if near else "."))
        values[name] = checked(declared[name], value)
    return values


def checked(declaration: Mapping[str, Any], value: Any) -> Value:
    """`value` as the declaration's type, or `BadParameter`. Text, as a command line gives it, is converted."""
    name, kind = declaration["name"], declaration["type"]
    if kind == "Choice":
        names = [c["name"] for c in declaration["choices"]]
        if value not in names:
            raise BadParameter(f"{name} cannot be '{value}': choose one of {', '.join(names)}.")
        return value
    if kind == "String":
        return str(value)
    if kind == "Boolean":
        return _boolean(name, value)
    return _number(declaration, value)


def _boolean(name: str, value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() in words:
        return words[str(value).lower()]
    raise BadParameter(f"{name} cannot be '{value}': say true or false.")


def _number(declaration: Mapping[str, Any], value: Any) -> int | float:
    name, low, high = declaration["name"], declaration["min"], declaration["max"]
    whole = declaration["type"] == "Int"
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or (whole and number != int(number)):
        raise BadParameter(f"{name} cannot be '{value}': it is {'a whole number' if whole else 'a number'} from {low} to {high}.")
    if not low <= number <= high:
        raise BadParameter(f"{name} cannot be {value}: it goes from {low} to {high}.")
    return int(number) if whole else number
