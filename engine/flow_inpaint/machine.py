"""What networks run on, which weights are installed, and what that makes `auto` choose."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from . import weights
from .device_errors import is_device_failure
from .errors import BadParameter, Failed, MissingWeights

T = TypeVar("T")
#: Graphics cards that have failed in this process, by PyTorch's names.
_failed: set[str] = set()


_FAILURE = "failure of the card"


def _quiet(level: str, text: str) -> None:
    del level, text


@dataclass(frozen=True)
class Machine:
    """The computer as the stages see it. PyTorch is imported only when a network is really wanted.

    wanted         the parameter `device`: auto, cpu or gpu
    say            takes messages for the user: level, text
    widest         weights of networks wider than this are passed over
    after_failure  the parameter `device_failure`: cpu or stop
    """

    wanted: str = "auto"
    say: Callable[[str, str], None] = field(default=_quiet, compare=False)
    widest: float = weights.WIDEST
    after_failure: str = "stop"
    #: What was said once; common to all machines that are made of one.
    _said: set[str] = field(default_factory=set, compare=False, repr=False)

    @cached_property
    def device(self) -> str:
        """PyTorch's name of the device: cuda, mps or cpu. Raises `BadParameter` when a graphics card is wanted and there is none,
        `Failed` when it has failed before and does not answer."""
        found = "cpu" if self.wanted == "cpu" else _graphics_card()
        if found is None and self.wanted == "gpu":
            raise BadParameter("device cannot be 'gpu': PyTorch finds no graphics card here; flow-inpaint doctor says more, or choose cpu.")
        if found in _failed and not _answers(found):
            # After some failures only a new process gets to the card again.
            what = "The graphics card has failed in an earlier job and does not answer"
            if self.wanted == "gpu":
                raise Failed(f"{what}: start Flow Inpaint again, or choose the device cpu.")
            self.say_once("warning", f"{what}, so the processor is used: start Flow Inpaint again to get it back.")
            return "cpu"
        return found or "cpu"

    @cached_property
    def name(self) -> str:
        """The device's name for a person."""
        if self.device == "cuda":
            import torch

            try:
                return torch.cuda.get_device_name()
            except RuntimeError as error:
                if not is_device_failure(error):
                    raise
                # What is to be done about that is found out where it is used.
                return "graphics card"
        return {"mps": "Apple GPU"}.get(self.device, self.device)

    @property
    def card_has_failed(self) -> bool:
        """Whether the processor has taken over in the middle of the job."""
        return _FAILURE in self._said

    def say_once(self, level: str, text: str, key: str = "") -> None:
        """Says a thing that several stages would, and says it again when the network is made again."""
        if (key or text) not in self._said:
            self._said.add(key or text)
            self.say(level, text)

    def without_card(self, failure: str) -> Machine:
        """This machine with the same weights on its processor, because its graphics card has failed. Raises `Failed` when the job is
        to stop then."""
        _failed.add(self.device)
        what = f"The graphics card has failed ({failure})"
        if self.after_failure == "stop":
            raise Failed(f"{what}: run this again, or with the device cpu.")
        self.say_once("warning", f"{what}: going on with the processor, which takes longer.", _FAILURE)
        return replace(self, wanted="cpu")

    def weights_of(self, role: str) -> weights.WeightSet | None:
        """The installed weights for a role, or None."""
        return weights.find(role, self.widest)

    @property
    def limit(self) -> str:
        """What to add to the news that there are no weights, where heavier ones are passed over."""
        return f" of at most width {self.widest:g}, which a processor can bear" if self.widest < weights.WIDEST else ""

    @cached_property
    def bearable(self) -> Machine:
        """This machine with only the weights that take a bearable time on it."""
        return self if self.device != "cpu" else replace(self, wanted="cpu", widest=weights.LIGHT)

    def loaded(self, role: str) -> tuple[weights.WeightSet, dict[str, Any]]:
        """Installed weights and their tensors. Raises `MissingWeights`."""
        found = self.weights_of(role)
        if found is None:
            raise MissingWeights(f"There are no weights for {role}: flow-inpaint weights import FILE installs published ones.")
        return found, weights.load(found)


def _graphics_card() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _answers(device: str) -> bool:
    import torch

    try:
        return (torch.ones(1, device=device) + 1).item() == 2
    except RuntimeError:
        return False


@dataclass(frozen=True)
class Method(Generic[T]):
    """One way to do a stage.

    make    gets the machine and gives the thing that does it; what is slow to import is imported in it
    roles   weights, any of which it can work with; empty: it needs none
    """

    make: Callable[[Machine], T]
    roles: tuple[str, ...] = ()

    def installed(self, machine: Machine) -> bool:
        """Whether weights for it are there."""
        return not self.roles or any(machine.weights_of(role) for role in self.roles)


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A method that was chosen, and the machine with the weights that it is to use."""

    name: str
    method: Method[T]
    machine: Machine

    def make(self) -> T:
        """The thing that does it. Raises `MissingWeights`."""
        return self.method.make(self.machine)


def choose(stage: str, methods: Mapping[str, Method[T]], wanted: str, machine: Machine) -> Choice[T]:
    """The method that a parameter's value names, with the best weights that are installed; for `auto` the first one that has
    weights which this machine can bear, with those.

    Raises `MissingWeights` for a method that is asked for by name and has no weights.
    """
    if wanted == "auto":
        # What the machine can bear is only asked when there are weights at all: it takes PyTorch to know.
        return next(
            Choice(name, method, machine.bearable if method.roles else machine)
            for name, method in methods.items()
            if method.installed(machine) and (not method.roles or method.installed(machine.bearable))
        )
    method = methods[wanted]
    if not method.installed(machine):
        others = ", ".join(name for name, other in methods.items() if other.installed(machine))
        raise MissingWeights(
            f"{stage} cannot be '{wanted}', because no weights for it are installed: flow-inpaint weights import FILE installs "
            f"published ones; without them there is {others}."
        )
    return Choice(wanted, method, machine)
