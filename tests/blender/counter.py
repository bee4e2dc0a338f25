"""Clips whose frame number can be read from their pixels, and the reading of it. NumPy only, but for `make`."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, BITS = 160, 96, 10
MOVIE_FRAMES, IMAGES = 60, 40
RATES = {"12": (12, 1), "24": (24, 1), "25": (25, 1), "30": (30, 1), "60": (60, 1), "2997": (30000, 1001)}


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) uint8: ten black or white blocks at the top, the lowest bit on the left, above colours that move."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x * 255 // width, y * 255 // height, (x + y + 5 * number) % 192], -1).astype(np.uint8)
    block = width // BITS
    for bit in range(BITS):
        image[: height // 3, bit * block : (bit + 1) * block] = 255 if number >> bit & 1 else 0
    return image


def read(image: np.ndarray) -> int | None:
    """The number in a picture (H, W, 3 or 4), 0..1 or 0..255; None for a black picture."""
    white = 255.0 if image.dtype == np.uint8 else 1.0
    if image[..., :3].max() < 0.02 * white:
        return None
    height, width = image.shape[:2]
    block = width // BITS
    return sum(int(image[height // 6, bit * block + block // 2, 1] > white / 2) << bit for bit in range(BITS))


def disc(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W) uint8: a white disc on black that moves to the right."""
    y, x = np.mgrid[0:height, 0:width]
    return np.where(np.hypot(x - width * (0.3 + 0.01 * number), y - height * 0.6) < height * 0.2, 255, 0).astype(np.uint8)


def coordinates(width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint16: x in red, y in green (see `position`), blue nearly full."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    colours = np.stack([0.1 + 0.8 * x / (width - 1), 0.1 + 0.8 * y / (height - 1), np.full_like(x, 0.9)], -1)
    return (colours * 65535).round().astype(np.uint16)


def position(colour: np.ndarray, width: int, height: int) -> np.ndarray:
    """(N, 2) x and y that colours (N, 3), 0..1, of `coordinates` stand for."""
    return (colour[:, :2] - 0.1) / 0.8 * (np.array([width, height]) - 1)


def make(folder: Path) -> None:
    import cv2

    for name, rate in RATES.items():
        _movie(folder / f"c{name}.mp4", rate, MOVIE_FRAMES)
    _movie(folder / "large.mp4", (24, 1), 12, 320, 192)
    _movie(folder / "matte.mp4", (24, 1), MOVIE_FRAMES, draw=lambda k, *size: np.dstack([disc(k, *size)] * 3))
    _movie(folder / "deep.mkv", (24, 1), 12, codec="ffv1", pixel_format="yuv422p10le", options={})
    _write(folder / "sequence", [picture(k) for k in range(IMAGES)], "shot_{:04d}.png")
    _write(folder / "matte", [disc(k) for k in range(MOVIE_FRAMES)], "matte_{:04d}.png")
    _write(folder / "large", [disc(k, 320, 192) for k in range(12)], "large_{:04d}.png")
    _write(folder / "odd", [disc(k, 101, 77) for k in range(12)], "odd_{:04d}.png")
    _write(folder / "mixed", [picture(k) for k in (7, 3, 5, 1)], "{}_take.png", names="abcd")
    alpha = np.dstack([np.full((HEIGHT, WIDTH, 3), 255, np.uint8), disc(5)])
    cv2.imwrite(str(folder / "alpha.png"), alpha)
    header = bytes([0, 0, 2, *[0] * 9]) + WIDTH.to_bytes(2, "little") + HEIGHT.to_bytes(2, "little") + bytes([24, 32])
    (folder / "kind.tga").write_bytes(header + picture(9)[..., ::-1].tobytes())
    for size in ((160, 96), (101, 77), (320, 192)):
        cv2.imwrite(str(folder / f"coordinates_{size[0]}x{size[1]}.png"), coordinates(*size)[..., ::-1])
    (folder / "text.mp4").write_text("This is not a video.")


def _write(folder: Path, pictures: list[np.ndarray], pattern: str, names: str | None = None) -> None:
    import cv2

    folder.mkdir()
    for number, one in enumerate(pictures):
        cv2.imwrite(str(folder / pattern.format(names[number] if names else number + 1)), one[..., ::-1] if one.ndim == 3 else one)


def _movie(
    path: Path,
    rate: tuple[int, int],
    frames: int,
    width: int = WIDTH,
    height: int = HEIGHT,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    draw: Callable[[int, int, int], np.ndarray] = picture,
) -> None:
    from fractions import Fraction

    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(*rate))
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.options = {"crf": "12", "bf": "3", "g": "12"} if options is None else options
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(number, width, height), "rgb24")))
        container.mux(stream.encode())
