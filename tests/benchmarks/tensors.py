"""What the tensors of each network hold at most, weights included, counted from their sizes without any being made.

    PYTHONPATH=tests python tests/benchmarks/tensors.py [--width 1]

What libraries take beside that depends on them and is not in it. DFC-Net is one window of its third stage; DeepFill works at 1024 pixels
at most.
"""
from __future__ import annotations

import argparse
from contextlib import nullcontext
from unittest import mock

import torch
from short_memory import ShortMemory
from torch import Tensor, nn

from flow_inpaint.completion.dfc_net import DFCNet
from flow_inpaint.fill.deepfill import DeepFill
from flow_inpaint.flow.flownet2 import FlowNet2

SIZES = ((1920, 1080), (3840, 2160))
SQUARE = (1024, 1024)
PRECISIONS = (torch.float16, torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0)
    width = parser.parse_args().width
    print(f"{'network':10} {'size':>10} {'half GiB':>9} {'full GiB':>9}")
    # Nothing is computed, so there is nothing to choose a precision for.
    with mock.patch("torch.autocast", lambda *_, **__: nullcontext()), torch.inference_mode(), torch.device("meta"):
        for name, sizes in (("flownet2", SIZES), ("dfc", SIZES), ("deepfill", (SQUARE,))):
            for across, down in sizes:
                peaks = [_peak(*NETWORKS[name](width, down, across, precision)) for precision in PRECISIONS]
                print(f"{name:10} {f'{across}x{down}':>10} " + " ".join(f"{peak:9.2f}" for peak in peaks), flush=True)


def _peak(network: nn.Module, *inputs: Tensor) -> float:
    with ShortMemory(held=[*network.parameters(), *network.buffers(), *inputs]) as memory:
        network(*inputs)
    return memory.peak / 2**30


def _flownet2(width: float, down: int, across: int, precision: torch.dtype) -> tuple[nn.Module, Tensor, Tensor]:
    network = FlowNet2(width).eval()
    if precision != torch.float32:
        network = network.halved()
    return network, torch.empty(1, 3, down, across), torch.empty(1, 3, down, across)


def _dfc(width: float, down: int, across: int, precision: torch.dtype) -> tuple[nn.Module, Tensor]:
    stage = DFCNet.build(3, width=width).eval().stages[2].to(precision)
    return stage, torch.empty(1, stage.in_channels, down, across, dtype=precision)


def _deepfill(width: float, down: int, across: int, precision: torch.dtype) -> tuple[nn.Module, Tensor, Tensor]:
    return DeepFill(width).eval().to(precision), *(torch.empty(1, count, down, across, dtype=precision) for count in (3, 1))


NETWORKS = {"flownet2": _flownet2, "dfc": _dfc, "deepfill": _deepfill}


if __name__ == "__main__":
    main()
