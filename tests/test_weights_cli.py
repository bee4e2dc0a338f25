"""Catalogues, and the command `flow-inpaint weights`."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from flow_inpaint import cli, weights
from flow_inpaint.errors import BadWeights, MissingWeights
from flow_inpaint.weights import catalog
from weight_files import PUBLISHED, data_folder, files, save, state, stored, wrapped  # noqa: F401  (data_folder is a fixture)


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


def test_the_shipped_catalogue_is_in_order() -> None:
    path = Path(__file__).resolve().parents[1] / "weights"
    for one in catalog.read_folder(path, "shipped"):
        weights.verify(one)


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_import_says_the_terms(name: str, capsys, tmp_path: Path) -> None:
    architecture, wrapping, role = PUBLISHED[name]
    path = save(wrapped(state(architecture), wrapping), tmp_path / name)
    lines = said(capsys, "import", str(path)).splitlines()
    (made,) = weights.sets()
    assert lines[0] == f"Imported {made.name}: {architecture}, width 0.125, {made.bytes / 2**20:.1f} MiB, for the role {role}."
    assert lines[1:] == [f"Licence: {made.licence}.", f"Stored as {made.path}"]
    assert ("for research purposes only" if role == "flownet2" else "whose licence is MIT, and no separate terms are stated") in lines[1]


def test_the_list_for_a_program_has_everything(capsys, monkeypatch, tmp_path: Path) -> None:
    made = stored("dfc_stage1", architecture="dfc_initial_resnet50", folder=tmp_path / "more")
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "more"))
    stored("dfc_stage1", "gone", architecture="dfc_initial_resnet50").path.unlink()
    document = json.loads(said(capsys, "list", "--json"))
    assert document["missing"] == ["flownet2", "dfc_stage2", "dfc_stage3", "dfc_single", "deepfill"]
    first, second = document["sets"]
    assert first == {
        "name": "dfc-stage1",
        "role": "dfc_stage1",
        "architecture": "dfc_initial_resnet50",
        "width": 0.125,
        "path": str(made.path),
        "sha256": made.sha256,
        "bytes": made.bytes,
        "licence": "GPL-3.0-or-later",
        "source": "a test",
        "training": "flow-inpaint train deepfill",
        "quality": [{"data": "clips", "metric": "EPE", "value": 1.25}],
        "notes": "",
        "origin": "extra",
        "catalog": str(made.catalog),
        "installed": True,
        "chosen": True,
        "chosen_on_processor": True,
    }
    assert (second["name"], second["origin"], second["installed"], second["chosen"]) == ("gone", "imported", False, False)
    text = said(capsys, "list")
    assert "THE FILE IS MISSING" in text and text.endswith("No weights for flownet2, dfc_stage2, dfc_stage3, dfc_single, deepfill.\n")


def test_the_list_when_nothing_is_missing(capsys) -> None:
    for role in weights.ROLES:
        architecture = next(one.name for one in weights.ARCHITECTURES.values() if role in one.roles)
        stored(role, architecture=architecture)
    assert said(capsys, "list").endswith("There are weights for every network.\n")


def test_verify_goes_on_after_a_broken_one(capsys) -> None:
    for name in ("a", "b", "c"):
        stored("deepfill", name)
    a, b, _ = weights.sets()
    a.path.write_bytes(b"short")
    b.path.unlink()
    lines = said(capsys, "verify", code=1).splitlines()
    assert lines[0].startswith("BROKEN  a: ") and "damaged (5 bytes instead of" in lines[0]
    assert lines[1].startswith("BROKEN  b: ") and lines[1].endswith("is gone: import them again.")
    assert lines[2:] == ["ok      c", "2 of 3 are broken."]


def test_what_cannot_be_removed(capsys, monkeypatch, tmp_path: Path) -> None:
    stored("deepfill", "mine")
    stored("deepfill", "theirs", folder=tmp_path / "more")
    monkeypatch.setenv(weights.EXTRA_FOLDER, str(tmp_path / "more"))
    assert "There are no weights 'mime'; did you mean 'mine'?" in said(capsys, "remove", "mime", code=2)
    assert "There are no weights 'zzz'; flow-inpaint weights list shows all." in said(capsys, "remove", "zzz", code=2)
    assert f"'theirs' was not imported, it is listed in {tmp_path / 'more' / 'theirs.toml'}" in said(capsys, "remove", "theirs", code=2)
    outside = weights.user_folder().parent / "outside.toml"
    outside.write_text("precious")
    assert "There are no weights '../outside'" in said(capsys, "remove", "../outside", code=2)
    assert outside.exists() and len(weights.sets()) == 2


def test_removing_takes_the_files_along(capsys, data_folder: Path) -> None:  # noqa: F811
    made, other = stored("deepfill", "mine"), stored("deepfill", "mine-too")
    said(capsys, "remove", "mine")
    assert files(data_folder) == {other.path.name, other.catalog.name} and not made.path.exists()
    broken = data_folder / "broken.toml"
    broken.write_text("[[sets]")
    said(capsys, "remove", "broken")
    assert not broken.exists(), "what can no longer be read can be removed as well"


def test_a_catalogue_that_cannot_be_read_is_one_line_and_exit_code_2(capsys, data_folder: Path) -> None:  # noqa: F811
    data_folder.mkdir(parents=True)
    (data_folder / "x.toml").write_text("[[sets]")
    assert json.loads(said(capsys, "list", "--json", code=2).splitlines()[0])["status"] == "BadWeights"
    for word in ("list", "verify"):
        text = said(capsys, word, code=2)
        assert text.startswith(f"flow-inpaint: {data_folder / 'x.toml'} is not a catalogue") and text.count("\n") == 1


def test_a_role_that_is_none(capsys, tmp_path: Path) -> None:
    path = save(state("deepfill"), tmp_path / "x.pth")
    assert "There is no role 'painter': choose one of flownet2, " in said(capsys, "import", str(path), "--role", "painter", code=2)
    assert not weights.sets()
