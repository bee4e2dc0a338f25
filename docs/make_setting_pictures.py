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
from typing import Any, NamedTuple

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


class Scene(NamedTuple):
    """Frames (T, H, W, 3) and mattes (T, H, W), uint8, references by frame, and the frames whose files are missing."""

    frames: np.ndarray
    mattes: np.ndarray
    references: dict[int, np.ndarray] = {}
    missing: tuple[int, ...] = ()


def whole(name: str) -> np.ndarray:
    with av.open(str(SHOT / name)) as clip:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)][FIRST : LAST + 1])


def read(name: str) -> np.ndarray:
    return np.stack([cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA) for frame in whole(name)])


def street() -> Scene:
    return Scene(read("source.mp4"), read("matte.mkv")[..., 0])


def tight_matte() -> Scene:
    frames, mattes, *_ = street()
    return Scene(frames, np.stack([cv2.erode(matte, np.ones((11, 11))) for matte in mattes]))


def matte_without_shadow() -> Scene:
    """The lowest 12 pixels of every column left out."""
    frames, mattes, *_ = street()
    below = np.pad(mattes[:, 12:], ((0, 0), (0, 12), (0, 0)))
    return Scene(frames, np.minimum(mattes, below))


def middle_of_the_car() -> Scene:
    """A band across it: its roof and its wheels left out."""
    frames, mattes, *_ = street()
    band = np.zeros_like(mattes)
    band[:, 92:120] = mattes[:, 92:120]
    return Scene(frames, band)


def mark_on_the_picture() -> Scene:
    """A rectangle that stays where it is, while the car passes below it."""
    frames, mattes, *_ = street()
    mark = np.zeros_like(mattes)
    mark[:, 70:110, 150:190] = 255
    return Scene(frames, mark)


def soft_matte() -> Scene:
    frames, mattes, *_ = street()
    return Scene(frames, np.stack([cv2.GaussianBlur(cv2.erode(m, np.ones((9, 9))), None, 5) for m in mattes]))


def two_shots() -> Scene:
    frames, mattes, *_ = street()
    other = np.concatenate([frames[:15], frames[30:45, :, ::-1][..., ::-1]])
    return Scene(other, np.concatenate([mattes[:15], mattes[30:45, :, ::-1]]))


def flickering_light() -> Scene:
    frames, mattes, *_ = street()
    gains = 0.8 + 0.2 * np.sin(np.arange(len(frames)) * 1.1)
    return Scene((frames * gains[:, None, None, None]).astype(np.uint8), mattes)


def grainy() -> Scene:
    frames, mattes, *_ = street()
    noise = np.random.default_rng(1).normal(0, 14, frames.shape)
    return Scene(np.clip(frames + noise, 0, 255).astype(np.uint8), mattes)


def painted() -> Scene:
    frames, mattes, *_ = street()
    clean = read("truth.mp4")[20].copy()
    cv2.rectangle(clean, (135, 85), (165, 120), (240, 200, 40), -1)
    cv2.rectangle(clean, (135, 85), (165, 120), (90, 60, 20), 1)
    cv2.putText(clean, "?", (142, 111), cv2.FONT_HERSHEY_DUPLEX, 0.8, (90, 60, 20), 1, cv2.LINE_AA)
    return Scene(frames, mattes, {20: clean})


def whipped() -> Scene:
    """The camera swings to and fro: 22 pixels a frame over the unreduced shot."""
    places = np.abs(np.arange(LAST - FIRST + 1) * 22 % (2 * SIZE[0]) - SIZE[0])
    frames, mattes = (
        np.stack([frame[90 : 90 + SIZE[1], x : x + SIZE[0]] for frame, x in zip(whole(name), places, strict=True)])
        for name in ("source.mp4", "matte.mkv")
    )
    return Scene(frames, np.ascontiguousarray(mattes[..., 0]))


def gap() -> Scene:
    frames, mattes, *_ = street()
    return Scene(frames, mattes, missing=(20,))


def result(scene: Scene, params: dict[str, Any], first: int, last: int) -> np.ndarray:
    """These frames of the scene as a run with these parameters makes them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, pictures, missing in (("source", scene.frames, scene.missing), ("matte", scene.mattes, ())):
            (folder / kind).mkdir()
            for number, picture in enumerate(pictures):
                if number in missing:
                    continue
                rgb = picture if picture.ndim == 3 else np.dstack([picture] * 3)
                (folder / kind / f"{number:04d}.png").write_bytes(encode_image(".png", rgb, None, 8))
        clean = []
        for number, picture in scene.references.items():
            (folder / f"clean{number}.png").write_bytes(encode_image(".png", picture, None, 8))
            clean.append({"frame": number, "path": f"clean{number}.png"})
        document = {"source": {"path": "source"}, "mask": {"path": "matte"}, "output": {"path": "out", "format": "png"}}
        document |= {"frames": [first, last], "params": {"device": "cpu", **params}} | ({"references": clean} if clean else {})
        pipeline.run(Job.from_document(document, folder))
        return np.stack([read_image(file)[0] for file in sorted((folder / "out").iterdir())])


def one_frame(about: dict[str, Any], scene: Scene, params: dict[str, Any]) -> np.ndarray:
    return crop(about, result(scene, params, about["frame"], about["frame"])[0])


def over_time(about: dict[str, Any], scene: Scene, params: dict[str, Any]) -> np.ndarray:
    """One line of the picture, frame below frame: what moves evenly makes a straight slanted line."""
    first, last = about["frames"]
    lines = result(scene, params, first, last)[:, about["line"], about["from"] : about["to"]]
    return cv2.resize(lines, None, fx=about["zoom"], fy=4 * about["zoom"], interpolation=cv2.INTER_NEAREST)


def flicker(about: dict[str, Any], scene: Scene, params: dict[str, Any]) -> np.ndarray:
    """How the filled pixels of a frame differ from the same places of the next one: the darker, the more."""
    one, next_one = result(scene, params, about["frame"], about["frame"] + 1)
    before, after = (cv2.cvtColor(read("truth.mp4")[about["frame"] + n], cv2.COLOR_RGB2GRAY) for n in (0, 1))
    motion = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(before, after, None)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    moved = cv2.remap(next_one, x + motion[..., 0], y + motion[..., 1], cv2.INTER_CUBIC)
    difference = cv2.absdiff(moved, one).mean(-1) * (scene.mattes[about["frame"]] > 127)
    grey = (255 - about["times"] * difference).clip(0, 255).astype(np.uint8)
    return crop(about, np.dstack([grey] * 3))


def crop(about: dict[str, Any], picture: np.ndarray) -> np.ndarray:
    x, y, width, height = about["crop"]
    return cv2.resize(picture[y : y + height, x : x + width], None, fx=about["zoom"], fy=about["zoom"], interpolation=cv2.INTER_CUBIC)


def picture(about: dict[str, Any], name: str, make: Callable[[], Scene]) -> np.ndarray:
    """Left and right, each over what it is."""
    scene, show = make(), globals()[about.get("show", "one_frame")]
    tiles = []
    for value, said in zip(about["values"], about["said"], strict=True):
        shown = show(about, scene, about.get("others", {}) | {name: value})
        foot = np.full((FOOT, shown.shape[1], 3), 255, np.uint8)
        cv2.putText(foot, said, (2, FOOT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
        tiles += [np.vstack([shown, foot]), np.full((shown.shape[0] + FOOT, GAP, 3), 255, np.uint8)]
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
