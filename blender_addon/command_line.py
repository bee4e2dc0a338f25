"""`blender -b edit.blend --command flow_inpaint ...`: removals without a window.

Progress goes to standard error; standard output gets one line of JSON that says what was done. See docs/headless.md.
"""
from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import bpy

from . import command_options, descriptor, engine_command, passes, preferences, properties, recipe, removal, strips, task, updating, warm_engine
from .command_options import COMMAND, UsageError
from .task import TROUBLE, Cancelled, Task, TaskError, in_words

DONE, FAILED, BAD_INPUT, ABORTED = 0, 1, 2, 130

_command: Any = None
_Make = Callable[[], Task]


def main(arguments: Sequence[str]) -> int:
    """Runs the command on the file that is open. Errors are one line each on standard error. Returns the exit code."""
    try:
        if engine_command.wanted(arguments):
            return engine_command.main(arguments, command_options.Parser)
        options = command_options.read(arguments)
        scene = _scene(options.scene)
        if options.list:
            return _answer(_listed(scene))
        if options.save and not bpy.data.filepath:
            raise UsageError("--save needs a .blend file: give one before --command")
        return _run(scene, options)
    except UsageError as error:
        return _failed(error, BAD_INPUT)
    except SystemExit as finished:
        return int(finished.code or DONE)
    except TROUBLE as error:
        return _failed(error, _code(in_words(error)))
    except TaskError as error:
        return _failed(error, _code(error))


def _run(scene: bpy.types.Scene, options: argparse.Namespace) -> int:
    """Does everything that is asked for, one after the other; what fails does not hold up the rest."""
    todo = list(_todo(scene, options, preferences.engine_python(bpy.context)))
    results: list[dict[str, Any]] = []
    codes = {DONE}
    with _stoppable() as asked:
        try:
            for subject, make in todo:
                results.append(_one(subject, make, asked))
                codes.add(results[-1].pop("code"))
                if ABORTED in codes:
                    break
        finally:
            warm_engine.end(wait=3.0)
    if not todo:
        _say("Flow Inpaint: nothing to do: no strip is marked and there is no result")
    saved = None
    if options.save and any(result["done"] in ("made", "updated") for result in results):
        saved = _save(results)
        codes.add(DONE if saved else FAILED)
    _answer({"results": results, "saved": saved})
    return next(code for code in (ABORTED, FAILED, BAD_INPUT, DONE) if code in codes)


def _todo(scene: bpy.types.Scene, options: argparse.Namespace, python: str) -> Iterator[tuple[str, _Make]]:
    """What is to be done, as names and what makes the tasks."""
    given = command_options.given(options)

    def remove(request: properties.Request) -> _Make:
        return lambda: removal.Removal(scene, request, python)

    def update(name: str, marked: properties.Request | None = None) -> _Make:
        return lambda: updating.Update(scene, name, python, _settings(scene, name, given, marked))

    if options.update:
        names = [options.strip] if options.strip else [strip.name for strip in _one_each(recipe.results(scene))]
        yield from ((name, update(name)) for name in names)
        return
    if options.strip:
        strip = strips.find(scene, options.strip)
        marked = recipe.mark_of(strip) if strip else None
        base = {} if marked is None else {"mask_channel": marked.mask_channel}
        yield options.strip, remove(properties.request(scene, base | given | {"source": options.strip}))
        return
    results = _one_each(recipe.results(scene))
    for strip in recipe.marked(scene):
        marked = recipe.mark_of(strip)
        made = [r for r in results if _made_of(r, strip.name, marked.mask_channel)]
        results = [r for r in results if r not in made]
        if made:
            yield made[-1].name, update(made[-1].name, marked)
        else:
            yield strip.name, remove(_overridden(marked, given))
    for strip in results:
        yield strip.name, update(strip.name)


def _one_each(made: list[Any]) -> list[Any]:
    """Of copies that show one result, the first."""
    return list({recipe.read(strip).id: strip for strip in reversed(made)}.values())[::-1]


def _made_of(result: Any, source: str, mask_channel: int) -> bool:
    made = recipe.read(result)
    return made.source["name"] == source and made.request["mask_channel"] == mask_channel


def _overridden(request: properties.Request, given: dict[str, Any]) -> properties.Request:
    return replace(request, params=_params(request.params, given), **_fixed(given))


def _fixed(given: dict[str, Any]) -> dict[str, Any]:
    """What the command line says besides parameters and frames."""
    return {one.name: given[one.name] for one in fields(properties.Request) if one.name in given and one.name != "frames"}


