"""What the panel and the preferences show of the engine: what is wrong with it, and the button that helps."""
from __future__ import annotations

import time

import bpy

from . import engine_choice, engine_client, engine_operators, sentence
from .engine_setup.installation import Removal

_BUTTONS = {"missing": "Install Engine", "broken": "Repair Engine", "outdated": "Upgrade Engine", "whole": "Reinstall Engine"}


_FRAME = 12  # pixels that a box takes from a sentence
_GOOD_NEWS_S = 60.0


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, width: int) -> bool:
    """Nothing when the engine is as it should be. Whether it can do jobs."""
    width -= _FRAME
    if engine_operators.running is not None:
        _draw_running(layout)
        return False
    choice = engine_choice.current(context)
    if choice.named:
        try:
            engine_client.find_python(choice.named)
        except engine_client.EngineError as error:
            sentence.draw(layout.box(), str(error), width)
            return False
        return True
    told = _outcome(choice.state)
    if choice.state == "whole" and not told:
        return True
    box = layout.box()
    last = engine_operators.last
    failed = bool(last and last.error and not last.cancelled)
    if told:
        sentence.draw(box, told, width, icon="ERROR" if failed else "INFO")
    elif choice.advice:
        sentence.draw(box, choice.advice, width, icon="INFO" if choice.usable or choice.state == "missing" else "ERROR")
    if choice.state != "whole":
        engine_operators.machine.look()
        row = box.row()
        row.scale_y = 1.3
        row.operator("flow_inpaint.install_engine", text=_BUTTONS[choice.state], icon="IMPORT")
    if failed:
        box.operator("flow_inpaint.engine_log", icon="TEXT")
    return choice.usable


def draw_preferences(layout: bpy.types.UILayout, context: bpy.types.Context, width: int) -> None:
    """Everything about the add-on's own engine."""
    draw(layout, context, width)
    choice = engine_choice.current(context)
    stamp = choice.place.stamp()
    if stamp is not None:
        networks = f"PyTorch {stamp.torch_version}" if stamp.torch_version else "without PyTorch"
        unused = ", not used: another is named above" if choice.named else ""
        layout.label(text=f"Engine {stamp.version}, {networks}, Python {stamp.python_version}{unused}", icon="CHECKMARK")
    layout.label(text=str(choice.place.root), icon="FILE_FOLDER")
    if engine_operators.running is None:
        row = layout.row()
        if choice.state == "whole" or choice.named:
            row.operator("flow_inpaint.install_engine", text=_BUTTONS[choice.state], icon="IMPORT")
        if choice.place.anything():
            row.operator("flow_inpaint.remove_engine", icon="TRASH")
        if choice.place.log.is_file():
            row.operator("flow_inpaint.engine_log", icon="TEXT")


def _draw_running(layout: bpy.types.UILayout) -> None:
    change = engine_operators.running
    box = layout.box()
    box.label(text=change.title, icon="IMPORT")
    box.progress(factor=change.fraction, text=change.status())
    row = box.row()
    row.enabled = change.can_be_cancelled and not change.cancelled
    row.operator("flow_inpaint.cancel_engine", icon="X")


def _outcome(state: str) -> str:
    """What the last change of the engine has left to say; that all is well, for a while only, and while it is."""
    last = engine_operators.last
    if last is None:
        return ""
    fresh = time.monotonic() - engine_operators.last_ended < _GOOD_NEWS_S
    well = state == ("missing" if isinstance(last, Removal) else "whole")
    return last.error or " ".join(last.notes) or (last.success if fresh and well else "")
