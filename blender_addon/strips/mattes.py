"""Mattes made and looked at: a Mask strip over a strip, and the overlay that shows what will be removed.

A matte's blend mode, opacity and place in the stack do not matter to a removal, so they are used to look at it: added at
half strength, or hidden by full transparency. A muted matte would not count.
"""
from __future__ import annotations

import bpy

from . import api
from .errors import StripError
from .place import free_channel

_SHOWN = ("ADD", 0.5)
_HIDDEN = ("ALPHA_OVER", 0.0)


def make(scene: bpy.types.Scene, source: api.Strip) -> api.Strip:
    """A new Mask strip as long as the source, with an empty mask, on the lowest free channel above it. Raises `StripError`."""
    start, length = api.left(source), api.length(source)
    channel = free_channel(scene, source.channel, start, length)
    mask = bpy.data.masks.new(f"Matte of {source.name}")
    mask.frame_start, mask.frame_end = start, start + length
    mask.layers.new(name="Remove")
    strip = api.collection(api.editor(scene)).new_mask(mask.name, mask, channel, start)
    api.set_right(strip, start + length)
    show([strip], True)
    return strip


def empty(strip: api.Strip) -> bool:
    """Whether it is a Mask strip in which nothing is drawn yet, so that it covers nothing."""
    if strip.type != "MASK":
        return False
    layers = strip.mask.layers if strip.mask else ()
    return not any(len(layer.splines) or layer.invert for layer in layers)


def shown(masks: list[api.Strip]) -> bool:
    """Whether the overlay is on."""
    return bool(masks) and all((mask.blend_type, round(mask.blend_alpha, 3)) == _SHOWN for mask in masks)


def show(masks: list[api.Strip], on: bool) -> None:
    """The overlay on or off. Off, the mattes are not seen at all and go on working."""
    for mask in masks:
        mask.blend_type, mask.blend_alpha = _SHOWN if on else _HIDDEN


def muted(scene: bpy.types.Scene, source: api.Strip, channel: int) -> bool:
    """Whether there are mattes over the source and none counts."""
    found = over(scene, source, channel)
    return bool(found) and (api.channel_muted(scene, channel) or all(strip.mute for strip in found))


def over(scene: bpy.types.Scene, source: api.Strip, channel: int) -> list[api.Strip]:
    """The channel's strips over the source, muted or not."""
    return [strip for strip in api.pictures(scene, channel) if strip != source and api.overlap(strip, source)]


def unmute(scene: bpy.types.Scene, source: api.Strip, channel: int) -> None:
    """Makes the mattes over the source count again. Raises `StripError` when there are none."""
    found = over(scene, source, channel)
    if not found:
        raise StripError(f"There is no mask strip over '{source.name}' in channel {channel}: make one.")
    scene.sequence_editor.channels[channel].mute = False
    for strip in found:
        strip.mute = False
