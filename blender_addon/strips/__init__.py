"""How the VSE's data becomes a job for the engine, and the engine's result a strip.

The only room that knows how sequencer data differs between Blender versions.
"""
from . import files, mattes
from .api import active, channel_muted, find, left, length, right, top_strips
from .errors import StripError
from .place import free_channel, place, repoint
from .references import check_free, export_frame, place_reference, references
from .render import Render, light_copy
from .resolve import Resolved, find_source, mask_strips, resolve, within
from .timing import first_shown
from .treatment import How, refuse_kinds

__all__ = [
    "How",
    "Render",
    "Resolved",
    "StripError",
    "active",
    "channel_muted",
    "check_free",
    "export_frame",
    "files",
    "find",
    "find_source",
    "first_shown",
    "free_channel",
    "left",
    "length",
    "light_copy",
    "mask_strips",
    "mattes",
    "place",
    "place_reference",
    "references",
    "refuse_kinds",
    "repoint",
    "resolve",
    "right",
    "top_strips",
    "within",
]
