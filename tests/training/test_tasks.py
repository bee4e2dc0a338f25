"""What is learnt: every task sees what its network sees at work, learns it on a tiny batch, and leaves the rest alone."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flow_inpaint.completion.dfc_shot import complete_shot
from flow_inpaint.errors import BadParameter
from flow_inpaint.flow.flownet2 import FlowNet2, warp
from flow_inpaint.training import log
from flow_inpaint.training.config import Config, DataSettings, Phase, RunSettings, TrainSettings
from flow_inpaint.training.sources import Share, open_source
from flow_inpaint.training.tasks import Task
from flow_inpaint.training.tasks.dfc import DFCSettings, DFCTask
from flow_inpaint.training.tasks.flownet2 import FlowNet2Settings, FlowNet2Task
from flow_inpaint.training.losses import hard_regions, masked_l1, mined_l1, pyramid_epe
from flow_inpaint.training.trainer import Trainer

CPU = torch.device("cpu")


def batch(samples: int = 2, size: tuple[int, int] = (48, 64), frames: int = 12, **data) -> dict[str, torch.Tensor]:
    settings = DataSettings(source="toy_data:ToyBatches", size=size, frames=frames, **data)
    return open_source(settings, 1, Share(samples), CPU).batch(0)


def overfit(task: Task, out: Path, steps: int, *, size=(48, 64), frames=12, samples: int = 2, **train) -> tuple[list[float], Trainer]:
    """The losses of so many steps on one batch."""
    run = RunSettings(log_every=1, validate_every=0, validation_samples=2, save_every=1e9)
    data = DataSettings(source="toy_data:OneBatch", size=size, frames=frames)
    settings = TrainSettings(steps=steps, batch=samples, clip=1.0, decay="cosine", **train)
    trainer = Trainer(Config("test", run, data, (Phase("one", settings, None),)), [task], out, device=CPU)
    assert trainer.run(resume=False).finished
    return [float(row["loss"]) for row in log.read(out / "log.csv")], trainer


def fell(losses: list[float], factor: float) -> None:
    assert losses[-1] * factor < losses[0], f"from {losses[0]:.4g} to {losses[-1]:.4g}"


# --- losses ---


def test_losses_are_the_papers():
    rng = np.random.default_rng(0)
    prediction, truth = rng.normal(size=(2, 3, 2, 9, 11)).astype(np.float32)
    hole = rng.random((3, 9, 11)) < 0.4
    error = np.abs(prediction - truth).sum(1)
    plain = [e[h].mean() for e, h in zip(error, hole, strict=True)]
    hard = [np.sort(e[h])[::-1][: int(np.ceil(h.sum() * 0.3))].mean() for e, h in zip(error, hole, strict=True)]
    given = [torch.from_numpy(x) for x in (prediction, truth, hole)]
    np.testing.assert_allclose(masked_l1(*given), plain, rtol=1e-5)
    np.testing.assert_allclose(mined_l1(*given, 0.3), hard, rtol=1e-5)
    np.testing.assert_allclose(mined_l1(*given, 1.0), plain, rtol=1e-5)


def test_an_empty_hole_costs_nothing():
    prediction = torch.randn(2, 2, 8, 8, requires_grad=True)
    nothing = torch.zeros(2, 8, 8, dtype=torch.bool)
    loss = (masked_l1(prediction, torch.zeros(2, 2, 8, 8), nothing) + mined_l1(prediction, torch.zeros(2, 2, 8, 8), nothing, 0.5)).sum()
    loss.backward()
    assert loss == 0 and not prediction.grad.any()


def test_a_pyramid_of_the_truth_has_no_error_and_what_is_not_known_does_not_count():
    truth = torch.randn(2, 2, 32, 32)
    valid = torch.rand(2, 32, 32) < 0.5
    spoilt = torch.where(valid[:, None], truth, torch.full_like(truth, 99.0))
    known = valid[:, None].float()
    flows = []
    for size in (16, 8):
        amount = F.adaptive_avg_pool2d(known, size)
        flows.append(F.adaptive_avg_pool2d(truth * known, size) / amount.clamp(min=1e-6) / 20)
    assert pyramid_epe(flows, spoilt, valid, unit=1 / 20).max() < 1e-5
    assert pyramid_epe([flow + 0.5 for flow in flows], spoilt, valid, unit=1 / 20).min() > 0.2
    same = torch.zeros(1, 2, 8, 8, requires_grad=True)
    pyramid_epe([same], torch.zeros(1, 2, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool)).sum().backward()
    assert torch.isfinite(same.grad).all()


def test_hard_regions_lie_where_the_flow_jumps():
    flow = torch.zeros(1, 2, 40, 60)
    flow[:, 0, :, 30:] = 3
    hard = hard_regions(flow)[0]
    assert hard[:, 27:33].all() and not hard[:, :25].any() and not hard[:, 35:].any()
    assert not hard_regions(torch.linspace(0, 6, 60).expand(1, 2, 40, 60)).any()


# --- DFC-Net ---


def tiny(stage: str = "joint", **settings) -> DFCTask:
    return DFCTask(DFCSettings(stage=stage, width=0.03, **settings))


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("frames", [12, 14])
def test_a_network_is_trained_on_what_it_sees_in_a_shot(stages, frames):
    task = tiny(stages=stages, ends=1.0)
    torch.manual_seed(0)
    net = task.build()
    data = batch(2, (42, 54), frames)
    shot = task._shot(data)
    with torch.no_grad():
        prediction, _, hole = task._answers(net, shot)[-1][1]
    for sample in range(2):
        inputs = [data[name][sample].numpy() for name in ("forward", "backward", "holes")]
        # For one stage the whole size is a half, so its own answer is compared where it is.
        results: dict[str, np.ndarray] = {}

        def allocate(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
            return results.setdefault(name, np.zeros(shape, dtype))

        watched = net if stages == 3 else _with_one_more(net)
        complete_shot(*inputs, watched, device="cpu", allocate=allocate)
        centre = int(shot.centre[sample])
        last = frames - 2
        for direction, name in enumerate(("forward", "backward")):
            if stages > 1 and name == "forward" and centre == last:
                # The last forward flow is answered twice, and what is kept comes from the window after this one.
                continue
            if stages == 3:
                work = results[f"dfc-{name}"][min(centre, last) if name == "forward" else centre - 1]
            else:
                work = results[f"dfc-{stages}-{name}"][min(centre, last) if name == "forward" else centre]
            found = prediction[sample + 2 * direction].numpy()
            inside = hole[sample + 2 * direction].numpy()
            assert inside.any()
            np.testing.assert_allclose(found[:, inside], work[:, inside], atol=1e-3)


def _with_one_more(net):
    from flow_inpaint.completion.dfc_net import DFCNet, DFCStage

    return DFCNet([*net.stages, DFCStage(66, 4, width=0.03)])


def test_the_middle_of_a_shot_has_no_beginning():
    shot = tiny(ends=0.0)._shot(batch(3))
    assert shot.centre.tolist() == [5, 5, 5]
    assert torch.equal(shot.truth["backward"][:, 0], shot.truth["backward"][:, 1])
    begun = tiny(ends=1.0)._shot(batch(3))
    assert not begun.truth["backward"][:, 0].any() and begun.centre.min() >= 1 and begun.centre.max() <= 11


def test_noise_is_near_holes_only_and_belongs_to_the_sample():
    task = tiny(noise=1.0)
    shot = task._shot(batch(3))
    for name in ("forward", "backward"):
        change = (shot.given[name] - shot.truth[name]).abs().sum(2)
        far = F.max_pool2d(shot.holes[name].float(), 61, 1, 30) == 0
        assert change[~far].max() > 0.1 and not change[far].any()
    torch.testing.assert_close(task._shot({name: x[1:2] for name, x in batch(3).items()}).given["forward"], shot.given["forward"][1:2])
    exact = tiny(noise=0.0)._shot(batch(3))
    assert exact.given["forward"] is exact.truth["forward"]


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3", "joint"])
def test_dfc_overfits_a_tiny_batch(stage, tmp_path):
    steps = {"stage1": 50, "stage2": 50, "stage3": 40, "joint": 40}[stage]
    task = DFCTask(DFCSettings(stage=stage, width=0.125, ends=0.0))
    losses, _ = overfit(task, tmp_path, steps, size=(32, 48), samples=1, rate=2e-3, warmup=10, ema=0.8)
    fell(losses, 5)
    last = log.read(tmp_path / "validation.csv")[-1]
    assert all(float(last[name]) > 0 for name in ("epe", "epe_smooth", "ratio", "epe_easy"))


def test_dfc_beats_smooth_interpolation_where_a_box_passes_behind_the_hole(tmp_path):
    """On clips that it has not seen, and in the hard part of the hole, near the box's edges."""
    task = DFCTask(DFCSettings(stages=1, width=0.125, ends=0.0, mining_weight=1.0))
    run = RunSettings(log_every=10, validate_every=0, validation_samples=32, save_every=1e9)
    data = DataSettings(source="toy_data:PassingBoxes", size=(48, 64), frames=12)
    settings = TrainSettings(steps=70, batch=16, clip=1.0, decay="cosine", rate=1.5e-3, warmup=20, weight_decay=1e-4)
    assert Trainer(Config("test", run, data, (Phase("one", settings, None),)), [task], tmp_path, device=CPU).run(resume=False).finished
    found = {name: float(value) for name, value in log.read(tmp_path / "validation.csv")[-1].items() if name.startswith(("epe", "ratio"))}
    assert found["epe_smooth_hard"] > 0.5
    assert found["ratio"] < 0.85 and found["ratio_hard"] < 0.85, found


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage3", "joint"])
def test_a_stage_learns_and_those_before_it_are_frozen(stage, tmp_path):
    task = tiny(stage, warm=False)
    before = {name: values.clone() for name, values in _built(task).state_dict().items()}
    _, trainer = overfit(task, tmp_path, 1, rate=1e-3)
    after = trainer.model.state_dict()
    moved = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"stage1": {"0"}, "stage2": {"1"}, "stage3": {"2"}, "joint": {"0", "1", "2"}}[stage]


