"""Files with flipped bits, and how they are read."""
from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from flow_inpaint.errors import BadFrame
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source

COUNT = 36


def panned(number: int, width: int, height: int) -> np.ndarray:
    """A texture that moves by two pixels a frame: there is something to code in every frame."""
    wide = np.random.default_rng(1).integers(0, 256, (height, width + 2 * COUNT, 3), np.uint8)
    return np.ascontiguousarray(cv2.GaussianBlur(wide, (5, 5), 1.5)[:, 2 * number : 2 * number + width])


def packets_of(path: Path) -> list[tuple[bytes, bool]]:
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.is_keyframe) for packet in container.demux(video=0) if packet.size]


def flipped(path: Path, place: int, seed: int = 0, bits: int = 8) -> Path:
    """A copy with bits flipped inside the packet at `place` in decoding order; in MPEG-TS, in its longest piece."""
    data, packet = bytearray(path.read_bytes()), packets_of(path)[place][0]
    piece = packet[len(packet) // 3 : len(packet) // 3 + 24]
    at = data.find(piece)
    assert at > 0
    generator = np.random.default_rng(seed)
    for position, bit in zip(generator.integers(0, len(piece), bits), generator.integers(0, 8, bits), strict=True):
        data[at + position] ^= 1 << bit
    damaged = path.with_name(f"bad_{path.name}")
    damaged.write_bytes(data)
    return damaged


def read_all(path: Path, order: range | list[int] = range(COUNT)) -> dict[int, np.ndarray | None]:
    found: dict[int, np.ndarray | None] = {}
    with open_source(ClipSpec(path), tolerant=True) as source:
        assert source.info.count == COUNT
        for k in order:
            try:
                found[k] = next(source.read(k, k)).frame.to_ndarray(format="gray")
            except BadFrame as error:
                assert error.frame == k and f"{path}: frame {k} cannot be decoded" in str(error)
                found[k] = None
    return found
