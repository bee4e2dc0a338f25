"""The descriptor is sound, and its checks say what is wrong. Nothing here knows a particular parameter."""

from __future__ import annotations

import json
import math

import pytest

import flow_inpaint
from flow_inpaint import effect
from flow_inpaint.errors import BadParameter

DECLARED = list(effect.parameters().values())
NUMBERS = [p for p in DECLARED if p["type"] in ("Int", "Double")]
NAMES = {"ids": lambda p: p["name"]}


def refusal(declared, value):
    with pytest.raises(BadParameter) as caught:
        effect.resolve({declared["name"]: value})
    assert str(caught.value).startswith(declared["name"] + " cannot be ")
    assert str(caught.value).endswith(".")
    return str(caught.value)


def test_version_is_the_packages():
    assert effect.descriptor()["effect"]["version"] == flow_inpaint.__version__


def test_travels_as_json():
    assert json.loads(json.dumps(effect.describe(), allow_nan=False)) == effect.describe()


@pytest.mark.parametrize("declared", DECLARED, **NAMES)
def test_declaration_is_complete(declared):
    assert declared["type"] in ("Int", "Double", "Boolean", "Choice", "String")
    assert declared["name"].isidentifier() and declared["name"] != "preset"
    assert declared["label"] and declared["hint"] and not declared["hint"].endswith(".")
    assert declared["group"] in {group["name"] for group in effect.descriptor()["groups"]}
    assert effect.checked(declared, declared["default"]) == declared["default"]


def test_names_are_unique():
    assert len(effect.parameters()) == len(effect.descriptor()["parameters"])


@pytest.mark.parametrize("name", effect.presets())
def test_presets_hold_valid_values(name):
    resolved = effect.resolve({"preset": name})
    values = effect.presets()[name]["values"]
    assert set(resolved) == set(effect.parameters())
    assert {key: resolved[key] for key in values} == values
    assert effect.resolve(values) == resolved or name == effect.descriptor()["effect"]["default_preset"]


def test_default_preset_is_used_when_none_is_named():
    assert effect.resolve() == effect.resolve({"preset": effect.descriptor()["effect"]["default_preset"]})
    assert effect.resolve({"preset": None}) == effect.resolve()


def test_given_values_win_over_the_preset():
    for name, preset in effect.presets().items():
        for key in preset["values"]:
            default = effect.parameters()[key]["default"]
            assert effect.resolve({"preset": name, key: default})[key] == default


@pytest.mark.parametrize("preset", ["no such", "", 0, False, [], ["draft"], {}, 3.5])
def test_unknown_preset(preset):
    with pytest.raises(BadParameter, match="There is no preset .*: choose one of " + ", ".join(effect.presets())):
        effect.resolve({"preset": preset})


def test_unknown_parameter_names_a_near_one():
    name = DECLARED[0]["name"]
    with pytest.raises(BadParameter) as caught:
        effect.resolve({name + "s": 1})
    assert str(caught.value) == f"There is no parameter '{name}s'; did you mean '{name}'?"
    with pytest.raises(BadParameter) as caught:
        effect.resolve({"zzzzzz": 1})
    assert str(caught.value) == "There is no parameter 'zzzzzz'."


@pytest.mark.parametrize("declared", NUMBERS, **NAMES)
def test_numbers_keep_to_their_range(declared):
    name, low, high = declared["name"], declared["min"], declared["max"]
    for value in (low, high, str(low), str(high)):
        resolved = effect.resolve({name: value})[name]
        assert resolved == float(value) and type(resolved) is (int if declared["type"] == "Int" else float)
    for value in (low - 1, high + 1, str(high + 1), -(10**300)):
        assert refusal(declared, value) == f"{name} cannot be {value}: it goes from {low} to {high}."


@pytest.mark.parametrize("declared", NUMBERS, **NAMES)
@pytest.mark.parametrize("value", ["many", "", None, True, False, [1], {}, math.nan, math.inf, "nan", "-inf", 10**400, "1,5"], ids=str)
def test_what_is_not_a_number(declared, value):
    kind = "a whole number" if declared["type"] == "Int" else "a number"
    assert refusal(declared, value).endswith(f": it is {kind} from {declared['min']} to {declared['max']}.")


@pytest.mark.parametrize("declared", [p for p in NUMBERS if p["type"] == "Int"], **NAMES)
def test_whole_numbers(declared):
    assert "it is a whole number" in refusal(declared, declared["min"] + 0.5)
    assert effect.resolve({declared["name"]: float(declared["max"])})[declared["name"]] == declared["max"]


@pytest.mark.parametrize("declared", [p for p in DECLARED if p["type"] == "Boolean"], **NAMES)
def test_booleans(declared):
    name = declared["name"]
    for value, meant in ((True, True), ("yes", True), ("ON", True), (1, True), ("0", False), ("off", False), (False, False)):
        assert effect.resolve({name: value})[name] is meant
    for value in ("maybe", 2, None, [], ""):
        assert refusal(declared, value) == f"{name} cannot be '{value}': say true or false."


@pytest.mark.parametrize("declared", [p for p in DECLARED if p["type"] == "Choice"], **NAMES)
def test_choices(declared):
    name, names = declared["name"], [choice["name"] for choice in declared["choices"]]
    assert len(set(names)) == len(names) and all(choice["label"] and choice["hint"] for choice in declared["choices"])
    for value in names:
        assert effect.resolve({name: value})[name] == value
    for value in ("no such", None, 0, [], {}, True):
        assert refusal(declared, value) == f"{name} cannot be '{value}': choose one of {', '.join(names)}."


def test_text_is_text():
    declared = {"name": "note", "type": "String", "default": ""}
    assert effect.checked(declared, 3) == "3"


def test_resolving_leaves_what_was_given_alone():
    given = {"preset": next(iter(effect.presets()))}
    effect.resolve(given)
    assert list(given) == ["preset"]
    before = json.dumps(effect.descriptor())
    effect.resolve(given).clear()
    assert json.dumps(effect.descriptor()) == before


def test_formats_have_endings_of_their_own():
    endings = [declared["extension"] for declared in effect.formats().values()]
    assert len(set(endings)) == len(endings) and all(ending.startswith(".") for ending in endings)
    assert {declared["kind"] for declared in effect.formats().values()} <= {"video", "images"}
