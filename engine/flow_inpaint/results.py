"""All that a job writes: the result, the passes about it, and pictures of finished frames for a host to show."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .job import Job
from .media import Picture, Source, open_output
from .media.output import Output
from .media.output_place import OutputFiles
from .passes import Passes, open_passes
from .passes.pictures import Origins
from .previews import Previews

_NOWHERE, _NO_HOLE = (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)


class Results:
    """Frames are encoded by any thread, and written in order. See `open_results`."""

    def __init__(self, output: Output, passes: Passes | None, previews: Previews):
        self._output, self._passes, self._previews = output, passes, previews

    @property
    def notes(self) -> list[str]:
        """What could not be kept."""
        return self._output.notes

    @property
    def tell_origins(self) -> bool:
        """Whether anything says where pixels come from."""
        return self._passes is not None

    def untouched(self, picture: Picture) -> tuple[Any, ...]:
        """A frame of the source without a hole, for `write`."""
        return self.encoded(picture, picture, _NO_HOLE, _NOWHERE, None)

    def encoded(
        self, source: Picture, result: Picture, hole: np.ndarray, region: tuple[slice, slice], origins: Origins | None
    ) -> tuple[Any, ...]:
        """A frame for `write`. `hole` (h, w) bool is that of the `region`, rows and columns of the picture."""
        about = self._passes and self._passes.encoded(source, result, hole, region, origins)
        return result, about, self._previews.encoded(result)

    def write(self, encoded: tuple[Any, ...]) -> None:
        """Raises `Failed`."""
        picture, about, preview = encoded
        self._output.write(picture)
        if self._passes:
            self._passes.write(picture.index, about)
        self._previews.write(picture.index, preview)

    def commit(self) -> tuple[OutputFiles, dict[str, str]]:
        """Moves everything to its place: the result's files, and the folder of each pass. All of it, or nothing."""
        folders = {name: str(made.path) for name, made in self._passes.commit().items()} if self._passes else {}
        try:
            return self._output.commit(), folders
        except BaseException:
            if self._passes:
                self._passes.revoke()
            raise


@contextmanager
def open_results(job: Job, source: Source, first: int, last: int, keep: Iterable[Path]) -> Iterator[Results]:
    """Opens what a job writes, for its frames first..last; `keep` are files that must not be written over. What is not
    committed is deleted. Raises `BadClip`, `Failed`."""
    with ExitStack() as stack:
        output = stack.enter_context(open_output(job.output, source, first, last, keep=keep))
        passes = None
        if job.output.passes is not None:
            passes = stack.enter_context(open_passes(job.output.passes, source, first, last, keep, job.output.path))
        yield Results(output, passes, Previews(job.output.previews))
