"""What a table is: methods that are measured on footage, one clip and setting at a time."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import errors
from .footage import Footage
from .rows import Figures

#: The setting of tables in which nothing is hidden.
NOTHING_HIDDEN = "nothing hidden"
Aborted = Callable[[], bool]
#: Figures, and a picture (H, W, 3) uint8 RGB of the clip's middle.
Found = tuple[Figures, np.ndarray]


@dataclass(frozen=True)
class Column:
    """`name`: of the figure; `title`: for the reader."""

    name: str
    title: str
    digits: int = 3


@dataclass(frozen=True)
class Method:
    """Something that is measured, and gives one row of a table or, a network whose stages count, several.

    rows      what they are called; None: measured along with the others, and not shown
    identity  in JSON's types: everything that its figures depend on, beside the footage and the setting
    work      what the bench does it with; None: there are no weights for it
    """

    rows: tuple[str | None, ...]
    identity: Any = None
    work: Any = None


def check(aborted: Aborted) -> None:
    """Raises `Aborted` when the host wants to stop."""
    if aborted():
        raise errors.Aborted("Stopped.")


class Bench(Protocol):
    """A way to measure.

    identity   likewise, of what all its methods have in common
    columns    of the table, in order
    around     columns of pictures for the sheet, which are no methods, left and right of the methods'
    baseline   the row whose error is 1 in the column "ratio", if there is one
    """

    identity: Any
    methods: Sequence[Method]
    columns: Sequence[Column]
    around: tuple[str, str]
    baseline: str | None

    def opened(self, footage: Footage, setting: str, aborted: Aborted) -> AbstractContextManager[Any]:
        """Footage made ready for all methods, for as long as it is needed. Raises `Aborted`."""
        ...

    def surroundings(self, ready: Any) -> tuple[np.ndarray, np.ndarray]:
        """The two pictures `around`."""
        ...

    def measure(self, method: Method, ready: Any, aborted: Aborted) -> Sequence[Found]:
        """A method's rows. Raises `Aborted`."""
        ...
