"""What a video result is made of: codec, container, pixel format, and frames in it."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import av
import cv2
import numpy as np

from ..memory_at_hand import be_sure_of_some
from . import colour
from .info import ClipInfo, ColourTags
from .picture import FramePicture, Picture
from .samples import Layout, copied, layout, planes

_SMALL = 1280 * 720
_BT709, _LIMITED, _FULL = 1, 1, 2


@dataclass(frozen=True)
class VideoFormat:
    """How one format is encoded. `frame` makes the encoder's frame of a picture."""

    codec: str
    container: str
    pixel_format: str
    options: dict[str, str]
    tags: ColourTags
    frame: Callable[[Picture], av.VideoFrame]


def video_format(name: str, info: ClipInfo) -> VideoFormat:
    """The encoding of format `name` ("ffv1", "prores", "h264") for a clip. Raises MemoryError."""
    # Without any memory for an encoder PyAV ends the process.
    be_sure_of_some()
    return {"ffv1": _ffv1, "prores": _prores, "h264": _h264}[name](info)


def _ffv1(info: ClipInfo) -> VideoFormat:
    shape = layout(info.pixel_format) if info.pixel_format else None
    planar = shape.name.replace("yuvj", "yuv") if shape else None
    if planar in _encodable("ffv1") and not _loses_chroma(info, shape):
        tags = replace(info.colour, range=_FULL) if shape.full_range and shape.family == "yuv" else info.colour
        options = _ffv1_options(info, planar)
        return VideoFormat("ffv1", "matroska", planar, options, tags, lambda picture: _same_samples(picture, planar, tags))
    deep = info.dtype is np.uint16
    target = {(False, False): "bgr0", (False, True): "bgra", (True, False): "gbrp16le", (True, True): "gbrap16le"}[deep, info.has_alpha]
    tags = replace(info.colour, matrix=2, range=0)
    return VideoFormat("ffv1", "matroska", target, _ffv1_options(info, target), tags, lambda picture: _rgb_frame(picture, target))


def _loses_chroma(info: ClipInfo, shape: Layout) -> bool:
    """Whether the codec garbles the last chroma column: 4:1:1 and 4:1:0 in widths that do not divide."""
    return shape.shift_x > 1 and info.width % (1 << shape.shift_x) != 0


def _ffv1_options(info: ClipInfo, pixel_format: str) -> dict[str, str]:
    """Slices that can be coded side by side, where the size allows it: not every odd one can be cut into them."""
    slices = "4" if info.width * info.height <= _SMALL else "12"
    for options in ({"level": "3", "slices": slices, "slicecrc": "1"}, {"level": "3", "slicecrc": "1"}):
        trial = av.CodecContext.create("ffv1", "w")
        trial.width, trial.height, trial.pix_fmt, trial.time_base = info.width, info.height, pixel_format, Fraction(1, 25)
        trial.options = dict(options)
        try:
            trial.open()
        except av.FFmpegError:
            continue
        return options | {"g": "1"}
    return {"level": "1", "g": "1"}


def _prores(info: ClipInfo) -> VideoFormat:
    target = "yuv444p10le" if info.width % 2 else "yuv422p10le"
    options = {"profile": "4" if info.width % 2 else "3", "vendor": "apl0"}
    tags = replace(_lossy_tags(info), range=_LIMITED)
    return VideoFormat("prores_ks", "mov", target, options, tags, lambda picture: _converted(picture, target, tags))


def _h264(info: ClipInfo) -> VideoFormat:
    target = "yuv444p" if info.width % 2 or info.height % 2 else "yuv420p"
    tags = _lossy_tags(info)
    options = {"crf": "16", "preset": "fast"}
    return VideoFormat("libx264", "mp4", target, options, tags, lambda picture: _converted(picture, target, tags))


@cache
def _encodable(codec: str) -> frozenset[str]:
    return frozenset(format.name for format in av.codec.Codec(codec, "w").video_formats)


def _lossy_tags(info: ClipInfo) -> ColourTags:
    shape = layout(info.pixel_format) if info.pixel_format else None
    if shape is None or shape.family != "yuv":
        return replace(info.colour, matrix=_BT709, range=_LIMITED)
    return replace(info.colour, range=_FULL if shape.full_range or info.colour.range == _FULL else _LIMITED)


def _same_samples(picture: Picture, name: str, tags: ColourTags) -> av.VideoFrame:
    """The picture's own samples under the name `name`, which differs at most in how it says the range."""
    assert isinstance(picture, FramePicture)
    source = colour.planar(picture.frame)
    if source.format.name == name:
        return source
    frame = copied(source, name)
    frame.color_range = tags.range
    return frame


def _rgb_frame(picture: Picture, name: str) -> av.VideoFrame:
    rgb, alpha = picture.rgb, picture.alpha
    height, width = rgb.shape[:2]
    frame = av.VideoFrame(width, height, name)
    if name in ("bgr0", "bgra"):
        packed = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA)
        if name == "bgra" and alpha is not None:
            packed[..., 3] = alpha
        plane = frame.planes[0]
        np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, : width * 4] = packed.reshape(height, width * 4)
        return frame
    channels = [rgb[..., 1], rgb[..., 2], rgb[..., 0]] + ([alpha] if name.startswith("gbrap") else [])
    for target, channel in zip(planes(frame), channels):
        target[...] = channel
    return frame


def _converted(picture: Picture, name: str, tags: ColourTags) -> av.VideoFrame:
    """The picture in another pixel format, near enough for a lossy codec."""
    if isinstance(picture, FramePicture):
        return colour.convert(picture.frame, name, tags)
    return colour.convert(_rgb_frame(picture, "bgr0" if picture.rgb.dtype == np.uint8 else "gbrp16le"), name, tags)
