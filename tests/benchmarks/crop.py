"""What looking at the surroundings of the hole only costs in exactness, and saves in time, for DFC-Net.

    python tests/benchmarks/crop.py [--size 1280 720] [--width 0.25]

Weights are random, the shot is 3 frames with a hole of a sixth of the width and height. `margin` is in pixels of each stage's
size; `reach` is the distance beyond which no pixel matters. Differences are those inside the hole, in pixels, for flows whose
standard deviation is 5 pixels.
"""
from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from flow_inpaint.completion.dfc_net import DFCNet
from flow_inpaint.completion.dfc_shot import complete_shot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=[1280, 720], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--margins", type=int, nargs="*", default=[64, 128, 192])
    parser.add_argument("--device", default="cpu")
    known = parser.parse_args()
    across, down = known.size
    torch.manual_seed(0)
    net = DFCNet.build(3, width=known.width)
    generator = np.random.default_rng(0)
    forward, backward = (generator.normal(0, 5, (2, 2, down, across)).astype(np.float32) for _ in range(2))
    holes = np.zeros((3, down, across), bool)
    holes[:, down * 5 // 12 : down * 7 // 12, across * 5 // 12 : across * 7 // 12] = True

    def run(**how) -> tuple[np.ndarray, float]:
        started = time.perf_counter()
        found = complete_shot(forward, backward, holes, net, device=known.device, **how)
        return np.stack(found), (time.perf_counter() - started) / len(forward)

    whole, seconds = run(crop=False)
    print(f"{'margin':>8} {'largest':>9} {'mean':>9} {'s/frame':>8}")
    print(f"{'whole':>8} {0:9.5f} {0:9.5f} {seconds:8.2f}")
    for margin in [*known.margins, None]:
        found, seconds = run(crop=True, margin=margin)
        difference = np.abs(found - whole)[..., holes[0]]
        print(f"{margin or 'reach':>8} {difference.max():9.5f} {difference.mean():9.5f} {seconds:8.2f}", flush=True)


if __name__ == "__main__":
    main()
