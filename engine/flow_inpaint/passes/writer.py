"""The passes of a job on disk: a folder each, an image a frame, moved to their place when all of them are complete."""
from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from ..errors import BadClip
from ..job import OutputSpec, PassesSpec
from ..media import Picture, Source
from ..media.image_codec import encode_image
from ..media.output_place import OutputFiles, SequencePlace, refuse_sources, writing
from ..sources import Kind
from .pictures import KIND_CODES, Origins, patch

#: In a 16-bit provenance picture positions count in this part of a pixel.
PNG_STEPS = 8
#: A frame's encoded pictures, by pass.
Encoded = dict[str, bytes]


class Passes:
    """See `open_passes`. Leaving the context without `commit` deletes everything that was written."""

    def __init__(self, spec: PassesSpec, source: Source, first: int, last: int, keep: Iterable[Path]):
        self._spec, self._info, self._first = spec, source.info, first
        self._places: dict[str, SequencePlace] = {}
        self._parts: dict[str, Path] = {}
        self._made: list[Path] = []
        self._committed = False
        with ExitStack() as undo:
            for name in spec.names:
                ending = self._ending(name)
                format = ending.removeprefix(".")
                place = SequencePlace(OutputSpec(spec.path / name / f"%05d{ending}", format), ending, source.info, first, last)
                refuse_sources(place, source.info, keep)
                self._parts[name] = place.prepare()
                undo.callback(place.discard)
                self._places[name] = place
            undo.pop_all()

    def _ending(self, name: str) -> str:
        if name == "provenance":
            return f".{self._spec.provenance}"
        return ".exr" if name == "patch" and self._info.white == 1.0 else ".png"

    def encoded(self, source: Picture, result: Picture, hole: np.ndarray, region: tuple[slice, slice], origins: Origins | None) -> Encoded:
        """The files of a frame. May be called by several threads. `hole` covers the region; `origins` None: nothing is replaced."""
        size = source.rgb.shape[:2]
        out: Encoded = {}
        for name in self._spec.names:
            if name == "patch":
                out[name] = encode_image(self._ending(name), *patch(result, source, hole, region), self._info.depth)
            elif name == "provenance":
                out[name] = self._provenance(size, region, origins)
            else:
                out[name] = encode_image(".png", _grey(name, size, region, origins), None, 8)
        return out

    def _provenance(self, size: tuple[int, int], region: tuple[slice, slice], origins: Origins | None) -> bytes:
        parts = np.zeros((4, *size), np.float32)
        if origins is not None:
            for part, values in zip(parts, (origins.x, origins.y, origins.frame, origins.code)):
                part[region] = values
        x, y, frame, code = parts
        if self._spec.provenance == "exr":
            return encode_image(".exr", np.stack([x, y, frame], -1), code, 32)
        rgb = np.rint(np.stack([x * PNG_STEPS, y * PNG_STEPS, frame], -1)).clip(0, 65535).astype(np.uint16)
        return encode_image(".png", rgb, np.rint(code * 65535).astype(np.uint16), 16)

    def write(self, frame: int, encoded: Encoded) -> None:
        for name, data in encoded.items():
            target = self._places[name].targets[frame - self._first]
            with writing(target):
                (self._parts[name] / target.name).write_bytes(data)

    def commit(self) -> dict[str, OutputFiles]:
        """Moves everything to its place; `revoke` takes back what had no older picture in its place."""
        out = {}
        try:
            for name, place in self._places.items():
                new = [target for target in place.targets if not target.exists()]
                out[name] = place.commit()
                self._made += new
        except BaseException:
            self.revoke()
            raise
        self._committed = True
        return out

    def revoke(self) -> None:
        for target in self._made:
            target.unlink(missing_ok=True)
        self._made, self._committed = [], False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._committed:
            for place in reversed(self._places.values()):
                place.discard()


def _grey(name: str, size: tuple[int, int], region: tuple[slice, slice], origins: Origins | None) -> np.ndarray:
    """(H, W, 3) uint8 with three equal channels."""
    shown = np.full(size, 255 if name == "confidence" else 0, np.uint8)
    if origins is not None:
        values = origins.confidence if name == "confidence" else origins.code == KIND_CODES[Kind.INVENTED]
        shown[region] = np.rint(values * 255.0)
    return np.repeat(shown[..., None], 3, 2)


def open_passes(spec: PassesSpec, source: Source, first: int, last: int, keep: Iterable[Path], output: Path) -> Passes:
    """Opens the passes of a job for the job frames first..last of `source`: `write` each frame, then `commit`.

    `keep` are files that must not be written over, `output` is where the result goes. An existing pass is replaced by
    `commit`, not before; other frames in its folder stay. Raises `BadClip` before anything is written when the place does
    not suit, `Failed` when writing fails; in both cases nothing of the new passes is left.
    """
    info = source.info
    if spec.provenance == "png" and "provenance" in spec.names and max(info.width, info.height) * PNG_STEPS > 65535:
        raise BadClip(f"{info.path.name} is {info.width}x{info.height}, too large for provenance in 16 bits: write it as exr.")
    if spec.path.is_file():
        raise BadClip(f"The passes' folder {spec.path} is a file: choose another.")
    for name in spec.names:
        folders = {output.resolve(), output.parent.resolve()}
        if (spec.path / name).resolve() in folders:
            raise BadClip(f"The passes' folder {spec.path / name} is where the result goes: choose another.")
    return Passes(spec, source, first, last, keep)
