"""Makes the pictures of docs/settings.md: what a setting does, left and right, on the shipped demo shot.

    python docs/make_setting_pictures.py [NAME ...]     needs the engine; all of settings/pictures.toml, or some of it

Afterwards `python docs/make_settings.py` puts them into the text.
"""
from __future__ import annotations

import os
import struct
import sys
import tempfile
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from flow_inpaint import pipeline
from flow_inpaint.job import Job
from flow_inpaint.media.image_codec import encode_image, read_image

HERE = Path(__file__).resolve().parent
PLACE = HERE / "settings"
SHOT = HERE.parent / "engine" / "flow_inpaint" / "demo_shot"
SIZE, FIRST, LAST = (320, 180), 6, 50
COLOURS, GAP, FOOT = 96, 6, 18
LIMIT = 60_000

Scene = tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]
"""Frames (T, H, W, 3) and mattes (T, H, W), uint8, and references by frame."""


def read(name: str) -> np.ndarray:
    with av.open(str(SHOT / name)) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)][FIRST : LAST + 1]
    return np.stack([cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in frames])


def street() -> Scene:
    return read("source.mp4"), read("matte.mkv")[..., 0], {}


def tight_matte() -> Scene:
    frames, mattes, _ = street()
    return frames, np.stack([cv2.erode(matte, np.ones((11, 11))) for matte in mattes]), {}


def soft_matte() -> Scene:
    frames, mattes, _ = street()
    return frames, np.stack([cv2.GaussianBlur(cv2.erode(m, np.ones((9, 9))), None, 5) for m in mattes]), {}


def two_shots() -> Scene:
    frames, mattes, _ = street()
    other = np.concatenate([frames[:15], frames[30:45, :, ::-1][..., ::-1]])
    return other, np.concatenate([mattes[:15], mattes[30:45, :, ::-1]]), {}


def flicker() -> Scene:
    frames, mattes, _ = street()
    gains = 0.8 + 0.2 * np.sin(np.arange(len(frames)) * 1.1)
    return (frames * gains[:, None, None, None]).astype(np.uint8), mattes, {}


def grainy() -> Scene:
    frames, mattes, _ = street()
    noise = np.random.default_rng(1).normal(0, 14, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8), mattes, {}


def painted() -> Scene:
    frames, mattes, _ = street()
    clean = read("truth.mp4")[20].copy()
    cv2.rectangle(clean, (135, 85), (165, 120), (240, 200, 40), -1)
    cv2.rectangle(clean, (135, 85), (165, 120), (90, 60, 20), 1)
    cv2.putText(clean, "?", (142, 111), cv2.FONT_HERSHEY_DUPLEX, 0.8, (90, 60, 20), 1, cv2.LINE_AA)
    return frames, mattes, {20: clean}


def result(scene: Scene, params: dict[str, Any], frame: int) -> np.ndarray:
    """The frame of the scene as a run with these parameters makes it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, pictures in (("source", scene[0]), ("matte", scene[1])):
            (folder / kind).mkdir()
            for number, picture in enumerate(pictures):
                rgb = picture if picture.ndim == 3 else np.dstack([picture] * 3)
                (folder / kind / f"{number:04d}.png").write_bytes(encode_image(".png", rgb, None, 8))
        clean = []
        for number, picture in scene[2].items():
            (folder / f"clean{number}.png").write_bytes(encode_image(".png", picture, None, 8))
            clean.append({"frame": number, "path": f"clean{number}.png"})
        document = {"source": {"path": "source"}, "mask": {"path": "matte"}, "output": {"path": "out", "format": "png"}}
        document |= {"frames": [frame, frame], "params": {"device": "cpu", **params}} | ({"references": clean} if clean else {})
        pipeline.run(Job.from_document(document, folder))
        return read_image(folder / "out" / f"{frame:04d}.png")[0]


def picture(about: dict[str, Any], name: str, make: Callable[[], Scene]) -> np.ndarray:
    """Left and right, each over what it is."""
    scene = make()
    x, y, width, height = about["crop"]
    tiles = []
    for value, said in zip(about["values"], about["said"], strict=True):
        whole = result(scene, about.get("others", {}) | {name: value}, about["frame"])
        crop = cv2.resize(whole[y : y + height, x : x + width], None, fx=about["zoom"], fy=about["zoom"], interpolation=cv2.INTER_CUBIC)
        foot = np.full((FOOT, crop.shape[1], 3), 255, np.uint8)
        cv2.putText(foot, said, (2, FOOT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
        tiles += [np.vstack([crop, foot]), np.full((crop.shape[0] + FOOT, GAP, 3), 255, np.uint8)]
    return np.hstack(tiles[:-1])


def packed(rgb: np.ndarray, colours: int) -> bytes:
    """A PNG file with a palette."""
    pixels = rgb.reshape(-1, 3).astype(np.float32)
    chosen = pixels[np.random.default_rng(0).choice(len(pixels), 6000)]
    cv2.setRNGSeed(1)
    _, _, palette = cv2.kmeans(chosen, colours, None, (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5), 1, cv2.KMEANS_PP_CENTERS)
    palette = np.rint(palette).clip(0, 255)
    nearest = np.concatenate([((part[:, None] - palette) ** 2).sum(-1).argmin(1) for part in np.array_split(pixels, 40)]).astype(np.uint8)
    rows = np.hstack([np.zeros((len(rgb), 1), np.uint8), nearest.reshape(rgb.shape[:2])]).tobytes()
    head = struct.pack(">IIBBBBB", rgb.shape[1], rgb.shape[0], 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", palette.astype(np.uint8).tobytes()), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def main() -> int:
    wanted = tomllib.loads((PLACE / "pictures.toml").read_text("utf-8"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in sys.argv[1:] or wanted:
        shown, colours = picture(wanted[name], name, globals()[wanted[name]["scene"]]), COLOURS
        while len(data := packed(shown, colours)) > LIMIT:
            colours = colours * 3 // 4
        (PLACE / f"{name}.png").write_bytes(data)
        print(f"{name}.png: {len(data)} bytes, {colours} colours", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
