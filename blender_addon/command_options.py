"""The options of `--command flow_inpaint`."""
from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import descriptor, engine_command, properties

COMMAND = "flow_inpaint"
CODES = "Exit codes: 0 done, or nothing to do; 1 failed; 2 the options or the edit are wrong; 130 stopped."


class UsageError(Exception):
    """One sentence about the command line."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (--help lists the options)")


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Raises `UsageError`, or `SystemExit` after --help."""
    options = _parser().parse_args(arguments)
    if options.list and (options.all or options.update or options.strip):
        raise UsageError("--list goes alone: it only says what is there (--help lists the options)")
    if options.all and (options.update or options.strip):
        raise UsageError("--all takes no --strip and no --update (--help lists the options)")
    if not (options.list or options.all or options.update or options.strip):
        raise UsageError("say what to do: --strip NAME, --all, --update or --list (--help lists the options)")
    if options.mute_source and options.result == properties.PATCH:
        raise UsageError("--mute-source does not go with --result patch: a patch lies over its source (--help lists the options)")
    if options.frames and not options.strip:
        raise UsageError("--frames needs --strip NAME (--help lists the options)")
    if options.frames and options.update:
        raise UsageError("--frames goes with a removal: an update makes the frames again that the result has (--help lists the options)")
    return options


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line says, by the names of the operator's properties."""
    names = ("mask_channel", "reference_channel", "preset", "format", "frames", "mute_source", "result", "passes", *descriptor.parameters())
    found = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.output is not None:
        found["output"] = options.output if options.output.startswith("//") else str(Path(options.output).absolute())
    return found


def _parser() -> argparse.ArgumentParser:
    about = descriptor.descriptor()["effect"]["hint"]
    more = f"{CODES} {' and '.join(engine_command.WORDS)} are about the engine itself: --install-engine --help says more."
    parser = Parser(prog=f"blender -b FILE.blend --command {COMMAND}", description=about, epilog=more, allow_abbrev=False)
    parser.add_argument("--strip", metavar="NAME", help="the strip to repair; with --update the result to make again")
    parser.add_argument("--all", action="store_true", help="repair every marked strip, and update every result")
    parser.add_argument("--update", action="store_true", help="make results again where something has changed: all, or the one of --strip")
    parser.add_argument("--list", action="store_true", help="say which strips are marked and which are results, as JSON")
    parser.add_argument("--mask-channel", type=_channel, metavar="N", help="the channel that covers what is to go; otherwise the mark's, else the scene's")
    parser.add_argument("--reference-channel", type=_channel, metavar="N", help="the channel with clean pictures of single frames")
    parser.add_argument("--frames", type=_frames, metavar="A-B", help="only these frames of the timeline; otherwise the scene's range")
    parser.add_argument("--scene", metavar="S", help="the scene of the strips; otherwise the one that the file opens with")
    parser.add_argument("--output", metavar="DIR", help=f"the folder of the results; otherwise the scene's ({properties.DEFAULT_OUTPUT})")
    parser.add_argument("--preset", choices=list(descriptor.presets()), help="otherwise the scene's")
    parser.add_argument("--format", choices=list(descriptor.formats()), help="otherwise the scene's")
    parser.add_argument("--result", choices=[properties.FRAMES, properties.PATCH], help="whole frames, or only what was replaced; otherwise the scene's")
    parser.add_argument("--passes", type=_passes, metavar="A,B", help=f"write these too: {', '.join(descriptor.passes())}; all or none; otherwise the scene's")
    parser.add_argument("--mute-source", action="store_true", default=None, help="mute the source strip once its result is there")
    parser.add_argument("--save", action="store_true", help="save the .blend file with the new strips")
    parameters = parser.add_argument_group("parameters", "otherwise the scene's, or the preset's where --preset is given")
    for name, declared in descriptor.parameters().items():
        names = sorted({"--" + name.replace("_", "-"), "--" + name})
        parameters.add_argument(*names, dest=name, help=declared["hint"].replace("%", "%%"), **_values(declared))
    return parser


def _channel(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 128:
        raise argparse.ArgumentTypeError(f"'{text}' is no channel: channels go from 1 to 128")
    return int(text)


def _frames(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(-?\d{1,7})(?:-(-?\d{1,7}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise argparse.ArgumentTypeError(f"'{text}' are no frames: write the first and the last one, such as 10-40")
    return first, last


def _passes(text: str) -> tuple[str, ...]:
    known = tuple(descriptor.passes())
    names = known if text == "all" else () if text == "none" else tuple(text.split(","))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"'{name}' is no pass: choose from {', '.join(known)}, or say all or none")
    return properties.in_order(names)


def _values(declared: dict[str, Any]) -> dict[str, Any]:
    """What a parameter takes, as argparse wants to know it; whether a text says yes or no is the engine's to judge."""
    if declared["type"] == "Choice":
        return {"choices": [c["name"] for c in declared["choices"]]}
    if declared["type"] not in ("Int", "Double"):
        return {"metavar": "V"}
    low, high, kind = declared["min"], declared["max"], int if declared["type"] == "Int" else float

    def convert(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not {'a whole' if kind is int else 'a'} number from {low} to {high}")
        return value

    return {"metavar": "V", "type": convert}
