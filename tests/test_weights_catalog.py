"""What catalogues may say, where they are looked for, and which set is the best for a role."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from flow_inpaint import doctor, weights
from flow_inpaint.errors import BadWeights, Failed, MissingWeights
from flow_inpaint.weights import catalog, importing, loading
from safetensors.torch import save_file
from weight_files import SMALL, data_folder, folders, network, same, state, stored  # noqa: F401  (data_folder is a fixture)

GOOD = """
[[sets]]
name = "flownet2-quarter"
role = "flownet2"
architecture = "flownet2"
width = 0.25
file = "flownet2-quarter.safetensors"
sha256 = "{}"
bytes = 3
licence = "GPL-3.0-or-later"
source = "trained here"
training = "flow-inpaint train flownet2"
quality = [{{ data = "clips", metric = "EPE", value = 1 }}, {{ data = "film", metric = "EPE", value = 2.5 }}]
notes = "none"
""".format("0" * 64)


def written(text: str, folder: Path, name: str = "own.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def refused() -> str:
    """The one sentence with which the catalogues are refused."""
    with pytest.raises(BadWeights) as caught:
        weights.sets()
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500
    return sentence


# --- reading ---


def test_every_field_is_read(data_folder: Path) -> None:
    path = written(GOOD, data_folder)
    (one,) = weights.sets()
    assert (one.name, one.role, one.architecture, one.width, one.bytes) == ("flownet2-quarter", "flownet2", "flownet2", 0.25, 3)
    assert (one.licence, one.source, one.training, one.notes) == ("GPL-3.0-or-later", "trained here", "flow-inpaint train flownet2", "none")
    assert one.quality == (weights.Quality("clips", "EPE", 1.0), weights.Quality("film", "EPE", 2.5))
    assert (one.path, one.catalog, one.origin) == (data_folder / "flownet2-quarter.safetensors", path, "imported")
    assert not one.installed and weights.find("flownet2") is None
    one.path.write_bytes(b"abc")
    assert one.installed and weights.find("flownet2") == one


def test_what_may_be_left_out(data_folder: Path) -> None:
    written("\n".join(line for line in GOOD.splitlines() if not line.startswith(("training", "quality", "notes"))), data_folder)
    (one,) = weights.sets()
    assert (one.training, one.quality, one.notes) == ("", (), "")


@pytest.mark.parametrize("field", ["name", "role", "architecture", "width", "file", "sha256", "bytes", "licence", "source"])
def test_what_may_not_be_left_out(field: str, data_folder: Path) -> None:
    path = written("\n".join(line for line in GOOD.splitlines() if not line.startswith(field)), data_folder)
    called = "set number 1" if field == "name" else "set 'flownet2-quarter'"
    assert refused() == f"The catalogue {path}, {called}: the field {field} is missing."


BAD = {
    "name": ['"Quarter"', '"../up"', '""', "3", '".hidden"', f'"{"x" * 81}"'],
    "role": ['"painter"', '"deepfill"', "[]"],
    "architecture": ['"raft"', "{ a = 1 }"],
    "width": ["0", "-1", "4.1", "true", '"1"', "nan", "inf"],
    "file": ['"../x.safetensors"', '"/x.safetensors"', '"x.pth"', '".x.safetensors"', '"a\\\\x.safetensors"'],
    "sha256": ['"00"', f'"{"A" * 64}"', "0"],
    "bytes": ["0", "1.5", "true", '"3"'],
    "licence": ['" "', "3"],
    "source": ['""'],
    "training": ["3"],
    "notes": ["[]"],
    "quality": [
        "3",
        "[3]",
        '[{ data = "a" }]',
        '[{ data = "a", metric = 3, value = 1 }]',
        '[{ data = "a", metric = "b", value = "c" }]',
        '[{ data = "a", metric = "b", value = true }]',
        '[{ data = "a", metric = "b", value = inf }]',
        '[{ data = "a", metric = "b", value = 1, more = 2 }]',
    ],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_what_no_field_can_be(field: str, value: str, data_folder: Path) -> None:
    lines = [f"{field} = {value}" if line.startswith(f"{field} ") else line for line in GOOD.splitlines()]
    path = written("\n".join(lines), data_folder)
    sentence = refused()
    assert sentence.startswith(f"The catalogue {path}, set ") and f"{field} cannot be " in sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[sets]", "is not a catalogue of weights: "),
        ("licence = 3", "has a field 'licence'; it has sets and shipped."),
        ("sets = 3", "needs its sets as tables"),
        ("sets = [3]", "needs its sets as tables"),
        ("shipped = 3", "shipped cannot be 3; it is true or false."),
        (GOOD + 'more = "x"', "set 'flownet2-quarter': there is no field 'more'."),
        (GOOD + GOOD, "there already is a set 'flownet2-quarter' in "),
    ],
)
def test_catalogues_that_make_no_sense(text: str, sentence: str, data_folder: Path) -> None:
    path = written(text, data_folder)
    said = refused()
    assert str(path) in said and sentence in said


def test_what_is_no_text(data_folder: Path) -> None:
    written("", data_folder).write_bytes(b"\xff\xfe\x00")
    assert "is not a catalogue of weights" in refused()
    written("sets = " + "[" * 100_000, data_folder)
    assert "is not a catalogue of weights" in refused()


def test_catalogues_that_cannot_be_read(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(GOOD, data_folder)

    def denied(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    assert refused() == f"The catalogue {path} cannot be read: Permission denied."


def test_texts_cannot_steer_the_terminal(data_folder: Path) -> None:
    written(GOOD.replace('notes = "none"', 'notes = "a\\u001b[31m\\nb\\u202e"'), data_folder)
    assert weights.sets()[0].notes == "a [31m b"


def test_many_catalogues_are_one(data_folder: Path) -> None:
    written(GOOD.replace("flownet2-quarter", "b"), data_folder, "1.toml")
    written(GOOD.replace("flownet2-quarter", "a"), data_folder, "2.toml")
    written("nonsense", data_folder, ".a.toml.part")
    written("nonsense", data_folder, ".hidden.toml")
    assert [one.name for one in weights.sets()] == ["b", "a"]
    written(GOOD.replace("flownet2-quarter", "b"), data_folder, "3.toml")
    assert refused() == f"{data_folder / '3.toml'}: there already is a set 'b' in {data_folder / '1.toml'}; rename one."


def test_a_catalogue_that_has_just_been_removed_is_none(data_folder: Path) -> None:
    assert catalog.read_catalog(data_folder / "gone.toml") is None


# --- the best ---


def test_the_best_is_what_somebody_put_there_and_then_the_widest(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped"
    stored("deepfill", "wide", width=0.25, folder=shipped)
    monkeypatch.setattr(catalog, "folders", lambda: [(tmp_path / "extra", "extra"), (data_folder, "imported"), (shipped, "shipped")])
    assert weights.find("deepfill").name == "wide"
    stored("deepfill", "a", folder=data_folder)
    assert weights.find("deepfill").name == "a", "imported goes before shipped, however narrow"
    stored("deepfill", "b", width=0.1875, folder=data_folder)
    assert weights.find("deepfill").name == "b"
    stored("deepfill", "c", width=0.0625, folder=tmp_path / "extra")
    assert weights.find("deepfill").name == "c"
    assert [one.name for one in weights.sets()] == ["c", "a", "b", "wide"]
    assert weights.find("flownet2") is None
    weights.find("deepfill").path.unlink()
    assert weights.find("deepfill").name == "b", "what is not there is not used"


def test_a_width_up_to_which_sets_count() -> None:
    stored("deepfill", "narrow")
    stored("deepfill", "wide", width=0.25)
    assert weights.find("deepfill", 0.25).name == "wide" and weights.find("deepfill", 0.2).name == "narrow"
    assert weights.find("deepfill", 0.1) is None


def test_of_two_sets_with_one_name_the_first_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored("deepfill", "one", folder=tmp_path / "extra")
    stored("deepfill", "one", width=0.25)
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "extra"))
    (one,) = weights.sets()
    assert one.width == SMALL and one.origin == "extra"


def test_what_a_host_ships_does_not_go_before_what_the_user_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored("deepfill", "own", width=0.0625)
    stored("deepfill", "hosts", width=0.25, folder=tmp_path / "host")
    written("shipped = true", tmp_path / "host", "catalog.toml")
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "host"))
    assert {one.name: one.origin for one in weights.sets()} == {"hosts": "shipped", "own": "imported"}
    assert weights.find("deepfill").name == "own"


# --- where ---


def test_the_folder_of_each_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert weights.user_folder() == tmp_path / "data/flow-inpaint/weights"
    for given in ("", "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", given)
        assert weights.user_folder() == tmp_path / "home/.local/share/flow-inpaint/weights"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert weights.user_folder() == tmp_path / "home/Library/Application Support/flow-inpaint/weights"
    monkeypatch.setattr(sys, "platform", "win32")
    assert weights.user_folder() == tmp_path / "data/flow-inpaint/weights"
    monkeypatch.delenv("LOCALAPPDATA")
    assert weights.user_folder() == tmp_path / "home/AppData/Local/flow-inpaint/weights"


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", homeless)
    assert "set XDG_DATA_HOME to a folder" in refused()


def test_the_folder_that_is_shipped_comes_last(data_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shipped = Path(catalog.__file__).resolve().parents[3] / "weights"
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path))
    assert folders() == [(tmp_path, "extra"), (data_folder, "imported"), (shipped, "shipped")]
    monkeypatch.setenv(weights.EXTRA_FOLDER, "")
    assert folders() == [(data_folder, "imported"), (shipped, "shipped")]


# --- from a file to tensors ---


def test_only_the_file_that_the_catalogue_means_is_loaded() -> None:
    one, other = stored("deepfill"), stored("deepfill", "other", seed=1)
    assert same(weights.load(one), state("deepfill"))
    good = one.path.read_bytes()
    one.path.write_bytes(other.path.read_bytes())
    with pytest.raises(BadWeights, match=r"are damaged \(.*: import them again\."):
        weights.load(one)
    one.path.write_bytes(good[:-1])
    with pytest.raises(BadWeights, match=rf"are damaged \({len(good) - 1} bytes instead of {len(good)}\)"):
        weights.load(one)
    one.path.write_bytes(good)
    weights.verify(one)


def test_a_catalogue_that_promises_the_wrong_network() -> None:
    """A sound file with the right checksum, and not what its catalogue says it is."""
    one = stored("deepfill")
    text = one.catalog.read_text("utf-8")
    one.catalog.write_text(text.replace("width = 0.125", "width = 0.25"), "utf-8")
    with pytest.raises(BadWeights, match=r"width 0\.25\), but 'stage_1\.\S+' is 8x8x3x3 there and 16x8x3x3 in the network"):
        weights.load(weights.sets()[0])
    one.catalog.write_text(text.replace('role = "deepfill"', 'role = "flownet2"').replace('re = "deepfill"', 're = "flownet2"'), "utf-8")
    with pytest.raises(BadWeights, match="looks like weights of FlowNet2 .* but lacks '"):
        weights.load(weights.sets()[0])


def test_a_file_with_the_right_checksum_that_is_no_safetensors() -> None:
    one = stored("deepfill")
    one.path.write_bytes(b"nonsense")
    text = one.catalog.read_text("utf-8").replace(one.sha256, loading.sha256(one.path)).replace(f"bytes = {one.bytes}", "bytes = 8")
    one.catalog.write_text(text, "utf-8")
    with pytest.raises(BadWeights, match=f"'deepfill' in {one.path} are no safetensors file"):
        weights.load(weights.sets()[0])


def test_half_precision_is_stored_and_float32_is_loaded() -> None:
    kind = "dfc_initial_resnet50"
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state(kind).items()}
    one = weights.store(half, name="half", role="dfc_stage1", architecture=kind, width=SMALL, licence="none", source="a test")
    loaded = weights.load(one)
    assert same(loaded, half) and {tensor.dtype for tensor in loaded.values()} == {torch.float32, torch.int64}
    network(kind).load_state_dict(loaded, strict=True)
    assert one.bytes < stored("dfc_stage1", architecture=kind).bytes * 0.6


@pytest.mark.parametrize("kind", [list, tuple])
def test_what_was_measured_may_be_a_list_or_a_tuple(kind: type) -> None:
    rows = kind([{"data": "clips", "metric": "EPE", "value": 1.25}])
    one = weights.store(
        state("deepfill"), name="x", role="deepfill", architecture="deepfill", width=SMALL, licence="a", source="b", quality=rows
    )
    assert weights.sets() == [one] and one.quality == (weights.Quality("clips", "EPE", 1.25),)


def test_without_pytorch_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = stored("deepfill")
    save_file(state("deepfill"), tmp_path / "x.safetensors")
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: None if name == "torch" else object())
    for wanted in (lambda: weights.load(one), lambda: importing.import_file(tmp_path / "x.safetensors")):
        with pytest.raises(Failed, match=r"torch is not installed: install flow-inpaint\[networks\]"):
            wanted()


def test_asking_the_catalogues_does_not_take_pytorch() -> None:
    stored("deepfill")
    code = """
