"""What a network does on a graphics card, done by the processor from where the card has failed.

After such a failure nothing on the card can be read any more, often until the process ends: the network is loaded again from its
file. The work that failed is done again, once; what was done before is with whoever asked for it.
"""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .device_errors import in_short, is_device_failure, is_out_of_memory
from .errors import OutOfMemory
from .machine import Machine

T = TypeVar("T", bound=Callable[..., Any])


class Failover(Generic[T]):
    """Stands for something callable that `make` makes for a machine, and has its attributes. Safe to call from several threads,
    if that is.

    When the machine's graphics card fails, or has too little memory even for the smallest steps, what is made for the machine
    without it takes over for good. Raises what `Machine.without_card` does, and on a processor whatever is raised there.
    """

    def __init__(self, make: Callable[[Machine], T], machine: Machine):
        self._make, self._lock = make, threading.Lock()
        made, failure = _tried(machine, lambda: make(machine))
        self._now = self._without_card(machine, failure) if failure else (made, machine)

    def __call__(self, *given: Any, **named: Any) -> Any:
        now = made, machine = self._now
        answer, failure = _tried(machine, lambda: made(*given, **named))
        if not failure:
            return answer
        # Not where the error is at hand, which holds on to all that was on the card.
        with self._lock:
            if self._now is now:
                self._now = self._without_card(machine, failure)
        return self._now[0](*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now[0], name)

    def _without_card(self, machine: Machine, failure: str) -> tuple[T, Machine]:
        machine = machine.without_card(failure)
        return self._make(machine), machine


def _tried(machine: Machine, work: Callable[[], Any]) -> tuple[Any, str]:
    """What comes of it, or why the card cannot do it. PyTorch tells so late, but not later than when an answer is read back."""
    try:
        return work(), ""
    except (RuntimeError, OutOfMemory) as error:
        if machine.device == "cpu":
            raise
        if isinstance(error, OutOfMemory) or is_out_of_memory(error):
            return None, "it has too little memory"
        if not is_device_failure(error):
            raise
        return None, in_short(error)