def _built(task: Task) -> nn.Module:
    from flow_inpaint.training.chance import seed_of

    torch.manual_seed(seed_of(1, "model"))
    return task.build()


def test_the_last_stages_loss_reaches_the_first_stage():
    task = tiny(upstream=0.0)
    model = task.build()
    grads = []
    for recompute in (False, True):
        task = tiny(upstream=0.0, recompute=recompute, at_once=7)
        model.zero_grad()
        loss, parts = task.loss(model, batch(1, (24, 32)), "model")
        loss.backward()
        grads.append(model.stages[0].conv1.weight.grad.clone())
        assert grads[-1].abs().max() > 0 and set(parts) == {"l1", "hard"}
    torch.testing.assert_close(*grads)


def test_a_third_stage_begins_with_the_seconds_weights():
    task = tiny("stage3")
    model = task.build()
    task.begin(model)
    assert all(torch.equal(a, b) for a, b in zip(model.stages[1].parameters(), model.stages[2].parameters(), strict=True))


@pytest.mark.parametrize("multi_scale", [True, False])
def test_a_second_stage_begins_with_what_the_first_one_answers(multi_scale):
    """Where the flow back is the opposite of the flow on."""
    task = tiny("stage2", multi_scale=multi_scale)
    model = task.build()
    task.begin(model)
    hole = (torch.rand(2, 11, 1, 32, 48) < 0.3).float()
    flow = torch.randn(2, 11, 2, 32, 48)
    one, other = (torch.cat([x, hole], 2).flatten(1, 2) for x in (flow, -flow))
    with torch.no_grad():
        answer, both = model.stages[0](one), model.stages[1](torch.cat([one, other], 1))
    torch.testing.assert_close(both, torch.cat([answer, -answer], 1))
    cold = tiny("stage2", multi_scale=multi_scale, warm=False)
    model = cold.build()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    cold.begin(model)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())


