"""Clips run through an output, for its tests."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from flow_inpaint.job import ClipSpec, OutputSpec
from flow_inpaint.media import OutputFiles, open_output, open_source
from flow_inpaint.media.image_codec import encode_image

ENDINGS = {"ffv1": "out.mkv", "prores": "out.mov", "h264": "out.mp4", "png": "out", "tiff": "out", "exr": "out"}


def blob(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return ((y - height * 0.6) ** 2 + (x - width * 0.45) ** 2 < (height / 4.3) ** 2) | ((x > width - 9) & (y > height - 7))


def render(
    source_path: Path, target: Path, format: str, frames: tuple[int, int] | None = None, **spec: object
) -> tuple[OutputFiles, list[str]]:
    """Runs a clip through: the blob is filled with a colour."""
    with open_source(ClipSpec(source_path, **spec)) as source:
        first, last = frames or (0, source.info.count - 1)
        hole = blob(source.info.height, source.info.width)
        with open_output(OutputSpec(target, format), source, first, last) as output:
            for picture in source.read(first, last):
                filled = picture.rgb.copy()
                filled[hole] = (np.array([0.8, 0.3, 0.5]) * source.info.white).astype(source.info.dtype)
                output.write(picture.composite(filled, hole))
            return output.commit(), output.notes


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def noise(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def picture_folder(
    folder: Path, count: int, dtype: type = np.uint8, suffix: str = ".png", alpha: bool = False, size: tuple[int, int] = (40, 56)
) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(3)
    for i in range(count):
        rgb, cover = generator.random((*size, 3)), generator.random(size) if alpha else None
        if dtype is not np.float32:
            white = np.iinfo(dtype).max
            rgb, cover = (rgb * white).astype(dtype), None if cover is None else (cover * white).astype(dtype)
        else:
            rgb = (rgb * 4 - 1).astype(np.float16).astype(np.float32)
        (folder / f"take_{i + 98:04d}{suffix}").write_bytes(encode_image(suffix, rgb, cover, 16))
    return folder
