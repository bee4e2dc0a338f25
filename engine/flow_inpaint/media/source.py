"""Footage, whatever it is stored in."""
from __future__ import annotations

from ..errors import BadClip
from ..job import ClipSpec
from .image_files import counter_pattern, means_images
from .image_reader import ImageSource
from .video_reader import VideoSource

Source = VideoSource | ImageSource


def open_source(spec: ClipSpec, tolerant: bool = False) -> Source:
    """Opens a video file, an image, a folder of images or a pattern such as x_%04d.png or x_####.png.

    A context manager with `info` (`ClipInfo`), `read(first, last)` (an iterator of `Picture`s of job frames, both
    ends included; going on where the last call ended decodes nothing twice) and `close()`. Memory does not grow
    with the length of the clip. Raises `BadClip` for what does not exist, cannot be decoded or cannot be read
    exactly: interlaced, to be shown mirrored, no time stamps, images with gaps in their numbers or of different sizes.
    `read` raises `BadFrame` at a frame that cannot be read while others can, and can go on after it. If `tolerant`, the
    first frame may be such a one, and images may be missing.
    """
    try:
        return _opened(spec, tolerant)
    except OSError as error:
        raise BadClip(f"{spec.path} cannot be read: {error.strerror}.") from error


def _opened(spec: ClipSpec, tolerant: bool) -> Source:
    path = spec.path
    if means_images(path) or (not path.exists() and counter_pattern(path)):
        return ImageSource(spec, tolerant)
    if not path.exists():
        raise BadClip(f"{path} does not exist.")
    if not path.is_file():
        raise BadClip(f"{path} is no file: give a video file or images.")
    if spec.layer is not None:
        raise BadClip(f"{path} has no layers, so there is no {spec.layer!r} in it: only OpenEXR has any.")
    return VideoSource(spec, tolerant)
