"""Files of weights that a catalogue lists and that are not what it says, for every network, through the command line: one sentence each.

What reaches the tensors is in the tests of the networks; that nothing in a file is run, in test_weights_hostile.py.
"""
from __future__ import annotations

import hashlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import weight_files
from flow_inpaint import cli, weights
from safetensors.torch import save
from scenery import save as save_picture
from scenery import view

data_folder = weight_files.data_folder
WIDTH = 0.0625
#: Role: architecture, and the option that asks for it.
NETWORKS = {
    "flownet2": ("flownet2", ("--flow", "flownet2")),
    "dfc_stage1": ("dfc_initial_resnet50", ("--completion", "dfc")),
    "dfc_single": ("dfc_initial_resnet101", ("--completion", "dfc")),
    "deepfill": ("deepfill", ("--fill", "deepfill")),
}


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    hole = np.zeros((64, 96), np.uint8)
    hole[20:36, 30:50] = 255
    for k in range(3):
        save_picture(tmp_path / "source" / f"{k}.png", view(96, 64, 0.5 * k))
        save_picture(tmp_path / "mask" / f"{k}.png", hole)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, role: str, architecture: str, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "a.safetensors").write_bytes(data)
    told = {"name": "bad", "role": role, "architecture": architecture, "width": WIDTH, "file": "a.safetensors", "bytes": len(data)}
    told |= {"sha256": hashlib.sha256(data).hexdigest(), "licence": "x", "source": "y"}
    (folder / "a.toml").write_text("[[sets]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items()))
    monkeypatch.setenv("FLOW_INPAINT_WEIGHTS", str(folder))


def claims(shape: list[int], end: int, kind: str = "F32") -> bytes:
    header = json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": [0, end]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


def pickled(state: dict[str, torch.Tensor]) -> bytes:
    held = io.BytesIO()
    torch.save(state, held)
    return held.getvalue()


@pytest.mark.parametrize("role", NETWORKS)
def test_weights_that_are_not_what_the_catalogue_says(
    role: str, shot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture, options = NETWORKS[role]
    torch.manual_seed(0)
    state = {name: tensor.contiguous() for name, tensor in weights.ARCHITECTURES[architecture].network(WIDTH).state_dict().items()}
    other = weights.ARCHITECTURES["deepfill" if architecture != "deepfill" else "flownet2"].network(WIDTH).state_dict()
    wider = weights.ARCHITECTURES[architecture].network(2 * WIDTH).state_dict()
    name, first = next((name, tensor) for name, tensor in state.items() if tensor.ndim == 4)
    sound = save(state)

    def with_first(tensor: torch.Tensor) -> bytes:
        return save(state | {name: tensor})

    huge = torch.full(first.shape, 1e300, dtype=torch.float64)
    cases = {
        "no safetensors file": [sound[: len(sound) // 2], sound[:100], b"no weights", bytes(5000), struct.pack("<Q", 2**60) + sound[8:]]
        + [claims([2**40, 2**20], 8), claims([2**31, 2**10], 2**43), b"\x80\x04cos\nsystem\n(S'x'\ntR.", pickled(state)],
        "but lacks": [save(other), claims([2], 8), claims([1], 8, "C64"), save({key: value for key, value in state.items() if key != name})],
        "but it also holds 'more'": [save(state | {"more": torch.ones(3)})],
        "there and": [with_first(torch.zeros(3, 3)), save(wider)],
        "instead of numbers with a fraction": [with_first(torch.zeros(first.shape, dtype=torch.int32))],
        "hold numbers that are not finite": [with_first(torch.full_like(first, torch.nan)), with_first(huge)],
        f"The weights of {weights.ARCHITECTURES[architecture].label.partition(',')[0]} make no numbers": [with_first(torch.full_like(first, 1e38))],
    }
    for words, files in cases.items():
        for data in files:
            put(shot / "weights", role, architecture, data, monkeypatch)
            code = cli.main(["run", "source", "mask", "out", "--device", "cpu", "--reach", "1", *options])
            said = capsys.readouterr().err.splitlines()
            told = [line for line in said if line.startswith("flow-inpaint: ")]
            assert code == 2 and told == said[-1:] and words in told[0], (words, code, said)
            assert "went wrong" not in told[0] and not (shot / "out").exists()
    put(shot / "weights", role, architecture, sound, monkeypatch)
    assert cli.main(["run", "source", "mask", "out", "--device", "cpu", "--reach", "1", *options]) == 0
