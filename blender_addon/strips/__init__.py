"""How the VSE's data becomes a job for the engine, and the engine's result a strip.

The only room that knows how sequencer data differs between Blender versions.
"""
from . import files, matte_frame, mattes
from .api import active, channel_muted, find, first_content, left, length, remove, right, top_strips
from .errors import StripError
from .place import free_channel, place, place_pass, repoint
from .references import check_channel, check_free, export_frame, place_reference, references
from .render import Render, light_copy
from .resolve import Resolved, blended, find_source, mask_strips, resolve, within
from .timing import first_shown
from .treatment import How, refuse_kinds

__all__ = [
    "How",
    "Render",
    "Resolved",
    "StripError",
    "active",
    "blended",
    "channel_muted",
    "check_channel",
    "check_free",
    "export_frame",
    "files",
    "find",
    "find_source",
    "first_content",
    "first_shown",
    "free_channel",
    "left",
    "length",
    "light_copy",
    "mask_strips",
    "matte_frame",
    "mattes",
    "place",
    "place_pass",
    "place_reference",
    "references",
    "refuse_kinds",
    "remove",
    "repoint",
    "resolve",
    "right",
    "top_strips",
    "within",
]
