"""What `auto` chooses, and what is refused."""
from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from flow_inpaint import machine as room
from flow_inpaint.errors import BadParameter, MissingWeights
from flow_inpaint.machine import Machine, Method, choose


@dataclass(frozen=True)
class Weights:
    width: float


METHODS = {
    "network": Method(lambda machine: "network", ("big", "small")),
    "plain": Method(lambda machine: "plain"),
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Weights]:
    """Which weights there are; filled by the test."""
    found: dict[str, Weights] = {}

    def find(role: str, widest: float) -> Weights | None:
        fitting = [one for name, one in found.items() if name.partition(" ")[0] == role and one.width <= widest]
        return max(fitting, key=lambda one: one.width, default=None)

    monkeypatch.setattr(room.weights, "find", find)
    return found


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_graphics_card", lambda: "cuda")


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_graphics_card", lambda: None)


def automatic(**settings: str) -> str:
    return choose("flow", METHODS, "auto", Machine(**settings)).name


def test_without_weights_auto_is_what_needs_none(installed: dict, card: None) -> None:
    assert automatic() == "plain"


def test_with_weights_and_a_card_auto_is_the_network(installed: dict, card: None) -> None:
    installed["small"] = Weights(1.0)
    assert automatic() == "network"
    assert automatic(wanted="cpu") == "plain"


def test_a_processor_gets_only_light_networks(installed: dict, no_card: None) -> None:
    installed["big"] = Weights(1.0)
    assert automatic() == "plain"
    installed["big"] = Weights(0.25)
    assert automatic() == "network"


def test_a_processor_gets_the_light_weights_when_heavier_ones_are_installed_too(installed: dict, no_card: None) -> None:
    installed["big"], installed["big too"] = Weights(1.0), Weights(0.25)
    chosen = choose("flow", METHODS, "auto", Machine())
    assert chosen.name == "network" and chosen.machine.weights_of("big") == Weights(0.25)
    named = choose("flow", METHODS, "network", Machine())
    assert named.machine.weights_of("big") == Weights(1.0), "who asks for it gets the best"


def test_a_card_gets_the_best_weights(installed: dict, card: None) -> None:
    installed["big"], installed["big too"] = Weights(0.25), Weights(1.0)
    assert choose("flow", METHODS, "auto", Machine()).machine.weights_of("big") == Weights(1.0)
    assert choose("flow", METHODS, "auto", Machine("cpu")).machine.weights_of("big") == Weights(0.25)


def test_what_is_made_gets_what_was_said_and_only_light_weights(installed: dict, no_card: None) -> None:
    """Heavy weights for one more role of a method that is light enough without it are passed over too."""
    installed["small"], installed["big"] = Weights(0.25), Weights(1.0)
    said: list[str] = []
    methods = {"network": Method(lambda machine: machine, ("small",))}
    machine = choose("flow", methods, "auto", Machine(say=lambda level, text: said.append(text))).make()
    assert machine.weights_of("big") is None and machine.limit.startswith(" of at most width 0.25")
    machine.say("info", "heard")
    assert said == ["heard"]


def test_a_name_is_obeyed_whatever_the_machine(installed: dict, no_card: None) -> None:
    installed["big"] = Weights(1.0)
    assert choose("flow", METHODS, "network", Machine()).make() == "network"
    assert choose("flow", METHODS, "plain", Machine()).make() == "plain"


def test_a_network_without_weights_is_refused_with_what_to_do(installed: dict, no_card: None) -> None:
    with pytest.raises(MissingWeights, match="flow cannot be 'network'.*weights import FILE.*there is plain"):
        choose("flow", METHODS, "network", Machine())
    with pytest.raises(MissingWeights, match="no weights for big"):
        Machine().loaded("big")


def test_a_card_that_is_wanted_and_absent_is_refused(no_card: None) -> None:
    with pytest.raises(BadParameter, match="device cannot be 'gpu'"):
        _ = Machine("gpu").device
    assert Machine("cpu").device == Machine("auto").device == "cpu"


def test_nothing_heavy_is_imported_when_no_weights_are_installed(tmp_path) -> None:
    code = """
import sys
from flow_inpaint.methods import Methods
from flow_inpaint.effect import resolve
from flow_inpaint.machine import Machine
methods = Methods.of(resolve({}), Machine())
assert methods.names == {"flow": "dis", "completion": "layers", "fill": "exemplar"}, methods.names
assert "torch" not in sys.modules
"""
    # The engine under test, which need not be the one that is installed.
    engine = Path(room.__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(engine)})
