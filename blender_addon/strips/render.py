"""Blender renders one strip alone, in a copy of the scene that lives no longer than that."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import animation, api, files, last_pixel
from .errors import StripError
from .treatment import How

_COPY_NAME = "Flow Inpaint is rendering"
_PNG_END = b"IEND\xaeB`\x82"


@dataclass
class Render:
    """A strip that Blender renders to PNG files before the engine can start.

    `label` is for the user; `frames` pictures go to `folder`, numbered from 0. `deep`: with 16 bits; None: if the strip's files
    have more than 8, which only opening them tells. Nothing in the scene is changed.
    """

    label: str
    frames: int
    scene_name: str
    strip_name: str
    how: How
    start: int
    size: tuple[int, int]
    folder: Path
    alpha: bool = False
    deep: bool | None = False

    def run_steps(self) -> Iterator[tuple[int, int]]:
        """Renders one picture a step and yields (done, total) after it.

        The copy of the scene goes when the generator ends, is closed or fails. Raises `StripError`.
        """
        name, action = self._copy()
        try:
            self._make_folder()
            for number in range(self.frames):
                self._render(name, number)
                yield number + 1, self.frames
        finally:
            copy = bpy.data.scenes.get(name)
            if copy is not None:
                bpy.data.scenes.remove(copy)
            if action is not None and action in bpy.data.actions:
                bpy.data.actions.remove(bpy.data.actions[action])

    def _make_folder(self) -> None:
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise StripError(f"The folder {self.folder} cannot be made ({error.strerror}): choose another output folder.") from error

    def _copy(self) -> tuple[str, str | None]:
        """The names of a copy of the scene in which only the strip is seen, and of an action made for it."""
        scene = bpy.data.scenes.get(self.scene_name)
        if scene is None or api.find(scene, self.strip_name) is None:
            raise StripError(f"Strip '{self.strip_name}' is gone: start again.")
        copy = scene.copy()
        copy.name = _COPY_NAME
        _empty(copy.collection)
        strip = api.find(copy, self.strip_name)
        for other in api.top_strips(copy):
            other.mute = other != strip
        for channel in copy.sequence_editor.channels:
            channel.mute = False
        action = animation.still(copy, strip)
        strip.blend_type, strip.blend_alpha = "REPLACE", 1.0
        deep = _deep(strip) if self.deep is None else self.deep
        if self.how is How.PIXELS:
            _untransform(strip)
        _settings(copy, self.size, self.alpha, deep)
        copy.view_layers[0].update()  # else the first picture shows animated values as they last were
        return copy.name, action.name if action else None

    def _render(self, name: str, number: int) -> None:
        copy = bpy.data.scenes.get(name)
        if copy is None:
            raise StripError(f"Rendering strip '{self.strip_name}' was interrupted: start again.")
        path = self.folder / f"{number:06d}.png"
        copy.render.filepath = str(path)
        copy.frame_set(self.start + number)
        try:
            with bpy.context.temp_override(scene=copy):
                bpy.ops.render.render("EXEC_DEFAULT", write_still=True)
        except RuntimeError as error:
            raise StripError(f"Blender could not render strip '{self.strip_name}' at frame {self.start + number}: {error}") from error
        if not _whole(path) or not self._mended(copy, path):
            raise StripError(f"Blender could not write {path}: see that the disk has room and the folder can be written to.")

    def _mended(self, copy: bpy.types.Scene, path: Path) -> bool:
        """Whether a picture in which a Mask strip has a part could be put right, where it is not."""
        if not any(part.type == "MASK" for part in api.family(api.find(copy, self.strip_name))):
            return True
        try:
            last_pixel.mend(path)
        except OSError:
            return False
        return True


@contextmanager
def light_copy(scene: bpy.types.Scene) -> Iterator[bpy.types.Scene]:
    """The scene with its strips and without its objects, which may be large. It goes at the end."""
    copy = scene.copy()
    try:
        copy.name = _COPY_NAME
        _empty(copy.collection)
        copy.camera = copy.world = None
        yield copy
    finally:
        bpy.data.scenes.remove(copy)


def _whole(path: Path) -> bool:
    """Whether the PNG file is there to its end. On a full disk Blender writes what has room and does not complain."""
    try:
        with open(path, "rb") as file:
            file.seek(-min(len(_PNG_END), os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read() == _PNG_END
    except FileNotFoundError:
        return False


def _empty(collection: bpy.types.Collection) -> None:
    """Takes the scene's objects out, so that its animation system has nothing to compute for them."""
    for child in list(collection.children):
        collection.children.unlink(child)
    for thing in list(collection.objects):
        collection.objects.unlink(thing)


def _deep(strip: api.Strip) -> bool:
    """Whether what the strip is made of has more than 8 bits."""
    return strip.use_float or any(files.deep(part) for part in api.family(strip) if part.type in ("MOVIE", "IMAGE"))


def _untransform(strip: api.Strip) -> None:
    transform, crop = strip.transform, strip.crop
    transform.offset_x = transform.offset_y = transform.rotation = 0
    transform.scale_x = transform.scale_y = 1
    crop.min_x = crop.max_x = crop.min_y = crop.max_y = 0
    strip.use_flip_x = strip.use_flip_y = False


def _settings(scene: bpy.types.Scene, size: tuple[int, int], alpha: bool, deep: bool) -> None:
    """Pixels as they are, in the Standard view, into PNG files."""
    render, image, view = scene.render, scene.render.image_settings, scene.view_settings
    render.resolution_x, render.resolution_y = size
    _set(render, resolution_percentage=100, use_sequencer=True, use_compositing=False, use_border=False, use_multiview=False)
    _set(render, use_stamp=False, use_overwrite=True, use_placeholder=False, use_file_extension=True, dither_intensity=0.0)
    _set(image, media_type="IMAGE")
    _set(image, file_format="PNG", color_mode="RGBA" if alpha else "RGB", color_depth="16" if deep else "8", compression=15)
    _set(image, color_management="FOLLOW_SCENE")
    _set(scene.display_settings, display_device="sRGB")
    _set(view, view_transform="Standard")
    _set(view, look="None", exposure=0.0, gamma=1.0, use_curve_mapping=False, use_white_balance=False)


def _set(owner: Any, **values: Any) -> None:
    """Sets what this version of Blender has of these."""
    for name, value in values.items():
        if hasattr(owner, name):
            setattr(owner, name, value)
