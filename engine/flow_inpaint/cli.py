"""`flow-inpaint`, the command line.

Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped. What goes wrong is one line on standard error,
`flow-inpaint: SENTENCE`. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__, cli_cache, cli_tables, cli_weights, effect
from .errors import BadParameter, explained
from .job import ClipSpec, Job, read_document
from .progress_bar import Bars, JsonLines, Plain, clock_time
from .training import command as command_of_training

if TYPE_CHECKING:
    from .coverage import Coverage
    from .pipeline import Forecast, Result

_TRACEBACK = "FLOW_INPAINT_TRACEBACK"
_PARAMETER = "parameter:"
#: A command of two words.
_TABLE = ["evaluate", "table"]
_CLIPS = ("source", "mask", "output")
_JOB_OPTIONS = [
    *("--preset", "--frames", "--format", "--layer", "--mask-channel", "--invert-mask", "--job", "--json"),
    *("--reference", "--passes", "--pass-names", "--provenance-format", "--coverage"),
]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name that the terminal's encoding does not have must not end a job that is done.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _obeyed(words)
    except BrokenPipeError:
        # Whoever read the output has gone; what is left in the buffer must not raise again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _obeyed(words: Sequence[str]) -> int:
    if list(words[:2]) == _TABLE:
        words = [" ".join(_TABLE), *words[2:]]
    try:
        arguments, extra = _parser().parse_known_args(words)
        _place(arguments, extra)
        return arguments.command(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as thrown:
        return _failed(thrown, "--json" in words)


def _failed(thrown: BaseException, as_json: bool) -> int:
    error = explained(thrown)
    if os.environ.get(_TRACEBACK):
        traceback.print_exception(thrown)
    if as_json:
        print(json.dumps({"event": "error", "status": error.status, "message": str(error)}), flush=True)
    print(f"flow-inpaint: {error}", file=sys.stderr)
    return error.exit_code


# --- the words of the command line ---


class _Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise BadParameter(f"{message[0].upper()}{message[1:].rstrip('.')}; {self.prog} --help says more.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="flow-inpaint",
        description=effect.descriptor()["effect"]["hint"] + ".",
        epilog=f"Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped. Set {_TRACEBACK}=1 to see where an error came from.",
    )
    parser.add_argument("--version", action="version", version=f"flow-inpaint {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, function: Any, hint: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=hint, description=hint[0].upper() + hint[1:] + ".")
        made.set_defaults(command=function)
        return made

    _add_job(command("run", _run, "remove what a matte covers from a clip"))
    check = command("check", _check, "check a job and say what it would take and what other frames see, without doing it")
    _add_job(check)
    check.add_argument("--coverage", metavar="PICTURE.png", help="draw where and when nothing is seen, and the best frame to paint")
    evaluate = command("evaluate", _evaluate, "score a result against the true picture")
    evaluate.add_argument("truth", metavar="TRUTH", help="the clip without the object")
    evaluate.add_argument("result", metavar="RESULT", help="the clip to score")
    evaluate.add_argument("masks", metavar="MASKS", help="white where the result was made up; or rect:x,y,w,h")
    cli_tables.add_arguments(command(" ".join(_TABLE), _evaluate_table, "make one of the paper's tables on a data set"))
    demo = command("demo", _demo, "run the demo shot that comes with Flow Inpaint and measure the result")
    demo.add_argument("folder", metavar="DIR", nargs="?", default="demo", help="where to put the result (default: demo)")
    command_of_training.add_arguments(
        command("train", _train, "train a network as the paper does"),
        command("export", _export, "write the weights that a training run has learnt, with a catalogue entry"),
    )
    describe = command("describe", _describe, "list the clips, parameters, presets and formats")
    doctor = command("doctor", _doctor, "say what was found on this machine and what is wrong with it")
    cli_weights.add(command("weights", None, "list, check, import and remove the networks' weights"), _Parser)
    cli_cache.add(command("cache", None, "list and delete what is kept of runs that were cut off"), _Parser)
    command("serve", _serve, "work for a host that speaks JSON-RPC over standard input and output")
    for made in (evaluate, describe, doctor):
        made.add_argument("--json", action="store_true", help="write JSON")
    return parser


def _add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="video file, folder of images or pattern such as shot_%%04d.png")
    parser.add_argument("mask", metavar="MASK", nargs="?", help="the same, or one image for every frame, or rect:x,y,w,h")
    parser.add_argument("output", metavar="OUTPUT", nargs="?", help="video file, folder or pattern; its ending says the format")
    parser.add_argument("--frames", metavar="A-B", help="only these frames of the source, counted from 0, both included")
    parser.add_argument("--format", metavar="F", help=f"output format: {', '.join(effect.formats())}")
    parser.add_argument("--layer", metavar="NAME", help="the layer or part of an OpenEXR source")
    parser.add_argument("--mask-channel", metavar="CHANNEL", help="what to read of the mask: luma or alpha")
    parser.add_argument("--invert-mask", action="store_true", help="replace what the mask leaves black instead")
    clean = "a clean picture of a frame (counted from 0); may be repeated"
    parser.add_argument("--reference", metavar="FRAME=IMAGE", action="append", default=[], help=clean)
    parser.add_argument("--passes", metavar="DIR", help="write pictures about the result into folders in DIR, one image a frame")
    parser.add_argument("--pass-names", metavar="NAMES", help=f"only these of {','.join(effect.passes())}")
    parser.add_argument("--provenance-format", metavar="F", help="exr (exact) or png (16 bits, to an eighth of a pixel)")
    parser.add_argument("--job", metavar="FILE", help="a job as TOML or JSON; what the command line says goes before it")
    parser.add_argument("--json", action="store_true", help="write progress and result as JSON lines")
    parser.add_argument("--preset", metavar="NAME", help=", ".join(effect.presets()))
    for group in effect.descriptor()["groups"]:
        section = parser.add_argument_group(group["label"].lower())
        for declared in effect.parameters().values():
            if declared["group"] == group["name"]:
                _add_parameter(section, declared)


def _add_parameter(section: Any, declared: Mapping[str, Any]) -> None:
    option = _option(declared["name"])
    settings: dict[str, Any] = {"dest": _PARAMETER + declared["name"], "default": argparse.SUPPRESS, "help": _hint(declared)}
    if declared["type"] == "Boolean":
        settings["action"] = argparse.BooleanOptionalAction
    else:
        settings["metavar"] = declared.get("unit", {"Int": "N", "Double": "X", "Choice": "NAME"}.get(declared["type"], "TEXT")).upper()
    section.add_argument(option, **settings)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _hint(declared: Mapping[str, Any]) -> str:
    facts = [_span(declared)] if _span(declared) else []
    facts.append(f"default {_said(declared['default'])}")
    for name, preset in effect.presets().items():
        if declared["name"] in preset["values"]:
            facts.append(f"{name} {_said(preset['values'][declared['name']])}")
    return f"{declared['hint']} ({'; '.join(facts)})".replace("%", "%%")


def _span(declared: Mapping[str, Any]) -> str:
    if declared["type"] == "Choice":
        return ", ".join(choice["name"] for choice in declared["choices"])
    if "min" in declared:
        return f"{declared['min']} to {declared['max']} {declared.get('unit', '')}".rstrip()
    return ""


def _said(value: effect.Value) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _place(arguments: argparse.Namespace, extra: Sequence[str]) -> None:
    """Clips that argparse left over because options stand between them; anything else left over is refused."""
    options = [word.partition("=")[0] for word in extra if word.startswith("-")]
    if options:
        known = [_option(name) for name in effect.parameters()] + _JOB_OPTIONS
        near = difflib.get_close_matches(options[0], known, 1)
        raise BadParameter(f"There is no option '{options[0]}' here" + (f"; did you mean '{near[0]}'?" if near else "; --help lists them."))
    for word in extra:
        free = [name for name in _CLIPS if vars(arguments).get(name, "") is None]
        if not free:
            raise BadParameter(f"'{word}' is one argument too many; flow-inpaint --help says more.")
        setattr(arguments, free[0], word)


# --- arguments to a job ---


def _job(arguments: argparse.Namespace) -> Job:
    if arguments.job is None:
        if arguments.output is None:
            raise BadParameter("Give SOURCE, MASK and OUTPUT, or a job with --job FILE; flow-inpaint run --help says more.")
        document, base = {}, Path.cwd()
    else:
        file = Path(arguments.job)
        document, base = read_document(file), file.resolve().parent
    if isinstance(document, dict):
        document = document | _overrides(arguments, document)
    return Job.from_document(document, base)


def _overrides(arguments: argparse.Namespace, document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a job document that the command line sets; what it does not mention stays the document's."""
    fields: dict[str, Any] = {}
    if arguments.source is not None:
        fields["source"] = {"path": _from_here(arguments.source)}
    if arguments.layer is not None:
        fields["source"] = _table(fields.get("source", document.get("source"))) | {"layer": arguments.layer}
    if arguments.output is not None:
        fields["output"] = {"path": _from_here(arguments.output)}
    if arguments.format is not None:
        fields["output"] = _table(fields.get("output", document.get("output"))) | {"format": arguments.format}
    if arguments.passes is not None or arguments.pass_names is not None or arguments.provenance_format is not None:
        output = _table(fields.get("output", document.get("output")))
        fields["output"] = output | {"passes": _table(output.get("passes")) | _passes(arguments)}
    if vars(arguments).get("coverage") is not None:
        fields["coverage"] = _from_here(arguments.coverage)
    if arguments.reference:
        fields["references"] = [_reference(text) for text in arguments.reference]
    if arguments.mask is not None:
        fields["mask"] = mask_part(arguments.mask)
    if arguments.mask_channel is not None or arguments.invert_mask:
        fields["mask"] = _adjusted(fields.get("mask", document.get("mask")), arguments.mask_channel, arguments.invert_mask)
    if arguments.frames is not None:
        fields["frames"] = _frames(arguments.frames)
    params = {key.removeprefix(_PARAMETER): value for key, value in vars(arguments).items() if key.startswith(_PARAMETER)}
    if arguments.preset is not None:
        params["preset"] = arguments.preset
    if params:
        fields["params"] = _table(document.get("params")) | params
    return fields