def test_a_network_that_answers_smoothly_measures_as_smooth_interpolation():
    task = DFCTask(DFCSettings(stage="stage1", stages=1, width=0.03, ends=0.0))
    data = batch(3, (96, 128))

    class Smooth(nn.Module):
        def forward(self, x):
            return x[:, 15:17]

    net = task.build()
    net.stages[0] = Smooth()
    sums, picture = task.measure(net, data)
    metrics = task.conclude({name: total / max(weight, 1) for name, (total, weight) in sums.items()})
    # The network's input is filled at half the size, where the hole is wider by a pixel; the yardstick at full size.
    assert 0.95 < metrics["ratio"] < 1.3 and metrics["epe_smooth_hard"] > metrics["epe_smooth_easy"]
    assert picture.dtype == np.uint8 and picture.ndim == 3 and tuple(metrics) == task.metrics


def test_what_is_catalogued():
    from flow_inpaint.completion.dfc_net import DFCStage

    parts = tiny(stages=3).catalogued()
    assert [(part.role, part.architecture) for part in parts] == [
        ("dfc_stage1", "dfc_initial_resnet50"), ("dfc_stage2", "dfc_refine_resnet50"), ("dfc_stage3", "dfc_refine_resnet50"),
    ]  # fmt: skip
    single = DFCTask(DFCSettings(stages=1, backbone="resnet101", width=0.03, multi_scale=False))
    assert [(part.role, part.architecture) for part in single.catalogued()] == [("dfc_single", "dfc_initial_resnet101")]
    assert not tiny(multi_scale=False).catalogued() and not tiny(backbone="resnet101").catalogued()
    stage = DFCStage(33, 2, "resnet101", 0.03)
    own = {name.removeprefix("stages.0."): values for name, values in single.build().state_dict().items()}
    stage.load_state_dict(own, strict=True)


