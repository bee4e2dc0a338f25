"""Pictures of the finished frames of a job that goes on, for a host to show."""
from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import cv2

from .errors import Failed
from .media import Picture
from .media.output_place import write_whole
from .motion import eight_bits

_QUALITY = 90


class Previews:
    """The pictures in `folder`, for as long as that is there: a host makes it when somebody may look, since they cost time. With None
    nothing is done. They are no reason for a job to fail: when the disk has no room for one, all of them go."""

    def __init__(self, folder: Path | None):
        self._folder = folder
        self._written: list[Path] = []

    def encoded(self, picture: Picture) -> bytes | None:
        """A JPEG file in the picture's size; None when nobody looks. May be called by several threads."""
        if self._folder is None or not os.path.isdir(self._folder):
            return None
        shown = cv2.cvtColor(eight_bits(picture.rgb), cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()

    def write(self, frame: int, encoded: bytes | None) -> None:
        """The picture of a job frame, which is there as a whole or not at all."""
        if encoded is None or self._folder is None or not os.path.isdir(self._folder):
            return
        picture = self._folder / f"{frame:05d}.jpg"
        try:
            write_whole(picture, encoded)
            self._written.append(picture)
        except Failed:
            self._remove()

    def _remove(self) -> None:
        """Takes away what was written, and the folder if nothing else is in it."""
        with suppress(OSError):
            for picture in self._written:
                picture.unlink(missing_ok=True)
            self._folder.rmdir()
        self._folder = None
