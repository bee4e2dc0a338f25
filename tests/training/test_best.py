"""The weights that did best are kept beside the last ones, and are what is exported; and what TensorBoard gets."""
from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_run import Line, train, wanted

from flow_inpaint import cli
from flow_inpaint.errors import Aborted, BadParameter
from flow_inpaint.training import checkpoint, log
from flow_inpaint.training.config import RunSettings, TrainSettings
from flow_inpaint.training.state import BEST, CHECKPOINT, learnt, weights_of

RUN = RunSettings(log_every=1, validate_every=2, validation_samples=2, save_every=1e9)
STEPS = TrainSettings(steps=10, batch=4, rate=1e-2)


class Told(Line):
    """Its validations say what they are told to."""

    def __init__(self, *errors: float, best: str | None = "error"):
        super().__init__()
        self.errors, self.best = list(errors), best

    def conclude(self, means):
        return {"error": self.errors.pop(0)}


def total(out: Path, name: str) -> int:
    return checkpoint.facts(out / name)["progress"]["total"]


def test_the_lowest_validation_is_kept(tmp_path):
    train(wanted(STEPS, run=RUN), tmp_path, task=Told(5.0, 2.0, 3.0, 2.5, 4.0))
    assert [row["error"] for row in log.read(tmp_path / "validation.csv")] == ["5.0", "2.0", "3.0", "2.5", "4.0"]
    assert total(tmp_path, BEST) == 4 and total(tmp_path, CHECKPOINT) == 10
    train(wanted(TrainSettings(steps=4, batch=4, rate=1e-2), run=RUN), tmp_path / "short", task=Told(5.0, 2.0))
    best, facts = learnt(tmp_path)
    assert facts["progress"]["metrics"] == {"error": 2.0} and facts["progress"]["best"] == 2.0
    short = weights_of(tmp_path / "short", "last")
    assert all(torch.equal(best[name], short[name]) for name in best)
    assert not torch.equal(weights_of(tmp_path, "last")["0.weight"], best["0.weight"])


def test_averaged_weights_are_kept_where_they_are_what_was_measured(tmp_path):
    plan = wanted(TrainSettings(steps=4, batch=4, rate=0.1, ema=0.9), run=RUN)
    train(plan, tmp_path, task=Told(2.0, 1.0))
    assert all(torch.equal(values, weights_of(tmp_path, "last")[name]) for name, values in weights_of(tmp_path, "best").items())


@pytest.mark.parametrize("error", [1.0, float("nan")])
def test_without_a_number_that_tells_the_last_is_the_best(tmp_path, error):
    train(wanted(STEPS, run=RUN), tmp_path, task=Told(1.0, 2.0, 3.0, 4.0, 5.0, best=None))
    assert total(tmp_path, BEST) == 10
    train(wanted(STEPS, run=RUN), tmp_path / "nan", task=Told(error, float("nan"), 7.0, float("nan"), 8.0))
    assert total(tmp_path / "nan", BEST) == (2 if error == 1.0 else 6)


def test_every_phase_has_its_own_best(tmp_path):
    """A later phase measures something else: its worst may be larger than the best of the one before."""
    plan = wanted(TrainSettings(steps=4, batch=4), TrainSettings(steps=6, batch=4), run=RUN)
    train(plan, tmp_path, task=Told(1.0, 2.0, 9.0, 8.0, 8.5))
    assert total(tmp_path, BEST) == 8 and checkpoint.facts(tmp_path / BEST)["progress"]["phase"] == 1


def test_what_was_best_survives_a_stop_and_a_phase_that_has_not_been_measured_takes_the_last(tmp_path):
    plan = wanted(TrainSettings(steps=6, batch=4), TrainSettings(steps=6, batch=4), run=RUN)
    with pytest.raises(Aborted):
        train(plan, tmp_path, task=Told(1.0, 2.0), stop_at=5)
    assert total(tmp_path, BEST) == 2 and learnt(tmp_path)[1]["progress"]["total"] == 2
    with pytest.raises(Aborted):
        train(plan, tmp_path, task=Told(3.0), stop_at=2, resume=True)
    assert total(tmp_path, BEST) == 2 and total(tmp_path, CHECKPOINT) == 7
    assert learnt(tmp_path)[1]["progress"]["total"] == 7 and learnt(tmp_path, "best")[1]["progress"]["total"] == 2
    train(plan, tmp_path, task=Told(4.0, 3.5, 6.0), resume=True)
    assert total(tmp_path, BEST) == 10 and learnt(tmp_path)[1]["progress"]["total"] == 10


