"""The training loop: it goes on where it was, whatever stopped it; and what it leaves, and what it refuses."""
from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import safetensors
import torch
from torch import nn

import flow_inpaint
from flow_inpaint import cli, weights
from flow_inpaint.errors import Aborted, BadParameter, Failed, OutOfMemory
from flow_inpaint.training import checkpoint, config, log
from flow_inpaint.training.config import Config, DataSettings, Phase, RunSettings, TrainSettings
from flow_inpaint.training.sources import Share, open_source
from flow_inpaint.training.tasks import Group
from flow_inpaint.training.tasks.dfc import DFCSettings, DFCTask
from flow_inpaint.training.processes import Processes
from flow_inpaint.training.record import Progress
from flow_inpaint.training.state import CHECKPOINT, start, weights_of
from flow_inpaint.training.trainer import Trainer

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
TOY = "data.source=toy_data:ToyBatches"
CPU = torch.device("cpu")


class Line:
    """A task of a moment: what is learnt is a picture's mean brightness, by a layer with a random choice of its own."""

    parts = ("square",)
    metrics = ("error",)
    uses = ("frames",)
    best = "error"

    def __init__(self, most: int = 1000):
        self.most = most
        self.begun = 0

    def build(self):
        return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 1))

    def begin(self, model):
        self.begun += 1

    def players(self, model):
        return {"model": [Group([*model[0].parameters()]), Group([*model[2].parameters()], 2.0)]}

    def loss(self, model, batch, player):
        if len(batch["key"]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        seen = batch["frames"][:, 0].mean((2, 3)) / 255
        square = (model(seen)[:, 0] - seen.sum(1)).square().mean()
        return square, {"square": square}

    def measure(self, model, batch):
        seen = batch["frames"][:, 0].mean((2, 3)) / 255
        error = (model(seen)[:, 0] - seen.sum(1)).abs()
        return {"error": (float(error.sum()), len(error))}, np.zeros((8, 8, 3), np.uint8)

    def conclude(self, means):
        return dict(means)

    def catalogued(self):
        return []


def wanted(*phases: TrainSettings, run: RunSettings | None = None, **data) -> Config:
    data = {"source": "toy_data:ToyBatches", "size": (16, 16), "frames": 2} | data
    run = run or RunSettings(log_every=1, validate_every=0, validation_samples=2, save_every=1e9)
    return Config("line", run, DataSettings(**data), tuple(Phase(f"p{number}", train, None) for number, train in enumerate(phases)))


def train(config: Config, out: Path, *, resume: bool = False, task: Line | None = None, stop_at: int | None = None, say=lambda text: None):
    """Trains; stopped after so many steps of this start."""
    asked = []

    def stopped() -> bool:
        asked.append(None)
        return stop_at is not None and len(asked) > stop_at

    tasks = [task or Line() for _ in config.phases]
    return Trainer(config, tasks, out, device=CPU, stopped=stopped, say=say).run(resume=resume)


def losses(out: Path) -> list[tuple[str, str, str]]:
    return [(row["phase"], row["step"], row["loss"]) for row in log.read(out / "log.csv")]


def same_checkpoint(one: Path, other: Path) -> None:
    (a, facts_a), (b, facts_b) = (checkpoint.load(out / CHECKPOINT) for out in (one, other))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert [facts["progress"]["total"] for facts in (facts_a, facts_b)] == [facts_a["progress"]["total"]] * 2


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


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "flow_inpaint", *words]


def environment() -> dict[str, str]:
    here = [str(Path(flow_inpaint.__file__).parents[1]), str(Path(__file__).parent)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(here), "OMP_NUM_THREADS": "1"}


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


@pytest.mark.parametrize("one_matte", [False, True])
def test_the_shares_of_generated_scenes_are_the_parts_of_a_batch(monkeypatch, one_matte):
    """With a generator that only pretends: each sample's values are its number."""

    def numbered(first: int, count: int, *shape: int) -> torch.Tensor:
        return torch.arange(first, first + count, dtype=torch.float32).reshape(-1, *[1] * len(shape)).expand(count, *shape)

    @dataclass
    class SceneSettings:
        size: tuple[int, int]
        frames: int
        grain: float = 0.5

    def generate(seed, batch, settings, device, *, first=0):
        h, w = settings.size
        names = {"frames": (settings.frames, 3), "forward": (settings.frames - 1, 2), "backward": (settings.frames - 1, 2)}
        names |= {"occluded_forward": (settings.frames - 1,), "occluded_backward": (settings.frames - 1,)}
        return SimpleNamespace(**{name: numbered(first, batch, *shape, h, w) for name, shape in names.items()})

    def generate_mattes(seed, batch, frames, size, kind, device, *, first=0):
        kinds.append(kind)
        return numbered(first, batch, frames, *size) % 2 == 0

    kinds: list[str] = []
    fakes = {
        "scenes": SimpleNamespace(SceneSettings=SceneSettings, generate=generate),
        "mattes": SimpleNamespace(generate_mattes=generate_mattes),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, f"flow_inpaint.training.{name}", fake)
        monkeypatch.setattr(f"flow_inpaint.training.{name}", fake, raising=False)
    settings = DataSettings(size=(8, 16), frames=3, mattes=("one", "two"), one_matte=one_matte, scene={"grain": 0.0})
    whole = open_source(settings, 1, Share(6), CPU).batch(3)
    parts = [open_source(settings, 1, Share(2, rank, 3), CPU).batch(3) for rank in range(3)]
    assert set(kinds) == {"two"} and whole["key"].tolist() == list(range(18, 24)) and whole["holes"].shape == (6, 3, 8, 16)
    for name, values in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), values)
    assert (whole["holes"][:, 0, 0, 0].unique().numel() == 1) == one_matte
    with pytest.raises(BadParameter, match="data.scene cannot be used"):
        open_source(DataSettings(scene={"grane": 1}), 1, Share(1), CPU)


