"""Results on disk: written beside their place, moved there when they are complete."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, Self

from .. import effect
from ..errors import BadClip
from ..job import OutputSpec
from .image_writer import ImageOutput
from .info import check_range
from .output_place import FilePlace, OutputFiles, SequencePlace, refuse_sources
from .picture import Picture
from .source import Source
from .video_writer import VideoOutput


class Output(Protocol):
    """A result being written. Leaving the context without `commit` deletes everything that was written."""

    notes: list[str]

    def write(self, picture: Picture) -> None: ...
    def commit(self) -> OutputFiles: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...


def open_output(spec: OutputSpec, source: Source, first: int, last: int, keep: Iterable[Path] = ()) -> Output:
    """Opens the result for the job frames first..last of `source`: `write` each picture in order, then `commit`.

    Videos keep the source's frame rate, pixel aspect, colour tags and, where the frames run on as in the source,
    its sound; `notes` has a sentence for what could not be kept. Images are named like the source's own images,
    else by job frame. `keep` are files that must not be written over, such as the mattes (`Matte.files`); the source
    is kept anyway. An existing result is replaced by `commit`, not before; other files in its folder stay.

    Raises `BadClip` before anything is written when the place or format does not suit, `Failed` when writing fails
    (disk full); in both cases nothing of the new result is left.
    """
    check_range(source.info, first, last)
    _check_samples(spec, source)
    try:
        place = _place(spec, source, first, last)
        refuse_sources(place, source.info, keep)
    except OSError as error:
        raise BadClip(f"The output {spec.path} cannot be written: {error.strerror}.") from error
    make: Any = VideoOutput if isinstance(place, FilePlace) else ImageOutput
    return make(place, spec.format, source, first, last)


def _place(spec: OutputSpec, source: Source, first: int, last: int) -> FilePlace | SequencePlace:
    declared = effect.formats()[spec.format]
    if declared["kind"] == "video":
        return FilePlace(spec, declared["extension"])
    return SequencePlace(spec, declared["extension"], source.info, first, last)


def _check_samples(spec: OutputSpec, source: Source) -> None:
    is_float = source.info.white == 1.0
    if is_float and spec.format != "exr":
        raise BadClip(f"{source.info.path} has floating point samples, which {spec.format} cannot hold: choose the format exr.")
    if not is_float and spec.format == "exr":
        raise BadClip(f"{source.info.path} has {source.info.depth}-bit samples, the format exr is for floating point: choose png or tiff.")
