"""A long-lived process that does jobs for a host, spoken to over its standard streams.

JSON-RPC 2.0 in UTF-8, one message a line: requests on standard input, responses and notifications on
standard output, logs on standard error. It ends when its input closes, and when 64 MiB of what it says wait to be read.

    describe            the descriptor (`effect.toml`) as an object
    check    JOB        what the job would be and cost (pipeline.Forecast)
    render   JOB        does the job; responds when it is done (pipeline.Result)
    fingerprint JOB     what the job reads, as a key for every frame (fingerprint.Fingerprint)
    matte    VIEW       what a frame's mattes would have replaced, as a small picture (matte_view.MatteView)
    splice   SPLICE     an earlier result with some frames replaced (media.splice); responds {path, files}
    abort               stops the running job; responds {"aborted": whether there was one} at once,
                        the job's own response follows when it has cleaned up
    shutdown            aborts, cleans up, responds null, ends; the same job goes on from there when it is rendered again

JOB is a job document (see job.py), VIEW and SPLICE are documents like it (see matte_view.py, media/splice.py); relative paths count
from the process's working folder. One of them runs at a time, in a thread of its own; another one is refused with the code -32001,
not queued. While a job runs: notifications

    progress {stage, done, total, fraction, eta_s}      at most ten a second; a host that reads slower gets fewer
    message  {level, text}                              level is info or warning

What goes wrong with a job has the code -32000, a sentence for the person at the screen as its message,
and data {"status": "BadClip" | "BadParameter" | "OutOfMemory" | "MissingWeights" | "BadWeights" | "Aborted" | "Failed"}.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any, BinaryIO

from . import effect
from .errors import Failed, explained
from .job import Job
from .progress_bar import Pace

LONGEST_LINE = 16 * 2**20
#: Bytes that wait for a host that does not read; beyond, it is taken to have gone.
MOST_UNREAD = 64 * 2**20
GRACE = 10.0
_BACKLOG = 16
_HEARTBEAT = 0.2

PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
JOB_ERROR, BUSY = -32000, -32001

_JOBS = ("check", "render", "fingerprint", "matte", "splice")


class RequestError(Exception):
    """A message that cannot be acted on: its JSON-RPC code, what to say, and whom to answer."""

    def __init__(self, code: int, text: str, ident: Any = None):
        super().__init__(text)
        self.code = code
        self.ident = ident


@dataclass(frozen=True)
class Request:
    """A message of the host's. `wants_answer` is False for a notification."""

    method: str
    params: Any
    ident: Any
    wants_answer: bool