def _settings(scene: bpy.types.Scene, name: str, given: dict[str, Any], marked: properties.Request | None) -> dict[str, Any]:
    """What takes the place of a recipe's settings: the mark's, and before those the command line's."""
    found = _fixed(given)
    if marked is not None:
        found = updating.settings_of(marked) | found
    strip = strips.find(scene, name)
    made = recipe.read(strip) if strip else None
    params = found.get("params") or (made.request["params"] if made else {})
    return found | ({"params": _params(params, given)} if params else {})


def _params(params: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """With what the command line says. A preset on it puts aside what was changed before."""
    said = {name: value for name, value in given.items() if name in descriptor.parameters()}
    return ({"preset": given["preset"]} if "preset" in given else dict(params)) | said


def _one(subject: str, make: _Make, asked: _Stop) -> dict[str, Any]:
    """Runs one to its end: what came of it, with its exit code."""
    try:
        made = make()
        asked.of(made)
        task.run(made, _say)
    except Cancelled:
        _failed("stopped", ABORTED)
        return {"strip": subject, "done": "stopped", "code": ABORTED}
    except TaskError as error:
        return {"strip": subject, "done": "failed", "error": str(error), "code": _failed(error, _code(error))}
    except TROUBLE as error:
        return {"strip": subject, "done": "failed", "error": str(error), "code": _failed(error, _code(in_words(error)))}
    for note in made.notes:
        _say(f"Flow Inpaint: note: {note}")
    _say(f"Flow Inpaint: {made.outcome()}")
    return made.result() | {"code": DONE}


class _Stop:
    """Hands on to the task that runs that it is to stop, also when that was asked before it was made."""

    def __init__(self) -> None:
        self._asked = False
        self._task: Task | None = None

    def ask(self, *_: Any) -> None:
        self._asked = True
        self._tell()

    def of(self, made: Task) -> None:
        self._task = made
        self._tell()

    def _tell(self) -> None:
        if self._asked and self._task is not None:
            self._task.cancel()


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM, which farms send first, stop the task that runs."""
    stop = _Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: Blender's own, which Python cannot put back; the process ends after this anyway.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _listed(scene: bpy.types.Scene) -> dict[str, Any]:
    """What --list says."""
    found = []
    for strip in recipe.marked(scene):
        wanted = recipe.mark_of(strip)
        frames = wanted.frames or (strips.left(strip), strips.right(strip) - 1)
        about = {"mask_channel": wanted.mask_channel, "params": wanted.params, "format": wanted.format, "output": wanted.output}
        found.append({"strip": strip.name, "kind": "marked", "frames": list(frames), **about})
    for strip in recipe.results(scene):
        made = recipe.read(strip)
        paths = strips.files.paths(strip)
        place = paths[0] if strip.type == "MOVIE" else paths[0].parent
        about = {name: made.request[name] for name in ("mask_channel", "params", "format", "output")}
        files = {"path": str(place), "files": len(paths), "missing": len(recipe.missing(strip)), "passes": passes.found(strip)}
        frames = [strips.left(strip), strips.right(strip) - 1]
        found.append({"strip": strip.name, "kind": "result", "source": made.source["name"], "frames": frames, "engine": made.engine, **about, **files})
    return {"scene": scene.name, "strips": found}


def _save(results: list[dict[str, Any]]) -> str | None:
    try:
        bpy.ops.wm.save_mainfile()
    except RuntimeError as error:
        reason = " ".join(str(error).removeprefix("Error:").split())
        places = ", ".join(result["path"] for result in results if "path" in result)
        _failed(f"The .blend file cannot be saved ({reason}); the result lies in {places}.", FAILED)
        return None
    return bpy.data.filepath


def _scene(name: str | None) -> bpy.types.Scene:
    if name is None:
        return properties.scene_of(bpy.context)
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise UsageError(f"there is no scene '{name}': the file has {', '.join(s.name for s in bpy.data.scenes)}")
    return scene


def _code(error: TaskError) -> int:
    return BAD_INPUT if error.bad_input else FAILED


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _answer(what: dict[str, Any]) -> int:
    print(json.dumps(what), flush=True)
    return DONE


def _failed(error: Exception | str, code: int) -> int:
    _say(f"{COMMAND}: {error}")
    return code


def register() -> None:
    global _command
    _command = bpy.utils.register_cli_command(COMMAND, main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_command)
