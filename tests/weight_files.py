"""Weights for the tests: a data folder of their own, small states of each network, and files as the published ones are."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from flow_inpaint import weights
from flow_inpaint.errors import BadWeights
from flow_inpaint.weights import architectures, catalog

SMALL = 0.125
#: The real ones, of which the tests' own data folder hides those that are shipped.
folders = catalog.folders
ARCHITECTURES = list(weights.ARCHITECTURES)
#: Architecture, and the file that its authors published: name, wrapping.
PUBLISHED = {
    "FlowNet2_checkpoint.pth.tar": ("flownet2", "epoch", "flownet2"),
    "resnet101_movie.pth": ("dfc_initial_resnet101", "n_iter", "dfc_single"),
    "resnet50_stage1.pth": ("dfc_initial_resnet50", "n_iter", "dfc_stage1"),
    "davis_stage2.pth": ("dfc_refine_resnet50", "n_iter", "dfc_stage2"),
    "davis_stage3.pth": ("dfc_refine_resnet50", "n_iter", "dfc_stage3"),
    "imagenet_deepfill.pth": ("deepfill", "bare", "deepfill"),
}


@pytest.fixture(autouse=True)
def data_folder(monkeypatch, tmp_path) -> Path:
    """The user's folder of weights, empty, and no others: not those that are shipped either."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FLOW_INPAINT_WEIGHTS", raising=False)
    monkeypatch.setattr(catalog, "folders", lambda: [(folder, origin) for folder, origin in folders() if origin != "shipped"])
    return weights.user_folder()


def network(architecture: str, width: float = SMALL) -> nn.Module:
    return weights.ARCHITECTURES[architecture].network(width)


def state(architecture: str, width: float = SMALL, seed: int = 0) -> dict[str, torch.Tensor]:
    """A complete state of random numbers."""
    random = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in architectures.expected(architecture, width).items():
        counts = name.endswith("num_batches_tracked")
        made[name] = torch.tensor(7) if counts else torch.randn(shape, generator=random)
    return made


def stored(
    role: str, name: str = "", *, architecture: str = "deepfill", width: float = SMALL, folder: Path | None = None, seed: int = 0
) -> weights.WeightSet:
    """A set of random numbers, as training would store it."""
    return weights.store(
        state(architecture, width, seed),
        name=name or role.replace("_", "-"),
        role=role,
        architecture=architecture,
        width=width,
        licence="GPL-3.0-or-later",
        source="a test",
        training="flow-inpaint train deepfill",
        quality=[{"data": "clips", "metric": "EPE", "value": 1.25}],
        folder=folder,
    )


def wrapped(tensors: dict[str, torch.Tensor], wrapping: str) -> dict:
    """As the published files have it: bare; FlowNet2's; DFC-Net's, whose old PyTorch knew no counters; only parallel."""
    if wrapping == "epoch":
        return {"epoch": 3, "state_dict": tensors, "best_EPE": 1.5}
    if wrapping == "n_iter":
        without = {f"module.{name}": tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
        one = next(iter(tensors.values()))
        group = {"lr": 0.1, "momentum": 0.9, "params": [139637976727816, 1]}
        return {"n_iter": 100, "model": without, "optimizer": {"state": {139637976727816: {"momentum_buffer": one}}, "param_groups": [group]}}
    return {f"module.{name}": tensor for name, tensor in tensors.items()} if wrapping == "parallel" else tensors


def save(content, path: Path, *, zipped: bool = True) -> Path:
    """`zipped` False: as PyTorch up to 1.5 wrote, and so the published files."""
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def same(loaded: dict[str, torch.Tensor], saved: dict[str, torch.Tensor]) -> bool:
    """Equal but for counters."""
    names = [name for name in saved if not name.endswith("num_batches_tracked")]
    return set(names) <= set(loaded) and all(torch.equal(loaded[name], saved[name].float()) for name in names)


def files(folder: Path) -> set[str]:
    """What lies there, the lock apart."""
    return {path.name for path in folder.iterdir() if path.name != ".lock"} if folder.is_dir() else set()


def refused(path: Path, folder: Path, role: str | None = None, error: type[Exception] = BadWeights) -> str:
    """The one sentence with which the file is refused; nothing is stored."""
    before = files(folder)
    with pytest.raises(error) as caught:
        weights.import_file(path, role)
    assert files(folder) == before
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500
    return sentence
