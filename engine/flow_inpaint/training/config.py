"""What a training run's TOML file says, checked. The tables are dataclasses, see `settings`.

    what = "dfc"                      # the task
    [run]                             # RunSettings
    [data]                            # DataSettings
    [task]                            # the task's own settings
    [train]                           # TrainSettings
    [[phases]]                        # one after another; without any there is one
    name = "stage1"
    task = { stage = "stage1" }       # what differs from [task] and [train] in it
    train = { steps = 1000 }
"""
from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import BadParameter
from .settings import Config, DataSettings, Phase, RunSettings, TrainSettings

__all__ = ["Config", "DataSettings", "Phase", "RunSettings", "TrainSettings", "read", "shipped"]

S = TypeVar("S")

_SHIPPED = Path(__file__).parent / "configs"
_SECTIONS = ("run", "data", "task", "train")


def read(name: str, what: str, settings: type, changes: Iterable[str] = ()) -> Config:
    """The configuration in a file, or that of a shipped name, for a task with such `settings`; `changes` are KEY=VALUE.

    KEY is SECTION.FIELD, which counts for every phase, or phases.NAME.SECTION.FIELD. Raises `BadParameter`.
    """
    path = _found(name)
    document = _document(path)
    if document.get("what") != what:
        raise BadParameter(f"{path} is a configuration for {document.get('what')!r}, and not for '{what}'.")
    sections: dict[str, dict[str, Any]] = {section: _table(document.get(section, {}), section) for section in _SECTIONS}
    phases = document.get("phases", [{"name": what}])
    _refuse(document, ("what", *_SECTIONS, "phases"), "")
    if not isinstance(phases, list) or not phases:
        raise BadParameter("phases cannot be that: it is a list of tables, each beginning with [[phases]].")
    phases = [dict(_table(phase, "phases")) for phase in phases]
    for phase in phases:
        if not isinstance(phase.get("name"), str) or not phase["name"]:
            raise BadParameter("A phase has no name; every one of [[phases]] needs a name of its own.")
        where = f"phases.{phase['name']}"
        _refuse(phase, ("name", "task", "train"), where)
        for section in ("task", "train"):
            phase[section] = dict(_table(phase.get(section, {}), f"{where}.{section}"))
    names = [phase["name"] for phase in phases]
    if len(set(names)) < len(names):
        raise BadParameter(f"Two phases have one name; the phases are {', '.join(names)}.")
    for change in changes:
        _change(change, sections, phases)
    return Config(
        what,
        _checked(_made(RunSettings, sections["run"], "run")),
        _checked(_made(DataSettings, sections["data"], "data")),
        tuple(
            Phase(
                phase["name"],
                _checked(_made(TrainSettings, sections["train"] | phase["train"], "train")),
                _made(settings, sections["task"] | phase["task"], "task"),
            )
            for phase in phases
        ),
    )


