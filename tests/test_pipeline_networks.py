"""Whole jobs with every network, at toy width and with weights that mean nothing: the machinery, not the picture."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from flow_inpaint import pipeline, weights
from flow_inpaint.completion.dfc_net import DFCStage
from flow_inpaint.errors import Aborted, MissingWeights
from flow_inpaint.fill.deepfill import DeepFill
from flow_inpaint.flow.flownet2 import FlowNet2
from flow_inpaint.job import Job
from flow_inpaint.media import open_source
from flow_inpaint.pipeline import Progress, Result
from scenery import save, view

WIDTH, HEIGHT, FRAMES = 96, 64, 5
NETWORKS: dict[str, tuple[str, Callable[[float], torch.nn.Module]]] = {
    "flownet2": ("flownet2", FlowNet2),
    "dfc_stage1": ("dfc_initial_resnet50", lambda width: DFCStage(33, 2, width=width)),
    "dfc_stage2": ("dfc_refine_resnet50", lambda width: DFCStage(66, 4, width=width)),
    "dfc_stage3": ("dfc_refine_resnet50", lambda width: DFCStage(66, 4, width=width)),
    "dfc_single": ("dfc_initial_resnet101", lambda width: DFCStage(33, 2, "resnet101", width)),
    "deepfill": ("deepfill", DeepFill),
}
ALL = {"flow": "flownet2", "completion": "dfc", "fill": "deepfill"}


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(weights.EXTRA_FOLDER, raising=False)
    monkeypatch.setattr(weights.catalog, "folders", lambda: [(weights.user_folder(), "imported")])


def install(*roles: str, width: float = 0.0625) -> None:
    for role in roles:
        architecture, make = NETWORKS[role]
        torch.manual_seed(0)
        state = make(width).state_dict()
        weights.store(state, name=role.replace("_", "-"), role=role, architecture=architecture, width=width, licence="none", source="a test")


def job(folder: Path, **params: object) -> Job:
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[20:36, 30:50] = True
    for k in range(FRAMES):
        save(folder / "source" / f"{k:03d}.png", view(WIDTH, HEIGHT, 0.5 * k))
        save(folder / "mask" / f"{k:03d}.png", hole.astype(np.uint8) * 255)
    return Job.from_document(
        {
            "source": {"path": str(folder / "source")},
            "mask": {"path": str(folder / "mask")},
            "output": {"path": str(folder / "result")},
            "params": {"device": "cpu", **params},
        }
    )


def run(task: Job, **how: object) -> tuple[Result, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []
    return pipeline.run(task, on_message=lambda level, text: said.append((level, text)), **how), said


def test_a_job_runs_with_all_networks(tmp_path: Path) -> None:
    install("flownet2", "dfc_stage1", "dfc_stage2", "dfc_stage3", "deepfill")
    seen: list[Progress] = []
    task = job(tmp_path, **ALL)
    result, said = run(task, on_progress=seen.append)
    assert (result.flow, result.completion, result.fill, result.device) == ("flownet2", "dfc", "deepfill", "cpu")
    assert ("info", "Flow by flownet2, completed by dfc, fill by deepfill, on cpu.") in said
    assert list(dict.fromkeys(p.stage for p in seen)) == list(pipeline.STAGES_WITH_COMPLETION)
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    with open_source(task.source) as source, open_source(type(task.source)(tmp_path / "result")) as made:
        for before, after in zip(source.read(0, FRAMES - 1), made.read(0, FRAMES - 1), strict=True):
            changed = (before.rgb != after.rgb).any(2)
            assert changed.any() and not changed[:20].any() and not changed[:, 50:].any()


@pytest.mark.parametrize("width", [0.0625, 0.125])
def test_the_width_is_that_of_the_weights(tmp_path: Path, width: float) -> None:
    install("dfc_stage1", width=width)
    result, said = run(job(tmp_path, completion="dfc"))
    assert result.completion == "dfc"
    assert ("info", "Flow completion goes without dfc_stage2: there are no weights for it.") in said


def test_the_single_stage_serves_where_the_three_are_not(tmp_path: Path) -> None:
    install("dfc_single")
    assert run(job(tmp_path, completion="dfc"))[0].completion == "dfc"


def test_auto_takes_light_networks_on_a_processor_and_check_says_so(tmp_path: Path) -> None:
    task = job(tmp_path)
    before = pipeline.check(task)
    assert (before.flow, before.completion, before.fill, before.notes) == ("dis", "layers", "exemplar", [])
    install("flownet2", "dfc_stage1", "deepfill")
    after = pipeline.check(task)
    assert (after.flow, after.completion, after.fill, after.device) == ("flownet2", "dfc", "exemplar", "cpu")
    assert after.notes == ["The time and memory that networks take are not in this forecast."]


def test_auto_on_a_processor_goes_without_heavy_stages(tmp_path: Path) -> None:
    install("dfc_stage1")
    install("dfc_stage2", width=0.3)
    result, said = run(job(tmp_path))
    assert result.completion == "dfc"
    without = "Flow completion goes without dfc_stage2: there are no weights for it of at most width 0.25, which a processor can bear."
    assert ("info", without) in said


def test_the_network_really_completes_the_flow(tmp_path: Path) -> None:
    """With a network that answers a steady motion, the hole is filled from where that motion leads."""
    with pytest.MonkeyPatch.context() as patch:
        install("dfc_stage1")
        patch.setattr(DFCStage, "forward", lambda self, x, region=None: torch.full_like(x[:, :2], 6.0))
        run(job(tmp_path, completion="dfc", blend="linear"))
    with open_source(Job.from_document(_result(tmp_path)).source) as made:
        first = next(iter(made.read(0, 0))).rgb
    # Half-size motion of 6 pixels is 12: the hole's column 40 of frame 0 comes out of the hole at column 52 of frame 1.
    np.testing.assert_allclose(first[28, 42].astype(int), view(WIDTH, HEIGHT, 0.5)[40, 54].astype(int), atol=2)


def _result(folder: Path) -> dict[str, object]:
    return {
        "source": {"path": str(folder / "result")},
        "mask": {"rectangle": [0, 0, 1, 1]},
        "output": {"path": str(folder / "other")},
    }


@pytest.mark.parametrize("stage", ["flow", "completion", "fill"])
def test_networks_can_be_stopped(tmp_path: Path, stage: str) -> None:
    install("flownet2", "dfc_stage1", "deepfill")
    seen: list[str] = []
    with pytest.raises(Aborted):
        run(job(tmp_path, **ALL), on_progress=lambda p: seen.append(p.stage), aborted=lambda: stage in seen)
    assert not (tmp_path / "result").exists()


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
def test_a_network_goes_on_in_the_middle_of_a_shot(tmp_path: Path) -> None:
    install("flownet2", "dfc_stage1", "dfc_stage2", "deepfill")
    job(tmp_path)
    document = {"source": {"path": "source"}, "mask": {"path": "mask"}, "output": {"path": "out", "format": "png"}}
    points = [["flow", 4], ["completion", 2], ["completion", 4], ["trace", 1], ["write", 1]]
    params = {"device": "cpu", "reach": 1, **ALL}
    spec = {"folder": str(tmp_path), "job": document | {"params": params}, "points": points}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), json.dumps(spec)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr[-2000:]
    wanted, *found = map(json.loads, done.stdout.splitlines())
    assert wanted["windows"] == 2 * FRAMES - 1 + FRAMES and wanted["pairs"] == FRAMES - 1 and wanted["fills"]
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one
    windows = [one["windows"] for one in found]
    assert windows[0] == wanted["windows"] > windows[1] > windows[2] > windows[3] == windows[4] == 0
    assert [one["pairs"] for one in found[1:]] == [0] * 4 and found[-1]["fills"] == 0


@pytest.mark.parametrize("stage", ALL)
def test_a_network_without_weights_is_refused_before_anything_is_read(tmp_path: Path, stage: str) -> None:
    with pytest.raises(MissingWeights, match=f"{stage} cannot be '{ALL[stage]}'"):
        run(job(tmp_path, **{stage: ALL[stage]}))
    with pytest.raises(MissingWeights):
        pipeline.check(job(tmp_path, **{stage: ALL[stage]}))


def test_a_cut_is_not_completed_across(tmp_path: Path) -> None:
    install("dfc_stage1")
    task = job(tmp_path, completion="dfc")
    for k in (3, 4):
        save(tmp_path / "source" / f"{k:03d}.png", view(WIDTH, HEIGHT, 300 + k) // 8)
    result, said = run(task)
    assert ("info", "A new shot begins at frame 3.") in said and result.frames == FRAMES
