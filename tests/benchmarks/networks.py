"""Seconds and peak memory a frame of each network, each measurement in a process of its own.

    python tests/benchmarks/networks.py [flownet2 flownetc correlation dfc deepfill] [--device cpu|cuda] [--half] [--widths 1 0.5 0.25] [--size 854 480]

Weights are random. On the CPU the memory is that of the whole process, libraries and weights included (`before`
says how much of it was there before the first frame); on a GPU it is what was allocated on the card.
"""
from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

#: One frame of a network: called as often as needed.
Frame = Callable[[], object]
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--half", action="store_true", help="half precision: float16 on a GPU, bfloat16 on the CPU")
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.5, 0.25])
    parser.add_argument("--size", type=int, nargs=2, default=[854, 480], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many frames, after one to warm up")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    known = parser.parse_args()
    if known.one:
        print(json.dumps(_one(known.one, known)))
        return
    unknown = set(known.networks) - set(NETWORKS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}, but {', '.join(NETWORKS)}")
    print(f"{'network':10} {'width':>5} {'weights':>11} {'device':>14} {'s/frame':>8} {'CPU s/frame':>12} {'peak MiB':>9} {'before':>7}")
    for name in known.networks or NETWORKS:
        for width in known.widths:
            command = [sys.executable, *sys.argv, "--one", name, "--widths", str(width)]
            row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            kind = f"{known.device} {row['precision']}"
            print(
                f"{name:10} {width:5} {row['weights']:11,} {kind:>14} {row['seconds']:8.3f} {row['cpu']:12.3f}",
                f"{row['peak']:9.0f} {row['before']:7.0f}",
                flush=True,
            )


def _one(name: str, known: argparse.Namespace) -> dict[str, float | str]:
    import torch

    on_gpu = known.device == "cuda"
    dtype = (torch.float16 if on_gpu else torch.bfloat16) if known.half else torch.float32
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = on_gpu
    with torch.inference_mode():
        network, frame = NETWORKS[name](known.widths[0], tuple(known.size), torch.device(known.device), dtype)
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / MIB if on_gpu else _resident()
        times = []
        for _ in range(known.repeats + 1):
            started, cpu = time.perf_counter(), time.process_time()
            frame()
            if on_gpu:
                torch.cuda.synchronize()
            times.append((time.perf_counter() - started, time.process_time() - cpu))
    peak = torch.cuda.max_memory_allocated() / MIB if on_gpu else _resident()
    weights = sum(parameter.numel() for parameter in network.parameters())
    precision = str(dtype).removeprefix("torch.")
    seconds, cpu = min(times[1:] or times)
    return {"seconds": seconds, "cpu": cpu, "peak": peak, "before": before, "weights": weights, "precision": precision}


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _deepfill(width: float, size: tuple[int, int], device, dtype):
    import torch
    from flow_inpaint.fill.deepfill import DeepFill

    across, down = size
    network = DeepFill(width).to(device, dtype, memory_format=torch.channels_last).eval()
    mask = torch.zeros(1, 1, down, across, device=device, dtype=dtype)
    mask[..., down * 3 // 8 : down * 5 // 8, across * 3 // 8 : across * 5 // 8] = 1
    image = (torch.rand(1, 3, down, across, device=device, dtype=dtype) * 2 - 1) * (1 - mask)
    image = image.contiguous(memory_format=torch.channels_last)
    return network, lambda: network(image, mask)


def _flownet2(width: float, size: tuple[int, int], device, dtype):
    import torch
    from flow_inpaint.flow.flownet2 import FlowNet2

    network = FlowNet2(width).eval().to(device, memory_format=torch.channels_last)
    if dtype != torch.float32:
        network = network.halved()
    first, second = (torch.rand(1, 3, size[1], size[0], device=device) * 255 for _ in range(2))
    return network, lambda: network(first, second)


def _flownetc(width: float, size: tuple[int, int], device, dtype):
    """The first part of FlowNet2, on a picture of whole granules."""
    import torch
    from flow_inpaint.flow.flownet2 import GRANULE, FlowNetC

    across, down = (-(-side // GRANULE) * GRANULE for side in size)
    network = FlowNetC(width).eval().to(device, dtype, memory_format=torch.channels_last)
    pair = torch.randn(1, 6, down, across, device=device, dtype=dtype)
    return network, lambda: network(pair)


def _correlation(width: float, size: tuple[int, int], device, dtype):
    """What of FlowNetC is matching its features."""
    import torch
    from flow_inpaint.flow.flownet2 import GRANULE, FlowNetC, correlation

    network = FlowNetC(width).conv3
    across, down = (-(-side // GRANULE) * GRANULE // 8 for side in size)
    features = torch.randn(1, network[0].out_channels, down, across, device=device, dtype=dtype)
    return network, lambda: correlation(features, features)


def _dfc(width: float, size: tuple[int, int], device, dtype):
    """All three stages without a crop; the first one runs once for each direction."""
    import torch
    from flow_inpaint.completion.dfc_net import DFCNet

    network = DFCNet.build(3, width=width).eval().to(device, memory_format=torch.channels_last)
    work = []
    for windows, stage, (down, across) in zip((2, 1, 1), network.stages, network.stage_sizes(size[1], size[0]), strict=True):
        work.append((stage, torch.randn(windows, stage.in_channels, down, across, device=device).contiguous(memory_format=torch.channels_last)))

    def frame() -> None:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            for stage, x in work:
                stage(x)

    return network, frame


#: Name -> factory(width, (across, down), device, dtype) of a network and one frame of it. A new network is one line here.
NETWORKS: dict[str, Callable[..., tuple[object, Frame]]] = {
    "flownet2": _flownet2,
    "flownetc": _flownetc,
    "correlation": _correlation,
    "dfc": _dfc,
    "deepfill": _deepfill,
}


if __name__ == "__main__":
    main()
