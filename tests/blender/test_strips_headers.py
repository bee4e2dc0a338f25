"""What the beginning of a file says is what Blender says after opening it."""
from __future__ import annotations

import importlib.util
import random
import struct
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 160, 96
_spec = importlib.util.spec_from_file_location("headers", Path(__file__).resolve().parents[2] / "blender_addon/strips/headers.py")
headers = sys.modules["headers"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(headers)

PLAIN, TRANSPARENT = False, True
PICTURES = {
    "rgb.png": (PLAIN, False),
    "rgba.png": (TRANSPARENT, False),
    "grey.png": (PLAIN, False),
    "grey16.png": (PLAIN, True),
    "rgb16.png": (PLAIN, True),
    "rgba16.png": (TRANSPARENT, True),
    "grey_alpha.png": (TRANSPARENT, False),
    "palette.png": (PLAIN, False),
    "palette_transparent.png": (TRANSPARENT, False),
    "baseline.jpg": (PLAIN, False),
    "progressive.jpg": (PLAIN, False),
}
"""Alpha and depth."""
MOVIES = {
    "h264.mp4": ("libx264", "yuv420p"),
    "h264.mov": ("libx264", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"),
    "hevc.mp4": ("libx265", "yuv420p"),
    "mpeg4.mp4": ("mpeg4", "yuv420p"),
    "prores.mov": ("prores_ks", "yuv422p10le"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
}
IN_DOUBT = {"prores4444.mov": ("prores_ks", "yuva444p10le"), "animation.mov": ("qtrle", "argb"), "ffv1.mkv": ("ffv1", "bgra")}
"""These may have alpha, and have it."""
AS_BLENDER_SAYS_IT = {"grey16.png", "grey_alpha.png"}
"""Blender tells 4 channels by 32 bits, and so takes one of 32 bits for alpha and two of 8 for none."""


def _png(path: Path, colours: int, bits: int, row: bytes, *chunks: tuple[bytes, bytes]) -> None:
    """A PNG of a kind that OpenCV does not write; every row is the same."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colours, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress((b"\0" + row) * HEIGHT)), (b"IEND", b"")]
    packed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def _movie(path: Path, codec: str, pixels: str, sound: bool) -> None:
    with av.open(str(path), "w") as movie:
        voice = movie.add_stream("aac", 48000) if sound else None
        stream = movie.add_stream(codec, Fraction(24))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        picture = np.full((HEIGHT, WIDTH, 4), 90, np.uint8)
        for _ in range(4):
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgba").reformat(format=pixels)))
        movie.mux(stream.encode())
        if voice is not None:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 48000
            movie.mux(voice.encode(frame))
            movie.mux(voice.encode())


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    flat = np.full((HEIGHT, WIDTH, 4), 90, np.uint8)
    deep = flat.astype(np.uint16) * 257
    for name, picture in {
        "rgb.png": flat[:, :, :3],
        "rgba.png": flat,
        "grey.png": flat[:, :, 0],
        "grey16.png": deep[:, :, 0],
        "rgb16.png": deep[:, :, :3],
        "rgba16.png": deep,
    }.items():
        cv2.imwrite(str(folder / name), picture)
    _png(folder / "grey_alpha.png", 4, 8, bytes(2 * WIDTH))
    _png(folder / "palette.png", 3, 8, bytes(WIDTH), (b"PLTE", bytes(6)))
    _png(folder / "palette_transparent.png", 3, 8, bytes(WIDTH), (b"PLTE", bytes(6)), (b"tRNS", bytes(2)))
    cv2.imwrite(str(folder / "baseline.jpg"), flat[:, :, :3])
    cv2.imwrite(str(folder / "progressive.jpg"), flat[:, :, :3], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    for name, (codec, pixels) in (MOVIES | IN_DOUBT).items():
        _movie(folder / name, codec, pixels, sound=name in ("h264.mp4", "h264.mkv"))
    return folder


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(kinds: Path, name: str) -> None:
    assert headers.read(kinds / name) == headers.Header((WIDTH, HEIGHT), *PICTURES[name])


@pytest.mark.parametrize("name", MOVIES)
def test_movies(kinds: Path, name: str) -> None:
    assert headers.read(kinds / name) == headers.Header((WIDTH, HEIGHT), False)


@pytest.mark.parametrize("name", IN_DOUBT)
def test_what_may_have_alpha_is_left_to_blender(kinds: Path, name: str) -> None:
    assert headers.read(kinds / name) is None


@pytest.mark.parametrize("name", ["rgb16.png", "progressive.jpg", "h264.mp4", "h264.mkv", "prores.mov"])
def test_damaged_files_say_nothing_wrong(kinds: Path, tmp_path: Path, name: str) -> None:
    """Cut off anywhere in what is read, or with bytes changed: an answer or none, soon."""
    whole, damaged = (kinds / name).read_bytes(), tmp_path / name
    chance = random.Random(5)
    spots = [*range(0, min(len(whole), 700), 3), *(chance.randrange(len(whole)) for _ in range(100))]
    for spot in spots:
        damaged.write_bytes(whole[:spot])
        headers.read(damaged)
        changed = bytearray(whole)
        changed[spot] = chance.randrange(256)
        damaged.write_bytes(changed)
        headers.read(damaged)


@pytest.mark.parametrize("box", [b"mdia", b"minf", b"stbl"])
def test_boxes_in_boxes_without_end(tmp_path: Path, box: bytes) -> None:
    depth, path = 5000, tmp_path / "deep.mp4"
    kinds = [b"moov", b"trak", *[box] * depth]
    path.write_bytes(b"".join(struct.pack(">I4s", 8 * (len(kinds) - k), kind) for k, kind in enumerate(kinds)))
    assert headers.read(path) is None


def test_what_is_not_what_its_name_says(tmp_path: Path) -> None:
    for ending in ("png", "jpg", "mp4", "mov", "mkv"):
        path = tmp_path / f"text.{ending}"
        path.write_text("Nothing to be seen here. " * 20)
        assert headers.read(path) is None
    assert headers.read(tmp_path / "none.png") is None and headers.read(tmp_path / "some.dpx") is None


@pytest.mark.blender
def test_blender_says_the_same(ask: Callable[..., dict[str, Any]], kinds: Path) -> None:
    for name, found in ask("scripts_headers.py", kinds).items():
        assert "error" not in found, found["error"]
        known = found["known"]
        if name in IN_DOUBT:
            assert known is None and found["alpha"], (name, found)
            continue
        assert known["size"] == found["size"], (name, found)
        assert name in AS_BLENDER_SAYS_IT or known["alpha"] == found["alpha"], (name, found)
        assert known["deep"] in (None, found["deep"]), (name, found)
