"""Files of others become sets of ours, exactly and completely, or nothing happens and a sentence says why."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
import torch
import weight_files
from safetensors.torch import load_file, save_file
from shared_data import golden_state, shared
from weight_files import ARCHITECTURES, PUBLISHED, SMALL, files, network, same, save, state, wrapped

from flow_inpaint import weights
from flow_inpaint.errors import BadParameter, BadWeights, Failed
from flow_inpaint.weights import architectures, checkpoints, importing

data_folder = weight_files.data_folder
KEYS = {"flownet2": "flownet2", "dfc_initial_resnet50": "dfc_initial_resnet50"}


def refused(path: Path, folder: Path, role: str | None = None, error: type[Exception] = BadWeights) -> str:
    """The one sentence with which the file is refused; nothing is stored."""
    before = files(folder)
    with pytest.raises(error) as caught:
        weights.import_file(path, role)
    assert files(folder) == before
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500
    return sentence


# --- every wrapping ---


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", PUBLISHED)
def test_each_published_wrapping(name, zipped, tmp_path, data_folder):
    architecture, wrapping, role = PUBLISHED[name]
    saved = state(architecture)
    path = save(wrapped(saved, wrapping), tmp_path / name, zipped=zipped)
    (made,) = weights.import_file(path)
    assert (made.role, made.architecture, made.width, made.origin) == (role, architecture, SMALL, "imported")
    loaded = weights.load(made)
    assert same(loaded, saved)
    assert all(tensor.dtype == torch.float32 for tensor in loaded.values() if tensor.is_floating_point())
    network(architecture).load_state_dict(loaded, strict=True)
    assert weights.find(role) == made
    assert files(data_folder) == {f"{made.name}.toml", made.path.name}
    assert made.path.parent == data_folder and made.bytes == made.path.stat().st_size


@pytest.mark.parametrize("wrapping", ["bare", "epoch", "n_iter", "parallel"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_network_in_any_wrapping(architecture, wrapping, tmp_path):
    saved = state(architecture)
    role = weights.ARCHITECTURES[architecture].roles[0]
    (made,) = weights.import_file(save(wrapped(saved, wrapping), tmp_path / "x.pth"), role)
    assert same(weights.load(made), saved) and made.name == f"{role}-x"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("resnet101_movie.pth", "dfc_initial_resnet101_keys.json"),
        ("resnet50_stage1.pth", "dfc_initial_resnet50_keys.json"),
        ("davis_stage3.pth", "dfc_refine_resnet50_keys.json"),
        ("imagenet_deepfill.pth", "deepfill_keys.json"),
    ],
)
def test_full_size(name, keys, tmp_path):
    architecture, wrapping, role = PUBLISHED[name]
    saved = golden_state(keys)
    (made,) = weights.import_file(save(wrapped(saved, wrapping), tmp_path / name, zipped=False))
    assert (made.name, made.role, made.width) == (f"{role}-published", role, 1.0)
    assert "not stated" in made.licence and "MIT" in made.licence and name in made.source
    loaded = weights.load(made)
    assert list(loaded) == list(saved) and same(loaded, saved)
    network(architecture, 1.0).load_state_dict(loaded, strict=True)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_names_and_shapes_are_the_published_ones(architecture):
    published = json.loads(shared("golden", f"{architecture}_keys.json").read_text("utf-8"))
    shapes = {name: tuple(shape) for name, shape in published.items()}
    assert architectures.expected(architecture, 1.0) == shapes
    known = architectures.recognised(shapes)
    assert known.name == architecture and known.width_of(shapes) == 1


def test_flownet2_of_full_size_is_whole():
    published = json.loads(shared("golden", "flownet2_keys.json").read_text("utf-8"))
    saved = {name: torch.zeros(()).expand(shape) for name, shape in published.items()}
    whole = architectures.whole(saved, weights.ARCHITECTURES["flownet2"], 1.0, "it")
    assert list(whole) == list(published)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_said_of_the_published_files(name, tmp_path, monkeypatch):
    """At full width, without the hundreds of megabytes: every tensor is one number, repeated."""
    architecture, wrapping, role = PUBLISHED[name]
    shapes = json.loads(shared("golden", f"{architecture}_keys.json").read_text("utf-8"))
    saved = {key: torch.tensor(1) if key.endswith("num_batches_tracked") else torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    made = {}
    monkeypatch.setattr(importing, "_sound", lambda state, path: state)
    monkeypatch.setattr(importing, "store", lambda state, **description: made.update(description, state=state))
    path = save(wrapped(saved, wrapping), tmp_path / name, zipped=False)
    weights.import_file(path)
    assert list(made.pop("state")) == list(shapes)
    assert made.pop("source").startswith(f"imported from {name} (SHA-256 ")
    licence = "the published FlowNet2 weights are for research purposes only" if role == "flownet2" else architectures._NOT_STATED
    notes = "Recognised by names and shapes; its authors publish no checksum to compare with."
    assert made == dict(name=f"{role}-published", role=role, architecture=architecture, width=1.0, licence=licence, notes=notes)
    weights.import_file(path.rename(tmp_path / "other-stage3.pth"), role)
    assert made["licence"] == f"terms not known: ask whoever made the file; if they are the published ones: {licence}"
    assert (made["name"], made["notes"]) == (f"{role}-other-stage3", "")


def test_pieces_of_one_great_tensor(tmp_path):
    saved = state("deepfill")
    flat = torch.cat([tensor.flatten() for tensor in saved.values()])
    pieces = flat.split([tensor.numel() for tensor in saved.values()])
    content = {name: piece.view(tensor.shape) for (name, tensor), piece in zip(saved.items(), pieces, strict=True)}
    (made,) = weights.import_file(save(content, tmp_path / "flat.pth"))
    assert same(weights.load(made), saved)
    assert made.bytes < flat.numel() * 4 * 1.2


def test_old_python(tmp_path):
    """Files that Python 2 wrote have byte strings for names."""

    class Pickler(pickle._Pickler):
        dispatch = dict(pickle._Pickler.dispatch)

        def save_bytes_string(self, text):
            data = text.encode()
            self.write(b"U" + bytes([len(data)]) + data)
            self.memoize(text)

        dispatch[str] = save_bytes_string

    old = type("old", (), {"Pickler": Pickler, "dump": staticmethod(lambda obj, file, protocol: Pickler(file, protocol).dump(obj))})
    saved = state("deepfill")
    torch.save(wrapped(saved, "epoch"), tmp_path / "old.pth", pickle_module=old, _use_new_zipfile_serialization=False)
    assert b"U\x0astate_dict" in (tmp_path / "old.pth").read_bytes()
    (made,) = weights.import_file(tmp_path / "old.pth")
    assert same(weights.load(made), saved)


def test_parameters_views_and_doubles(tmp_path):
    saved = state("deepfill")
    names = list(saved)
    odd = dict(saved)
    odd[names[0]] = torch.nn.Parameter(saved[names[0]])
    odd[names[1]] = saved[names[1]].double()
    odd[names[2]] = saved[names[2]].permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    odd[names[3]] = torch.zeros(()).expand(saved[names[3]].shape)
    (made,) = weights.import_file(save(odd, tmp_path / "odd.pth"))
    assert same(weights.load(made), {name: tensor.detach() for name, tensor in odd.items()})


def test_two_names_for_one_tensor(tmp_path):
    saved = state("flownet2")
    shape = saved["flownets_1.conv6.0.weight"].shape
    saved["flownets_2.conv6.0.weight"] = saved["flownets_1.conv6.0.weight"] = torch.randn(shape)
    (made,) = weights.import_file(save(saved, tmp_path / "tied.pth"))
    assert same(weights.load(made), saved)


# --- our own files ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors(dtype, tmp_path):
    saved = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state("deepfill").items()}
    save_file(saved, tmp_path / "Fill small.v2.safetensors")
    (made,) = weights.import_file(tmp_path / "Fill small.v2.safetensors")
    assert made.name == "deepfill-fill-small" and "not known" in made.licence
    assert next(iter(load_file(made.path).values())).dtype == dtype, "stored as it came"
    loaded = weights.load(made)
    assert same(loaded, saved) and next(iter(loaded.values())).dtype == torch.float32


def test_a_set_of_ours_keeps_what_is_known_of_it(tmp_path, data_folder):
    elsewhere = weights.store(
        state("dfc_refine_resnet50", 0.3),
        name="stage-three",
        role="dfc_stage3",
        architecture="dfc_refine_resnet50",
        width=0.3,
        licence="GPL-3.0-or-later",
        source="trained\x1b[31m by\nus",
        training='flow-inpaint train --say "déjà" \\ \x7f',
        quality=[{"data": "held out", "metric": "EPE", "value": 1.25}],
        notes="\ud800 odd",
        folder=tmp_path / "elsewhere",
    )
    assert weights.find("dfc_stage3") is None
    (made,) = weights.import_file(elsewhere.path)
    assert (made.name, made.role, made.width) == ("stage-three", "dfc_stage3", 0.3)
    assert made.licence == "GPL-3.0-or-later" and made.source == "trained [31m by us" and made.notes == "odd"
    assert made.training == 'flow-inpaint train --say "déjà" \\' and made.quality == (weights.Quality("held out", "EPE", 1.25),)
    assert weights.find("dfc_stage3") == made and made.sha256 == elsewhere.sha256
    network("dfc_refine_resnet50", 0.3).load_state_dict(weights.load(made), strict=True)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("[]", "describes itself in a way that cannot be read"),
        ("{", "describes itself in a way that cannot be read"),
        ('{"name": "../../evil"}', "name cannot be '../../evil'"),
        ('{"name": "catalog"}', "name cannot be 'catalog'"),
        ('{"licence": 3}', "licence cannot be 3"),
        ('{"quality": [{"data": "x"}]}', "quality cannot be"),
        ('{"quality": 5}', "quality cannot be 5"),
        ('{"width": 0.5}', "is 8x5x5x5 there and 16x5x5x5 in the network"),
        ('{"width": 1e9}', "widths go from 0 to 4"),
    ],
)
def test_descriptions_that_make_no_sense(told, sentence, tmp_path, data_folder):
    save_file(state("deepfill"), tmp_path / "x.safetensors", {"flow_inpaint": told})
    assert sentence in refused(tmp_path / "x.safetensors", data_folder)
    assert not list(tmp_path.rglob("evil*"))


# --- roles ---


def test_the_later_stages_are_told_apart(tmp_path, data_folder):
    content = wrapped(state("dfc_refine_resnet50"), "n_iter")
    unnamed = save(content, tmp_path / "checkpoint.pth")
    sentence = refused(unnamed, data_folder, error=BadParameter)
    assert sentence.endswith("add --role dfc_stage2 or --role dfc_stage3.")
    assert "stage2-to-stage3" in refused(save(content, tmp_path / "stage2-to-stage3.pth"), data_folder, error=BadParameter)
    assert weights.import_file(unnamed, "dfc_stage3")[0].role == "dfc_stage3"
    assert weights.import_file(save(content, tmp_path / "My_Stage2.pth"))[0].role == "dfc_stage2"
    assert weights.import_file(save(content, tmp_path / "davis_stage3.pth"), "dfc_stage2")[0].role == "dfc_stage2"


def test_roles_that_do_not_fit(tmp_path, data_folder):
    path = save(state("deepfill"), tmp_path / "imagenet_deepfill.pth")
    assert "can be deepfill, not dfc_stage2" in refused(path, data_folder, "dfc_stage2", BadParameter)
    assert "There is no role 'painter'" in refused(path, data_folder, "painter", BadParameter)


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


# --- storing ---


def test_again_replaces(tmp_path, data_folder):
    path = tmp_path / "imagenet_deepfill.pth"
    (first,) = weights.import_file(save(state("deepfill", seed=1), path))
    (same_again,) = weights.import_file(path)
    assert same_again == first
    (second,) = weights.import_file(save(state("deepfill", seed=2), path))
    assert second.name == first.name and second.sha256 != first.sha256
    assert weights.sets() == [second] and files(data_folder) == {f"{second.name}.toml", second.path.name}
    assert same(weights.load(second), state("deepfill", seed=2))


def test_the_old_set_stays_when_the_new_one_cannot_be_written(tmp_path, data_folder, monkeypatch):
    path = tmp_path / "imagenet_deepfill.pth"
    (first,) = weights.import_file(save(state("deepfill", seed=1), path))
    save(state("deepfill", seed=2), path)
    real = os.replace
    for failing in (".safetensors", ".toml"):

        def replaced(source, target, failing=failing):
            if str(target).endswith(failing):
                raise OSError(28, "No space left on device")
            return real(source, target)

        monkeypatch.setattr(os, "replace", replaced)
        assert "The disk is full" in refused(path, data_folder, error=Failed)
        monkeypatch.setattr(os, "replace", real)
        assert weights.sets() == [first] and same(weights.load(first), state("deepfill", seed=1))


def test_too_little_space(tmp_path, data_folder, monkeypatch):
    path = save(state("deepfill"), tmp_path / "x.pth")
    data_folder.mkdir(parents=True)
    monkeypatch.setattr(importing.shutil, "disk_usage", lambda folder: type("usage", (), {"free": 2**20})())
    assert "and 1 MiB are free: free some space" in refused(path, data_folder, error=Failed)


_LIMITED = """
import resource, signal, sys
sys.path.insert(0, {here!r})
import weight_files
from flow_inpaint import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
sys.exit(cli.main(["weights", "import", {path!r}]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the size of files")
def test_a_disk_that_ends_early(tmp_path, data_folder):
    path = save(state("flownet2"), tmp_path / "x.pth")
    script = _LIMITED.format(here=str(Path(__file__).parent), path=str(path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"flow-inpaint: The weights cannot be written to {data_folder}")
    assert files(data_folder) == set()


def test_a_place_that_cannot_be_written(tmp_path, data_folder, monkeypatch):
    path = save(state("deepfill"), tmp_path / "x.pth")
    data_folder.parent.parent.mkdir(parents=True, exist_ok=True)
    data_folder.parent.write_text("a file where the folder should be")
    assert f"cannot be written to {data_folder}: " in refused(path, data_folder, error=Failed)
    data_folder.parent.unlink()

    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    assert "Read-only file system" in refused(path, data_folder, error=Failed)


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_of_others(tmp_path, data_folder):
    data_folder.mkdir(parents=True)
    data_folder.chmod(0o500)
    assert "Permission denied" in refused(save(state("deepfill"), tmp_path / "x.pth"), data_folder, error=Failed)


def test_what_a_killed_import_left_is_cleared_away(tmp_path, data_folder):
    data_folder.mkdir(parents=True)
    left = ["deepfill-x-0123456789ab.safetensors", ".deepfill-x.safetensors.part", ".deepfill-x.toml.part"]
    others = {"deepfill-x-y-0123456789ab.safetensors", "deepfill-x.safetensors", ".deepfill-y.toml.part"}
    for name in [*left, *others]:
        (data_folder / name).write_bytes(b"left")
    (made,) = weights.import_file(save(state("deepfill"), tmp_path / "x.pth"))
    assert files(data_folder) == others | {made.path.name, "deepfill-x.toml"}


_MANY = """
import sys
sys.path.insert(0, {here!r})
from flow_inpaint import weights
for _ in range(8):
    weights.import_file(sys.argv[1])
    for one in weights.sets():
        assert one.name != "deepfill-imagenet_deepfill" or one.width
"""


def test_imports_of_different_files_side_by_side(tmp_path, data_folder):
    code = "import sys; from flow_inpaint import weights; weights.import_file(sys.argv[1])"
    paths = [save(state("deepfill", seed=seed), tmp_path / f"x{seed}.pth") for seed in range(2)]
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for path in paths]
    assert [process.wait(60) for process in running] == [0, 0]
    found = weights.sets()
    assert [one.name for one in found] == ["deepfill-x0", "deepfill-x1"]
    assert all(same(weights.load(one), state("deepfill", seed=seed)) for seed, one in enumerate(found))
    assert len(files(data_folder)) == 4


def test_one_import_waits_for_another(tmp_path, data_folder, monkeypatch):
    path = save(state("deepfill"), tmp_path / "x.pth")
    data_folder.mkdir(parents=True)
    real, waits = importing._lock, threading.Event()
    importer = threading.Thread(target=weights.import_file, args=(path,))
    with importing._locked(data_folder):
        monkeypatch.setattr(importing, "_lock", lambda file: (waits.set(), real(file)))
        importer.start()
        assert waits.wait(60)
        importer.join(0.3)
        assert importer.is_alive() and files(data_folder) == set()
    importer.join(60)
    assert not importer.is_alive() and len(weights.sets()) == 1


def test_imports_side_by_side(tmp_path, data_folder):
    paths = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        paths.append(save(state("flownet2", seed=seed), tmp_path / str(seed) / "x.pth"))
    script = _MANY.format(here=str(Path(__file__).parent))
    running = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for path in (*paths, paths[0])]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    (made,) = weights.sets()
    assert files(data_folder) == {f"{made.name}.toml", made.path.name}
    loaded = weights.load(made)
    assert any(same(loaded, state("flownet2", seed=seed)) for seed in (1, 2))
