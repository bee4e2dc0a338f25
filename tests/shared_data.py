"""Reference data that lies beside a checkout or where FLOW_INPAINT_SHARED says; tests that need it are skipped without."""
from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("FLOW_INPAINT_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the reference data {'/'.join(parts)} (see FLOW_INPAINT_SHARED)")
    return path


def golden_state(keys_file: str, salt: str = "public") -> dict:
    import torch

    spec = importlib.util.spec_from_file_location("make_weights", shared("golden", "make_weights.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = module.make_state_dict(shared("golden", keys_file), salt)
    return {name: torch.from_numpy(value) for name, value in state.items()}
