"""Pictures about a result: where each pixel comes from, what was invented, how sure it is, and the replaced part alone."""
from .writer import Passes, open_passes

__all__ = ["Passes", "open_passes"]
