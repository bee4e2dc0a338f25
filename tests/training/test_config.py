"""Configurations: what a file and the command line may say."""
from __future__ import annotations

import pytest

from flow_inpaint.errors import BadParameter
from flow_inpaint.training import config
from flow_inpaint.training.config import Config
from flow_inpaint.training.tasks.dfc import DFCSettings


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
