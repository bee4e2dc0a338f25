"""`flow-inpaint evaluate table` from the words to the files, on small data and small random weights."""
from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from dataset_files import davis, picture, write_image
from weight_files import data_folder, stored  # noqa: F401

from flow_inpaint import cli, pipeline
from flow_inpaint.completion.dfc_net import DFCStage
from flow_inpaint.errors import Aborted
from flow_inpaint.evaluation import inpainting
from flow_inpaint.evaluation.inpainting import neighbours, network_fill
from flow_inpaint.flow.flownet2 import FlowNet2
from flow_inpaint.training.tasks.deepfill import DeepFillSettings, Inpainter
from flow_inpaint.weights import store

NAMES = ("bear", "camel", "dog", "goat")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = davis(tmp_path_factory.mktemp("data"), NAMES, frames=3)
    for number, path in enumerate(sorted((root / "JPEGImages").rglob("*.jpg"))):
        write_image(path, np.roll(picture(number // 3, (48, 64)), -2 * int(path.stem), 1))
    return root


@pytest.fixture
def table(data, tmp_path, capsys):
    def made(number, *words, code=0, source=data):
        out = tmp_path / "out"
        start = ["evaluate", "table", number, *([source] if source else []), "--out", out, "--size", "64x48", "--device", "cpu"]
        assert cli.main([str(word) for word in (*start, *words)]) == code
        said = capsys.readouterr()
        if code:
            return said.err
        with (out / f"table-{number}.csv").open() as file:
            rows = {(row["setting"], row["method"], row["clip"]): row for row in csv.DictReader(file)}
        text = (out / f"table-{number}.md").read_text()
        assert text.rstrip() in said.out and cv2.imread(str(out / f"table-{number}.png")) is not None
        return rows, text, said.out

    return made


def net(name, seed=1):
    """A small DFC-Net of random weights that keep their answers within bounds."""
    torch.manual_seed(seed)
    for number, (inputs, outputs, kind) in enumerate([(33, 2, "dfc_initial_resnet50"), *[(66, 4, "dfc_refine_resnet50")] * 2], 1):
        state = DFCStage(inputs, outputs, width=1 / 16).state_dict()
        about = dict(architecture=kind, width=1 / 16, licence="none", source="a test")
        store(state, name=f"{name}-{number}", role=f"dfc_stage{number}", **about)
    return f"{name}={name}-1+{name}-2+{name}-3"


def estimator(name):
    torch.manual_seed(1)
    state = FlowNet2(1 / 16).state_dict()
    store(state, name=name, role="flownet2", architecture="flownet2", width=1 / 16, licence="none", source="a test")


def test_table_1(table):
    rows, text, said = table(1, "--sequences", "camel,bear", "--setting", "square,object,random")
    assert text.startswith("## Table 1: finished pictures\n\nData: ") and "all frames of each, 64x48." in text
    for setting in ("square", "object", "random"):
        for method in ("Telea, each frame alone", "DIS, in layers, exemplar"):
            mean, clips = rows[setting, method, "mean"], [rows[setting, method, name] for name in ("camel", "bear")]
            for figure in ("psnr_hole", "ssim_hole", "psnr_432", "ssim_432", "minutes"):
                assert float(mean[figure]) == pytest.approx(np.mean([float(clip[figure]) for clip in clips]))
            assert float(mean["psnr_432"]) > float(mean["psnr_hole"]) > 5
        assert rows[setting, "FlowNet2, DFC-Net, exemplar", "no weights"]["psnr_hole"] == ""
    assert text.count("| FlowNet2, in layers, exemplar | no weights |") == 3
    assert said.count("camel, random: Telea") == 1


def test_the_figures_are_those_of_evaluate(table, data, tmp_path, capsys, monkeypatch):
    """The pipeline is run as `run` runs it, and its result is scored as `evaluate` scores it."""
    kept = tmp_path / "kept"

    def keep(truth, result, masks):
        for name, clip in (("truth", truth.path), ("result", result.path), ("masks", masks[0].clip.path)):
            shutil.copytree(clip, kept / name)
        return scored(truth, result, masks)

    scored = inpainting.evaluate
    monkeypatch.setattr(inpainting, "evaluate", keep)
    rows, *_ = table(6, "--sequences", "camel", "--setting", "square")
    assert cli.main(["evaluate", *(str(kept / name) for name in ("truth", "result", "masks")), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    found = rows["square", "DIS, in layers, exemplar", "camel"]
    for figure in ("psnr_hole", "ssim_hole", "psnr_432", "ssim_432", "ewarp_hole"):
        assert float(found[figure]) == pytest.approx(expected[figure])


def test_an_interrupted_table_goes_on(table, monkeypatch):
    calls = []
    run = pipeline.run

    def counted(job, **settings):
        calls.append(job)
        if len(calls) == 2:
            raise Aborted("Stopped.")
        return run(job, **settings)

    monkeypatch.setattr(pipeline, "run", counted)
    words = ("--sequences", "camel,bear", "--setting", "square")
    said = table(1, *words, code=130)
    assert "what was measured is kept, and the same command goes on from there" in said
    table(1, *words)
    assert len(calls) == 3
    _, _, said = table(1, *words)
    assert len(calls) == 3 and ": DIS" not in said.split("##")[0]
    # Another table of the same pictures finds them too, and changed settings do not.
    table(6, *words)
    assert len(calls) == 3
    table(1, "--sequences", "camel,bear", "--setting", "square", "--frames", 2)
    assert len(calls) == 5
    table(1, "--sequences", "camel,bear", "--setting", "square", "--frames", 2, "--size", "80x48")
    assert len(calls) == 7


def test_table_4_with_networks(table):
    rows, text, _ = table(4, "--sequences", "camel", "--setting", "square", "--weights", net("tiny"))
    epe = {method: float(row["epe"]) for (_, method, clip), row in rows.items() if clip == "mean"}
    assert list(epe) == ["Region-Fill (smooth)", "In layers", "Stage-1 (tiny)", "Stage-2 (tiny)", "DFC-Net (tiny)"]
    assert all(np.isfinite(value) and value > 0 for value in epe.values()) and len(set(epe.values())) == 5
    assert float(rows["square", "Stage-1 (tiny)", "mean"]["ratio"]) == pytest.approx(epe["Stage-1 (tiny)"] / epe["Region-Fill (smooth)"])
    order = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:]
    assert order[:4] == ["Region-Fill (smooth)", "In layers", "Stage-1 (tiny)", "Stage-2 (tiny)"]
    assert order[4:] == ["DFC-Single", "DFC-Net without multi-scale", "DFC-Net (tiny)"]
    assert "Weights tiny: tiny-1 (dfc_stage1, width 0.0625, SHA-256" in text


def test_other_weights_are_measured_anew(table):
    words = (4, "--sequences", "camel", "--setting", "square", "--weights")
    rows, *_ = table(*words, net("one", 1).replace("one=", "same="))
    others, _, said = table(*words, net("two", 2).replace("two=", "same="))
    assert "camel, square: DFC-Net (same)" in said and "Region-Fill" not in said.split("##")[0]
    assert rows["square", "DFC-Net (same)", "mean"]["epe"] != others["square", "DFC-Net (same)", "mean"]["epe"]


def test_table_3_on_generated_clips(table):
    words = ("--generated", 1, "--clips", 2, "--frames", 3, "--seen", "estimated", "--setting", "square,random")
    rows, text, _ = table(3, *words, "--weights", "p = 50=" + net("tiny").partition("=")[2], source=None)
    assert "True flow: exact. Around the hole the flow is what the pipeline estimates." in text
    mean = {name: float(value) for name, value in rows["random", "p = 50", "mean"].items() if name.startswith(("epe", "worst", "rest"))}
    assert mean["worst_10"] >= mean["worst_30"] >= mean["worst_50"] >= mean["worst_70"] >= mean["epe"] >= mean["rest_50"] >= mean["rest_70"]
    assert ("random", "p = 70", "no weights") in rows and ("random", "p = 50", "generated-1-1") in rows


def test_tables_of_pictures_with_networks(table):
    net("tiny"), stored("deepfill", "fill"), estimator("fast")
    words = ("--sequences", "camel", "--setting", "square", "--frames", 2)
    rows, *_ = table(5, *words)
    made = [method for _, method, clip in rows if clip == "mean"]
    assert made == [
        "Exemplar, each frame alone", "DeepFill, each frame alone", "DIS, in layers, exemplar", "DIS, DFC-Net, exemplar",
        "DIS, in layers, DeepFill", "DIS, DFC-Net, DeepFill",
    ]  # fmt: skip
    rows, *_ = table(6, *words)
    assert [method for _, method, clip in rows if clip == "mean"] == ["DIS, in layers, exemplar", "FlowNet2, in layers, exemplar"]
    assert len({row["psnr_hole"] for row in rows.values()}) == 2


def test_table_6_of_flows(table):
    estimator("fast")
    rows, text, _ = table(6, "--generated", 2, "--clips", 1, "--frames", 2, source=None)
    assert [method for _, method, clip in rows if clip == "mean"] == ["DIS", "FlowNet2"] and "nothing hidden, 1 clip:" in text
    assert float(rows["nothing hidden", "DIS", "mean"]["epe"]) < float(rows["nothing hidden", "FlowNet2", "mean"]["epe"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the image network that sees two neighbours, two networks in a row, after one step."""
    out = tmp_path_factory.mktemp("runs") / "stacked"
    words = ["train", "deepfill", "--config", "deepfill-stacked", "--out", str(out), "--device", "cpu"]
    for change in ("train.steps=1", "train.batch=1", "data.size=[48, 64]", "data.frames=3", "task.frames=2", "task.stacked=2"):
        words += ["--set", change]
    assert cli.main([*words, "--set", "task.width=0.125", "--set", "run.validate_every=0", "--set", "run.validation_samples=1"]) == 0
    return out


def test_table_2_with_a_run(table, run):
    rows, text, _ = table(2, "--sequences", "camel", "--setting", "square", "--weights", run)
    found = rows["square", "DeepFill with several frames, stacked (2 frames, 2 in a row)", "camel"]
    assert 3 < float(found["psnr_hole"]) < 40
    assert "| DeepFill with several frames | no weights |" in text and "| DeepFill with several frames, stacked | no weights" not in text


def test_neighbours_repeat_the_ends():
    assert neighbours(0, 4, 5) == [0, 0, 1, 2] and neighbours(4, 4, 5) == [2, 3, 4, 4] and neighbours(2, 4, 5) == [0, 1, 3, 4]


def test_a_network_sees_its_neighbours_as_in_training():
    """The same answer as the trainer's task has for the middle frame of a batch."""
    from flow_inpaint.training.tasks.deepfill import DeepFillTask

    torch.manual_seed(1)
    settings = DeepFillSettings(width=0.125, frames=2, stacked=2)
    model = Inpainter(settings).eval()
    frames = np.stack([picture(k, (48, 64)) for k in range(3)])
    holes = np.zeros((3, 48, 64), bool)
    for k in range(3):
        holes[k, 10:30, 10 + 5 * k : 30 + 5 * k] = True
    batch = {"frames": torch.from_numpy(frames).permute(0, 3, 1, 2)[None], "holes": torch.from_numpy(holes)[None], "key": torch.tensor([1])}
    seen, hole, beside = DeepFillTask(settings)._seen(batch)
    with torch.no_grad():
        expected = model(seen * (1 - hole), hole, beside)[-1][0]
    expected = (expected.permute(1, 2, 0).numpy()[..., ::-1] + 1) * 127.5
    made = network_fill(model, 2, "cpu")(1, 3, lambda k: (frames[k], holes[k]))
    assert np.allclose(made, expected, atol=1e-3)


@pytest.mark.parametrize(
    "words, said",
    [
        (["7", "DATA"], "N cannot be '7': choose 1, 2, 3, 4, 5 or 6."),
        (["1"], "Give either DATA, the folder of a data set, or --generated SEED"),
        (["1", "DATA", "--generated", "1"], "Give either DATA"),
        (["1", "DATA", "--setting", "circle"], "--setting cannot be 'circle': choose square, random or object."),
        (["1", "DATA", "--size", "64"], "--size cannot be '64': write the width and the height"),
        (["1", "DATA", "--size", "16x64"], "--size cannot be '16x64'"),
        (["1", "DATA", "--frames", "1"], "--frames cannot be '1': it is a whole number from 2 on."),
        (["1", "DATA", "--seed", "x"], "--seed cannot be 'x'"),
        (["1", "DATA", "--clips", "2"], "--clips says how many clips are generated"),
        (["1", "DATA", "--device", "tpu"], "--device cannot be 'tpu': choose auto, cpu or gpu."),
        (["1", "DATA", "--seen", "estimated"], "--flow and --seen are for tables 3 and 4"),
        (["1", "DATA", "--sequences", "wolf"], "There is no clip 'wolf'"),
        (["4", "DATA", "--flow", "flownet2"], "--flow cannot be 'flownet2', because there are no weights for it"),
        (["4", "DATA", "--weights", "nothing"], "--weights cannot be 'nothing': it is neither a file or folder nor a set's name"),
        (["4", "--generated", "1", "--split", "val"], "--split and --sequences choose among the clips of DATA"),
        (["4", "--generated", "1", "--size", "full"], "--size cannot be 'full' for generated clips"),
        (["4", "--generated", "1", "--setting", "object"], "The setting 'object' needs another clip with annotated objects"),
        (["6", "--generated", "1", "--setting", "square"], "--setting hides something, and table 6 on generated clips"),
        (["1", "/nowhere"], "/nowhere is no folder of clips: it does not exist."),
        (["1", "DATA", "--wieghts", "x"], "There is no option '--wieghts' here"),
    ],
)
def test_what_is_refused(words, said, data, tmp_path, capsys):
    out = tmp_path / "out"
    code = cli.main(["evaluate", "table", *(str(data) if word == "DATA" else word for word in words), "--out", str(out)])
    error = capsys.readouterr().err
    assert code in (1, 2) and error.startswith("flow-inpaint: ") and error.count("\n") == 1 and said in error
    assert not list(out.glob("table-*"))


def test_the_other_evaluate_stays(data, capsys):
    clip = str(data / "JPEGImages" / "480p" / "bear")
    assert cli.main(["evaluate", clip, clip, "rect:8,8,16,16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["psnr_hole"] == 99


def test_tables_do_without_pytorch_where_no_network_is_asked_for(data, tmp_path):
    code = "import sys\nsys.modules['torch'] = None\nfrom flow_inpaint.cli import main\nsys.exit(main(sys.argv[1:]))"

    def run(*words):
        start = [sys.executable, "-c", code, "evaluate", "table", "1", str(data), "--out", str(tmp_path / "out")]
        small = ["--sequences", "camel", "--frames", "2", "--size", "64x48"]
        return subprocess.run([*start, *small, *words], capture_output=True, text=True, timeout=120)

    done = run("--setting", "square,object")
    assert done.returncode == 0 and "| DIS, DFC-Net, exemplar | no weights |" in done.stdout
    refused = run("--setting", "random")
    assert refused.returncode == 1 and refused.stderr.startswith("flow-inpaint: The setting 'random' needs PyTorch")
