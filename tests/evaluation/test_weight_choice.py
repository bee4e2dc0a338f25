"""Which weights the words of the command line mean."""
from __future__ import annotations

import json

import pytest
from weight_files import data_folder, stored  # noqa: F401

from flow_inpaint import cli, weights
from flow_inpaint.errors import BadParameter, BadWeights, MissingWeights
from flow_inpaint.evaluation import runs, weight_choice
from flow_inpaint.evaluation.tables import Choices, bench_of

FIRST, LATER = "dfc_initial_resnet50", "dfc_refine_resnet50"


def net(name: str = "net", seed: int = 0, folder=None):
    made = [stored("dfc_stage1", f"{name}-1", architecture=FIRST, seed=seed, folder=folder)]
    return made + [stored(f"dfc_stage{k}", f"{name}-{k}", architecture=LATER, seed=seed + k, folder=folder) for k in (2, 3)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of DFC-Net's first stage alone, without mining and without the multi-scale head."""
    out = tmp_path_factory.mktemp("runs") / "plain"
    config = out.with_suffix(".toml")
    config.write_text(
        """
        what = "dfc"
        run = { seed = 1, log_every = 1, validate_every = 0, validation_samples = 1 }
        data = { size = [48, 64], frames = 12 }
        task = { width = 0.0625, multi_scale = false, mining_weight = 0.0, stage = "stage1" }
        train = { batch = 1, steps = 1 }
        """
    )
    assert cli.main(["train", "dfc", "--config", str(config), "--out", str(out), "--device", "cpu"]) == 0
    return out


def test_a_sets_name():
    one = stored("deepfill", "mine")
    chosen = weight_choice.read("mine")
    assert chosen.sets == (one,) and chosen.label == "mine" and not chosen.named
    assert weight_choice.read("ours=mine").label == "ours" and weight_choice.read("ours=mine").named


def test_stages_joined():
    made = net()
    chosen = weight_choice.read("ours=net-1+net-2 + net-3")
    assert chosen.sets == tuple(made) and weight_choice.dfc_shape(chosen) == ("stages", 3)
    assert weight_choice.dfc_shape(weight_choice.read("net-1")) == ("stages", 1)
    assert weight_choice.dfc_shape(weight_choice.read("net-1+net-3")) == ("stages", 1)
    assert len(weight_choice.dfc_net(chosen).stages) == 3


def test_a_file_by_itself_says_what_it_is(tmp_path):
    (one,) = (stored("dfc_stage1", "net-1", architecture=FIRST),)
    file = one.path.rename(tmp_path / "Best.safetensors")
    chosen = weight_choice.read(str(file))
    assert [(x.role, x.width, x.sha256) for x in chosen.sets] == [("dfc_stage1", one.width, one.sha256)]
    assert weights.load(chosen.sets[0]).keys() == weight_choice.dfc_net(chosen).stages[0].state_dict().keys()


def test_an_exported_folder(tmp_path):
    net(folder=tmp_path / "export")
    chosen = weight_choice.read(f"a={tmp_path / 'export'}")
    assert [one.role for one in chosen.sets] == ["dfc_stage1", "dfc_stage2", "dfc_stage3"] and chosen.label == "a"


def test_a_path_with_an_equals_sign_is_a_path(tmp_path):
    net(folder=tmp_path / "rate=1")
    assert weight_choice.read(str(tmp_path / "rate=1")).label == "net-1+net-2+net-3"


def test_a_run(run):
    chosen = weight_choice.read(str(run))
    assert chosen.run == run and chosen.label == "plain" and runs.mining(run) == "without mining"
    # Only the stages that have begun to learn; the others hold what they were born with.
    assert weight_choice.dfc_shape(chosen) == ("plain", 1) and len(weight_choice.dfc_net(chosen).stages) == 1
    assert runs.deepfill_shape(run) is None


def test_the_identity_is_that_of_the_weights(run, tmp_path):
    net("one"), net("two"), net("three", seed=5)
    one, two, three = (weight_choice.read(f"{name}-1+{name}-2").identity for name in ("one", "two", "three"))
    assert one == weight_choice.read("one-2+one-1").identity != three
    # The same tensors under another name are another file, whose header says the name.
    assert json.dumps([one, two, weight_choice.read(str(run)).identity])


@pytest.mark.parametrize(
    "text, error, words",
    [
        ("nothing", BadParameter, "it is neither a file or folder nor a set's name; none are installed"),
        ("a=", BadParameter, "write LABEL=NAME"),
        ("a=b++c", BadParameter, "write LABEL=NAME"),
        ("gone.safetensors", BadParameter, "gone.safetensors': the file does not exist"),
    ],
)
def test_what_is_nothing(text, error, words):
    with pytest.raises(error, match=words):
        weight_choice.read(text)


def test_what_cannot_be_used(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadParameter, match="neither a training run nor a catalogue"):
        weight_choice.read(str(tmp_path / "empty"))
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(BadWeights, match="text.safetensors is no safetensors file"):
        weight_choice.read(str(tmp_path / "text.safetensors"))
    from safetensors.torch import save_file
    from torch import zeros

    save_file({"x": zeros(1)}, tmp_path / "mute.safetensors")
    with pytest.raises(BadWeights, match="does not say what it is"):
        weight_choice.read(str(tmp_path / "mute.safetensors"))
    one = stored("deepfill", "mine")
    one.path.unlink()
    with pytest.raises(MissingWeights, match="'mine' are listed in .* is gone"):
        weight_choice.read("mine")
    made = net(folder=tmp_path / "export")
    made[1].path.unlink()
    with pytest.raises(MissingWeights, match="'net-2' are listed in .*export.* is gone"):
        weight_choice.read(str(tmp_path / "export"))
    net()
    with pytest.raises(BadParameter, match="two sets for dfc_stage1"):
        weight_choice.read("net-1+net-1")


def test_weights_that_a_table_has_no_use_for(run):
    stored("deepfill", "fill"), net()
    with pytest.raises(BadParameter, match="'fill' are for something that this table does not compare"):
        bench_of(4, Choices((weight_choice.read("fill"),)))
    with pytest.raises(BadParameter, match="are of a later stage: join them"):
        bench_of(4, Choices((weight_choice.read("net-2+net-3"),)))
    with pytest.raises(BadParameter, match="is a run: flow-inpaint export"):
        bench_of(1, Choices((weight_choice.read(str(run)),)))
    with pytest.raises(BadParameter, match="for something that this table does not compare"):
        bench_of(2, Choices((weight_choice.read(str(run)),)))
    with pytest.raises(BadParameter, match="Two rows of the table would be called 'Stage-1 .same.'"):
        bench_of(4, Choices((weight_choice.read("same=net-1"), weight_choice.read("same=net-1+net-2"))))
    with pytest.raises(MissingWeights, match="--flow cannot be 'flownet2'"):
        bench_of(4, Choices(flow="flownet2"))


def rows(number, *texts, **choices):
    bench = bench_of(number, Choices(tuple(map(weight_choice.read, texts)), **choices))
    return [(row, method.work is not None) for method in bench.methods for row in method.rows if row is not None]


def test_the_rows_of_table_3(run):
    net()
    given = rows(3, str(run), "p = 50=net-1+net-2+net-3")
    assert given[1:] == [("without mining", True), ("p = 50", True), ("p = 70", False), ("p = 30", False), ("p = 10", False)]


def test_the_rows_of_table_4(run):
    names = ["Stage-1", "Stage-2", "DFC-Single", "DFC-Net without multi-scale", "DFC-Net"]
    assert rows(4)[2:] == [(name, False) for name in names]
    net(), stored("dfc_single", "single", architecture="dfc_initial_resnet101")
    assert rows(4)[2:] == [(name, True) for name in ("Stage-1", "Stage-2", "DFC-Net", "DFC-Single")] + [(names[3], False)]
    given = rows(4, "x=net-1+net-2+net-3", f"y={run}")
    assert given[2:6] == [("Stage-1 (x)", True), ("Stage-2 (x)", True), ("DFC-Net (x)", True), (f"{names[3]} (y)", True)]
    assert given[6:] == [("DFC-Single", False)]


def test_the_rows_of_tables_of_pictures():
    ours = ("DIS, in layers, exemplar", True)
    paper = ["DIS, DFC-Net, exemplar", "FlowNet2, in layers, exemplar", "FlowNet2, DFC-Net, exemplar"]
    assert rows(1) == [("Telea, each frame alone", True), ours, *((row, False) for row in paper)]
    net(), stored("flownet2", "fast", architecture="flownet2")
    stored("dfc_single", "single", architecture="dfc_initial_resnet101")
    installed = ["DIS, DFC-Net, exemplar", "DIS, DFC-Single, exemplar", "FlowNet2, in layers, exemplar"]
    assert [row for row, there in rows(1) if there][1:5] == ["DIS, in layers, exemplar", *installed]
    assert rows(6, "a=fast") == [ours, ("FlowNet2 (a), in layers, exemplar", True)]
    assert rows(6, "a=fast", exact=True) == [("DIS", True), ("FlowNet2 (a)", True)]
    without = rows(5)[:2]
    assert without == [("Exemplar, each frame alone", True), ("DeepFill, each frame alone", False)]