# --- FlowNet2 ---


@pytest.mark.parametrize(("part", "factor"), [("c", 3), ("s1", 3), ("s2", 3), ("sd", 4), ("fusion", 2)])
def test_flownet2_overfits_a_tiny_batch(part, factor, tmp_path):
    task = FlowNet2Task(FlowNet2Settings(part=part, width=0.06, warm=False))
    steps, rate = {"sd": (150, 1e-2), "fusion": (100, 1e-2)}.get(part, (60, 3e-3))
    losses, trainer = overfit(task, tmp_path, steps, size=(64, 64), frames=3, rate=rate, weight_decay=0.0)
    fell(losses, factor)
    before = _built(task).state_dict()
    names = {"c": "flownetc", "s1": "flownets_1", "s2": "flownets_2", "sd": "flownets_d", "fusion": "flownetfusion"}
    moved = {name.partition(".")[0] for name, values in trainer.model.state_dict().items() if not torch.equal(before[name], values)}
    assert moved == {names[part]}


def test_all_parts_together_are_the_network():
    torch.manual_seed(0)
    net = FlowNet2(0.06)
    task = FlowNet2Task(FlowNet2Settings(part="fusion", width=0.06, painted=0.0))
    data = batch(2, (64, 128), 3)
    with torch.no_grad():
        pairs = task._pairs(data)
        flow = task._predicted(net, pairs)[0][0]
        chosen = [(int(at), bool(back)) for at, back in zip(*task._chosen(data), strict=True)]
        for sample, (at, back) in enumerate(chosen):
            one, other = data["frames"][sample, at : at + 1], data["frames"][sample, at + 1 : at + 2]
            expected = net(*((other, one) if back else (one, other)))
            torch.testing.assert_close(flow[sample : sample + 1], expected, rtol=1e-3, atol=1e-3)
            truth = data["backward" if back else "forward"][sample, at]
            assert torch.equal(pairs.flow[sample], truth)
    assert pairs.valid.all()


