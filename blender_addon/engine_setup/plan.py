"""What an installation is to make, as the host tells its worker."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """`wheel`: the engine's; `torch`: a name of `torch_builds`; `index`: where PyTorch comes from, None for where everything else does;
    `wheels`: a folder that everything comes from, so that no network is needed, or None.
    """

    root: Path
    wheel: Path
    torch: str = "none"
    index: str | None = None
    wheels: Path | None = None

    def encoded(self) -> str:
        """One line."""
        return json.dumps({key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()})

    @staticmethod
    def decoded(line: str) -> Plan:
        said = json.loads(line)
        wheels = Path(said["wheels"]) if said["wheels"] else None
        return Plan(Path(said["root"]), Path(said["wheel"]), said["torch"], said["index"], wheels)

    @property
    def requirement(self) -> str:
        """The engine as pip wants it named."""
        return str(self.wheel) if self.torch == "none" else f"{self.wheel}[networks]"
