"""A flow network as an estimator: pictures in, flow out, within the memory that there is."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..errors import OutOfMemory
from ..machine import Machine
from .flownet2 import FlowNet2

#: Tiles overlap by this much, so that a motion of half of it is found in them; in pixels.
_OVERLAP = 128
_MOST_TILES = 8
_LEAST_TILE = 192


class NetworkFlow:
    """Flow from one RGB picture to another by a network.

    Half precision on graphics cards (FlowNet2 stays within 0.05 px with it). When memory runs out, pictures are cut into
    ever smaller tiles that overlap, and on a processor nothing more can be done: `OutOfMemory`.
    """

    colour = True
    short_sighted = False

    def __init__(self, network: FlowNet2, device: str, say: Callable[[str, str], None]):
        self._device = torch.device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        if self._device.type == "cuda":
            self._network = self._network.halved().to(memory_format=torch.channels_last)
        self._say = say
        self._tiles = 1
        # Work for the network comes from many threads; side by side they would only fight for memory.
        self._turn = threading.Lock()

    @classmethod
    def installed(cls, machine: Machine) -> NetworkFlow:
        """The installed FlowNet2. Raises `MissingWeights`."""
        found, tensors = machine.loaded("flownet2")
        with torch.device("meta"):
            network = FlowNet2(found.width)
        network.load_state_dict(tensors, strict=True, assign=True)
        return cls(network, machine.device, machine.say)

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(2, H, W) float32 flow in pixels from `a` to `b`, both (H, W, 3) uint8. Raises `OutOfMemory`."""
        with self._turn:
            while True:
                try:
                    return self._tiled(a, b)
                except torch.OutOfMemoryError as error:
                    self._step_down(a.shape[:2], error)

    def _step_down(self, size: tuple[int, int], error: BaseException) -> None:
        smaller = self._tiles * 2
        if smaller > _MOST_TILES or min(size) / smaller < _LEAST_TILE / 2:
            raise OutOfMemory("The graphics card has too little memory for optical flow: close other programs, or choose flow = dis.") from error
        self._tiles = smaller
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._say("warning", f"Memory is short, so optical flow is measured in {smaller} x {smaller} tiles.")

    @torch.inference_mode()
    def _tiled(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        flow = np.zeros((2, *a.shape[:2]), np.float32)
        weight = np.zeros(a.shape[:2], np.float32)
        for rows, row_weight in _spans(a.shape[0], self._tiles):
            for columns, column_weight in _spans(a.shape[1], self._tiles):
                share = row_weight[:, None] * column_weight[None]
                found = self._network(self._tensor(a[rows, columns]), self._tensor(b[rows, columns]))[0].cpu().numpy()
                flow[:, rows, columns] += found * share
                weight[rows, columns] += share
        return flow / weight

    def _tensor(self, picture: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(picture)).to(self._device).permute(2, 0, 1)[None].float()


def _spans(size: int, parts: int) -> Iterator[tuple[slice, np.ndarray]]:
    """`size` pixels as overlapping parts, and how much each pixel of a part counts: least at the ends that overlap."""
    step = -(-size // parts)
    for begin in range(0, size, step):
        low, high = max(begin - _OVERLAP // 2, 0), min(begin + step + _OVERLAP // 2, size)
        place = np.arange(low, high, dtype=np.float32)
        weight = np.ones(high - low, np.float32)
        if low:
            weight = np.minimum(weight, (place - low + 1) / _OVERLAP)
        if high < size:
            weight = np.minimum(weight, (high - place) / _OVERLAP)
        yield slice(low, high), weight
