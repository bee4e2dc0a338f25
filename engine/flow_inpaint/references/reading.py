"""References on disk: whether they suit the source, and their pixels."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from ..errors import BadClip
from ..job import ReferenceSpec
from ..media.image_codec import read_image
from ..media.image_files import IMAGE_SUFFIXES
from ..media.info import ClipInfo, full_scale


@dataclass(frozen=True)
class ReferencePicture:
    """A clean picture of a frame.

    rgb    (H, W, 3) float32 at the source's scale (255, 65535 or 1.0 is white)
    valid  (H, W) bool, False where the picture is transparent and says nothing
    """

    rgb: np.ndarray
    valid: np.ndarray

    def part(self, region: tuple[slice, slice]) -> ReferencePicture:
        return ReferencePicture(self.rgb[region], self.valid[region])


def open_references(specs: Sequence[ReferenceSpec], info: ClipInfo) -> dict[int, ReferenceSpec]:
    """The references by job frame, each read once to see that it suits the source. Raises `BadClip` naming the file."""
    for spec in specs:
        if spec.frame >= info.count:
            raise BadClip(f"The reference {spec.path.name} is for frame {spec.frame}, and {info.path.name} has frames 0-{info.count - 1}.")
        read_reference(spec, info)
    return {spec.frame: spec for spec in specs}


def read_reference(spec: ReferenceSpec, info: ClipInfo) -> ReferencePicture:
    """Raises `BadClip` when the file cannot be read, has another size, or other light (linear against display values) than the source."""
    if spec.path.suffix.lower() not in IMAGE_SUFFIXES:
        raise BadClip(f"The reference {spec.path} is no image: give one picture, such as a PNG or TIFF file.")
    rgb, alpha, _ = read_image(spec.path)
    height, width = rgb.shape[:2]
    if (width, height) != (info.width, info.height):
        raise BadClip(f"The reference {spec.path} is {width}x{height} and {info.path.name} is {info.width}x{info.height}: they need one size.")
    linear = full_scale(rgb.dtype) == 1.0
    if linear != (info.white == 1.0):
        wanted = "an EXR file" if info.white == 1.0 else "a PNG or TIFF file with 8 or 16 bits"
        raise BadClip(f"The reference {spec.path} has {rgb.dtype} samples and {info.path.name} {np.dtype(info.dtype)}: save it as {wanted}.")
    white = full_scale(rgb.dtype)
    valid = np.ones((height, width), bool) if alpha is None else alpha >= white / 2
    if not valid.any():
        raise BadClip(f"The reference {spec.path} is transparent everywhere: save it with what was painted.")
    return ReferencePicture(rgb.astype(np.float32) * np.float32(info.white / white), valid)


def digest(spec: ReferenceSpec) -> bytes:
    """16 bytes that stand for the file's content. Raises `BadClip`."""
    try:
        return blake2b(spec.path.read_bytes(), digest_size=16).digest()
    except OSError as error:
        raise BadClip(f"The reference {spec.path} cannot be read: {error.strerror}.") from error
