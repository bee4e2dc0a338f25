"""The clips of real_blender.sh: a street that moves, a box that crosses it, and the box's matte. The same large and short, as hd.*.

    python real_clips.py FOLDER
"""
from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, COUNT = 320, 192, 60


def make(folder: Path) -> None:
    random = np.random.default_rng(3)
    wall = cv2.resize(random.integers(40, 216, (HEIGHT // 8, WIDTH // 4, 3), np.uint8), (WIDTH * 2, HEIGHT), interpolation=cv2.INTER_CUBIC)
    (folder / "matte").mkdir()
    with av.open(str(folder / "street.mp4"), "w") as movie:
        stream = movie.add_stream("libx264", Fraction(24), options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for k in range(COUNT):
            picture, x = wall[:, 2 * k : 2 * k + WIDTH].copy(), 30 + 4 * k
            picture[70:140, x : x + 40] = (220, 30, 30)
            matte = np.zeros((HEIGHT, WIDTH), np.uint8)
            matte[66:144, x - 4 : x + 44] = 255
            cv2.imwrite(str(folder / "matte" / f"matte_{k:04d}.png"), matte)
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        movie.mux(stream.encode())
    for name in ("hd", "hd_matte"):
        with av.open(str(folder / f"{name}.mp4"), "w") as movie:
            stream = movie.add_stream("libx264", Fraction(24), options={"crf": "16", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
            for k in range(24):
                picture, x = cv2.resize(wall[:, 2 * k : 2 * k + WIDTH], (1920, 1080)), 180 + 24 * k
                picture = np.zeros_like(picture) if name == "hd_matte" else picture
                picture[390:790, x : x + 240] = 255
                movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            movie.mux(stream.encode())


if __name__ == "__main__":
    make(Path(sys.argv[1]))