def shipped() -> list[str]:
    """The names of the configurations that come with Flow Inpaint."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def _found(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    if name in shipped():
        return _SHIPPED / f"{name}.toml"
    raise BadParameter(f"There is no configuration '{name}': give a file, or one of {', '.join(shipped())}.")


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadParameter(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadParameter(f"{path} is not a configuration: {str(error).rstrip('.')}.") from error


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadParameter(f"{where} cannot be {value!r}: it is a table.")
    return dict(value)


def _refuse(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    known = list(known)
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            called = f"{where}.{name}" if where else name
            hint = f"; did you mean '{near[0]}'?" if near else f": there are {', '.join(known)}."
            raise BadParameter(f"There is no setting '{called}'{hint}")


def _change(change: str, sections: dict[str, dict[str, Any]], phases: list[dict[str, Any]]) -> None:
    key, equals, text = change.partition("=")
    words = key.strip().split(".")
    if not equals:
        raise BadParameter(f"--set cannot be '{change}': write KEY=VALUE, such as train.rate=1e-4.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        # A word without quotes is what one types.
        value = text.strip()
    if len(words) == 2 and words[0] in _SECTIONS:
        sections[words[0]][words[1]] = value
        for phase in phases:
            phase.get(words[0], {}).pop(words[1], None)
        return
    chosen = [phase for phase in phases if len(words) == 4 and words[0] == "phases" and phase["name"] == words[1]]
    if not chosen or words[2] not in ("task", "train"):
        known = f"SECTION.FIELD with {', '.join(_SECTIONS)}, or phases.NAME.task.FIELD or phases.NAME.train.FIELD"
        raise BadParameter(f"--set knows no '{key.strip()}': write {known}, where NAME is {' or '.join(p['name'] for p in phases)}.")
    chosen[0][words[2]][words[3]] = value


def _made(cls: type[S], table: Mapping[str, Any], where: str) -> S:
    """An object of a dataclass whose fields all have defaults, whose types are what the table's values have to be of."""
    default = cls()
    _refuse(table, [f.name for f in fields(cls)], where)
    values = {name: _value(value, getattr(default, name), f"{where}.{name}") for name, value in table.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise BadParameter(f"{where}.{error}") from error


def _value(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, Mapping):
        return _table(value, where)
    if isinstance(default, tuple):
        # A pair of numbers is a pair; of anything else there may be any number. One word is as good as a list of it.
        kind = default[0] if default else (0 if where.endswith("milestones") else "")
        items = value if isinstance(value, list) else [value]
        pair = bool(default) and not isinstance(kind, str)
        if pair and len(items) != len(default):
            raise BadParameter(f"{where} cannot be {value!r}: it is a list of {len(default)} numbers.")
        return tuple(_value(item, kind, where) for item in items)
    if isinstance(default, bool) or isinstance(value, bool):
        good, what = isinstance(value, bool) and isinstance(default, bool), "true or false" if isinstance(default, bool) else "a number"
    elif isinstance(default, int):
        good, what = isinstance(value, int), "a whole number"
    elif isinstance(default, float):
        good, what = isinstance(value, (int, float)) and math.isfinite(value), "a number"
        value = float(value) if good else value
    else:
        good, what = isinstance(value, str), "a text"
    if not good:
        raise BadParameter(f"{where} cannot be {value!r}: it is {what}.")
    return value


_CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "decay": ("steps", "cosine", "constant"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
    "flow": ("auto", "dis", "flownet2"),
}
_LEAST = {"steps": 1, "batch": 1, "rate": 0, "seconds": 0, "micro": 0, "clip": 0, "ema": 0, "momentum": 0, "weight_decay": 0, "warmup": 0}
_LEAST |= {"save_every": 0, "log_every": 1, "validate_every": 0, "validation_samples": 1, "frames": 2, "seed": 0}
_LEAST |= {"share": 0, "mirror": 0, "reverse": 0, "height": 0, "loaders": 0}
_MOST = {"share": 1, "mirror": 1, "reverse": 1}


def _checked(settings: S) -> S:
    section = {RunSettings: "run", DataSettings: "data", TrainSettings: "train"}[type(settings)]
    for f in fields(settings):
        value, where = getattr(settings, f.name), f"{section}.{f.name}"
        choices = _CHOICES.get(f.name)
        if choices and value not in choices:
            raise BadParameter(f"{where} cannot be '{value}': choose {', '.join(choices)}.")
        if f.name in _LEAST and value < _LEAST[f.name]:
            raise BadParameter(f"{where} cannot be {value}: it is at least {_LEAST[f.name]}.")
        if f.name in _MOST and value > _MOST[f.name]:
            raise BadParameter(f"{where} cannot be {value}: it is at most {_MOST[f.name]}.")
        if f.name in ("ema", "momentum") and value >= 1:
            raise BadParameter(f"{where} cannot be {value}: it is below 1.")
    if isinstance(settings, DataSettings):
        _check_data(settings)
    return settings


def _check_data(data: DataSettings) -> None:
    if min(data.size) < 8 or not data.mattes:
        raise BadParameter("data.size and data.mattes: a clip has at least 8 pixels each way, and there is at least one kind of matte.")
    if "object" in data.mattes and not data.objects:
        needed = "data.objects has to name a data set with annotations or a folder of mattes"
        raise BadParameter(f"data.mattes has 'object', for which {needed}.")
    for name, given, needed in (
        ("objects", data.objects, "object" in data.mattes or "'object' in data.mattes"),
        ("textures", data.textures, data.source != "clips" or "generated scenes: data.source = 'scenes' or 'mixed'"),
        ("estimated", data.estimated, ":" not in data.source or "a source of ours"),
        ("clips", data.clips, data.source != "scenes" or "data.source = 'clips' or 'mixed'"),
    ):
        if given and needed is not True:
            raise BadParameter(f"data.{name} has no effect without {needed}.")