import sys
from flow_inpaint import cli, doctor, weights
assert weights.find("deepfill").name == "deepfill"
assert cli.main(["weights", "list"]) == cli.main(["weights", "verify"]) == 0
assert "torch" not in sys.modules and "safetensors" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


# --- the doctor ---


def finding() -> doctor.Finding:
    (found,) = doctor._weights()
    return found


def test_the_doctor_says_what_is_missing_and_when_nothing_is() -> None:
    assert finding().state == "note" and "none installed" in finding().found and "weights import FILE" in finding().advice
    stored("flownet2", architecture="flownet2")
    stored("deepfill")
    assert finding().state == "note" and "flownet2: flownet2 (width 0.125)" in finding().found
    assert finding().found.endswith("none for dfc_stage1, dfc_stage2, dfc_stage3, dfc_single")
    stored("dfc_single", architecture="dfc_initial_resnet101")
    assert finding().state == "good" and not finding().advice, "the single stage is enough"
    weights.remove("dfc-single")
    for role in ("dfc_stage1", "dfc_stage2", "dfc_stage3"):
        assert finding().state == "note"
        stored(role, architecture="dfc_initial_resnet50" if role == "dfc_stage1" else "dfc_refine_resnet50")
    assert finding().state == "good" and finding().found.endswith("none for dfc_single")


def test_the_doctor_on_catalogues_that_cannot_be_read(data_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = written("[[sets]", data_folder)
    assert finding().state == "note" and str(path) in finding().found and finding().advice
    path.unlink()
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "nowhere"))
    assert "which is no folder" in finding().found and finding().state == "note"


def test_the_doctor_does_not_count_a_set_whose_file_is_gone() -> None:
    stored("deepfill").path.unlink()
    assert "none installed" in finding().found
    with pytest.raises(MissingWeights):
        weights.verify(weights.sets()[0])
