"""`blender -b edit.blend --command flow_inpaint --strip NAME --mask-channel N ...`: exit code 0 only if the strip was made."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import bpy

from . import descriptor, engine_client, engine_command, preferences, properties, removal

COMMAND = "flow_inpaint"
DONE, FAILED, BAD_INPUT, ABORTED = 0, 1, 2, 130

_command: Any = None


class _UsageError(Exception):
    """One sentence about the command line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (--help lists the options)")


def main(arguments: Sequence[str]) -> int:
    """Runs the command on the file that is open. Errors are one line on standard error. Returns the exit code."""
    try:
        if engine_command.wanted(arguments):
            return engine_command.main(arguments, _Parser)
        options = _parser().parse_args(arguments)
        _run(options)
    except _UsageError as error:
        return _failed(error, BAD_INPUT)
    except SystemExit as finished:
        return int(finished.code or DONE)
    except (removal.RemovalError, engine_client.EngineError) as error:
        return _failed(error, FAILED)
    except (KeyboardInterrupt, removal.Cancelled):
        return _failed("stopped", ABORTED)
    return DONE


def _run(options: argparse.Namespace) -> None:
    scene = _scene(options.scene)
    if options.save and not bpy.data.filepath:
        raise _UsageError("--save needs a .blend file: give one before --command")
    work = removal.Removal(scene, properties.request(scene, _given(options)), preferences.engine_python(bpy.context))
    removal.run(work, lambda text: print(text, flush=True))
    for note in work.notes:
        print(f"Flow Inpaint: note: {note}", flush=True)
    if options.save:
        _save(work.path)
    print(f"Flow Inpaint: '{work.strip_name}' is on channel {work.channel}: {work.path}", flush=True)


def _save(result: Path) -> None:
    try:
        bpy.ops.wm.save_mainfile()
    except RuntimeError as error:
        reason = " ".join(str(error).removeprefix("Error:").split())
        raise removal.RemovalError(f"The .blend file cannot be saved ({reason}); the result lies in {result}.") from error


def _given(options: argparse.Namespace) -> dict[str, Any]:
    names = ("mask_channel", "reference_channel", "preset", "format", *descriptor.parameters())
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.output is not None:
        given["output"] = options.output if options.output.startswith("//") else str(Path(options.output).absolute())
    return given | {"source": options.strip}


def _scene(name: str | None) -> bpy.types.Scene:
    if name is None:
        return properties.scene_of(bpy.context)
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise _UsageError(f"there is no scene '{name}': the file has {', '.join(s.name for s in bpy.data.scenes)}")
    return scene


def _parser() -> argparse.ArgumentParser:
    about = descriptor.descriptor()["effect"]["hint"]
    more = f"{' and '.join(engine_command.WORDS)} are about the engine itself: --install-engine --help says more."
    parser = _Parser(prog=f"blender -b FILE.blend --command {COMMAND}", description=about, epilog=more, allow_abbrev=False)
    parser.add_argument("--strip", required=True, metavar="NAME", help="the strip to repair")
    parser.add_argument("--mask-channel", required=True, type=_channel, metavar="N", help="the channel that covers what is to go")
    parser.add_argument("--reference-channel", type=_channel, metavar="N", help="the channel with clean pictures of single frames")
    parser.add_argument("--scene", metavar="S", help="the scene of the strip; otherwise the one that the file opens with")
    parser.add_argument("--output", metavar="DIR", help=f"the folder of the result; otherwise the scene's ({properties.DEFAULT_OUTPUT})")
    parser.add_argument("--preset", choices=list(descriptor.presets()), help="otherwise the scene's")
    parser.add_argument("--format", choices=list(descriptor.formats()), help="otherwise the scene's")
    parser.add_argument("--save", action="store_true", help="save the .blend file with the new strip")
    parameters = parser.add_argument_group("parameters", "otherwise the scene's, or the preset's where --preset is given")
    for name, declared in descriptor.parameters().items():
        names = sorted({"--" + name.replace("_", "-"), "--" + name})
        parameters.add_argument(*names, dest=name, help=declared["hint"].replace("%", "%%"), **_values(declared))
    return parser


def _channel(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 128:
        raise argparse.ArgumentTypeError(f"'{text}' is no channel: channels go from 1 to 128")
    return int(text)


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


def _failed(error: Exception | str, code: int) -> int:
    print(f"{COMMAND}: {error}", file=sys.stderr, flush=True)
    return code


def register() -> None:
    global _command
    _command = bpy.utils.register_cli_command(COMMAND, main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_command)
