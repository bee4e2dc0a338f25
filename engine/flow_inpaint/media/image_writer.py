"""Results as numbered images."""
from __future__ import annotations

from typing import Self

from .image_codec import encode_image
from .image_tags import tagged
from .output_place import OutputFiles, SequencePlace, writing
from .picture import Picture
from .source import Source


class ImageOutput:
    """See `open_output`."""

    def __init__(self, place: SequencePlace, format: str, source: Source, first: int, last: int):
        self.notes: list[str] = []
        self._place = place
        self._depth = source.info.depth
        info = source.info
        self._tags = [info.files[info.indices[k]] for k in range(first, last + 1)] if info.kind == "images" else []
        self._layer = info.layer
        self._suffix = {"png": ".png", "tiff": ".tif", "exr": ".exr"}[format]
        self._written = 0
        self._committed = False
        self._part = place.prepare()

    def write(self, picture: Picture) -> None:
        target = self._place.targets[self._written]
        data = encode_image(self._suffix, picture.rgb, picture.alpha, self._depth)
        if self._tags:
            data = tagged(data, self._tags[self._written], self._layer)
        with writing(target):
            (self._part / target.name).write_bytes(data)
        self._written += 1

    def commit(self) -> OutputFiles:
        if self._written != len(self._place.names):
            raise ValueError(f"{self._written} of {len(self._place.names)} pictures were written")
        files = self._place.commit()
        self._committed = True
        return files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._committed:
            self._place.discard()