class Outbox:
    """Messages to the host, written by a thread of their own: a host that does not read holds up neither job nor abort."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unread, self._lock = 0, threading.Lock()
        self._thread = threading.Thread(target=self._write, daemon=True, name="outbox")
        self._thread.start()

    def put(self, message: dict[str, Any]) -> None:
        line = encoded(message | {"jsonrpc": "2.0"})
        with self._lock:
            self._unread += len(line)
        self._lines.put(line)

    @property
    def is_given_up(self) -> bool:
        """Whether so much waits to be read that nobody will."""
        return self._unread > MOST_UNREAD

    def put_unless_behind(self, message: dict[str, Any]) -> None:
        """Drops the message when the host has not read many before it."""
        if self._lines.qsize() < _BACKLOG:
            self.put(message)

    def close(self, patience: float) -> None:
        """Waits up to `patience` seconds until everything is written."""
        self._lines.put(None)
        self._thread.join(patience)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            with self._lock:
                self._unread -= len(line)
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                # Nobody reads any more. That the host is gone will show at the other stream, which ends the process.
                continue


class Server:
    """Acts on the host's messages. `receive` and `finish` are called by one thread."""

    def __init__(self, outbox: Outbox):
        self._outbox = outbox
        self._worker: threading.Thread | None = None
        self._running: threading.Event | None = None
        self._farewell: Request | None = None
        self._ending = False
        self._lock = threading.Lock()
        self._viewer: Any = None

    def receive(self, line: bytes | None) -> bool:
        """Acts on a line, None standing for one that was too long. Returns False when it asks the process to end."""
        try:
            request = parse(line)
        except RequestError as error:
            self._outbox.put(_refusal(error.ident, error.code, str(error)))
            return True
        try:
            self._act(request)
        except RequestError as error:
            self._refuse(request, error.code, str(error))
        except Exception as thrown:
            self._fail(request, thrown)
        return request.method != "shutdown"

    @property
    def is_given_up(self) -> bool:
        """Whether the host reads nothing any more."""
        return self._outbox.is_given_up

    def finish(self) -> bool:
        """Aborts what runs and waits for it to clean up; then answers `shutdown`. False when the job does not come to an end.

        What the job has done is kept, unless it was aborted before: that the host goes is no decision against it.
        """
        with self._lock:
            self._ending = self._running is None or not self._running.is_set()
        self._abort()
        if self._worker is not None:
            self._worker.join(GRACE)
        if self._farewell is not None:
            self._answer(self._farewell, None)
        return self._worker is None or not self._worker.is_alive()

    def _act(self, request: Request) -> None:
        if request.method == "describe":
            self._answer(request, effect.describe())
        elif request.method == "abort":
            self._answer(request, {"aborted": self._abort()})
        elif request.method in _JOBS:
            self._start(request)
        elif request.method == "shutdown":
            self._farewell = request
        else:
            raise RequestError(UNKNOWN_METHOD, f"There is no method {request.method[:80]!r}.")

    def _abort(self) -> bool:
        with self._lock:
            running = self._running
        if running is not None:
            running.set()
        return running is not None

    def _start(self, request: Request) -> None:
        if not isinstance(request.params, dict) or not request.params:
            raise RequestError(INVALID_PARAMS, f"The params of {request.method} have to be a job document.")
        with self._lock:
            if self._running is not None:
                raise RequestError(BUSY, "Another job is running: abort it or wait for its end.")
            job = _document(request)
            self._running = threading.Event()
        # Known before it begins: a signal may come while it does, and it is waited for then.
        self._worker = threading.Thread(target=self._work, args=(request, job, self._running), daemon=True, name="job")
        try:
            self._worker.start()
        except RuntimeError:
            # There are too many threads. Later there may be fewer, and nothing runs now that would have to end first.
            with self._lock:
                self._running = self._worker = None
            raise

    def _work(self, request: Request, job: Any, aborted: threading.Event) -> None:
        # Everything, even a library's sys.exit: the host would wait for ever for the answer of a thread that is gone.
        try:
            result, thrown = asdict(self._do(request.method, job, aborted.is_set)), None
        except BaseException as error:
            result, thrown = None, error
        # Free before the answer, which the host may follow with the next job at once.
        with self._lock:
            self._running = None
        if thrown is None:
            self._answer(request, result)
        else:
            self._fail(request, thrown)

    def _do(self, method: str, job: Any, aborted: Callable[[], bool]) -> Any:
        if method == "splice":
            from .media.splice import splice

            return splice(job, aborted)
        if method == "matte":
            from .matte_view import MatteViewer

            self._viewer = self._viewer or MatteViewer()
            return self._viewer.view(job, aborted)
        from . import pipeline

        if method == "check":
            return pipeline.check(job, aborted=aborted)
        pace = Pace(lambda progress: self._outbox.put_unless_behind({"method": "progress", "params": asdict(progress)}))
        if method == "fingerprint":
            from .fingerprint import fingerprint

            def seen(done: int, total: int) -> None:
                pace(pipeline.Progress("look", done, total, done / total, None))

            return fingerprint(job, on_frame=seen, aborted=aborted)
        return pipeline.run(job, on_progress=pace, on_message=self._message, aborted=aborted, keep_work=lambda: self._ending)

    def _message(self, level: str, text: str) -> None:
        self._outbox.put({"method": "message", "params": {"level": level, "text": text}})

    def _answer(self, request: Request, result: Any) -> None:
        if request.wants_answer:
            self._outbox.put({"id": request.ident, "result": result})

    def _fail(self, request: Request, thrown: BaseException) -> None:
        error = explained(thrown)
        if error is not thrown:
            traceback.print_exception(thrown)
        self._refuse(request, JOB_ERROR, str(error), error.status)

    def _refuse(self, request: Request, code: int, text: str, status: str = Failed.status) -> None:
        if request.wants_answer:
            self._outbox.put(_refusal(request.ident, code, text, status))


