"""DFC-Net at 854x480, as cases for a benchmark of the networks."""
from __future__ import annotations

from collections.abc import Callable

import torch

from flow_inpaint.completion.dfc_net import DFCNet

HEIGHT, WIDTH = 480, 854
#: What one frame costs: the first stage runs once for each direction.
WINDOWS_A_FRAME = (2, 1, 1)


def benchmark_case(
    width: float, stage: int | None = None, *, device: str = "cpu", half: bool = False
) -> tuple[Callable[[], None], str]:
    """A call that completes the flows of one frame of 854x480 as `complete_shot` would without a crop, and what it is in words.

    With a `stage` (1, 2 or 3) the call is a single window of it.
    """
    torch.manual_seed(0)
    net = DFCNet.build(3, width=width).eval().to(device, memory_format=torch.channels_last)
    work = []
    for number, (module, size) in enumerate(zip(net.stages, net.stage_sizes(HEIGHT, WIDTH), strict=True), 1):
        if stage in (None, number):
            x = torch.randn(1, module.in_channels, *size, device=device).to(memory_format=torch.channels_last)
            work.append((module, x, 1 if stage else WINDOWS_A_FRAME[number - 1]))
    half_type = torch.bfloat16 if device == "cpu" else torch.float16

    @torch.inference_mode()
    def run() -> None:
        with torch.autocast(device, half_type, enabled=half):
            for module, x, windows in work:
                for _ in range(windows):
                    module(x)
        if device == "cuda":
            torch.cuda.synchronize()

    what = f"a window of stage {stage} at {work[0][1].shape[-1]}x{work[0][1].shape[-2]}" if stage else "a frame"
    return run, f"DFC-Net, width {width:g}, {what}"
