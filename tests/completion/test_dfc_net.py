"""The network's stages against the published ones: names, shapes, numbers."""
from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from shared_data import golden_state, shared  # noqa: E402

from flow_inpaint.completion.dfc_net import DFCNet, DFCStage, Region  # noqa: E402

TOLERANCE = 1e-4
CASES = {
    "dfc_initial_resnet101": (33, 2, "resnet101"),
    "dfc_initial_resnet50": (33, 2, "resnet50"),
    "dfc_refine_resnet50": (66, 4, "resnet50"),
}
LAYERS = ("maxpool", "layer1", "layer2", "layer3", "layer4")
SMALL = 0.0625


def off_by(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in standard deviations of what is wanted."""
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / wanted.std())


@pytest.fixture(scope="module", params=CASES)
def published(request) -> Iterator[tuple[str, DFCStage, dict[str, np.ndarray], dict[str, torch.Tensor]]]:
    """A case's name, the network with its weights, the reference, and what the layers made of the input last seen."""
    name = request.param
    seen: dict[str, torch.Tensor] = {}
    state = golden_state(f"{name}_keys.json")
    stage = DFCStage(*CASES[name]).eval()
    stage.load_state_dict(state, strict=True)
    for layer in LAYERS:
        getattr(stage, layer).register_forward_hook(lambda module, given, made, layer=layer: seen.__setitem__(layer, made))
    golden = dict(np.load(shared("golden", f"{name}.npz")))
    golden.setdefault("input", np.load(shared("golden", "dfc_initial_resnet101.npz"))["input"])
    yield name, stage, golden, seen


@pytest.mark.parametrize("suffix", ["", "_odd"])
def test_numbers_are_the_published_ones(published, suffix):
    _, stage, golden, seen = published
    x = golden["input" + suffix]
    with torch.inference_mode():
        made = stage(torch.from_numpy(x)).numpy()
    for layer in LAYERS:
        assert seen[layer].shape == tuple(golden[f"{layer}_shape{suffix}"].astype(int))
        assert off_by(seen[layer].mean((0, 2, 3)).numpy(), golden[f"{layer}_channel_mean{suffix}"]) <= TOLERANCE
    assert off_by(made, golden["output" + suffix]) <= TOLERANCE
    completed = []
    for block in range(x.shape[1] // 33):
        hole, known = x[:, 33 * block + 17 : 33 * block + 18], x[:, 33 * block + 15 : 33 * block + 17]
        completed.append(made[:, 2 * block : 2 * block + 2] * hole + known * (1 - hole))
    assert off_by(np.concatenate(completed, 1), golden["completed" + suffix]) <= TOLERANCE


def test_names_and_shapes_are_the_published_ones(published):
    name, stage, _, _ = published
    keys = json.loads(shared("golden", f"{name}_keys.json").read_text())
    assert {key: list(value.shape) for key, value in stage.state_dict().items()} == keys


@pytest.mark.parametrize("backbone, multi_scale", [("resnet50", None), ("resnet101", None), ("resnet50", False)])
def test_variants_train(backbone, multi_scale):
    torch.manual_seed(0)
    stage = DFCStage(33, 2, backbone, SMALL, multi_scale=multi_scale).train()
    assert stage.multi_scale == (backbone == "resnet50" and multi_scale is None)
    before = {key: value.clone() for key, value in stage.named_buffers()}
    made = stage(5 * torch.randn(2, 33, 42, 53))
    assert made.shape == (2, 2, 42, 53)
    assert 0.05 < made.std() < 100
    made.abs().mean().backward()
    dead = [name for name, value in stage.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert not dead
    assert all(torch.equal(value, before[key]) for key, value in stage.named_buffers())


def test_norms_follow_the_batches_when_not_frozen():
    stage = DFCStage(33, 2, width=SMALL, frozen_norm=False).train()
    stage(5 * torch.randn(2, 33, 32, 40))
    assert stage.bn1.training and stage.bn1.num_batches_tracked == 1
    stage.eval()
    assert not stage.bn1.training


def test_width_scales_the_inner_channels():
    full, half = DFCStage(66, 4, width=1.0).state_dict(), DFCStage(66, 4, width=0.5).state_dict()
    assert half.keys() == full.keys()
    assert half["conv1.weight"].shape == (32, 66, 7, 7)
    assert half["layer5.conv1.weight"].shape == (128, 1024, 5, 5)
    assert half["layer5.conv3.weight"].shape == (4, 64, 1, 1)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
@pytest.mark.parametrize("size", [(97, 131), (96, 128)])
def test_part_of_a_frame_that_ends_where_the_frame_does(backbone, size):
    torch.manual_seed(1)
    stage = DFCStage(33, 2, backbone, SMALL).eval()
    x = torch.randn(1, 33, *size)
    with torch.inference_mode():
        assert torch.allclose(stage(x, Region(0, 0, *size)), stage(x), atol=1e-4)


def test_nothing_beyond_its_reach_matters():
    torch.manual_seed(2)
    stage = DFCStage(33, 2, width=0.03).eval()
    height, width, top, left = 640, 720, 320, 380
    x = torch.randn(1, 33, height, width)
    rows, columns = slice((top - stage.reach) // 8 * 8, height), slice((left - stage.reach) // 8 * 8, width)
    assert rows.start > 0 and columns.start > 0
    with torch.inference_mode():
        whole = stage(x)
        part = stage(x[..., rows, columns], Region(rows.start, columns.start, height, width))
    assert torch.allclose(part[..., top - rows.start :, left - columns.start :], whole[..., top:, left:], atol=1e-4)


def test_net_is_its_stages():
    net = DFCNet.build(3, width=SMALL)
    assert {name.split(".", 2)[2] for name in net.state_dict() if name.startswith("stages.1.")} == set(net.stages[1].state_dict())
    assert [(stage.in_channels, stage.out_channels) for stage in net.stages] == [(33, 2), (66, 4), (66, 4)]
    assert net.stage_sizes(480, 854) == [(240, 427), (320, 569), (480, 854)]
    assert DFCNet.build(2, width=SMALL, sizes="paper").stage_sizes(1080, 1920) == [(240, 424), (320, 600)]
    assert DFCNet.build(1, "resnet101", SMALL, sizes=[(32, 48)]).stage_sizes(480, 854) == [(32, 48)]
    assert net.prefix(2).stages[1] is net.stages[1] and len(net.prefix(2).stages) == 2


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: DFCStage(33, 2, "resnet18"), "resnet18"),
        (lambda: DFCStage(33, 2, width=0), "width is 0"),
        (lambda: DFCNet.build(4, width=SMALL), "stages is 4"),
        (lambda: DFCNet.build(1, width=SMALL, sizes="huge"), "huge"),
        (lambda: DFCNet.build(2, width=SMALL, sizes=[(32, 48)]), "2 stages and 1 sizes"),
        (lambda: DFCNet([DFCStage(66, 4, width=SMALL)]), "66, 4"),
        (lambda: DFCStage(33, 2, width=SMALL)(torch.zeros(1, 66, 16, 16)), "66 channels"),
    ],
)
def test_what_makes_no_sense_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()
