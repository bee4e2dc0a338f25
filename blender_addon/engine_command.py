"""`blender -b --command flow_inpaint --install-engine`: the engine for studios, without a window.

Progress goes to standard error; standard output gets one line of JSON that says what was done.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import bpy

from . import engine_choice, engine_operators, warm_engine
from .engine_setup import torch_builds
from .engine_setup.errors import SetupError

WORDS = ("--install-engine", "--remove-engine")
DONE, FAILED, ABORTED = 0, 1, 130


def wanted(arguments: Sequence[str]) -> bool:
    """Whether the command is about the engine itself."""
    return any(word in arguments for word in WORDS)


def main(arguments: Sequence[str], parser_class: type[argparse.ArgumentParser]) -> int:
    """Runs it; an error is the last line on standard error. Returns the exit code. `parser_class` raises what its caller catches."""
    options = _parsed(arguments, parser_class)
    try:
        if options.remove_engine:
            own = engine_choice.current(bpy.context).place
            warm_engine.end(wait=1.0)
            own.remove()
            engine_choice.forget()
            print(json.dumps({"engine": "removed", "folder": str(own.root)}), flush=True)
            return DONE
        return _install(options)
    except SetupError as error:
        _say(f"flow_inpaint: {error}")
        return FAILED


def _install(options: argparse.Namespace) -> int:
    installation = engine_operators.begin(bpy.context, options.python, options.torch, options.wheels, options.torch_index)
    said = ""
    try:
        while not installation.join(0.25):
            if installation.stage != said:
                said = installation.stage
                _say(f"Flow Inpaint: {installation.status()}")
    except KeyboardInterrupt:
        installation.cancel()
        installation.join(6.0)
        _say("flow_inpaint: stopped")
        return ABORTED
    finally:
        engine_operators.end()
    for note in installation.notes:
        _say(f"Flow Inpaint: note: {note}")
    if installation.error:
        raise SetupError(installation.error)
    own = engine_choice.current(bpy.context).place
    stamp = own.stamp()
    about = {"version": stamp.version, "torch": stamp.torch_version or None, "python": str(own.python())}
    print(json.dumps({"engine": "installed", "folder": str(own.root), **about, "notes": installation.notes}), flush=True)
    return DONE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parsed(arguments: Sequence[str], parser_class: type[argparse.ArgumentParser]) -> argparse.Namespace:
    parser = parser_class(
        prog="blender -b --command flow_inpaint", description="Installs or removes the engine of Flow Inpaint.", allow_abbrev=False
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--install-engine", action="store_true", help="make the engine's Python environment, or make it anew")
    what.add_argument("--remove-engine", action="store_true", help="delete it and everything that was downloaded for it")
    parser.add_argument("--python", default="", metavar="P", help="the Python 3.11 or later to make it with; otherwise one is looked for")
    parser.add_argument("--wheels", default="", metavar="DIR", help="install from this folder of wheels, without a network")
    parser.add_argument(
        "--torch", default="auto", choices=["auto", *(b.name for b in torch_builds.builds())], help="which PyTorch, for the networks"
    )
    parser.add_argument(
        "--torch-index", default="", metavar="URL", help="the package index that PyTorch comes from, such as a studio's own"
    )
    return parser.parse_args(arguments)
