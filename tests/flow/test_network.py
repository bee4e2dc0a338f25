"""A flow network as an estimator."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from flow_inpaint.errors import BadWeights, OutOfMemory
from flow_inpaint.flow.flownet2 import FlowNet2
from flow_inpaint.flow.network import NetworkFlow
from scenery import view
from short_memory import ShortMemory
from torch import Tensor, nn


class Difference(nn.Module):
    """Stands in for a network: a flow that depends on nothing but the pixel itself, and runs out of memory above `most` pixels."""

    def __init__(self, most: int = 1 << 40):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.most, self.sizes = most, []

    def halved(self) -> Difference:
        return self

    def forward(self, first: Tensor, second: Tensor, mean: Tensor | None = None) -> Tensor:
        self.sizes.append(tuple(first.shape[2:]))
        if first[0, 0].numel() > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return (first - second)[:, :2] * self.gain


def pictures(h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (h, w, 3), np.uint8), generator.integers(0, 256, (h, w, 3), np.uint8)


def wanted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.astype(np.float32) - b)[..., :2].transpose(2, 0, 1)


def quiet(level: str, text: str) -> None:
    del level, text


def test_colours_go_in_in_order_and_the_flow_comes_out_in_ours() -> None:
    a, b = pictures(70, 90)
    flow = NetworkFlow(Difference(), "cpu", quiet)(a, b)
    assert flow.dtype == np.float32
    np.testing.assert_array_equal(flow, wanted(a, b))


def test_short_memory_means_tiles_that_cover_the_picture_seamlessly() -> None:
    said: list[str] = []
    a, b = pictures(500, 700)
    network = Difference(most=320 * 448)
    estimator = NetworkFlow(network, "cpu", lambda level, text: said.append(f"{level}: {text}"))
    np.testing.assert_allclose(estimator(a, b), wanted(a, b), atol=1e-3)
    assert said == [
        "warning: Memory is short, so optical flow is measured in half precision.",
        "warning: Memory is short, so optical flow is measured in 2 x 2 tiles.",
    ]
    before = len(network.sizes)
    estimator(a, b)
    assert (500, 700) not in network.sizes[before:], "what did not fit once is not tried again"


def test_memory_for_nothing_at_all_is_an_error_with_advice() -> None:
    a, b = pictures(500, 700)
    with pytest.raises(OutOfMemory, match="choose flow = dis"):
        NetworkFlow(Difference(most=0), "cpu", quiet)(a, b)


def test_little_memory_gives_the_same_flow_of_a_large_picture() -> None:
    """A thin FlowNet2, in less and less memory: within a hundredth of what its flow spans."""
    torch.manual_seed(0)
    state = FlowNet2(0.0625).state_dict()
    a, b = view(640, 384, 0.0), view(640, 384, 3.0, 1.0)

    def measured(limit: float) -> tuple[np.ndarray, ShortMemory, list[str]]:
        said: list[str] = []
        network = FlowNet2(0.0625)
        network.load_state_dict(state)
        with ShortMemory(limit, list(network.parameters())) as memory:
            flow = NetworkFlow(network, "cpu", lambda level, text: said.append(text))(a, b)
        return flow, memory, said

    whole, all_there_is, _ = measured(float("inf"))
    for share, last in ((0.38, "2 x 2 tiles"), (0.33, "4 x 4 tiles")):
        flow, memory, said = measured(share * all_there_is.peak)
        assert memory.refused and "half precision" in said[0] and last in said[-1]
        assert np.abs(flow - whole).max() < 0.02 * np.ptp(whole) and np.abs(flow - whole).mean() < 0.002 * np.ptp(whole)


def test_full_precision_when_half_overflows() -> None:
    said: list[str] = []
    torch.manual_seed(0)
    network = FlowNet2(0.125)
    network.flownetc.conv1[0].weight.data *= 2e4
    network.flownetc.conv2[0].weight.data *= 100
    a, b = pictures(64, 64)
    wanted = NetworkFlow(network, "cpu", quiet)(a, b)
    estimator = NetworkFlow(network, "cpu", lambda level, text: said.append(text))
    estimator._halve()
    flow = estimator(a, b)
    assert np.isfinite(flow).all() and said == ["Half precision cannot hold these numbers, so optical flow is measured in full precision."]
    # Its weights have been rounded.
    np.testing.assert_allclose(flow, wanted, atol=0.05 * np.abs(wanted).max())


def test_weights_that_make_no_numbers() -> None:
    network = FlowNet2(0.125)
    network.flownetc.conv1[0].weight.data[:] = 1e38
    with pytest.raises(BadWeights, match="The weights of FlowNet2 make no numbers .* choose flow = dis"):
        NetworkFlow(network, "cpu", quiet)(*pictures(64, 64))


def test_other_errors_of_the_network_are_not_swallowed() -> None:
    network = Difference()
    network.forward = lambda first, second: (_ for _ in ()).throw(RuntimeError("no such kernel"))
    with pytest.raises(RuntimeError, match="no such kernel"):
        NetworkFlow(network, "cpu", quiet)(*pictures(64, 64))


def test_may_be_asked_from_several_threads() -> None:
    torch.manual_seed(0)
    estimator = NetworkFlow(FlowNet2(0.125), "cpu", quiet)
    a, b = pictures(64, 64)
    alone = estimator(a, b)
    with ThreadPoolExecutor(4) as pool:
        for flow in pool.map(lambda _: estimator(a, b), range(8)):
            np.testing.assert_allclose(flow, alone, rtol=1e-3, atol=1e-4)
