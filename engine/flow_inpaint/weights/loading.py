"""From an installed set to tensors: never another file than the catalogue means."""
from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadWeights, Failed, MissingWeights
from .architectures import ARCHITECTURES, whole
from .catalog import WeightSet

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def load(weight_set: WeightSet, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """The set's tensors on `device`, complete and finite, in float32 whatever the file has. Raises `MissingWeights` or `BadWeights`."""
    need_torch()
    verify(weight_set)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(weight_set.path, device=str(device))
    except (SafetensorError, OSError) as error:
        raise BadWeights(f"The weights '{weight_set.name}' in {weight_set.path} are no safetensors file ({error}).") from error
    called = f"'{weight_set.name}' in {weight_set.path}"
    state = whole(state, ARCHITECTURES[weight_set.architecture], weight_set.width, called)
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    broken = next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise BadWeights(f"The weights {called} hold numbers that are not finite, in '{broken}': take others.")
    return state


def verify(weight_set: WeightSet) -> None:
    """Compares size and SHA-256 with the catalogue. Raises `MissingWeights` or `BadWeights`."""
    path = weight_set.path
    again = "import them again" if weight_set.origin == "imported" else "install them again"
    try:
        size = path.stat().st_size
        if size != weight_set.bytes:
            raise BadWeights(
                f"The weights '{weight_set.name}' in {path} are damaged ({size} bytes instead of {weight_set.bytes}): {again}."
            )
        digest = sha256(path)
    except FileNotFoundError as error:
        raise MissingWeights(f"The weights '{weight_set.name}' are listed in {weight_set.catalog}, but {path} is gone: {again}.") from error
    except OSError as error:
        raise BadWeights(f"The weights '{weight_set.name}' in {path} cannot be read: {error.strerror}.") from error
    if digest != weight_set.sha256:
        raise BadWeights(f"The weights '{weight_set.name}' in {path} are damaged (another SHA-256 than the catalogue's): {again}.")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def need_torch() -> None:
    missing = [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        raise Failed(f"Weights need PyTorch and safetensors, and {' and '.join(missing)} is not installed: install flow-inpaint[networks].")
