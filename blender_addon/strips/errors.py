"""What this room says when a strip cannot be used."""
from __future__ import annotations


class StripError(Exception):
    """One sentence for the person at the screen: it names the strip or channel and says what to do."""
