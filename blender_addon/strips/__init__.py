"""How the VSE's data becomes a job for the engine, and the engine's result a strip.

The only room that knows how sequencer data differs between Blender versions.
"""
from .errors import StripError
from .place import free_channel, place
from .references import check_free, export_frame, place_reference, references
from .render import Render
from .resolve import Resolved, find_source, resolve
from .treatment import How

__all__ = [
    "How",
    "Render",
    "Resolved",
    "StripError",
    "check_free",
    "export_frame",
    "find_source",
    "free_channel",
    "place",
    "place_reference",
    "references",
    "resolve",
]
