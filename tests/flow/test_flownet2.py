from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from flow_inpaint.flow import flownet2
from flow_inpaint.flow.flownet2 import FlowNet2, FlowNetC, correlation, norm, warp
from shared_data import golden_state, shared
from torch import Tensor

TOLERANCE = 1e-3


def far(found: Tensor, wanted: np.ndarray) -> float:
    """Largest difference, in standard deviations of what is wanted."""
    assert tuple(found.shape) == wanted.shape
    return float(np.abs(found.numpy() - wanted).max() / wanted.std())


def textured(seed: int, h: int, w: int, n: int = 1) -> Tensor:
    return torch.rand(n, 3, h, w, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.fixture(scope="module")
def small() -> FlowNet2:
    torch.manual_seed(0)
    return FlowNet2(0.125).eval()


# ---- against the reference


@pytest.fixture(scope="module")
def published() -> FlowNet2:
    """The network of the published size and names, with the reference's weights."""
    state = golden_state("flownet2_keys.json")
    network = FlowNet2().eval()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }
    assert list(network.state_dict()) == list(state)
    network.load_state_dict(state, strict=True)
    return network


@pytest.fixture(scope="module")
def seen(published: FlowNet2) -> dict[str, Tensor]:
    """Everything that the published network computes for the reference pair, by the reference's names."""
    reference = np.load(shared("golden", "flownet2.npz"))
    first, second = (torch.from_numpy(reference[name]) for name in ("img1", "img2"))
    found: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda module, given, made: found.__setitem__(name, made)

    for part in ("flownetc", "flownets_1", "flownets_2", "flownets_d"):
        for layer in ("conv_redir", "conv3_1", "conv6_1", *(f"predict_flow{level}" for level in (6, 5, 4, 3))):
            if hasattr(getattr(published, part), layer):
                getattr(getattr(published, part), layer).register_forward_hook(keep(f"{part}_{layer}"))
        getattr(published, part).predict_flow2.register_forward_hook(keep(f"{part}_flow2"))
    for level in (2, 1):
        getattr(published.flownetfusion, f"predict_flow{level}").register_forward_hook(keep(f"fusion_predict_flow{level}"))
    published.flownetfusion.register_forward_pre_hook(lambda module, given: found.__setitem__("fusion_input", given[0]))
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(flownet2, "correlation", lambda a, b: found.setdefault("flownetc_corr", correlation(a, b)))
        warps = iter(("resample1", "resample2", "resample3", "resample4"))
        flows = iter(("flownetc_flow_up", "flownets_1_flow_up", "flow_d", "flow_2"))

        def noted(image: Tensor, flow: Tensor) -> Tensor:
            found[next(flows)] = flow
            return found.setdefault(next(warps), warp(image, flow))

        patch.setattr(flownet2, "warp", noted)
        flow = published(first, second)
        kept = dict(found)
        patch.undo()
        swapped = published(second, first)
    return kept | {"flow": flow, "flow_swapped": swapped}


def test_reproduces_every_reference_array(seen: dict[str, Tensor]) -> None:
    reference = np.load(shared("golden", "flownet2.npz"))
    names = [name for name in reference.files if name not in ("img1", "img2")]
    assert set(names) <= set(seen)
    assert {name: far(seen[name], reference[name]) for name in names if far(seen[name], reference[name]) > TOLERANCE} == {}


def test_reproduces_the_reference_operations() -> None:
    data = {name: torch.from_numpy(values) for name, values in np.load(shared("golden", "ops.npz")).items()}
    assert far(correlation(data["corr_a"], data["corr_b"]), data["corr_out"].numpy()) < TOLERANCE
    assert far(warp(data["warp_img"], data["warp_flow"]), data["warp_out"].numpy()) < TOLERANCE
    assert far(norm(data["norm_in"]), data["norm_out"].numpy()) < TOLERANCE


def test_half_precision_of_the_published_size_stays_within_six_hundredths_of_a_pixel(published: FlowNet2) -> None:
    reference = np.load(shared("golden", "flownet2.npz"))
    # Not the whole of the pictures: half precision takes a processor twenty times longer.
    first, second = (torch.from_numpy(reference[name])[..., 32:96, 32:160] for name in ("img1", "img2"))
    with torch.inference_mode():
        error = (copy.deepcopy(published).halved()(first, second) - published(first, second)).abs()
    print(f"largest {error.max():.4f} px, mean {error.mean():.4f} px")
    # Processors sum up in different orders: of the whole pictures 0.046 to 0.053 px at the worst pixel so far.
    assert error.max() < 0.06 and error.mean() < 0.01


# ---- on its own


