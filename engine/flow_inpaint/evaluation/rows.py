"""What a table has found out so far, on disk: an interrupted table goes on, and changed settings never find old figures."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadClip, Failed
from ..media.image_codec import read_image
from ..media.output_place import write_whole
from .sheet import save_png

Key = Mapping[str, Any]
Figures = dict[str, float | None]


class Rows:
    """Figures and one picture for each key. A key is everything that a figure depends on, in JSON's types."""

    def __init__(self, folder: Path):
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"{folder} cannot be made ({error.strerror}): choose another --out.") from error

    def find(self, key: Key) -> Figures | None:
        """The figures that were kept under exactly this key; None if there are none, or they cannot be read."""
        try:
            held = json.loads(self._path(key, "json").read_text("utf-8"))
            same = held["key"] == _whole(key)
            return held["figures"] if same and isinstance(held["figures"], dict) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def picture(self, key: Key) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None if there is none, or it cannot be read."""
        try:
            return read_image(self._path(key, "png"))[0]
        except BadClip:
            return None

    def keep(self, key: Key, figures: Figures, picture: np.ndarray) -> None:
        """The figures appear last and in one step, so that what is found is whole. Raises `Failed`."""
        save_png(self._path(key, "png"), picture)
        write_whole(self._path(key, "json"), json.dumps({"key": _whole(key), "figures": figures}, indent=1).encode())

    def _path(self, key: Key, ending: str) -> Path:
        digest = hashlib.sha256(json.dumps(_whole(key), sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest[:24]}.{ending}"


def _whole(key: Key) -> dict[str, Any]:
    return json.loads(json.dumps({**key, "engine": engine()}))


@cache
def engine() -> str:
    """A digest of this engine's source, part of every key: other code may give other figures."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.toml")]):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
