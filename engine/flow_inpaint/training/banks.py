"""Mattes of objects and textures of photographs, from folders that the configuration names."""
from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from ..datasets import Clip, find_clips, open_clip, read_annotation
from ..errors import BadClip, BadParameter
from .mattes import LEAST_SHARE, MatteBank
from .scene_textures import TextureBank

_SIZE = (120, 214)
_MOST = 4000
_PARTS = (0.5, 0.25, 0.75, 0.0, 1.0)


@lru_cache(4)
def object_mattes(folder: str, device: str = "cpu") -> MatteBank:
    """The objects of a data set's annotations, or of any folder whose folders hold mattes. Raises `BadParameter`."""
    _is_there("data.objects", folder)
    try:
        annotated = [clip for clip in find_clips(folder) if clip.annotations]
    except BadClip:
        # A folder of mattes need not be one of clips.
        annotated = []
    try:
        bank = _annotated(annotated) if annotated else MatteBank.from_folder(folder, size=_SIZE, limit=_MOST)
    except (ValueError, BadClip) as error:
        raise BadParameter(f"data.objects cannot be '{folder}': {str(error).rstrip('.')}.") from error
    return bank.to(device)


@lru_cache(4)
def textures(folder: str, device: str = "cpu") -> TextureBank:
    """The photographs of a folder, or frames of its video files if there are any. Raises `BadParameter`."""
    _is_there("data.textures", folder)
    try:
        videos = [clip for clip in find_clips(folder) if clip.video]
    except BadClip:
        # Single pictures are no clips.
        videos = []
    try:
        return (TextureBank.of(_frames(videos)) if videos else TextureBank.from_folder(folder)).to(device)
    except (ValueError, BadClip) as error:
        raise BadParameter(f"data.textures cannot be '{folder}': {str(error).rstrip('.')}.") from error


def _frames(videos: list[Clip]) -> Iterator[np.ndarray]:
    """The middle frame of every video file, then a quarter through each, and so on."""
    for part in _PARTS:
        for clip in videos:
            with open_clip(clip) as reader:
                number = int((reader.count - 1) * part)
                yield from reader.read(number, number)


def _is_there(where: str, folder: str) -> None:
    if not Path(folder).is_dir():
        raise BadParameter(f"{where} cannot be '{folder}': there is no such folder.")


def _annotated(clips: list[Clip]) -> MatteBank:
    """Every object of every clip is a sequence of its own, over the frames that are annotated one after another."""
    parts: list[np.ndarray] = []
    for clip in clips:
        numbers: list[np.ndarray] = []
        for path in clip.annotations or ():
            if path is None or len(numbers) + sum(map(len, parts)) >= _MOST:
                break
            numbers.append(read_annotation(path))
        shapes = {number.shape for number in numbers}
        if len(shapes) > 1:
            raise ValueError(f"the annotations of {clip.path} have more than one size")
        for which in sorted({int(number) for picture in numbers for number in np.unique(picture)} - {0, 255}):
            mattes = np.array([_small(picture == which) for picture in numbers])
            if len(mattes) and mattes.mean() > LEAST_SHARE:
                parts.append(mattes)
    if not parts:
        raise ValueError("no object in it is large enough")
    ends = np.cumsum([len(part) for part in parts])
    return MatteBank(torch.from_numpy(np.concatenate(parts)), (0, *map(int, ends)))


def _small(matte: np.ndarray) -> np.ndarray:
    return cv2.resize(matte.astype(np.float32), _SIZE[::-1], interpolation=cv2.INTER_AREA) > 0.5
