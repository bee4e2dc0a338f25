"""`tests/benchmarks/train_in_pieces.sh`: training in pieces, with the configuration that a graphics card is given, up to tables."""
from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from toy_run import environment

from flow_inpaint.training import checkpoint, log
from flow_inpaint.training.state import CHECKPOINT

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "train_in_pieces.sh"
#: The configuration "dfc" at the size of a toy: values are other ones, and no key is missing.
SMALL = {
    "task.width": 0.03, "data.size": "[48, 64]", "train.batch": 1, "run.validation_samples": 1, "run.validate_every": 0, "run.log_every": 1,
    "phases.stage1.train.steps": 5, "phases.stage2.train.steps": 2, "phases.stage3.train.steps": 2, "phases.joint.train.steps": 2,
    "run.save_every": 0,
}  # fmt: skip

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell script")


def started(tmp_path: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    env = environment() | {"RUN": str(tmp_path / "run"), "PYTHON": sys.executable, "DEVICE": "cpu"} | variables
    pipe = subprocess.PIPE
    return subprocess.Popen(["bash", str(SCRIPT), *words], env=env, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def done(process: subprocess.Popen[str], code: int = 0) -> str:
    out, err = process.communicate(timeout=150)
    assert process.returncode == code, err
    return out + err


def test_pieces_from_the_first_step_to_the_tables(tmp_path):
    changes = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    run = tmp_path / "run"
    # Killed without a warning, as a machine that is taken away.
    process = started(tmp_path, "train", *changes)
    until = time.monotonic() + 100
    while time.monotonic() < until and not ((run / "log.csv").exists() and len(log.read(run / "log.csv")) >= 2):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert checkpoint.exists(run / CHECKPOINT)
    # Its time is over before anything could be done; still there is something to take along.
    said = done(started(tmp_path, "train", *changes, BUDGET="0.01"))
    assert "The time is over after" in said and (run / "export" / "catalog.toml").is_file()
    said = done(started(tmp_path, "train", *changes))
    assert "Going on at step" in said and "Finished after 11 steps and 11 samples" in said
    sets = tomllib.loads((run / "export" / "catalog.toml").read_text())["sets"]
    assert [one["role"] for one in sets] == ["dfc_stage1", "dfc_stage2", "dfc_stage3"]
    assert all("phases stage1, stage2, stage3, joint" in one["training"] for one in sets)
    done(started(tmp_path, "tables", CLIPS="1", FRAMES="2"))
    for folder, wanted in (("generated-true", "Stage-2 (ours)"), ("generated-estimated", "DFC-Net (ours)"), ("mining", "p = 50")):
        table = next((run / "tables" / folder).glob("table-*.csv"))
        with table.open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["clip"] == "mean" and row["method"] == wanted]
        assert [row["setting"] for row in rows] == ["square", "random"] and all(float(row["epe"]) > 0 for row in rows)


def test_what_the_script_refuses(tmp_path):
    assert "train_in_pieces.sh train" in done(started(tmp_path), 2)
    assert done(started(tmp_path, "judge"), 2).startswith("judge needs DATA")