def test_generated_scenes_are_what_the_tasks_learn_from():
    """The real scenes and mattes, by any split into processes, and a kind of matte that is none."""
    settings = DataSettings(size=(32, 48), frames=12)
    whole = open_source(settings, 1, Share(2), CPU).batch(1)
    assert whole["frames"].shape == (2, 12, 3, 32, 48) and whole["holes"].shape == (2, 12, 32, 48) and whole["holes"].any()
    second = open_source(settings, 1, Share(1, 1, 2), CPU).batch(1)
    for name, values in whole.items():
        torch.testing.assert_close(second[name], values[1:])
    with pytest.raises(BadParameter, match="data.mattes cannot be used: there are no mattes of the kind 'star'"):
        open_source(DataSettings(size=(32, 48), mattes=("star",)), 1, Share(1), CPU).batch(0)


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


def test_half_precision_on_a_processor_learns_too(tmp_path):
    train(wanted(TrainSettings(steps=30, batch=8, rate=1e-2, precision="bfloat16")), tmp_path)
    rows = [float(loss) for _, _, loss in losses(tmp_path)]
    assert np.mean(rows[-5:]) < np.mean(rows[:5])


# --- checkpoints ---


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(1000, generator=generator), "b/c": torch.arange(7), "half": torch.ones(3, dtype=torch.float16)}


