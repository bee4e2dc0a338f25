"""Data sets as they lie on disk: which files make a clip, what is annotated, and reading both."""
from .annotations import read_annotation
from .layouts import Clip, find_clips
from .reading import ClipReader, open_clip

__all__ = ["Clip", "ClipReader", "find_clips", "open_clip", "read_annotation"]
