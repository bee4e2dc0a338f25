"""What `auto` chooses, and what is refused."""
from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

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
    monkeypatch.setattr(room.weights, "find", found.get)
    return found


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_graphics_card", lambda: "cuda")


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_graphics_card", lambda: None)


def automatic(**settings: str) -> str:
    return choose("flow", METHODS, "auto", Machine(**settings))[0]


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


def test_a_name_is_obeyed_whatever_the_machine(installed: dict, no_card: None) -> None:
    installed["big"] = Weights(1.0)
    assert choose("flow", METHODS, "network", Machine())[0] == "network"
    assert choose("flow", METHODS, "plain", Machine())[0] == "plain"


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
from flow_inpaint import pipeline
from flow_inpaint.effect import resolve
from flow_inpaint.machine import Machine
methods = pipeline._Methods.of(resolve({}), Machine())
assert methods.names == {"flow": "dis", "completion": "smooth", "fill": "exemplar"}, methods.names
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"HOME": str(tmp_path), "PATH": ""})
