"""Input flow as the networks meet it at work: what the estimator finds when holes are not looked into, its errors near them included."""
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..datasets.prepared import Prepared
from ..machine import Machine

if TYPE_CHECKING:
    from .config import DataSettings


class Estimates:
    """Runs the estimator of a job (`motion.flows`, with the matching of `flow.masked`) on samples."""

    def __init__(self, settings: DataSettings):
        self._prepared = Prepared(Path(), 0, settings.flow, Machine())
        if torch.utils.data.get_worker_info():
            # The same estimator, but loaders stay off the graphics card: each of them would need its memory anew.
            self._prepared = Prepared(Path(), 0, self._prepared.estimator, Machine("cpu"))
        self._abreast = 1 if settings.loaders else min(os.cpu_count() or 1, 8)

    def of(self, frames: Tensor, holes: Tensor) -> dict[str, Tensor]:
        """frames (N, T, 3, H, W), holes (N, T, H, W) -> estimated_forward and estimated_backward (N, T-1, 2, H, W) float16."""
        pictures = frames.round().clamp(0, 255).byte().permute(0, 1, 3, 4, 2).cpu().numpy()
        hidden = holes.cpu().numpy()
        n, count = hidden.shape[:2]

        def measured(at: tuple[int, int]) -> np.ndarray:
            sample, t = at
            pair = (pictures[sample, t], pictures[sample, t + 1], hidden[sample, t], hidden[sample, t + 1])
            return np.stack(self._prepared.measured(*map(np.ascontiguousarray, pair)))

        pairs = [(sample, t) for sample in range(n) for t in range(count - 1)]
        if self._abreast > 1:
            with ThreadPoolExecutor(self._abreast) as pool:
                found = list(pool.map(measured, pairs))
        else:
            found = [measured(pair) for pair in pairs]
        flows = torch.from_numpy(np.stack(found)).half().view(n, count - 1, 2, 2, *hidden.shape[2:]).to(frames.device)
        return {"estimated_forward": flows[:, :, 0], "estimated_backward": flows[:, :, 1]}
