"""DPX files of noise."""
from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from flow_inpaint.media.samples import layout, planes

WIDTH, HEIGHT = 64, 48


def dpx(pixel_format: str, seed: int = 0) -> tuple[bytes, av.VideoFrame]:
    encoder = av.CodecContext.create("dpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, pixel_format, Fraction(1, 24)
    frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
    generator = np.random.default_rng(seed)
    if pixel_format.startswith("gbrp"):
        for plane in planes(frame):
            plane[...] = generator.integers(0, layout(pixel_format).top + 1, plane.shape)
    else:
        for plane in frame.planes:
            plane.update(generator.bytes(plane.buffer_size))
    frame.pts = 0
    return b"".join(bytes(packet) for packet in encoder.encode(frame) + encoder.encode(None)), frame
