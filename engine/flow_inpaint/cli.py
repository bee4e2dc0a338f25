"""`flow-inpaint`, the command line.

Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped. What goes wrong is one line on standard error,
`flow-inpaint: SENTENCE`. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__, cli_cache, cli_tables, cli_weights, effect
from .cli_job import add_job, from_here, hint_of, job_of, mask_part, place_clips, value_said
from .errors import BadParameter, explained
from .job import ClipSpec, Job
from .progress_bar import Bars, JsonLines, Plain, clock_time
from .subcommands import subcommands
from .training import command as command_of_training

if TYPE_CHECKING:
    from .coverage import Coverage
    from .pipeline import Forecast, Result

_TRACEBACK = "FLOW_INPAINT_TRACEBACK"
#: A command of two words.
_TABLE = ["evaluate", "table"]


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
        place_clips(arguments, extra)
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
    command = subcommands(parser, "COMMAND", _Parser)
    add_job(command("run", _run, "remove what a matte covers from a clip"))
    check = command("check", _check, "check a job and say what it would take and what other frames see, without doing it")
    add_job(check)
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


# --- the commands ---


def _run(arguments: argparse.Namespace) -> int:
    _report(run_watched(job_of(arguments), arguments.json), arguments.json, _result_lines)
    return 0


def run_watched(job: Job, as_json: bool = False) -> Result:
    """Does a job while showing its progress; Ctrl-C and SIGTERM stop it cleanly."""
    with _stoppable() as stop, _reporter(as_json, stop) as reporter:
        from . import pipeline

        return pipeline.run(
            job, on_progress=reporter.progress, on_message=reporter.message, aborted=stop.is_set, keep_work=lambda: stop.keep_work
        )


def _check(arguments: argparse.Namespace) -> int:
    job = job_of(arguments)
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
            "source": {"path": from_here(arguments.truth)},
            "mask": mask_part(arguments.masks),
            "output": {"path": from_here(arguments.result), "format": next(iter(effect.formats()))},
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
        lines += [f"  {p['name']:<16} {hint_of(p).replace('%%', '%')}" for p in described["parameters"] if p["group"] == group["name"]]
    lines += ["", "Presets"]
    for name, preset in effect.presets().items():
        values = ", ".join(f"{key} = {value_said(value)}" for key, value in preset["values"].items())
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
