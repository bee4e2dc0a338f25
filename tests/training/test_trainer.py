"""The training loop: it goes on where it was, whatever stopped it; and what it leaves, and what it refuses."""
from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from toy_run import CPU, TOY, Line, command, environment, losses, same_checkpoint, train, wanted

from flow_inpaint.errors import Aborted, BadParameter, Failed, OutOfMemory
from flow_inpaint.training import checkpoint, log
from flow_inpaint.training.config import RunSettings, TrainSettings
from flow_inpaint.training.processes import Processes
from flow_inpaint.training.record import Progress
from flow_inpaint.training.state import CHECKPOINT, weights_of
from flow_inpaint.training.trainer import Trainer

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

# --- going on ---

ADAM = TrainSettings(steps=9, batch=4, rate=1e-2, ema=0.9, clip=0.5, warmup=2, decay="cosine")
SGD = TrainSettings(steps=9, batch=4, optimizer="sgd", rate=1e-2, milestones=(3, 6))


@pytest.mark.parametrize("settings", [ADAM, SGD], ids=["adamw", "sgd"])
@pytest.mark.parametrize("at", [0, 1, 5, 9, 13])
def test_a_resumed_run_has_the_losses_of_one_that_was_not_stopped(tmp_path, settings, at):
    plan = wanted(settings, settings)
    assert train(plan, tmp_path / "whole").finished
    with pytest.raises(Aborted, match="--resume"):
        train(plan, tmp_path / "parts", stop_at=at)
    assert checkpoint.facts(tmp_path / "parts" / CHECKPOINT)["progress"]["total"] == at
    task = Line()
    assert train(plan, tmp_path / "parts", resume=True, task=task).finished
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts") and len(losses(tmp_path / "whole")) == 18
    same_checkpoint(tmp_path / "whole", tmp_path / "parts")
    assert task.begun == {0: 2, 1: 1, 5: 1, 9: 1, 13: 0}[at]


def test_another_seed_gives_other_losses(tmp_path):
    for seed in (1, 2):
        train(wanted(SGD, run=RunSettings(seed=seed, log_every=1, validation_samples=2)), tmp_path / str(seed))
    assert losses(tmp_path / "1") != losses(tmp_path / "2")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    train(wanted(SGD), tmp_path)
    before = losses(tmp_path)
    assert train(wanted(SGD), tmp_path, resume=True).finished
    assert losses(tmp_path) == before


def test_what_was_logged_after_the_last_checkpoint_is_taken_back(tmp_path):
    with pytest.raises(Aborted):
        train(wanted(SGD), tmp_path, stop_at=4)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("p0,5,5,1,1,1,9,9\np0,6,6,1,1,1,9,9\np0,7")
    train(wanted(SGD), tmp_path, resume=True)
    assert [step for _, step, _ in losses(tmp_path)] == [str(k) for k in range(1, 10)]


def test_the_run_of_another_plan_is_not_gone_on_with(tmp_path):
    train(wanted(SGD), tmp_path)
    with pytest.raises(BadParameter, match="choose another --out"):
        train(wanted(SGD, SGD), tmp_path, resume=True)


TOY_DFC = [
    "train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--set", "run.save_every=0",
    "--set", "phases.stage1.train.steps=12", "--set", "phases.stage2.train.steps=6", "--set", "phases.stage3.train.steps=1",
    "--set", "phases.joint.train.steps=1", "--device", "cpu",
]  # fmt: skip