def test_painted_pairs_hide_what_lies_in_holes():
    data = batch(4, (64, 64), 3)
    spoilt = dict(data)
    spoilt["frames"] = torch.where(data["holes"][:, :, None], torch.full_like(data["frames"], 255.0), data["frames"])
    task = FlowNet2Task(FlowNet2Settings(width=0.06, painted=1.0))
    one, other = task._pairs(data), task._pairs(spoilt)
    torch.testing.assert_close(one.a, other.a, rtol=0, atol=1e-3)
    assert torch.equal(one.valid, other.valid) and 0.3 < float(one.valid.float().mean()) < 1
    # Nothing counts that has to be matched with a painted pixel.
    assert float((warp(one.holes[:, None].float(), one.flow)[:, 0] > 0)[one.valid].float().mean()) < 0.2
    plain = FlowNet2Task(FlowNet2Settings(width=0.06, painted=0.0))._pairs(data)
    assert plain.valid.all() and not plain.holes.any()


def test_painted_pairs_are_painted_as_at_work():
    from flow_inpaint.motion import view_of

    data = batch(2, (64, 64), 3)
    shown = FlowNet2Task(FlowNet2Settings(width=0.06, painted=1.0))._pairs(data).shown
    task = FlowNet2Task(FlowNet2Settings(width=0.06))
    at, back = task._chosen(data)
    for sample in range(2):
        number = int(at[sample]) + int(back[sample])
        picture = data["frames"][sample, number].permute(1, 2, 0).numpy()
        hole = data["holes"][sample, number].numpy()
        painted = view_of(np.rint(picture).astype(np.uint8), hole, colour=True).colour
        assert np.abs(painted.astype(float) - shown[sample].permute(1, 2, 0).numpy())[hole].mean() < 2


# --- DeepFill ---


@pytest.fixture
def deepfill():
    pytest.importorskip("flow_inpaint.fill.deepfill")
    from flow_inpaint.training.tasks import deepfill

    return deepfill


@pytest.mark.parametrize("settings", [{}, {"frames": 2, "stacked": 3}], ids=["one frame", "several frames, stacked"])
def test_deepfill_overfits_a_tiny_batch(deepfill, settings, tmp_path):
    task = deepfill.DeepFillTask(deepfill.DeepFillSettings(width=0.25, **settings))
    losses, _ = overfit(task, tmp_path, 70 if settings else 110, size=(32, 32), frames=3, samples=1, rate=3e-3, weight_decay=0.0)
    fell(losses, 2.5)
    assert len(task.catalogued()) == (0 if settings else 1)


def test_deepfill_and_its_critics_take_turns(deepfill, tmp_path):
    task = deepfill.DeepFillTask(deepfill.DeepFillSettings(width=0.25, critics=True, adversarial=0.01, critic_width=8))
    losses, trainer = overfit(task, tmp_path, 40, size=(32, 32), frames=3, rate=2e-3, weight_decay=0.0)
    fell(losses, 1.3)
    rows = log.read(tmp_path / "log.csv")
    assert float(rows[-1]["critic_loss"]) < float(rows[0]["critic_loss"])
    before = _built(task).state_dict()
    moved = {name.partition(".")[0] for name, values in trainer.model.state_dict().items() if not torch.equal(before[name], values)}
    assert moved == {"inpainter", "whole", "near"}


def test_the_discount_counts_from_the_holes_edge(deepfill):
    hole = torch.zeros(1, 1, 20, 20)
    hole[..., 5:14, 5:14] = 1
    weight = deepfill._discounted(hole, 0.9)[0, 0]
    assert weight[5, 9] == 1 and weight[9, 9] == pytest.approx(0.9**4) and weight[0, 0] == 0


def test_deepfill_refuses_what_has_no_sense(deepfill):
    for settings, part in (({"frames": 3}, "task.frames"), ({"adversarial": 0.1}, "critics"), ({"discount": 2.0}, "task.discount")):
        with pytest.raises(BadParameter, match=part):
            deepfill.DeepFillTask(deepfill.DeepFillSettings(**settings))
    task = deepfill.DeepFillTask(deepfill.DeepFillSettings(width=0.25, frames=4))
    with pytest.raises(BadParameter, match="data.frames cannot be 3"):
        task.loss(task.build(), batch(1, (32, 32), 3), "model")
