"""`flow-inpaint train` and `flow-inpaint export`."""
from __future__ import annotations

import hashlib
import json
import tomllib

import pytest
import safetensors
import torch
from toy_run import TOY

from flow_inpaint import cli, weights
from flow_inpaint.training import checkpoint
from flow_inpaint.training.state import CHECKPOINT, start, weights_of
from flow_inpaint.training.tasks.dfc import DFCSettings, DFCTask


def refused(capfd, *words: str, code: int = 2) -> str:
    assert cli.main(words) == code
    err = capfd.readouterr().err
    assert err.startswith("flow-inpaint: ") and err.count("\n") == 1
    return err.removeprefix("flow-inpaint: ").rstrip()


def test_train_and_export_from_the_command_line(tmp_path, capfd):
    words = ["train", "dfc", "--config", "dfc-toy", "--out", str(tmp_path / "run"), "--set", TOY, "--set", "task.width=0.03"]
    words += ["--device", "cpu", "--set", "train.steps=1", "--set", "data.size=[32, 40]"]
    assert cli.main(words) == 0
    assert "Finished after 4 steps and 8 samples" in capfd.readouterr().out
    assert "holds a run already" in refused(capfd, *words)
    assert cli.main([*words, "--resume"]) == 0
    capfd.readouterr()
    assert cli.main(["export", str(tmp_path / "run"), "--name", "toy", "--notes", 'a "toy"']) == 0
    assert capfd.readouterr().out.count("Wrote ") == 4
    folder = tmp_path / "run" / "export"
    tables = tomllib.loads((folder / "catalog.toml").read_text())["sets"]
    assert [table["role"] for table in tables] == ["dfc_stage1", "dfc_stage2", "dfc_stage3"]
    learnt = weights_of(tmp_path / "run")
    for number, table in enumerate(tables):
        fields = "name role architecture width file sha256 bytes licence source training quality notes"
        assert list(table) == fields.split() and table["width"] == 0.03
        assert table["notes"] == 'a "toy"' and table["licence"] == "GPL-3.0-or-later"
        data = (folder / table["file"]).read_bytes()
        assert len(data) == table["bytes"] and hashlib.sha256(data).hexdigest() == table["sha256"]
        assert {row["metric"] for row in table["quality"]} >= {"epe", "epe_smooth", "ratio"}
        assert "4 steps, 8 samples" in table["training"]
        with safetensors.safe_open(folder / table["file"], "pt") as file:
            assert file.metadata()["role"] == table["role"]
            for name in file.keys():
                values = file.get_tensor(name)
                assert values.dtype in (torch.float16, torch.int64)
                assert torch.equal(values, learnt[f"stages.{number}.{name}"].to(values.dtype))
    own = ["export", str(tmp_path / "run"), "--role", "dfc_stage1", "--out", str(tmp_path / "own"), "--licence"]
    assert cli.main([*own, 'CC0-1.0,\nmine \x7f"all"']) == 0
    (table,) = tomllib.loads((tmp_path / "own" / "catalog.toml").read_text())["sets"]
    with safetensors.safe_open(tmp_path / "own" / table["file"], "pt") as file:
        inner = json.loads(file.metadata()["flow_inpaint"])
    assert table["licence"] == inner["licence"] == 'CC0-1.0, mine "all"'
    capfd.readouterr()
    assert "--licence is empty" in refused(capfd, *own, " ")


