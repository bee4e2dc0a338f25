"""Generated data: the same samples on any number of processes."""
from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from toy_run import CPU

from flow_inpaint.errors import BadParameter
from flow_inpaint.training.config import DataSettings
from flow_inpaint.training.sources import MOTION, Share, open_source


@pytest.mark.parametrize("one_matte", [False, True])
def test_the_shares_of_generated_scenes_are_the_parts_of_a_batch(monkeypatch, one_matte):
    """With a generator that only pretends: each sample's values are its number."""

    def numbered(first: int, count: int, *shape: int) -> torch.Tensor:
        return torch.arange(first, first + count, dtype=torch.float32).reshape(-1, *[1] * len(shape)).expand(count, *shape)

    @dataclass
    class SceneSettings:
        size: tuple[int, int]
        frames: int
        grain: float = 0.5

    def generate(seed, batch, settings, device, *, first=0, pictures=True):
        h, w = settings.size
        names = {"frames": (settings.frames, 3), "forward": (settings.frames - 1, 2), "backward": (settings.frames - 1, 2)}
        names |= {"occluded_forward": (settings.frames - 1,), "occluded_backward": (settings.frames - 1,)}
        return SimpleNamespace(**{name: numbered(first, batch, *shape, h, w) for name, shape in names.items()})

    def generate_mattes(seed, batch, frames, size, kind, device, *, first=0):
        kinds.append(kind)
        return numbered(first, batch, frames, *size) % 2 == 0

    kinds: list[str] = []
    fakes = {
        "scenes": SimpleNamespace(SceneSettings=SceneSettings, generate=generate),
        "mattes": SimpleNamespace(generate_mattes=generate_mattes),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, f"flow_inpaint.training.{name}", fake)
        monkeypatch.setattr(f"flow_inpaint.training.{name}", fake, raising=False)
    settings = DataSettings(size=(8, 16), frames=3, mattes=("one", "two"), one_matte=one_matte, scene={"grain": 0.0})
    whole = open_source(settings, 1, Share(6), CPU).batch(3)
    parts = [open_source(settings, 1, Share(2, rank, 3), CPU).batch(3) for rank in range(3)]
    assert set(kinds) == {"two"} and whole["key"].tolist() == list(range(18, 24)) and whole["holes"].shape == (6, 3, 8, 16)
    for name, values in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), values)
    assert (whole["holes"][:, 0, 0, 0].unique().numel() == 1) == one_matte
    with pytest.raises(BadParameter, match="data.scene cannot be used"):
        open_source(DataSettings(scene={"grane": 1}), 1, Share(1), CPU)


def test_generated_scenes_are_what_the_tasks_learn_from():
    """The real scenes and mattes, by any split into processes, and a kind of matte that is none."""
    settings = DataSettings(size=(32, 48), frames=12)
    whole = open_source(settings, 1, Share(2), CPU).batch(1)
    assert whole["frames"].shape == (2, 12, 3, 32, 48) and whole["holes"].shape == (2, 12, 32, 48) and whole["holes"].any()
    second = open_source(settings, 1, Share(1, 1, 2), CPU).batch(1)
    for name, values in whole.items():
        torch.testing.assert_close(second[name], values[1:])
    motion = open_source(settings, 1, Share(2), CPU, uses=(MOTION,)).batch(1)
    assert motion.keys() == whole.keys() - {"frames"} and all(torch.equal(values, whole[name]) for name, values in motion.items())
    estimated = open_source(replace(settings, estimated=True), 1, Share(1), CPU, uses=(MOTION,)).batch(0)
    assert {"frames", "estimated_forward"} <= estimated.keys()
    with pytest.raises(BadParameter, match="data.mattes cannot be used: there are no mattes of the kind 'star'"):
        open_source(DataSettings(size=(32, 48), mattes=("star",)), 1, Share(1), CPU).batch(0)
