"""How much of what flipped bits do to a video is noticed, by codec.

    python tests/benchmarks/damaged.py [KIND ...]

A clip of 24 frames of a moving texture, 1 or 8 bits flipped inside one packet at a time. Each damaged file is read whole: it is `noticed`
when at least one frame is reported, `silent` when a frame comes out otherwise than in the sound file, and `without effect` when neither.
"""
from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "media"))
from damage import flipped, panned
from footage import encode

from flow_inpaint.errors import BadFrame
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source

COUNT, SIZE = 24, (256, 128)
X265 = "keyint=12:bframes=2:log-level=none"
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "H.264": ("a.mkv", {"options": {"g": "12", "bf": "2", "crf": "20"}}),
    "HEVC": ("a.mkv", {"codec": "libx265", "options": {"crf": "20", "x265-params": X265}}),
    "HEVC with hashes": ("a.mkv", {"codec": "libx265", "options": {"crf": "20", "x265-params": f"{X265}:hash=1"}}),
    "VP8": ("a.webm", {"codec": "libvpx", "options": {"b:v": "2M", "g": "12", "cpu-used": "8"}}),
    "VP9": ("a.mkv", {"codec": "libvpx-vp9", "options": {"crf": "30", "b:v": "0", "g": "12", "cpu-used": "8"}}),
    "MPEG-2": ("a.mpg", {"codec": "mpeg2video", "options": {"g": "12", "b:v": "3000000"}}),
    "MPEG-4": ("a.mp4", {"codec": "mpeg4", "options": {"g": "12", "b:v": "2000000"}}),
    "ProRes": ("a.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
    "DNxHR": ("a.mov", {"codec": "dnxhd", "pixel_format": "yuv422p", "options": {"profile": "dnxhr_sq"}}),
    "MJPEG": ("a.mov", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    "FFV1 with checksums": ("a.mkv", {"codec": "ffv1", "options": {"level": "3", "slicecrc": "1", "g": "1"}}),
}


def main() -> None:
    print(f"{'codec':20} {'files':>5} {'noticed':>7} {'silent':>6} {'without effect':>14}")
    for kind in sys.argv[1:] or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            found = _tried(Path(folder), *KINDS[kind])
        print(f"{kind:20} {found['files']:5} {found['noticed']:7} {found['silent']:6} {found['none']:14}", flush=True)


def _tried(folder: Path, name: str, settings: dict[str, Any]) -> Counter[str]:
    clip = encode(folder / name, COUNT, size=SIZE, picture=panned, **settings)
    good, found = _read(clip), Counter()
    for place in range(1, COUNT - 1, 3):
        for bits in (1, 8):
            for seed in (0, 1):
                seen = _read(flipped(clip, place, seed, bits))
                noticed = any(picture is None for picture in seen)
                silent = any(picture is not None and not np.array_equal(picture, wanted) for picture, wanted in zip(seen, good))
                found.update({"files": 1, "noticed": noticed, "silent": silent, "none": not (noticed or silent)})
    return found


def _read(path: Path) -> list[np.ndarray | None]:
    found: list[np.ndarray | None] = []
    with open_source(ClipSpec(path), tolerant=True) as source:
        for k in range(COUNT):
            try:
                found.append(next(source.read(k, k)).frame.to_ndarray(format="gray"))
            except BadFrame:
                found.append(None)
    return found


if __name__ == "__main__":
    main()
