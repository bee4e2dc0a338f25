"""The methods that a job is done by."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .completion import COMPLETIONS, Completion, continuation
from .effect import Value
from .fill import FILLS, Fill
from .flow import ESTIMATORS, Estimator
from .machine import Choice, Machine, choose
from .motion import MotionSettings


@dataclass(frozen=True)
class Methods:
    """The chosen method of each stage. `networks`: whether any of them is one."""

    machine: Machine
    flow: Choice[Estimator]
    completion: Choice[Completion | None]
    fill: Choice[Fill]

    @classmethod
    def of(cls, params: Mapping[str, Value], machine: Machine) -> Methods:
        """Raises `MissingWeights`."""
        return cls(
            machine,
            flow=choose("flow", ESTIMATORS, str(params["flow"]), machine),
            completion=choose("completion", COMPLETIONS, str(params["completion"]), machine),
            fill=choose("fill", FILLS, str(params["fill"]), machine),
        )

    @property
    def names(self) -> dict[str, str]:
        return {"flow": self.flow.name, "completion": self.completion.name, "fill": self.fill.name}

    @property
    def networks(self) -> bool:
        return any(choice.method.roles for choice in (self.flow, self.completion, self.fill))

    def motion(self, params: Mapping[str, Value]) -> MotionSettings:
        """How motion is measured. Raises `MissingWeights`."""
        return MotionSettings(
            estimator=self.flow.make(),
            complete=continuation(self.completion.name),
            refinement=int(params["refinement"]),
            scale={"full": 1.0, "half": 0.5}[str(params["flow_size"])],
            beside_camera=bool(params["beside_camera"]),
            beyond=int(params["candidates"]) > 1,
            camera=bool(params["follow_camera"]),
        )
