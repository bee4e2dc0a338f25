"""Pictures to look at: footage, matte and result side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from ..errors import BadClip
from ..job import ClipSpec, MaskPart
from ..media import Source, open_matte, open_source
from ..media.output_place import write_whole

_CELL_WIDTH = 480
_GAP = 6
_TITLE_HEIGHT = 34
_PAPER, _INK = 24, (235, 235, 235)
_TINT = np.array((255, 40, 40), np.float32)
_LETTERS = cv2.FONT_HERSHEY_SIMPLEX


def before_after(
    source: ClipSpec, masks: tuple[MaskPart, ...], result: ClipSpec, rows: int = 4, *, grow: int = 0, threshold: float = 0.5
) -> np.ndarray:
    """Source, matte and result of a few masked frames, as one (h, w, 3) uint8 RGB picture.

    The frames are spread evenly over those that the matte covers somewhere (over all where it covers nothing).
    Raises `BadClip` where the result does not belong to the source, and whatever `media` refuses.
    """
    with ExitStack() as opened:
        shot, made = (opened.enter_context(open_source(spec)) for spec in (source, result))
        a, b = shot.info, made.info
        if (a.width, a.height, a.count) != (b.width, b.height, b.count):
            raise BadClip(f"{b.path} is not a result of {a.path}: they differ in size or length.")
        matte = opened.enter_context(open_matte(masks, a, grow, threshold))
        masked = [k for k, hole in enumerate(matte.read(0, a.count - 1)) if hole.any()] or list(range(a.count))
        chosen = [masked[i] for i in np.unique(np.linspace(0, len(masked) - 1, min(rows, len(masked))).round().astype(int))]
        cells = []
        for k in chosen:
            before, after, hole = _picture(shot, k), _picture(made, k), next(matte.read(k, k))
            cells.append((before, overlay(before, hole), after))
    return contact_sheet(cells, ("Input", "Matte", "Result"), [f"frame {k}" for k in chosen])


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], names: Sequence[str] = ()) -> np.ndarray:
    """Rows of (H, W, 3) uint8 RGB pictures under column titles, all at one width; `names` label the rows.

    Returns (h, w, 3) uint8 RGB. Raises ValueError where a row has not one picture for each title.
    """
    if not rows or any(len(row) != len(titles) for row in rows):
        raise ValueError(f"every row needs {len(titles)} pictures")
    bands = [_titles(titles)]
    for number, row in enumerate(rows):
        cells = [_fitted(picture) for picture in row]
        if number < len(names):
            _write(cells[0], names[number], (8, cells[0].shape[0] - 10), 0.5)
        bands.append(_beside(cells))
        bands.append(np.full((_GAP, bands[0].shape[1], 3), _PAPER, np.uint8))
    return np.concatenate(bands)


def overlay(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 picture with `hole` (H, W) bool tinted red and outlined."""
    shown = rgb.copy()
    shown[hole] = (shown[hole] * 0.45 + _TINT * 0.55).astype(np.uint8)
    outlines, _ = cv2.findContours(hole.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(shown, outlines, -1, (255, 255, 255), max(1, rgb.shape[1] // 500))


def save_png(path: Path, rgb: np.ndarray) -> None:
    """Writes an (H, W, 3) uint8 RGB picture; `path` is replaced when the picture is complete. Raises `Failed`."""
    write_whole(path, cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())


def _picture(source: Source, frame: int) -> np.ndarray:
    rgb = next(iter(source.read(frame, frame))).rgb
    if rgb.dtype == np.uint8:
        return rgb
    return np.clip(rgb.astype(np.float32) * (255 / source.info.white), 0, 255).astype(np.uint8)


def _fitted(picture: np.ndarray) -> np.ndarray:
    height = max(1, round(picture.shape[0] * _CELL_WIDTH / picture.shape[1]))
    shrinks = picture.shape[1] > _CELL_WIDTH
    return cv2.resize(picture, (_CELL_WIDTH, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _titles(titles: Sequence[str]) -> np.ndarray:
    cells = [np.full((_TITLE_HEIGHT, _CELL_WIDTH, 3), _PAPER, np.uint8) for _ in titles]
    for cell, title in zip(cells, titles):
        (width, _), _ = cv2.getTextSize(title, _LETTERS, 0.7, 1)
        _write(cell, title, (8, _TITLE_HEIGHT - 10), 0.7 * min(1, (_CELL_WIDTH - 16) / max(width, 1)))
    return _beside(cells)


def _beside(cells: Sequence[np.ndarray]) -> np.ndarray:
    height = max(cell.shape[0] for cell in cells)
    gap = np.full((height, _GAP, 3), _PAPER, np.uint8)
    parts = [gap]
    for cell in cells:
        parts += [np.pad(cell, ((0, height - cell.shape[0]), (0, 0), (0, 0)), constant_values=_PAPER), gap]
    return np.concatenate(parts, axis=1)


def _write(picture: np.ndarray, text: str, at: tuple[int, int], size: float) -> None:
    (width, height), _ = cv2.getTextSize(text, _LETTERS, size, 1)
    x, y = at
    cv2.rectangle(picture, (x - 4, y - height - 4), (x + width + 4, y + 5), (_PAPER, _PAPER, _PAPER), cv2.FILLED)
    cv2.putText(picture, text, at, _LETTERS, size, _INK, 1, cv2.LINE_AA)