def test_a_run_that_was_never_measured_has_no_best(tmp_path):
    with pytest.raises(Aborted):
        train(wanted(STEPS, run=RUN), tmp_path, stop_at=1)
    assert learnt(tmp_path)[1]["progress"]["total"] == 1
    with pytest.raises(BadParameter, match="not been validated yet, so it has no best weights"):
        learnt(tmp_path, "best")


def test_files_of_both_are_bounded(tmp_path):
    class Large(Told):
        def build(self):
            model = super().build()
            model.register_buffer("large", torch.randn(6_000_000))
            return model

    train(wanted(TrainSettings(steps=2, batch=4), run=RUN), tmp_path, task=Large(1.0))
    for name in (BEST, CHECKPOINT):
        sizes = [path.stat().st_size for path in (tmp_path / name).iterdir()]
        assert sum(sizes) > 24_000_000 and max(sizes) <= 16 << 20


def test_export_takes_the_best_unless_told_otherwise(tmp_path, capfd):
    words = ["train", "dfc", "--config", "dfc-toy", "--out", str(tmp_path), "--set", "data.source=toy_data:ToyBatches", "--device", "cpu"]
    assert cli.main([*words, "--set", "task.width=0.03", "--set", "train.steps=1", "--set", "data.size=[32, 40]"]) == 0
    tensors, facts = checkpoint.load(tmp_path / BEST)
    marked = {name: torch.full_like(values, 0.5) if values.is_floating_point() else values for name, values in tensors.items()}
    checkpoint.save(tmp_path / BEST, marked, facts | {"progress": facts["progress"] | {"metrics": {"ratio": 0.125}}})
    capfd.readouterr()
    found = {}
    for which in ("", "best", "last"):
        out = tmp_path / f"export{which}"
        assert cli.main(["export", str(tmp_path), "--out", str(out), *(["--weights", which] if which else [])]) == 0
        weights = load_file(out / "dfc-stage1-w0.03.safetensors")["conv1.weight"]
        found[which] = bool((weights == 0.5).all()), "value = 0.125" in (out / "catalog.toml").read_text()
    assert found == {"": (True, True), "best": (True, True), "last": (False, False)}
    assert cli.main(["export", str(tmp_path), "--weights", "first"]) == 2


# --- TensorBoard ---


def test_tensorboard_gets_what_the_tables_get_and_nothing_twice(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plan = wanted(STEPS, run=RUN)
    with pytest.raises(Aborted):
        train(plan, tmp_path, stop_at=5)
    tensors, facts = checkpoint.load(tmp_path / CHECKPOINT)
    # As if it had been killed after its second step's checkpoint.
    checkpoint.save(tmp_path / CHECKPOINT, tensors, facts | {"progress": facts["progress"] | {"total": 2, "step": 2}})
    # TensorBoard reads its files by name: by the second in which they were begun, and within it a tenth one before a ninth.
    time.sleep(1)
    train(plan, tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"), {"images": 0, "scalars": 0}).Reload()
    for table, name in (("log", "loss"), ("validation", "error")):
        rows = log.read(tmp_path / f"{table}.csv")
        found = [(event.step, event.value) for event in events.Scalars(f"{table}/{name}")]
        assert [step for step, _ in found] == [int(row["total"]) for row in rows]
        assert [value for _, value in found] == pytest.approx([float(row[name]) for row in rows], rel=1e-6)
    assert [image.step for image in events.Images("validation")] == [2, 4, 6, 8, 10]


def test_tensorboard_may_be_absent_or_unwanted(tmp_path, monkeypatch):
    train(wanted(STEPS, run=RunSettings(validation_samples=2, tensorboard=False)), tmp_path / "unwanted")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(wanted(STEPS, run=RUN), tmp_path / "absent")
    for name in ("unwanted", "absent"):
        assert (tmp_path / name / "log.csv").exists() and not (tmp_path / name / "tensorboard").exists()
