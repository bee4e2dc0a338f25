"""How good a result is: in numbers, and to the eye; and the paper's tables on any footage.

    scores.py, sheet.py    one result against the truth, and pictures side by side
    tables.py, runner.py   which methods each table compares, and working through it; bench.py has their words
    footage.py, holes.py   the clips, and what is hidden of them
    inpainting.py, completing.py, estimating.py   measuring pictures, flow in holes, and estimated flow
    flow_errors.py         the arithmetic of flow errors
    weight_choice.py, runs.py   which weights are compared
    rows.py, report.py, flow_pictures.py   what is kept and what is written
"""

from .scores import Scores, evaluate
from .sheet import before_after, contact_sheet, overlay, save_png

__all__ = ["Scores", "before_after", "contact_sheet", "evaluate", "overlay", "save_png"]