def plain_correlation(a: Tensor, b: Tensor) -> Tensor:
    n, c, h, w = a.shape
    wide = torch.nn.functional.pad(b, (20, 20, 20, 20))
    parts = [(a * wide[:, :, 20 + 2 * j : 20 + 2 * j + h, 20 + 2 * i : 20 + 2 * i + w]).mean(1) for j in range(-10, 11) for i in range(-10, 11)]
    return torch.stack(parts, 1)


@pytest.mark.parametrize("shape", [(1, 8, 6, 10), (2, 5, 7, 9), (1, 3, 1, 1), (1, 4, 45, 30)])
def test_correlation_is_what_its_definition_says(shape: tuple[int, ...]) -> None:
    made = torch.Generator().manual_seed(1)
    a, b = (torch.randn(shape, generator=made) for _ in range(2))
    torch.testing.assert_close(correlation(a, b), plain_correlation(a, b), rtol=1e-4, atol=1e-5)


def test_correlation_can_be_learned_through() -> None:
    a, b = (torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(correlation, (a, b), fast_mode=True)


def test_equal_pictures_leave_the_gradient_finite() -> None:
    x = torch.zeros(1, 3, 4, 4, requires_grad=True)
    norm(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_warp_reads_where_the_flow_points_and_continues_the_border() -> None:
    image = torch.arange(20.0).view(1, 1, 4, 5)
    assert torch.equal(warp(image, torch.zeros(1, 2, 4, 5)), image)
    right = torch.zeros(1, 2, 4, 5)
    right[:, 0] = 1
    assert torch.equal(warp(image, right), image[..., [1, 2, 3, 4, 4]])
    down = torch.zeros(1, 2, 4, 5)
    down[:, 1] = -0.5
    assert torch.equal(warp(image, down)[..., 1, :], (image[..., 0, :] + image[..., 1, :]) / 2)
    assert torch.equal(warp(image, torch.full((1, 2, 4, 5), 1e6)), image[..., -1:, -1:].expand_as(image))


@pytest.mark.parametrize(("h", "w"), [(64, 64), (65, 127), (37, 20), (90, 160)])
def test_any_size_goes_in_and_comes_out(small: FlowNet2, h: int, w: int) -> None:
    with torch.inference_mode():
        flow = small(textured(0, h, w), textured(1, h, w))
    assert flow.shape == (1, 2, h, w) and flow.dtype == torch.float32 and torch.isfinite(flow).all()


def test_a_batch_gives_what_its_pairs_give(small: FlowNet2) -> None:
    first, second = textured(0, 64, 96, 2), textured(1, 64, 96, 2)
    with torch.inference_mode():
        both = small(first, second)
        each = torch.cat([small(first[k : k + 1], second[k : k + 1]) for k in (0, 1)])
    torch.testing.assert_close(both, each, rtol=1e-3, atol=1e-4)


def test_a_brighter_shot_has_the_same_flow(small: FlowNet2) -> None:
    first, second = textured(0, 64, 64) / 2, textured(1, 64, 64) / 2
    with torch.inference_mode():
        torch.testing.assert_close(small(first, second), small(first + 40, second + 40), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("width", [1.0, 0.5, 0.25, 0.125])
def test_width_scales_the_channels_of_every_layer(width: float) -> None:
    with torch.device("meta"):
        network = FlowNet2(width)
    for part, bottom in (("flownetc", 1024), ("flownets_1", 1024), ("flownets_2", 1024), ("flownets_d", 1024), ("flownetfusion", 128)):
        last = getattr(network, part).conv6_1 if bottom == 1024 else getattr(network, part).conv2_1
        assert last[0].out_channels == bottom * width
    assert network.flownetc.conv3_1[0].in_channels == max(32 * width, 8) + 441


def test_the_published_width_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = FlowNet2()
    assert sum(p.numel() for p in network.parameters()) == 162_518_834
    assert sum(p.numel() for p in network.flownetc.parameters()) == 39_175_298


def test_every_parameter_takes_part() -> None:
    torch.manual_seed(0)
    network = FlowNet2(0.125)
    network(textured(0, 64, 64), textured(1, 64, 64)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_half_precision_stays_close() -> None:
    torch.manual_seed(0)
    network = FlowNet2(0.125).eval()
    first, second = textured(0, 64, 64), textured(1, 64, 64)
    with torch.inference_mode():
        whole = network(first, second)
        half = network.halved()(first, second)
    assert half.dtype == torch.float32
    assert (half - whole).abs().max() < 0.05


def test_flownetc_alone_gives_flows_of_all_levels() -> None:
    flows = FlowNetC(0.125)(torch.randn(1, 6, 64, 128))
    assert [tuple(flow.shape[2:]) for flow in flows] == [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]