def _document(request: Request) -> Any:
    """The request's params, checked. Raises the errors of `errors.py`."""
    if request.method == "matte":
        from .matte_view import Wanted

        return Wanted.from_document(request.params)
    if request.method != "splice":
        return Job.from_document(request.params)
    from .media.splice import Splice

    return Splice.from_document(request.params)


def parse(line: bytes | None) -> Request:
    """A line as a request. Raises `RequestError` with what JSON-RPC says about it."""
    if line is None:
        raise RequestError(INVALID_REQUEST, f"The line is longer than {LONGEST_LINE} bytes.")
    try:
        message = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise RequestError(PARSE_ERROR, f"The line is not JSON in UTF-8: {error}.") from error
    if isinstance(message, list):
        raise RequestError(INVALID_REQUEST, "Batches are not supported: send one request a line.")
    if not isinstance(message, dict):
        raise RequestError(INVALID_REQUEST, "A request has to be an object.")
    ident = message.get("id")
    if isinstance(ident, (bool, list, dict)) or (isinstance(ident, float) and not math.isfinite(ident)):
        raise RequestError(INVALID_REQUEST, "The id of a request has to be text, a number or null.")
    if message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        raise RequestError(INVALID_REQUEST, 'A request needs "jsonrpc": "2.0" and a method.', ident)
    params = message.get("params", {})
    if not isinstance(params, (dict, list)):
        raise RequestError(INVALID_REQUEST, "The params of a request have to be an object or a list.", ident)
    return Request(message["method"], params, ident, "id" in message)


def lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a stream that hold something, None for one of more than `LONGEST_LINE` bytes."""
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE or line.endswith(b"\n"):
            if line.strip():
                yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE)
        yield None


def encoded(message: dict[str, Any]) -> bytes:
    """One line of JSON. What JSON has no number for (infinite, undefined) becomes null."""
    try:
        text = json.dumps(message, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(message), default=str)
    return text.encode("ascii") + b"\n"


@contextmanager
def claimed_stdout() -> Iterator[int]:
    """A descriptor of the real standard output, while everything that is printed goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield own
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)


def serve() -> int:
    """Runs the server until its input closes, `shutdown` or a signal. Returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupted)
    with claimed_stdout() as descriptor:
        outbox = Outbox(descriptor)
        server = Server(outbox)
        code = 0
        try:
            _listen(server, _claim_stdin())
        except KeyboardInterrupt:
            code = 130
        # From here on it takes no longer than GRACE, and cutting it short would leave half a file.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ended = server.finish()
        outbox.close(1.0)
    if not ended:
        print("The job did not stop when it was told to: ending without it.", file=sys.stderr, flush=True)
        os._exit(1)
    return code


def _listen(server: Server, stream: BinaryIO) -> None:
    arrived: queue.Queue[bytes | None | _End] = queue.Queue(maxsize=4)
    threading.Thread(target=_read, args=(stream, arrived), daemon=True, name="input").start()
    while True:
        # Never waiting for long, because Python acts on a signal only between two steps of this thread.
        try:
            line = arrived.get(timeout=_HEARTBEAT)
        except queue.Empty:
            continue
        if isinstance(line, _End) or not server.receive(line):
            return
        if server.is_given_up:
            print("The host asks and does not read what it is answered: ending.", file=sys.stderr, flush=True)
            return


class _End:
    """The input has closed."""


def _read(stream: BinaryIO, arrived: queue.Queue[bytes | None | _End]) -> None:
    try:
        for line in lines(stream):
            arrived.put(line)
    finally:
        arrived.put(_End())


def _claim_stdin() -> BinaryIO:
    # A private copy: a child process of some library must not read the host's messages.
    own = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return os.fdopen(own, "rb")


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _refusal(ident: Any, code: int, text: str, status: str = Failed.status) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": text}
    if code == JOB_ERROR:
        error["data"] = {"status": status}
    return {"id": ident, "error": error}


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
