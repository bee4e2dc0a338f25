"""How the VSE's data becomes a job for the engine, and the engine's result a strip.

The only room that knows how sequencer data differs between Blender versions.
"""
from .errors import StripError
from .place import free_channel, place
from .render import Render
from .resolve import Resolved, resolve
from .treatment import How

__all__ = ["How", "Render", "Resolved", "StripError", "free_channel", "place", "resolve"]
