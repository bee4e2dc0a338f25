"""Catalogues, and the command `flow-inpaint weights`."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from flow_inpaint import cli, doctor, weights
from flow_inpaint.errors import BadWeights, MissingWeights
from flow_inpaint.weights import catalog
from weight_files import SMALL, data_folder, network, save, state, wrapped  # noqa: F401  (data_folder is a fixture)


@pytest.fixture(autouse=True)
def nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    real = catalog.folders
    monkeypatch.setattr(catalog, "folders", lambda: [(folder, origin) for folder, origin in real() if origin != "shipped"])


def stored(role: str, name: str = "", *, architecture: str = "deepfill", width: float = SMALL, folder: Path | None = None) -> weights.WeightSet:
    return weights.store(
        state(architecture, width),
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


def said(capsys: pytest.CaptureFixture, *words: str, code: int = 0) -> str:
    assert cli.main(["weights", *words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else out + err


def test_nothing_is_installed(capsys) -> None:
    assert said(capsys, "list") == "No weights for flownet2, dfc_stage1, dfc_stage2, dfc_stage3, dfc_single, deepfill.\n"
    assert said(capsys, "verify") == "There are no weights to verify.\n"
    assert json.loads(said(capsys, "list", "--json")) == {"sets": [], "missing": list(weights.ROLES)}
    assert weights.find("deepfill") is None


def test_the_list_says_what_the_catalogue_knows(capsys) -> None:
    made = stored("deepfill")
    text = said(capsys, "list")
    for fact in ("deepfill (in use)", "width 0.125", "GPL-3.0-or-later", "clips: EPE 1.25", "a test", "flow-inpaint train deepfill", str(made.path)):
        assert fact in text
    found = json.loads(said(capsys, "list", "--json"))
    assert [one["name"] for one in found["sets"]] == ["deepfill"] and found["sets"][0]["chosen"] and "deepfill" not in found["missing"]


def test_verify_finds_one_flipped_bit_and_nobody_loads_it(capsys) -> None:
    made = stored("deepfill")
    assert said(capsys, "verify") == "ok      deepfill\nAll are whole.\n"
    data = bytearray(made.path.read_bytes())
    data[-5] ^= 1
    made.path.write_bytes(data)
    assert "1 of 1 are broken" in said(capsys, "verify", code=1)
    with pytest.raises(BadWeights, match="damaged"):
        weights.load(made)
    made.path.unlink()
    assert weights.find("deepfill") is None and "THE FILE IS MISSING" in said(capsys, "list")
    with pytest.raises(MissingWeights, match="is gone"):
        weights.load(made)


def test_what_is_loaded_fits_the_network(capsys) -> None:
    half = {name: tensor.half() for name, tensor in state("deepfill").items()}
    made = weights.store(half, name="half", role="deepfill", architecture="deepfill", width=SMALL, licence="none", source="a test")
    loaded = weights.load(made)
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32}
    network("deepfill").load_state_dict(loaded, strict=True)


def test_import_and_remove(capsys, tmp_path: Path) -> None:
    path = save(wrapped(state("dfc_refine_resnet50"), "n_iter"), tmp_path / "some.pth")
    assert "add --role dfc_stage2 or --role dfc_stage3" in said(capsys, "import", str(path), code=2)
    text = said(capsys, "import", str(path), "--role", "dfc_stage3")
    assert "for the role dfc_stage3" in text and "Licence: " in text
    name = text.split()[1].rstrip(":")
    assert weights.find("dfc_stage3").name == name and weights.find("dfc_stage2") is None
    assert said(capsys, "remove", name) == f"Removed {name}.\n"
    assert weights.find("dfc_stage3") is None
    assert name in said(capsys, "remove", name, code=2)


def test_a_file_that_is_none_is_one_line_and_exit_code_2(capsys, tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8\xff" * 100)
    text = said(capsys, "import", str(path), code=2)
    assert text.startswith("flow-inpaint: ") and "holiday.jpg" in text and text.count("\n") == 1


def test_one_more_folder_goes_before_all_others(capsys, monkeypatch, tmp_path: Path) -> None:
    stored("deepfill", "own", width=0.25)
    stored("deepfill", "extra", folder=tmp_path / "more")
    assert weights.find("deepfill").name == "own"
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "more"))
    assert weights.find("deepfill").name == "extra"
    assert "not in use: extra is" in said(capsys, "list")
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "nowhere"))
    assert "which is no folder" in said(capsys, "list", code=2)


def test_the_list_says_what_auto_takes_on_a_processor(capsys) -> None:
    stored("deepfill", "heavy", width=0.5)
    assert "(in use, but not by auto on a processor)" in said(capsys, "list")
    stored("deepfill", "light")
    stored("deepfill", "lighter", width=0.0625)
    text = said(capsys, "list")
    for fact in ("(in use, but not by auto on a processor)", "(in use by auto on a processor, else heavy is)", "(not in use: heavy is)"):
        assert text.count(fact) == 1
    found = {one["name"]: (one["chosen"], one["chosen_on_processor"]) for one in json.loads(said(capsys, "list", "--json"))["sets"]}
    assert found == {"heavy": (True, False), "light": (False, True), "lighter": (False, False)}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ('licence = "GPL-3.0-or-later"', "licence"),
        ('role = "deepfill"', "role"),
        ("width = 0.125", "width"),
    ],
)
def test_a_catalogue_that_lacks_something_is_named(change: str, sentence: str) -> None:
    made = stored("deepfill")
    made.catalog.write_text(made.catalog.read_text().replace(change, ""))
    with pytest.raises(BadWeights, match=sentence) as refused:
        weights.sets()
    assert made.catalog.name in str(refused.value)


def test_the_doctor_says_what_is_there() -> None:
    before = doctor._weights()[0]
    assert before.state == "note" and "none installed" in before.found and "weights import" in before.advice
    stored("deepfill")
    after = doctor._weights()[0]
    assert "deepfill: deepfill (width 0.125)" in after.found and "none for flownet2" in after.found


def test_the_shipped_catalogue_is_in_order() -> None:
    path = Path(__file__).resolve().parents[1] / "weights"
    for one in catalog._read_folder(path, "shipped"):
        weights.verify(one)


def test_the_wider_set_is_the_better_one_up_to_a_width() -> None:
    stored("deepfill", "a-narrow")
    stored("deepfill", "b-wide", width=0.25)
    assert weights.find("deepfill").name == "b-wide"
    assert weights.find("deepfill", 0.25).name == "b-wide" and weights.find("deepfill", 0.2).name == "a-narrow"
    assert weights.find("deepfill", 0.1) is None
