"""A device with little memory, simulated: what tensors hold is counted, and nothing is given beyond a limit."""
from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class ShortMemory(TorchDispatchMode):
    """While it is entered, an operation after which tensors hold more than `limit` bytes raises what PyTorch does on a full card.

    Counted are the results of operations, once for each memory that they lie in, and what is given as `held`; what a library uses
    inside of an operation is not. `peak`: the most there was. Works on the meta device too, where tensors have sizes and nothing else.
    """

    def __init__(self, limit: float = float("inf"), held: list[torch.Tensor] = ()):
        super().__init__()
        self.limit, self.now, self.peak, self.refused = limit, 0, 0, 0
        self._known: dict[int, Any] = {}
        for tensor in held:
            self._count(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for made in tree_flatten(out)[0]:
            if isinstance(made, torch.Tensor):
                self._count(made)
        if self.now > self.limit:
            self.refused += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to have {self.now / 2**20:.0f} MiB")
        return out

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()

        def gone(_: object) -> None:
            del self._known[key]
            self.now -= size

        self._known[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
