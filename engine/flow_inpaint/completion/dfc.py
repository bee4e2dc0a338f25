"""DFC-Net with installed weights, as a completion (Xu et al., CVPR 2019, section 3.2)."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..machine import Machine
from . import Allocate, Holes
from .dfc_net import DFCNet, DFCStage
from .dfc_shot import beats, complete_shot


class DFC:
    """Completes shots with a network on a machine."""

    def __init__(self, net: DFCNet, machine: Machine):
        self._net, self._machine = net.requires_grad_(False), machine

    @property
    def net(self) -> DFCNet:
        """The network."""
        return self._net

    @classmethod
    def installed(cls, machine: Machine) -> DFC:
        """Three stages, or as many of them as there are weights for; else the single stage. Raises `MissingWeights`."""
        if machine.weights_of("dfc_stage1") is None:
            return cls(DFCNet([_stage(machine, "dfc_single", 33, 2, "resnet101")]), machine)
        stages = [_stage(machine, "dfc_stage1", 33, 2)]
        for role in ("dfc_stage2", "dfc_stage3"):
            if machine.weights_of(role) is None:
                machine.say_once("info", f"Flow completion goes without {role}: there are no weights for it{machine.limit}.")
                break
            stages.append(_stage(machine, role, 66, 4))
        return cls(DFCNet(stages), machine)

    def __call__(
        self,
        forward: np.ndarray,
        backward: np.ndarray,
        holes: Holes,
        allocate: Allocate,
        pulse: Callable[[float], None],
        aborted: Callable[[], bool],
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `completion.Completion`."""
        total, done = beats(len(forward), self._net), 0

        def beat() -> None:
            nonlocal done
            done += 1
            pulse(done / total)

        return complete_shot(
            forward,
            backward,
            holes,
            self._net,
            device=self._machine.device,
            allocate=allocate,
            pulse=beat,
            aborted=aborted,
            say=lambda text: self._machine.say("warning", text),
        )


def _stage(machine: Machine, role: str, inputs: int, outputs: int, backbone: str = "resnet50") -> DFCStage:
    found, tensors = machine.loaded(role)
    stage = DFCStage(inputs, outputs, backbone, found.width)
    stage.load_state_dict(tensors, strict=True)
    return stage