@POSIX
def test_a_killed_run_resumes_with_the_same_losses(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    subprocess.run(command(*TOY_DFC, "--out", str(whole)), env=environment(), check=True, capture_output=True, timeout=100)
    for rows in (5, 14):
        process = subprocess.Popen(command(*TOY_DFC, "--out", str(parts), "--resume"), env=environment(), stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and not ((parts / "log.csv").exists() and len(log.read(parts / "log.csv")) >= rows):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        assert checkpoint.exists(parts / CHECKPOINT)
    subprocess.run(command(*TOY_DFC, "--out", str(parts), "--resume"), env=environment(), check=True, capture_output=True, timeout=100)
    assert losses(parts) == losses(whole) and len(losses(whole)) == 20
    same_checkpoint(whole, parts)


@POSIX
def test_sigterm_saves_and_ends(tmp_path):
    process = subprocess.Popen(
        command(*TOY_DFC, "--out", str(tmp_path), "--set", "run.save_every=1e9", "--set", "phases.stage1.train.steps=100000"),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and "stage1 1:" in process.stdout.readline()
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err.startswith("flow-inpaint: Stopped at step") and err.count("\n") == 1
    assert checkpoint.facts(tmp_path / CHECKPOINT)["progress"]["total"] >= 1


# --- several processes ---


def test_two_processes_train_as_one(tmp_path):
    words = ["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--device", "cpu", "--set", "train.batch=4"]
    words += ["--set", "train.micro=1", "--set", "train.optimizer=sgd", "--set", "train.rate=1e-3", "--set", "phases.stage2.train.steps=1"]
    subprocess.run(command(*words, "--out", str(tmp_path / "one")), env=environment(), check=True, capture_output=True, timeout=100)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "flow_inpaint"]
    words += ["--out", str(tmp_path / "two")]
    done = subprocess.run([*torchrun, *words], env=environment(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    one, two = (weights_of(tmp_path / name) for name in ("one", "two"))
    torch.manual_seed(0)
    moved = 0
    for name, values in one.items():
        if values.is_floating_point():
            torch.testing.assert_close(two[name], values, rtol=1e-4, atol=1e-6, msg=name)
            moved += 1
    assert moved > 100
    rows = [[float(loss) for _, _, loss in losses(tmp_path / name)] for name in ("one", "two")]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4)
    assert rows[0][0] != rows[0][1]


def test_a_batch_that_cannot_be_shared(tmp_path):
    with pytest.raises(BadParameter, match="train.batch cannot be 4: 3 processes"):
        Trainer(wanted(SGD), [Line()], tmp_path, device=CPU, processes=Processes(0, 3))


# --- time, memory, numbers ---


def test_a_budget_of_time_ends_the_run_and_the_phase(tmp_path):
    run = RunSettings(seconds=0.5, log_every=1, validation_samples=2)
    endless = TrainSettings(steps=10**9, batch=4)
    outcome = train(wanted(endless, run=run), tmp_path / "run")
    assert not outcome.finished and outcome.progress.total > 1 and checkpoint.exists(tmp_path / "run" / CHECKPOINT)
    more = train(wanted(endless, run=run), tmp_path / "run", resume=True)
    assert more.progress.total > outcome.progress.total
    short = TrainSettings(steps=10**9, batch=4, seconds=0.3)
    assert train(wanted(short, short), tmp_path / "phase").finished
    assert {phase for phase, _, _ in losses(tmp_path / "phase")} == {"p0", "p1"}


def test_memory_that_runs_out_halves_what_is_done_at_a_time(tmp_path):
    said: list[str] = []
    plan = wanted(TrainSettings(steps=5, batch=8, optimizer="sgd", rate=1e-2))

    class Sober(Line):
        def build(self):
            return nn.Sequential(nn.Linear(3, 4), nn.Identity(), nn.Linear(4, 1))

    train(plan, tmp_path / "much", task=Sober())
    train(plan, tmp_path / "little", task=Sober(most=3), say=said.append)
    assert [text for text in said if "Memory" in text] == [
        "Memory is short: going on with 4 samples at a time, 8 a step as before.",
        "Memory is short: going on with 2 samples at a time, 8 a step as before.",
    ]
    much, little = ([float(loss) for _, _, loss in losses(tmp_path / name)] for name in ("much", "little"))
    np.testing.assert_allclose(much, little, rtol=1e-5)
    with pytest.raises(OutOfMemory, match="a single sample"):
        train(plan, tmp_path / "none", task=Line(most=0))


def test_an_uneven_last_part_counts_by_its_samples(tmp_path):
    class Sober(Line):
        def build(self):
            return nn.Sequential(nn.Linear(3, 4), nn.Identity(), nn.Linear(4, 1))

    for micro in (5, 2):
        train(wanted(TrainSettings(steps=4, batch=5, micro=micro)), tmp_path / str(micro), task=Sober())
    np.testing.assert_allclose(*([float(loss) for _, _, loss in losses(tmp_path / name)] for name in ("5", "2")), rtol=1e-4)


def test_a_run_that_goes_astray_stops_and_keeps_its_last_checkpoint(tmp_path):
    class Astray(Line):
        def loss(self, model, batch, player):
            loss, parts = super().loss(model, batch, player)
            return loss * (float("nan") if self.steps() else 1.0), parts

        def steps(self) -> bool:
            self.count = getattr(self, "count", 0) + 1
            return self.count > 3

    run = RunSettings(log_every=1, validation_samples=2, save_every=0)
    with pytest.raises(Failed, match="step 4.*lower train.rate"):
        train(wanted(TrainSettings(steps=9, batch=4), run=run), tmp_path, task=Astray())
    assert checkpoint.load(tmp_path / CHECKPOINT)[1]["progress"]["total"] == 3


def test_averaged_weights_are_what_is_measured_and_kept(tmp_path):
    train(wanted(TrainSettings(steps=6, batch=4, rate=0.1, ema=0.9)), tmp_path / "averaged")
    train(wanted(TrainSettings(steps=6, batch=4, rate=0.1)), tmp_path / "plain")
    averaged, plain = (weights_of(tmp_path / name) for name in ("averaged", "plain"))
    assert losses(tmp_path / "averaged") == losses(tmp_path / "plain")
    assert not torch.equal(averaged["0.weight"], plain["0.weight"])


def test_rates():
    steps = TrainSettings(rate=1.0, warmup=3, milestones=(10, 20), factor=0.1)
    assert [round(steps.rate_at(k), 6) for k in (0, 1, 2, 3, 9, 10, 20)] == [0.25, 0.5, 0.75, 1, 1, 0.1, 0.01]
    cosine = TrainSettings(rate=1.0, steps=100, decay="cosine")
    assert [round(cosine.rate_at(k), 6) for k in (0, 50, 100)] == [1, 0.5, 0]
    assert [round(cosine.rate_at(k, spent), 6) for k, spent in ((0, 0.5), (50, 0.25), (20, 1.0))] == [0.5, 0.5, 0]


def test_a_phase_that_time_ends_ends_at_a_low_rate(tmp_path):
    settings = TrainSettings(steps=10**9, batch=4, seconds=0.6, decay="cosine", rate=1e-3)
    with pytest.raises(Aborted):
        train(wanted(settings), tmp_path, stop_at=5)
    assert train(wanted(settings), tmp_path, resume=True).finished
    rates = [float(row["rate"]) for row in log.read(tmp_path / "log.csv")]
    assert rates[0] > 0.9e-3 and rates == sorted(rates, reverse=True) and rates[-1] < 0.1e-3


def test_the_scale_of_half_precision_goes_on_where_it_was(tmp_path, monkeypatch):
    """As on a graphics card, whose gradients are scaled so that half precision holds them: the scale has grown by then."""
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, enabled: scaler("cpu", init_scale=2.0**40, growth_interval=3))
    plan = wanted(ADAM)
    assert train(plan, tmp_path / "whole").finished
    with pytest.raises(Aborted):
        train(plan, tmp_path / "parts", stop_at=5)
    assert train(plan, tmp_path / "parts", resume=True).finished
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    same_checkpoint(tmp_path / "whole", tmp_path / "parts")
    with pytest.raises(Aborted):
        train(plan, tmp_path / "begun", stop_at=5)
    assert float(checkpoint.load(tmp_path / "begun" / CHECKPOINT)[0]["player/model/scaler/scale"]) == 2.0**41


def test_half_precision_on_a_processor_learns_too(tmp_path):
    train(wanted(TrainSettings(steps=30, batch=8, rate=1e-2, precision="bfloat16")), tmp_path)
    rows = [float(loss) for _, _, loss in losses(tmp_path)]
    assert np.mean(rows[-5:]) < np.mean(rows[:5])


# --- what is left to look at ---


def test_what_a_run_leaves(tmp_path):
    run = RunSettings(log_every=2, validate_every=3, validation_samples=3)
    said: list[str] = []
    train(wanted(TrainSettings(steps=7, batch=4), run=run), tmp_path, say=said.append)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["step"] for row in rows] == ["2", "4", "6", "7"] and list(rows[0]) == [
        "phase", "step", "total", "seconds", "samples_per_second", "rate", "loss", "square",
    ]  # fmt: skip
    assert all(float(row["samples_per_second"]) > 0 for row in rows)
    assert [row["step"] for row in log.read(tmp_path / "validation.csv")] == ["3", "6", "7"]
    assert sorted(path.name for path in (tmp_path / "validation").iterdir()) == [f"step-000000{k}.png" for k in (3, 6, 7)]
    curve = cv2.imread(str(tmp_path / "curve.png"))
    assert curve.shape[1] > 500 and (curve != 255).any(-1).mean() > 0.005
    assert any(text.startswith("p0 7: loss ") and "samples a second" in text for text in said)


def test_curves_of_many_and_of_strange_numbers(tmp_path):
    table = log.Table(tmp_path / "log.csv", ("loss",))
    for step in range(300):
        table.add({"phase": "a", "step": step, "total": step, "loss": [1 / (step + 1), "nan", 0, -1][step % 4]})
    log.draw(tmp_path / "curve.png", {"loss": (tmp_path / "log.csv", ("loss", "absent")), "none": (tmp_path / "no.csv", ("loss",))})
    assert cv2.imread(str(tmp_path / "curve.png")) is not None


def test_progress_is_json():
    assert Progress(**json.loads(json.dumps(Progress(phase=1, metrics={"a": 0.5}).__dict__))) == Progress(phase=1, metrics={"a": 0.5})
