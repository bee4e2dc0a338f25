"""Image sequences and single images as clips."""
from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import BadClip, BadFrame
from ..job import ClipSpec
from .image_codec import read_image
from .image_files import image_files
from .info import ClipInfo, check_range, first_good, full_scale, job_indices
from .picture import ArrayPicture


class ImageSource:
    """An image sequence as the job's source. See `open_source`."""

    def __init__(self, spec: ClipSpec, tolerant: bool = False):
        self._path = spec.path
        self._layer = spec.layer
        files = image_files(spec.path, tolerant)
        indices = job_indices(spec, len(files))
        number, (rgb, alpha, depth) = first_good(indices, lambda k: (k, _image(files[k], k, spec.layer)), tolerant)
        self._begins = files[number].name
        self._last: tuple[int, ArrayPicture] | None = number, ArrayPicture(number, rgb, alpha)
        self.info = ClipInfo(
            path=spec.path,
            kind="images",
            width=rgb.shape[1],
            height=rgb.shape[0],
            count=len(indices),
            rate=None,
            pixel_aspect=Fraction(1),
            dtype=rgb.dtype.type,
            pixel_format=None,
            depth=depth,
            has_alpha=alpha is not None,
            has_audio=False,
            clip_count=len(files),
            indices=indices,
            files=files,
            layer=spec.layer,
        )

    def read(self, first: int, last: int) -> Iterator[ArrayPicture]:
        """The pictures of the job frames first..last. Raises `BadClip` naming the first file that does not fit,
        `BadFrame` for one that cannot be read."""
        check_range(self.info, first, last)
        return (self._picture(k) for k in range(first, last + 1))

    def _picture(self, job_frame: int) -> ArrayPicture:
        number = self.info.indices[job_frame]
        if self._last is None or self._last[0] != number:
            self._last = number, self._read(number)
        held = self._last[1]
        return ArrayPicture(job_frame, held.rgb, held.alpha)

    def _read(self, number: int) -> ArrayPicture:
        file, info, begins = self.info.files[number], self.info, self._begins
        rgb, alpha, _ = _image(file, number, self._layer)
        height, width = rgb.shape[:2]
        if (width, height) != (info.width, info.height):
            raise BadClip(f"{file} is {width}x{height} and {begins} is {info.width}x{info.height}: the images of a clip need one size.")
        if rgb.dtype != info.dtype:
            raise BadClip(f"{file} is {rgb.dtype} and {begins} is {np.dtype(info.dtype)}: the images of a clip need one bit depth.")
        if alpha is not None and not info.has_alpha:
            raise BadClip(f"{file} has an alpha channel and {begins} has none: give all images one or none.")
        if alpha is None and info.has_alpha:
            alpha = np.full((height, width), full_scale(info.dtype), info.dtype)
        return ArrayPicture(number, rgb, alpha)

    def close(self) -> None:
        self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _image(file: Path, number: int, layer: str | None) -> tuple[np.ndarray, np.ndarray | None, int]:
    try:
        return read_image(file, layer)
    except BadClip as error:
        raise BadFrame(str(error), number) from error
