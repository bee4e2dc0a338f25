"""Files that are not what they should be: programs, damage, other things, almost the right network. One sentence, and nothing is stored."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
import weight_files
from safetensors.torch import save_file
from weight_files import ARCHITECTURES, refused, same, save, state, wrapped

from flow_inpaint import weights
from flow_inpaint.weights import checkpoints

data_folder = weight_files.data_folder


# --- programs ---


class Program:
    """What a pickle can do when it is opened: here, make a file."""

    def __init__(self, target: Path, function=os.mkdir, *arguments):
        self.call = (function, (str(target), *arguments))

    def __reduce__(self):
        return self.call


def as_torch_zip(program: bytes, path: Path, name: str = "archive") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{name}/data.pkl", program)
        archive.writestr(f"{name}/version", b"3\n")
        archive.writestr(f"{name}/byteorder", b"little")
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["zip", "legacy", "bare", "beside the weights"])
def test_programs_are_not_run(kind, protocol, tmp_path, data_folder):
    target = tmp_path / "it ran"
    content = {"state_dict": state("deepfill") if kind == "beside the weights" else {}, "epoch": Program(target)}
    path = tmp_path / "imagenet_deepfill.pth"
    if kind == "zip":
        as_torch_zip(pickle.dumps(content, protocol), path)
    elif kind == "bare":
        path.write_bytes(pickle.dumps(content, protocol))
    else:
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=kind != "legacy")
    sentence = refused(path, data_folder)
    # A pickle of protocol 0 or 1 has nothing by which to know it.
    assert "mkdir' when it is opened" in sentence or (kind in ("bare", "legacy") and protocol < 2)
    assert not target.exists()


@pytest.mark.parametrize("function", ["builtins.eval", "builtins.bytearray", "torch.Tensor", "torch.hub.load", "torch._utils._rebuild_qtensor"])
def test_only_what_tensors_need_is_called(function, tmp_path, data_folder):
    module, _, name = function.rpartition(".")
    program = b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"J\xff\xff\xff\x7f\x85R."
    assert f"would run '{function}'" in refused(as_torch_zip(program, tmp_path / "x.pth"), data_folder)


def test_pytorch_itself_would_refuse_them_too(tmp_path, data_folder, monkeypatch):
    """The look at the instructions is the first door; `weights_only` is the second."""
    target = tmp_path / "it ran"
    path = save({"state_dict": state("deepfill"), "epoch": Program(target)}, tmp_path / "x.pth")
    monkeypatch.setattr(checkpoints, "_refuse_program", lambda stream, path: None)
    assert "holds more than weights" in refused(path, data_folder)
    assert not target.exists()


def test_programs_hidden_by_the_environment(tmp_path, data_folder, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(checkpoints, "_refuse_program", lambda stream, path: None)
    path = save({"state_dict": state("deepfill"), "epoch": Program(tmp_path / "it ran")}, tmp_path / "x.pth")
    refused(path, data_folder)
    assert not (tmp_path / "it ran").exists()


# --- damage ---


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """One small checkpoint in each format."""
    folder = tmp_path_factory.mktemp("whole")
    saved = {f"layer{k}.weight": torch.randn(4, 4) for k in range(3)}
    save_file(saved, folder / "safetensors")
    return {"zip": save(saved, folder / "zip"), "legacy": save(saved, folder / "legacy", zipped=False), "safetensors": folder / "safetensors"}


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated(kind, share, tmp_path, data_folder):
    saved = state("deepfill")
    path = tmp_path / "imagenet_deepfill.pth"
    if kind == "safetensors":
        save_file(saved, path)
    else:
        save(saved, path, zipped=kind == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: min(int(len(data) * share), len(data) - 1)])
    assert "truncated or damaged" in refused(path, data_folder)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_anywhere(kind, whole_files, tmp_path, data_folder):
    data = whole_files[kind].read_bytes()
    path = tmp_path / "x.pth"
    for length in range(0, len(data), max(len(data) // 150, 1)):
        path.write_bytes(data[:length])
        refused(path, data_folder)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_bytes_changed_anywhere(kind, whole_files, tmp_path, data_folder):
    data = bytearray(whole_files[kind].read_bytes())
    path = tmp_path / "x.pth"
    for position in range(0, len(data), max(len(data) // 150, 1)):
        for changed in (data[position] ^ 0xFF, data[position] ^ 1):
            path.write_bytes(data[:position] + bytes([changed]) + data[position + 1 :])
            refused(path, data_folder)


def test_archives_that_promise_more_than_they_hold(tmp_path, data_folder):
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50 * 2**20))
    assert bomb.stat().st_size < 2**20 and "compressed archive" in refused(bomb, data_folder)
    path = save(state("deepfill"), tmp_path / "x.pth")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = archive.start_dir
    data[at + 20 : at + 28] = b"\xff\xff\xff\x7f" * 2
    path.write_bytes(data)
    assert "promises more than it holds" in refused(path, data_folder)
    long = as_torch_zip(b"\x80\x02" + b"N0" * (9 * 2**20) + b"N.", tmp_path / "long.pth")
    assert "far more than any weights" in refused(long, data_folder)


@pytest.mark.parametrize("zipped", [True, False])
def test_storages_that_claim_more_than_there_is(zipped, tmp_path, data_folder):
    """A tensor of a hundred gigabytes in a file of a few bytes."""
    path = save({"conv1.weight": torch.zeros(12345)}, tmp_path / "x.pth", zipped=zipped)
    data = path.read_bytes()
    size = b"M" + (12345).to_bytes(2, "little")
    assert data.count(size) == 2
    if zipped:
        with zipfile.ZipFile(path) as archive:
            name = archive.namelist()[0].partition("/")[0]
            program = archive.read(f"{name}/data.pkl")
        path = as_torch_zip(program.replace(size, b"\x8a\x05\x00\x00\x00\x00\x06"), path)
    else:
        path.write_bytes(data.replace(size, b"\x8a\x05\x00\x00\x00\x00\x06"))
    assert "truncated or damaged" in refused(path, data_folder)


# --- other files ---


def test_files_that_are_no_weights(tmp_path, data_folder):
    path = tmp_path / "x.pth"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"), io.BytesIO(b""))
    assert "is a tar archive" in refused(path, data_folder)
    for content in (b"hello", b"\x89PNG\r\n\x1a\n" + bytes(600), b"<html>404</html>", bytes(4096), b"\xff" * 4096):
        path.write_bytes(content)
        assert "neither a PyTorch checkpoint nor a safetensors file" in refused(path, data_folder)
    path.write_bytes(b"")
    assert refused(path, data_folder).endswith("x.pth is empty.")
    path.write_bytes(pickle.dumps({"a": 1}, 2))
    assert "is a pickle, but not a PyTorch checkpoint" in refused(path, data_folder)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "is an archive, but not one of weights" in refused(path, data_folder)
    torch.jit.script(torch.nn.Conv2d(1, 1, 1)).save(path)
    refused(path, data_folder)
    assert "is a folder" in refused(tmp_path, data_folder)
    assert "No such file" in refused(tmp_path / "none.pth", data_folder)
    refused(Path("a\0b"), data_folder)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_odd_places(tmp_path, data_folder, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in refused(tmp_path / "pipe", data_folder)
    assert "is not a file" in refused(Path("/dev/zero"), data_folder)
    saved = state("deepfill")
    for zipped, name in ((True, "ünïcode été.pth"), (False, os.fsdecode(b"caf\xe9.pth"))):
        (made,) = weights.import_file(save(saved, tmp_path / "x.pth", zipped=zipped).rename(tmp_path / name))
        assert same(weights.load(made), saved)
    closed = save(saved, tmp_path / "closed.pth")

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert refused(closed, data_folder).endswith("closed.pth cannot be read: Permission denied.")


@pytest.mark.parametrize(
    "content",
    [5, None, [], {}, torch.zeros(3), [torch.zeros(3)], {"a": 1}, {1: torch.zeros(3)}, {"state_dict": {}}, {"state_dict": {3: 4}}, {"model": 5}],
    ids=repr,
)
@pytest.mark.parametrize("zipped", [True, False])
def test_contents_that_are_no_weights(content, zipped, tmp_path, data_folder):
    refused(save(content, tmp_path / "x.pth", zipped=zipped), data_folder)


def test_another_network(tmp_path, data_folder):
    other = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer4.2.conv3.weight": torch.zeros(8, 8, 1, 1), "fc.weight": torch.zeros(10, 8)}
    assert "no network that Flow Inpaint knows" in refused(save(other, tmp_path / "resnet50_stage1.pth"), data_folder)


# --- almost right ---


def edited(architecture: str, change) -> dict[str, torch.Tensor]:
    made = state(architecture)
    change(made)
    return made


LAST = {"flownet2": "flownetfusion.predict_flow0.bias", "dfc_initial_resnet101": "layer5.conv1.bias", "deepfill": "stage_2.CAttn.out.0.conv.0.bias"}


@pytest.mark.parametrize("architecture", LAST)
def test_one_tensor_wrong(architecture, tmp_path, data_folder):
    last = LAST[architecture]
    weight = last.replace("bias", "weight")
    cases = {
        f"but lacks '{last}'.": lambda made: made.pop(last),
        f"but lacks '{weight}' and one other.": lambda made: (made.pop(last), made.pop(weight)),
        "but it also holds 'more'.": lambda made: made.update(more=torch.zeros(3)),
        "but it also holds 'm0' and 2 others.": lambda made: made.update({f"m{k}": torch.zeros(3) for k in range(3)}),
        f"but '{last}' is 77 there and ": lambda made: made.update({last: torch.zeros(77)}),
        f"but '{last}' in it is no plain tensor.": lambda made: made.update({last: 3}),
        f"but '{last}' in it is no plain tensor": lambda made: made.update({last: torch.zeros(made[last].shape).to_sparse()}),
        f"but '{last}' holds int64": lambda made: made.update({last: made[last].long()}),
        f"but '{last}' holds complex64": lambda made: made.update({last: made[last].to(torch.complex64)}),
        f"not finite, in '{last}'": lambda made: made[last].fill_(float("nan")),
        f"finite, in '{last}'": lambda made: made[last].fill_(float("-inf")),
        f"are not finite, in '{last}'": lambda made: made.update({last: torch.full(made[last].shape, 1e300, dtype=torch.float64)}),
    }
    for sentence, change in cases.items():
        content = edited(architecture, change)
        if weight in weights.ARCHITECTURES[architecture].marks and "one other" in sentence:
            # That name is one of those by which the network is known.
            sentence = "no network that Flow Inpaint knows"
        said = refused(save(content, tmp_path / "x.pth"), data_folder)
        assert sentence in said or (("sparse" in str(content.get(last))) and "would run" in said) or ("complex" in sentence and "would run" in said)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_width_that_does_not_go_through(architecture, tmp_path, data_folder):
    first, _ = weights.ARCHITECTURES[architecture].wide
    saved = state(architecture)
    for outputs, sentence in ((2 * saved[first].shape[0], " there and "), (10**6, "widths go from 0 to 4"), (0, "widths go from 0 to 4")):
        shape = (outputs, *saved[first].shape[1:])
        saved[first] = torch.zeros(()).expand(shape) if outputs else torch.zeros(shape)
        assert sentence in refused(save(saved, tmp_path / "x.pth"), data_folder, weights.ARCHITECTURES[architecture].roles[0])


def test_an_early_stage_is_no_later_one(tmp_path, data_folder):
    path = save(wrapped(state("dfc_initial_resnet50"), "n_iter"), tmp_path / "davis_stage2.pth")
    assert weights.import_file(path)[0].role == "dfc_stage1"
