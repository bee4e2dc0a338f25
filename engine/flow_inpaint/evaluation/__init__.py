"""How good a result is: in numbers, and to the eye."""

from .scores import Scores, evaluate
from .sheet import before_after, contact_sheet, overlay, save_png

__all__ = ["Scores", "before_after", "contact_sheet", "evaluate", "overlay", "save_png"]
