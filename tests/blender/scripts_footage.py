"""Footage and mattes as they should not be, and odd ones, through the installed add-on and the real engine.

ENGINES is the engine's interpreter; the sixth argument the folder of test_operator_footage.py.
"""
from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import bpy
from scripts_addon import ARGUMENTS, ENGINES, MASK_CHANNEL, SOURCE, answer, edit, install, listing, room, seen, strips

FOOTAGE = ARGUMENTS[5]


def outcome(folder: Path) -> dict[str, Any]:
    """The command on the open file, and what it left."""
    printed = {"out": io.StringIO(), "errors": io.StringIO()}
    with redirect_stdout(printed["out"]), redirect_stderr(printed["errors"]):
        code = room("command_line").main(["--strip", SOURCE, "--mask-channel", str(MASK_CHANNEL), "--preset", "draft", "--save"])
    said = {name: text.getvalue() for name, text in printed.items()}
    return {"code": code, **said, "strips": seen(), "files": listing(folder), "scenes": len(bpy.data.scenes)}


def plain(case: str, movie: str | None = None, matte: str | None = None, **more: Any) -> dict[str, Any]:
    return outcome(edit(case, movie=FOOTAGE / movie if movie else None, mattes=[FOOTAGE / matte] if matte else None, **more))


def masked_by_movie(case: str, file: str) -> dict[str, Any]:
    """The matte is a movie file instead."""
    folder = edit(case)
    strips().remove(next(s for s in strips() if s.name == "matte"))
    strips().new_movie("matte", str(FOOTAGE / file), MASK_CHANNEL, 11)
    return outcome(folder)


def one_frame() -> dict[str, Any]:
    folder = edit("one frame")
    source = next(s for s in strips() if s.name == SOURCE)
    source.frame_offset_start, source.frame_offset_end = 4, 7
    return outcome(folder)


def another_size() -> dict[str, Any]:
    """A matte of twice the source's size, shown at half of it."""
    folder = edit("another size", mattes=sorted((FOOTAGE / "large").iterdir()))
    matte = next(s for s in strips() if s.name == "matte")
    matte.transform.scale_x = matte.transform.scale_y = 0.5
    return outcome(folder)


def odd_size() -> dict[str, Any]:
    return outcome(edit("odd size", movie=FOOTAGE / "odd.mkv", mattes=sorted((FOOTAGE / "odd").iterdir()), size=(853, 479)))


def colour(case: str, value: float) -> dict[str, Any]:
    """The matte is a colour strip."""
    folder = edit(case)
    strips().remove(next(s for s in strips() if s.name == "matte"))
    known = strips().bl_rna.functions["new_effect"].parameters.keys()
    span = {"length": 12} if "length" in known else {"frame_end": 23}
    strips().new_effect("matte", "COLOR", MASK_CHANNEL, 11, **span).color = (value, value, value)
    return outcome(folder)


if __name__ == "__main__":
    os.environ["FLOW_INPAINT_PYTHON"] = str(ENGINES)
    install()
    answer(
        {
            "source is text": lambda: plain("source is text", "text.mp4"),
            "source is empty": lambda: plain("source is empty", "empty.mp4"),
            "matte is text": lambda: masked_by_movie("matte is text", "text.mp4"),
            "mp4 without its end": lambda: plain("mp4 without its end", "cut.mp4", "half.png"),
            "fast start mp4 without its end": lambda: plain("fast start mp4", "cut_fast.mp4", "half.png"),
            "mkv without its end": lambda: plain("mkv without its end", "cut.mkv", "half.png"),
            "empty matte": lambda: plain("empty matte", matte="black.png"),
            "black colour strip": lambda: colour("black colour strip", 0.0),
            "matte over everything": lambda: plain("matte over everything", matte="white.png"),
            "white colour strip": lambda: colour("white colour strip", 1.0),
            "one frame": one_frame,
            "another size": another_size,
            "odd size": odd_size,
        }
    )
