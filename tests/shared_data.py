"""Reference data that lies beside the repository where it is developed, and nowhere else."""
from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch

SHARED = Path(os.environ.get("FLOW_INPAINT_SHARED") or Path(__file__).resolve().parents[1].parent / "shared")


def shared(*parts: str) -> Path:
    """A path below the reference data; the test is skipped where that is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the reference data {'/'.join(parts)} is not on this machine")
    return path


def golden_state(keys_file: str, salt: str = "public") -> dict[str, torch.Tensor]:
    """Deterministic weights for a list of names and shapes in `golden`."""
    spec = importlib.util.spec_from_file_location("make_weights", shared("golden", "make_weights.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: torch.from_numpy(values) for name, values in module.make_state_dict(str(shared("golden", keys_file)), salt).items()}