def _table(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _from_here(path: str) -> str:
    if not path:
        raise BadParameter("A file name on the command line is empty.")
    return str(Path.cwd() / path)


def mask_part(text: str) -> dict[str, Any]:
    """The mask of a job document that `rect:x,y,w,h` or a path stands for."""
    if not text.startswith("rect:"):
        return {"path": _from_here(text)}
    try:
        rectangle = [float(number) for number in text.removeprefix("rect:").split(",")]
    except ValueError:
        rectangle = []
    if len(rectangle) != 4:
        raise BadParameter(f"'{text}' is not a rectangle: write rect:x,y,width,height in pixels, such as rect:100,50,64,32.")
    return {"rectangle": rectangle}


def _adjusted(mask: Any, channel: str | None, invert: bool) -> Any:
    if isinstance(mask, list):
        return [_adjusted(part, channel, invert) for part in mask]
    if not isinstance(mask, Mapping):
        return mask
    changed = dict(mask)
    if channel is not None and "path" in mask:
        changed["channel"] = channel
    if invert:
        changed["invert"] = True
    return changed


def _passes(arguments: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {} if arguments.passes is None else {"path": _from_here(arguments.passes)}
    if arguments.pass_names is not None:
        given["names"] = [name.strip() for name in arguments.pass_names.split(",")]
    if arguments.provenance_format is not None:
        given["provenance"] = arguments.provenance_format
    return given


def _reference(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"\s*(\d{1,9})\s*=(.+)", text)
    if not found:
        raise BadParameter(f"--reference cannot be '{text}': write a frame and its clean picture, such as 42=clean.png.")
    return {"frame": int(found[1]), "path": _from_here(found[2])}


def _frames(text: str) -> list[int]:
    found = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", text)
    if not found:
        raise BadParameter(f"--frames cannot be '{text}': write the first and the last frame, such as 10-40.")
    return [int(found[1]), int(found[2] or found[1])]


# --- the commands ---


def _run(arguments: argparse.Namespace) -> int:
    _report(run_watched(_job(arguments), arguments.json), arguments.json, _result_lines)
    return 0


def run_watched(job: Job, as_json: bool = False) -> Result:
    """Does a job while showing its progress; Ctrl-C and SIGTERM stop it cleanly."""
    with _stoppable() as stop, _reporter(as_json, stop) as reporter:
        from . import pipeline

        return pipeline.run(
            job, on_progress=reporter.progress, on_message=reporter.message, aborted=stop.is_set, keep_work=lambda: stop.keep_work
        )


def _check(arguments: argparse.Namespace) -> int:
    job = _job(arguments)
    with _stoppable() as stop, _reporter(arguments.json, stop):
        from . import pipeline

        forecast = pipeline.check(job, aborted=stop.is_set)
    _report(forecast, arguments.json, _forecast_lines)
    return 0


def _report(outcome: Any, as_json: bool, lines: Callable[[Any], list[str]]) -> None:
    print(json.dumps({"event": "result"} | asdict(outcome)) if as_json else "\n".join(lines(outcome)), flush=True)


def _result_lines(result: Result) -> list[str]:
    wrote = f"Wrote {result.path}: {_count(result.frames, 'frame')} of {result.width}x{result.height} in {clock_time(result.seconds)}"
    if result.identity:
        return [f"{wrote}, the source unchanged."]
    return [
        f"{wrote}.",
        f"{result.masked:.1%} of the picture was masked; {result.unseen:.1%} of that is seen in no frame and was invented.",
    ]


def _forecast_lines(forecast: Forecast) -> list[str]:
    return [
        f"{_count(forecast.frames, 'frame')} of {forecast.width}x{forecast.height}, {forecast.masked:.1%} of the picture masked.",
        f"About {clock_time(forecast.seconds)} and {forecast.memory_mib:.0f} MiB of memory on {forecast.device}.",
        *([f"{forecast.disk_mib:.0f} MiB on disk while it runs."] if forecast.disk_mib else []),
        f"Optical flow {forecast.flow}, flow completion {forecast.completion}, fill {forecast.fill}.",
        *_coverage_lines(forecast.coverage),
        *forecast.notes,
    ]


def _coverage_lines(coverage: Coverage | None) -> list[str]:
    if coverage is None:
        return []
    lines = [f"Of what is masked other frames show about {coverage.seen:.0%}; {coverage.unseen:.1%} is seen nowhere and will be invented."]
    if coverage.referenced:
        lines.append(f"The references show {coverage.referenced:.1%} that no frame shows.")
    if coverage.reference is not None:
        shows = f"which would show {coverage.reference_shows:.0%} of the unseen"
        lines.append(f"Best to paint as a reference: frame {coverage.reference}, {shows}.")
    if coverage.picture is not None:
        lines.append(f"Look at: {coverage.picture}")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _evaluate(arguments: argparse.Namespace) -> int:
    # The document's checks, so that a path or rectangle means the same here.
    job = Job.from_document(
        {
            "source": {"path": _from_here(arguments.truth)},
            "mask": mask_part(arguments.masks),
            "output": {"path": _from_here(arguments.result), "format": next(iter(effect.formats()))},
        }
    )
    from . import evaluation

    scores = evaluation.evaluate(job.source, ClipSpec(job.output.path), job.mask)
    print(json.dumps(asdict(scores)) if arguments.json else "\n".join(scores.lines()))
    return 0


def _evaluate_table(arguments: argparse.Namespace) -> int:
    def say(text: str) -> None:
        print(text, flush=True)

    with _stoppable() as stop:
        for path in cli_tables.run(arguments, stop.is_set, say):
            say(f"Wrote {path}.")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from . import demo

    for line in demo.run(Path.cwd() / arguments.folder, run_watched):
        print(line, flush=True)
    return 0


def _train(arguments: argparse.Namespace) -> int:
    with _stoppable() as stop:
        return command_of_training.train(arguments, stop.is_set)


def _export(arguments: argparse.Namespace) -> int:
    return command_of_training.export(arguments)


def _describe(arguments: argparse.Namespace) -> int:
    print(json.dumps(effect.describe(), indent=2) if arguments.json else "\n".join(_description()))
    return 0


def _description() -> list[str]:
    described = effect.describe()
    lines = [f"{described['effect']['label']} {described['effect']['version']} ({described['effect']['identifier']})", "", "Clips"]
    lines += [f"  {clip['name']:<16} {clip['hint']}" for clip in described["clips"]]
    for group in described["groups"]:
        lines += ["", group["label"]]
        lines += [f"  {p['name']:<16} {_hint(p).replace('%%', '%')}" for p in described["parameters"] if p["group"] == group["name"]]
    lines += ["", "Presets"]
    for name, preset in effect.presets().items():
        values = ", ".join(f"{key} = {_said(value)}" for key, value in preset["values"].items())
        lines.append(f"  {name:<16} {preset['hint']}" + (f" ({values})" if values else ""))
    lines += ["", "Passes"] + [f"  {name:<16} {declared['hint']}" for name, declared in effect.passes().items()]
    lines += ["", "Formats"]
    return lines + [f"  {name:<16} {declared['label']}: {declared['hint']}" for name, declared in effect.formats().items()]


def _doctor(arguments: argparse.Namespace) -> int:
    from . import doctor

    findings = doctor.examine()
    print(doctor.as_json(findings) if arguments.json else "\n".join(doctor.lines(findings)))
    return doctor.exit_code(findings)


def _serve(_arguments: argparse.Namespace) -> int:
    from . import server

    return server.serve()


# --- being watched and being stopped ---


@contextmanager
def _reporter(as_json: bool, stop: _Stop) -> Iterator[JsonLines | Bars | Plain]:
    if as_json:
        from .server import claimed_stdout

        with claimed_stdout() as descriptor:
            yield JsonLines(descriptor, stop.set_for_now)
        return
    reporter = Bars(sys.stderr) if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Plain()
    try:
        yield reporter
    finally:
        reporter.close()


class _Stop(threading.Event):
    """Set when the job is to stop. `keep_work`: nobody has decided against it, so a later run may go on with it."""

    keep_work = False

    def set_for_now(self) -> None:
        if not self.is_set():
            self.keep_work = True
        self.set()


@contextmanager
def _stoppable() -> Iterator[_Stop]:
    """An event that Ctrl-C and SIGTERM set. A second Ctrl-C ends the process at once."""
    stop = _Stop()

    def ask(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            # From a system that goes down, or a queue that wants its machine back.
            stop.set_for_now()
            return
        stop.set()
        if number == signal.SIGINT:
            # The system's own handler, because Python's would wait for the library call that is running.
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
