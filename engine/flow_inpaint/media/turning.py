"""Footage that is stored lying on its side or upside down: which way up it is shown, and its frames turned that way.

Turning moves samples and changes none, so what a lossless result holds of them is still exact.
"""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type

from ..errors import BadClip
from . import colour
from .info import ColourTags
from .samples import empty_like, layout, planes

_ONE = 1 << 16
# The first two columns of the display matrix's first two rows (ISO 14496-12, 6.2.2): quarter turns to the left.
_TURNS = {(_ONE, 0, 0, _ONE): 0, (0, -_ONE, _ONE, 0): 1, (-_ONE, 0, 0, -_ONE): 2, (0, _ONE, -_ONE, 0): 3}
# Chroma locations that still have a name after quarter turns.
_SITES = {("left", 3): "top", ("top", 1): "left"}


def turns_of(path: Path, frame: av.VideoFrame) -> int:
    """By how many quarter turns to the left the stored frame becomes upright: 0 to 3. Raises `BadClip` for what no turning does."""
    # A frame's own `side_data` and the frame hold each other: every picture would stay until the garbage collector comes by.
    data = SideDataContainer(frame).get(Type.DISPLAYMATRIX)
    if data is None:
        return 0
    matrix = np.frombuffer(bytes(data), np.int32)
    turns = _TURNS.get(tuple(int(matrix[k]) for k in (0, 1, 3, 4)))
    if turns is None:
        raise BadClip(f"{path} is to be shown mirrored or at a slant (its display matrix says so): export it upright first.")
    if turns:
        _check_samples(path, frame, turns)
    return turns


def _check_samples(path: Path, frame: av.VideoFrame, turns: int) -> None:
    shape = layout(frame.format.name)
    if (shape.shift_x and frame.width % 2) or (shape.shift_y and frame.height % 2):
        size = f"the odd size {frame.width}x{frame.height}"
        raise BadClip(f"{path} is stored lying on its side in {size}, which cannot be turned exactly: export it upright first.")
    if turns % 2 and _turned_name(shape.name) is None:
        raise BadClip(f"{path} is stored lying on its side as {shape.name}, which cannot be turned exactly: export it upright first.")


def _turned_name(name: str) -> str | None:
    """The format of a frame of planar format `name` after a quarter turn, or None: there is none."""
    shape = layout(name)
    if shape.shift_x == shape.shift_y:
        return name
    found = name.replace("422", "440") if "422" in name else name.replace("440", "422")
    try:
        other = layout(found)
    except ValueError:
        return None
    return found if (other.shift_x, other.shift_y) == (shape.shift_y, shape.shift_x) else None


def turned(frame: av.VideoFrame, turns: int) -> av.VideoFrame:
    """The frame after `turns` quarter turns to the left, in the planar layout of its format; itself for none."""
    if not turns:
        return frame
    planar = colour.planar(frame)
    name = _turned_name(planar.format.name) if turns % 2 else planar.format.name
    width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    new = empty_like(planar, name, (width, height))
    for target, plane in zip(planes(new), planes(planar)):
        target[...] = np.rot90(plane, turns)
    return new


def turned_aspect(aspect: Fraction, turns: int) -> Fraction:
    return 1 / aspect if turns % 2 else aspect


def turned_tags(tags: ColourTags, turns: int) -> ColourTags:
    """Where chroma samples lie is left out where it has no name any more."""
    return replace(tags, site=_SITES.get((tags.site, turns))) if turns else tags