def test_checkpoints_are_cut_into_files_of_bounded_size(tmp_path):
    checkpoint.save(tmp_path, tensors(), {"step": 3}, shard=1000)
    files = sorted(path for path in tmp_path.iterdir() if path.suffix == ".shard")
    assert len(files) == 5 and max(path.stat().st_size for path in files) == 1000
    index = json.loads((tmp_path / "index.json").read_text())
    for entry in index["shards"]:
        assert hashlib.sha256((tmp_path / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    found, facts = checkpoint.load(tmp_path)
    assert facts == {"step": 3} and all(torch.equal(found[name], values) for name, values in tensors().items())
    assert checkpoint.SHARD == 16 * 1024 * 1024


def test_no_file_of_a_large_checkpoint_is_larger_than_it_may_be(tmp_path):
    checkpoint.save(tmp_path, {"large": torch.randn(9_000_000)}, {})
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 4 and max(sizes) <= 16 * 1024 * 1024


@pytest.mark.parametrize("moment", range(1, 6))
def test_the_old_checkpoint_holds_until_the_new_one_is_whole(tmp_path, monkeypatch, moment):
    checkpoint.save(tmp_path, tensors(), {"step": 1}, shard=2000)
    written, really = [], checkpoint._write

    def dying(path, data):
        written.append(path)
        if len(written) == moment:
            path.with_name(path.name + ".part").write_bytes(bytes(data[: len(data) // 2]))
            raise KeyboardInterrupt
        really(path, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "_write", dying)
        checkpoint.save(tmp_path, tensors(1) | {"more": torch.ones(600)}, {"step": 2}, shard=2000)
    found, facts = checkpoint.load(tmp_path)
    assert facts == {"step": 1} and torch.equal(found["a"], tensors()["a"])
    checkpoint.save(tmp_path, tensors(2), {"step": 3}, shard=2000)
    index = json.loads((tmp_path / "index.json").read_text())
    assert {path.name for path in tmp_path.iterdir()} == {"index.json", *(entry["file"] for entry in index["shards"])}


@pytest.mark.parametrize("damage", ["a byte", "cut short", "gone", "index gone", "index cut", "index elsewhere", "format"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(tmp_path, damage):
    checkpoint.save(tmp_path, tensors(), {}, shard=2000)
    shard = sorted(tmp_path.glob("*.shard"))[1]
    index = tmp_path / "index.json"
    data = shard.read_bytes()
    if damage == "a byte":
        shard.write_bytes(data[:10] + bytes([data[10] ^ 1]) + data[11:])
    elif damage == "cut short":
        shard.write_bytes(data[:-1])
    elif damage == "gone":
        shard.unlink()
    elif damage == "index gone":
        index.unlink()
    elif damage == "index cut":
        index.write_text(index.read_text()[:50])
    elif damage == "index elsewhere":
        index.write_text(index.read_text().replace(shard.name, f"../{shard.name}"))
    else:
        index.write_text(index.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(BadParameter) as refusal:
        checkpoint.load(tmp_path)
    sentence = str(refusal.value)
    assert str(tmp_path) in sentence and sentence.endswith("delete it to start again.")
    if damage in ("a byte", "cut short", "gone"):
        assert shard.name in sentence


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


# --- configurations ---


def read(*changes: str, name: str = "dfc-toy", what: str = "dfc") -> Config:
    return config.read(name, what, DFCSettings, changes)


def test_changes_count_for_every_phase_or_for_one():
    every = read("train.steps=50", "task.width=0.5", "data.size=[64, 96]", "data.source=module:name", "run.start=a.safetensors")
    assert {phase.train.steps for phase in every.phases} == {50} and {phase.task.width for phase in every.phases} == {0.5}
    assert every.data.size == (64, 96) and every.data.source == "module:name" and every.run.start == ("a.safetensors",)
    one = read("phases.stage2.train.steps=50", "phases.stage2.task.mining_weight=3")
    assert [phase.train.steps for phase in one.phases] == [3, 50, 2, 2] and one.phases[1].task.mining_weight == 3.0
    assert [phase.task.stage for phase in one.phases] == ["stage1", "stage2", "stage3", "joint"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("train.stepz=3", "There is no setting 'train.stepz'; did you mean 'steps'?"),
        ("train.steps=many", "train.steps cannot be 'many': it is a whole number."),
        ("train.steps=1.5", "train.steps cannot be 1.5: it is a whole number."),
        ("train.steps=true", "train.steps cannot be True: it is a number."),
        ("train.steps=0", "train.steps cannot be 0: it is at least 1."),
        ("train.rate=nan", "train.rate cannot be nan: it is a number."),
        ("train.optimizer=lion", "train.optimizer cannot be 'lion': choose sgd, adamw."),
        ("train.ema=1.0", "train.ema cannot be 1.0: it is below 1."),
        ("train.milestones=[1, 'x']", "train.milestones cannot be 'x': it is a whole number."),
        ("task.multi_scale=1", "task.multi_scale cannot be 1: it is true or false."),
        ("data.size=[1, 2, 3]", "data.size cannot be [1, 2, 3]: it is a list of 2 numbers."),
        ("data.size=[4, 64]", "data.size and data.mattes: a clip has at least 8 pixels each way, and there is at least one kind of matte."),
        ("data.source=7", "data.source cannot be 7: it is a text."),
        ("nonsense", "--set cannot be 'nonsense': write KEY=VALUE, such as train.rate=1e-4."),
        ("steps=3", None),
        ("phases.stage9.train.steps=3", None),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(BadParameter) as refusal:
        read(change)
    if sentence is None:
        assert str(refusal.value).startswith("--set knows no '") and str(refusal.value).endswith("joint.")
    else:
        assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("what = 'flownet2'", "is a configuration for 'flownet2', and not for 'dfc'."),
        ("what = 'dfc'\nsecond = 1", "There is no setting 'second'"),
        ("what = 'dfc'\nrun = 3", "run cannot be 3: it is a table."),
        ("what = 'dfc'\nphases = []", "[[phases]]"),
        ("what = 'dfc'\n[[phases]]\ntrain = {}", "A phase has no name"),
        ("what = 'dfc'\n[[phases]]\nname = 'a'\n[[phases]]\nname = 'a'", "Two phases have one name"),
        ("what = 'dfc'\n[[phases]]\nname = 'a'\nwhat = 1", "There is no setting 'phases.a.what'"),
        ("what = ", "is not a configuration"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path, text, part):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(BadParameter) as refusal:
        read(name=str(tmp_path / "own.toml"))
    assert part in str(refusal.value) and str(refusal.value).endswith(".")


def test_the_configurations_that_come_along_can_be_read():
    from flow_inpaint.training.tasks import TASKS

    assert len(config.shipped()) == 9
    for name in config.shipped():
        what = name.partition("-")[0]
        if what == "deepfill":
            pytest.importorskip("flow_inpaint.fill.deepfill")
        settings, make = TASKS[what].load()
        for phase in config.read(name, what, settings).phases:
            make(phase.task)


# --- the command line ---


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


def test_a_checkpoint_that_is_damaged_ends_with_bad_input(tmp_path, capfd):
    words = ["train", "dfc", "--config", "dfc-toy", "--set", TOY, "--set", "task.width=0.03", "--device", "cpu", "--seconds", "0.000001"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    capfd.readouterr()
    shard = next((tmp_path / CHECKPOINT).glob("*.shard"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "is damaged" in refused(capfd, *words, "--out", str(tmp_path), "--resume")


def test_progress_is_json():
    assert Progress(**json.loads(json.dumps(Progress(phase=1, metrics={"a": 0.5}).__dict__))) == Progress(phase=1, metrics={"a": 0.5})
