"""A flow network as an estimator."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from flow_inpaint.errors import OutOfMemory
from flow_inpaint.flow.flownet2 import FlowNet2
from flow_inpaint.flow.network import NetworkFlow
from torch import Tensor, nn


class Difference(nn.Module):
    """Stands in for a network: a flow that depends on nothing but the pixel itself, and runs out of memory above `most` pixels."""

    def __init__(self, most: int = 1 << 40):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.most, self.sizes = most, []

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
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
    network = Difference(most=320 * 420)
    estimator = NetworkFlow(network, "cpu", lambda level, text: said.append(f"{level}: {text}"))
    np.testing.assert_allclose(estimator(a, b), wanted(a, b), atol=1e-3)
    assert said == ["warning: Memory is short, so optical flow is measured in 2 x 2 tiles."]
    before = len(network.sizes)
    estimator(a, b)
    assert (500, 700) not in network.sizes[before:], "what did not fit once is not tried again"


def test_memory_for_nothing_at_all_is_an_error_with_advice() -> None:
    a, b = pictures(500, 700)
    with pytest.raises(OutOfMemory, match="choose flow = dis"):
        NetworkFlow(Difference(most=0), "cpu", quiet)(a, b)


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
