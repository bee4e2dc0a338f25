"""Samples a second, for each processor core, that a source of training data gives: python tests/benchmarks/training_data.py DATASET

DATASET is a folder of clips. Processor time is what counts, so that other work on the machine does not.
"""
from __future__ import annotations

import argparse
import os
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2  # noqa: E402
import torch  # noqa: E402

from flow_inpaint.training.config import DataSettings  # noqa: E402
from flow_inpaint.training.footage import prepare  # noqa: E402
from flow_inpaint.training.processes import Processes  # noqa: E402
from flow_inpaint.training.sources import FRAMES, MOTION, Share, open_source  # noqa: E402

BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 320), metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=13)
    parser.add_argument("--batches", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(f"| source | {arguments.size[1]}x{arguments.size[0]}, {arguments.frames} frames: samples a second | s/sample |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        both = (FRAMES, MOTION)
        for name, source, more, uses in (
            ("scenes", "scenes", {}, both), ("scenes, motion alone", "scenes", {}, (MOTION,)),
            ("scenes, estimated input", "scenes", {"estimated": True}, both),
            ("clips", "clips", {}, both), ("clips, estimated input", "clips", {"estimated": True}, both),
        ):  # fmt: skip
            more |= {"clips": (arguments.dataset,)} if source == "clips" else {}
            settings = DataSettings(source=source, size=tuple(arguments.size), frames=arguments.frames, flow="dis", cache=cache, **more)
            if source == "clips":
                # Measured beforehand, as `flow-inpaint train` does.
                prepare(settings, motion=True, processes=Processes(), stopped=lambda: False, say=lambda text: None)
            batches = open_source(settings, 1, Share(BATCH), torch.device("cpu"), uses=uses)
            batches.batch(0)
            begun = time.process_time()
            for step in range(1, arguments.batches + 1):
                batches.batch(step)
            each = (time.process_time() - begun) / (BATCH * arguments.batches)
            print(f"| {name} | {1 / each:.2f} | {each:.3f} |", flush=True)


if __name__ == "__main__":
    main()
