"""A flow network as an estimator: pictures in, flow out, within the memory that there is."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..device_errors import is_out_of_memory
from ..errors import BadWeights, OutOfMemory
from ..machine import Machine
from .flownet2 import GRANULE, FlowNet2

#: Tiles overlap by this much, so that a motion of half of it is found in them; in pixels.
_OVERLAP = 2 * GRANULE
_MOST_TILES = 8
_LEAST_TILE = 192


class NetworkFlow:
    """Flow from one RGB picture to another by a network.

    When memory runs out it goes on in half precision, in which FlowNet2 stays within 0.06 px and which graphics cards of NVIDIA's
    and AMD's get from the start; then pictures are cut into ever smaller tiles that overlap; then it is `OutOfMemory`.
    """

    colour = True
    short_sighted = False

    def __init__(self, network: FlowNet2, device: str, say: Callable[[str, str], None]):
        self._device = torch.device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        self._half, self._half_holds = False, True
        if self._device.type == "cuda":
            self._halve()
            self._network.to(memory_format=torch.channels_last)
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
        """(2, H, W) float32 flow in pixels from `a` to `b`, both (H, W, 3) uint8. Raises `OutOfMemory`, and `BadWeights` when what
        comes out is no numbers."""
        with self._turn:
            while True:
                flow = self._tried(a, b)
                if flow is None:
                    self._step_down(a.shape[:2])
                elif np.isfinite(flow).all():
                    return flow
                else:
                    self._step_up()

    def _tried(self, a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
        try:
            return self._tiled(a, b)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _step_down(self, size: tuple[int, int]) -> None:
        """Not where the error is at hand, which holds on to all that was in memory."""
        if self._half_holds and not self._half:
            self._halve()
            self._say("warning", "Memory is short, so optical flow is measured in half precision.")
        else:
            smaller = self._tiles * 2
            if smaller > _MOST_TILES or min(size) / smaller < _LEAST_TILE / 2:
                raise OutOfMemory("There is not enough memory for optical flow by FlowNet2: close other programs, or choose flow = dis.")
            self._tiles = smaller
            self._say("warning", f"Memory is short, so optical flow is measured in {smaller} x {smaller} tiles.")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _step_up(self) -> None:
        if not self._half:
            raise BadWeights("The weights of FlowNet2 make no numbers of these pictures: import others, or choose flow = dis.")
        self._network.float()
        self._half = self._half_holds = False
        self._say("warning", "Half precision cannot hold these numbers, so optical flow is measured in full precision.")

    def _halve(self) -> None:
        self._network.halved()
        self._half = True

    @torch.inference_mode()
    def _tiled(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if self._tiles == 1:
            return self._network(self._tensor(a), self._tensor(b))[0].cpu().numpy()
        # What is subtracted is the whole picture's: tiles that differ in it would not fit together.
        mean = torch.tensor((a.mean((0, 1)) + b.mean((0, 1))) / 2, dtype=torch.float32, device=self._device)[None]
        flow = np.zeros((2, *a.shape[:2]), np.float32)
        weight = np.zeros(a.shape[:2], np.float32)
        for rows, row_weight in _spans(a.shape[0], self._tiles):
            for columns, column_weight in _spans(a.shape[1], self._tiles):
                share = row_weight[:, None] * column_weight[None]
                found = self._network(self._tensor(a[rows, columns]), self._tensor(b[rows, columns]), mean)[0].cpu().numpy()
                flow[:, rows, columns] += found * share
                weight[rows, columns] += share
        return flow / weight

    def _tensor(self, picture: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(picture)).to(self._device).permute(2, 0, 1)[None].float()


def _spans(size: int, parts: int) -> Iterator[tuple[slice, np.ndarray]]:
    """`size` pixels as overlapping parts, and how much each pixel of a part counts: least at the ends that overlap.

    They begin on the grid of the network's coarsest features, so that in the middle of a part it sees what it sees in the whole.
    """
    step = -(-size // (parts * GRANULE)) * GRANULE
    for begin in range(0, size, step):
        low, high = max(begin - _OVERLAP // 2, 0), min(begin + step + _OVERLAP // 2, size)
        place = np.arange(low, high, dtype=np.float32)
        weight = np.ones(high - low, np.float32)
        if low:
            weight = np.minimum(weight, (place - low + 1) / _OVERLAP)
        if high < size:
            weight = np.minimum(weight, (high - place) / _OVERLAP)
        yield slice(low, high), weight
