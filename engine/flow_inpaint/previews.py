"""Pictures of the finished frames of a job that goes on, for a host to show."""
from __future__ import annotations

import shutil
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

    def encoded(self, picture: Picture) -> bytes | None:
        """A JPEG file in the picture's size; None when nobody looks. May be called by several threads."""
        if self._folder is None or not self._folder.is_dir():
            return None
        shown = cv2.cvtColor(eight_bits(picture.rgb), cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()

    def write(self, frame: int, encoded: bytes | None) -> None:
        """The picture of a job frame, which is there as a whole or not at all."""
        if encoded is None or self._folder is None or not self._folder.is_dir():
            return
        try:
            write_whole(self._folder / f"{frame:05d}.jpg", encoded)
        except Failed:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
