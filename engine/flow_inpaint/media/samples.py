"""Sample layouts: which numbers a decoded frame is made of, and how to reach them."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import av
import numpy as np

# libswscale's nearest chroma sample with exact rounding: what Blender 4.5 and later show.
EXACT = 0x10 | 0x2000 | 0x40000
# Chroma filtered over all pixels it stands for, for lossy codecs.
SMOOTH = 0x4 | 0x4000 | 0x40000

_REPACKED = {
    "yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "uyyvyy411": "yuv411p",
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "nv42": "yuv444p",
    "p010le": "yuv420p10le", "p012le": "yuv420p12le", "p016le": "yuv420p16le",
    "p210le": "yuv422p10le", "p212le": "yuv422p12le", "p216le": "yuv422p16le", "nv20le": "yuv422p10le",
    "p410le": "yuv444p10le", "p412le": "yuv444p12le", "p416le": "yuv444p16le",
    "y210le": "yuv422p10le", "y212le": "yuv422p12le", "y216le": "yuv422p16le",
    "vyu444": "yuv444p", "vuyx": "yuv444p", "vuya": "yuva444p", "uyva": "yuva444p", "ayuv": "yuva444p",
    "xv30le": "yuv444p10le", "v30xle": "yuv444p10le", "xv36le": "yuv444p12le", "xv48le": "yuv444p16le", "ayuv64le": "yuva444p16le",
    "x2rgb10le": "gbrp10le", "x2bgr10le": "gbrp10le",
    "rgb24": "gbrp", "bgr24": "gbrp", "rgb0": "gbrp", "bgr0": "gbrp", "0rgb": "gbrp", "0bgr": "gbrp",
    "rgba": "gbrap", "bgra": "gbrap", "argb": "gbrap", "abgr": "gbrap", "pal8": "gbrap",
    "rgb48le": "gbrp16le", "rgb48be": "gbrp16le", "bgr48le": "gbrp16le", "bgr48be": "gbrp16le",
    "rgba64le": "gbrap16le", "rgba64be": "gbrap16le", "bgra64le": "gbrap16le", "bgra64be": "gbrap16le",
    "monow": "gray", "monob": "gray", "ya8": "gbrap", "ya16le": "gbrap16le", "ya16be": "gbrap16le",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """A planar sample format. `family` is "yuv", "gbr" or "gray"; `shift_x` and `shift_y` are the chroma planes' log2 subsampling."""

    name: str
    family: str
    depth: int
    shift_x: int
    shift_y: int
    has_alpha: bool
    full_range: bool
    is_float: bool = False

    @property
    def dtype(self) -> type[np.generic]:
        """The type of one stored sample."""
        if self.is_float:
            return np.float16 if self.depth == 16 else np.float32
        return np.uint8 if self.depth == 8 else np.uint16

    @property
    def rgb_dtype(self) -> type[np.generic]:
        """The type of the RGB picture shown for it."""
        return np.float32 if self.is_float else self.dtype

    @property
    def samples(self) -> float:
        """How many a pixel has, those that it shares with others in part."""
        colours = {"gray": 1.0, "gbr": 3.0}.get(self.family) or 1 + 2 / (1 << self.shift_x + self.shift_y)
        return colours + self.has_alpha

    @property
    def top(self) -> int:
        return (1 << self.depth) - 1


@cache
def layout(name: str) -> Layout:
    """The planar layout in which frames of pixel format `name` are composited, exact for all but a few odd formats."""
    planar = _planar_name(name)
    components = av.VideoFormat(planar, 2, 2).components
    colour = [c for c in components if not c.is_alpha]
    shift_x = shift_y = 0
    if planar.startswith(("yuv", "yuva")):
        family = "yuv"
        shift_x, shift_y = _subsampling(planar)
    else:
        family = "gray" if planar.startswith("gray") else "gbr"
    return Layout(
        name=planar,
        family=family,
        depth=colour[0].bits,
        shift_x=shift_x,
        shift_y=shift_y,
        has_alpha=len(colour) < len(components),
        full_range=family != "yuv" or planar.startswith("yuvj"),
        is_float="f16" in planar or "f32" in planar,
    )


def _planar_name(name: str) -> str:
    if name in _REPACKED:
        return _REPACKED[name]
    if name.endswith("be"):
        return _planar_name(name[:-2] + "le")
    if name.startswith(("yuv", "gray", "gbrp", "gbrap")):
        return name
    format = av.VideoFormat(name, 2, 2)
    deep = max(c.bits for c in format.components) > 8
    alpha = any(c.is_alpha for c in format.components)
    return ("gbrap" if alpha else "gbrp") + ("16le" if deep else "")


def _subsampling(planar: str) -> tuple[int, int]:
    format = av.VideoFormat(planar, 16, 16)
    return 4 - format.chroma_width(16).bit_length() + 1, 4 - format.chroma_height(16).bit_length() + 1


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Views (rows, columns) of the planes of a planar frame, without padding. Writing to them writes to the frame."""
    dtype = np.dtype(layout(frame.format.name).dtype)
    return [
        np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)[:, : plane.width]
        for plane in frame.planes
    ]


def empty_like(frame: av.VideoFrame, name: str, size: tuple[int, int] | None = None) -> av.VideoFrame:
    """A new frame of pixel format `name` with the colour tags of `frame`, and its size unless told; its samples are undefined."""
    new = av.VideoFrame(*(size or (frame.width, frame.height)), name)
    copy_tags(frame, new)
    return new


def copy_tags(source: av.VideoFrame, target: av.VideoFrame) -> None:
    target.colorspace = source.colorspace
    target.color_range = source.color_range
    target.color_primaries = source.color_primaries
    target.color_trc = source.color_trc


def copied(frame: av.VideoFrame, name: str | None = None) -> av.VideoFrame:
    """A copy of a planar frame, under another name for the same planes if wanted.

    The copy does not say where its chroma samples lie, so that each is shown for the pixels of its own block, as
    Blender shows it; libswscale would shift them by half a pixel.
    """
    new = empty_like(frame, name or frame.format.name)
    for target, plane in zip(planes(new), planes(frame)):
        target[...] = plane
    return new