def test_what_a_run_exports_is_imported_with_all_that_is_known_of_it(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    words = ["train", "dfc", "--config", "dfc-toy", "--out", str(tmp_path / "run"), "--set", TOY, "--set", "task.width=0.03"]
    assert cli.main([*words, "--device", "cpu", "--set", "train.steps=1", "--set", "data.size=[32, 40]"]) == 0
    assert cli.main(["export", str(tmp_path / "run"), "--name", "toy"]) == 0
    folder = tmp_path / "run" / "export"
    for table in tomllib.loads((folder / "catalog.toml").read_text())["sets"]:
        (made,) = weights.import_file(folder / table["file"])
        for field in ("name", "role", "architecture", "width", "licence", "source", "training"):
            assert getattr(made, field) == table[field]
        assert [vars(row) for row in made.quality] == table["quality"]


def test_weights_can_be_where_a_run_begins(tmp_path, capfd):
    words = ["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--device", "cpu"]
    words += ["--set", "data.size=[32, 40]"]
    assert cli.main([*words, "--set", "train.steps=1", "--out", str(tmp_path / "run")]) == 0
    assert cli.main(["export", str(tmp_path / "run"), "--role", "dfc_stage2"]) == 0
    task = DFCTask(DFCSettings(width=0.03))
    for given, exact in ((tmp_path / "run", True), (tmp_path / "run/export/dfc-stage2-w0.03.safetensors", False)):
        model = task.build()
        start(model, task, [str(given)])
        found, learnt = model.state_dict(), weights_of(tmp_path / "run")
        name = "stages.1.layer5.conv3.weight"
        torch.testing.assert_close(found[name], learnt[name], rtol=0 if exact else 1e-3, atol=0 if exact else 1e-4)
        assert torch.equal(found["stages.0.conv1.weight"], learnt["stages.0.conv1.weight"]) == exact
    capfd.readouterr()
    other = [*words, "--out", str(tmp_path / "other"), "--set", "task.width=0.05"]
    assert "another network" in refused(capfd, *other, "--set", f"run.start={tmp_path / 'run'}")
    assert "neither" in refused(capfd, *other, "--set", f"run.start={tmp_path / 'nothing'}")


def test_a_part_of_a_run_is_not_exported_before_it_is_trained(tmp_path, capfd):
    words = ["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--device", "cpu", "--seconds", "0.000001"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    assert "The time is over after 0 steps" in capfd.readouterr().out
    assert "has not taken a step" in refused(capfd, "export", str(tmp_path))
    facts = checkpoint.load(tmp_path / CHECKPOINT)
    checkpoint.save(tmp_path / CHECKPOINT, facts[0], facts[1] | {"progress": facts[1]["progress"] | {"phase": 1}})
    assert cli.main(["export", str(tmp_path)]) == 0
    assert [path.name for path in (tmp_path / "export").glob("*.safetensors")] == ["dfc-stage1-w0.03.safetensors"]
    # Nor does it say that it has learnt what comes next.
    assert "(phases stage1; " in (tmp_path / "export/catalog.toml").read_text()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["train", "resnet", "--config", "dfc-toy"], "WHAT cannot be 'resnet': choose dfc, flownet2, deepfill."),
        (["train", "dfc"], "--config"),
        (["train", "dfc", "--config", "none.toml"], "There is no configuration 'none.toml': give a file, or one of"),
        (["train", "flownet2", "--config", "dfc-toy"], "is a configuration for 'dfc', and not for 'flownet2'."),
        (["train", "dfc", "--config", "dfc-toy", "--set", "task.stage=stage4"], "task.stage cannot be 'stage4': choose"),
        (["train", "dfc", "--config", "dfc-toy", "--set", "task.stages=2"], "task.stage cannot be 'stage3' of a network"),
        (["train", "dfc", "--config", "dfc-toy", "--set", "task.width=100.0"], "task.width cannot be 100.0"),
        (["train", "dfc", "--config", "dfc-toy", "--set", "data.source=nowhere"], "data.source cannot be 'nowhere'"),
        (["train", "dfc", "--config", "dfc-toy", "--set", "data.source=:x"], "data.source cannot be ':x': choose scenes"),
        (["train", "dfc", "--config", "dfc-toy", "--set", "data.source=..x:y"], "data.source cannot be '..x:y': choose scenes"),
        (["train", "dfc", "--config", "dfc-toy", "--set", "data.source=no_module:x"], "data.source cannot be 'no_module:x'"),
        (["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "data.frames=5"], "data.frames cannot be 5"),
        (["train", "dfc", "--config", "dfc-toy", "--device", "tpu"], "--device cannot be 'tpu'"),
        (["train", "flownet2", "--config", "flownet2-toy", "--set", TOY, "--set", "data.size=[64, 65]"], "data.size cannot be [64, 65]"),
        (["export", "nowhere"], "nowhere holds no run"),
        (["export", "nowhere", "--name", "Mine!"], "--name cannot be 'Mine!'"),
    ],
)
def test_what_the_command_line_refuses(tmp_path, monkeypatch, capfd, words, part):
    monkeypatch.chdir(tmp_path)
    sentence = refused(capfd, *words)
    assert part in sentence and sentence.endswith((".", "says more."))


def test_folders_that_cannot_be_written(tmp_path, capfd):
    (tmp_path / "file").write_text("")
    words = ["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--device", "cpu", "--set", "train.steps=1"]
    sentence = refused(capfd, *words, "--out", str(tmp_path / "file" / "run"), code=1)
    assert sentence == f"{tmp_path}/file/run could not be written (Not a directory): check the disk and the folder's permissions."
    assert cli.main([*words, "--set", "data.size=[32, 40]", "--out", str(tmp_path / "run")]) == 0
    capfd.readouterr()
    sentence = refused(capfd, "export", str(tmp_path / "run"), "--out", str(tmp_path / "file" / "export"), code=1)
    assert sentence == f"{tmp_path}/file/export could not be written (Not a directory): check the disk and the folder's permissions."


def test_a_checkpoint_that_is_damaged_ends_with_bad_input(tmp_path, capfd):
    words = ["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--device", "cpu", "--seconds", "0.000001"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    capfd.readouterr()
    shard = next((tmp_path / CHECKPOINT).glob("*.shard"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "is damaged" in refused(capfd, *words, "--out", str(tmp_path), "--resume")
