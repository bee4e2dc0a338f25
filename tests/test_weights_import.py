"""Files of others become sets of ours, exactly and completely, or nothing happens and a sentence says why."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import weight_files
from safetensors.torch import load_file, save_file
from shared_data import golden_state, shared
from weight_files import ARCHITECTURES, PUBLISHED, SMALL, files, network, refused, same, save, state, wrapped

from flow_inpaint import weights
from flow_inpaint.errors import BadParameter, Failed
from flow_inpaint.weights import architectures, importing

data_folder = weight_files.data_folder
KEYS = {"flownet2": "flownet2", "dfc_initial_resnet50": "dfc_initial_resnet50"}


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
