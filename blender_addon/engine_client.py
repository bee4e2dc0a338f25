"""The engine as a child process, spoken to in JSON-RPC lines. Standard library only, no bpy: nothing in here knows Blender.

No call blocks for longer than its `timeout`; threads do the waiting and hand over what they read through a queue.
"""
from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

VARIABLE = "FLOW_INPAINT_PYTHON"
WEIGHTS_VARIABLE = "FLOW_INPAINT_WEIGHTS"
HOW_TO_SET = f"set 'Engine Python' in the add-on's preferences, or the environment variable {VARIABLE}, to a Python that has flow-inpaint"

UNKNOWN_METHOD = "UnknownMethod"

_DROPPED = {"OCIO", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
_DROPPED_BEGINNINGS = ("PYTHON", "BLENDER_")
_TAIL = 40
_WEIGHTS = Path(__file__).resolve().parent / "weights"


class EngineError(Exception):
    """One sentence for the person at the screen. `status` is the engine's word for it, such as "BadClip" or "Aborted"."""

    def __init__(self, text: str, status: str = "Failed"):
        super().__init__(text)
        self.status = status


class Held(Protocol):
    """Something that others leave alone until `end`, or until the processes are over that the file `descriptor` was handed on to."""

    descriptor: int | None

    def end(self) -> None: ...


@dataclass(frozen=True)
class Progress:
    """`fraction` of the whole job, 0..1; `eta_s` seconds left, None while unknown; `done` frames are through the stage, or nearly."""

    stage: str
    fraction: float
    eta_s: float | None
    done: int = 0


def find_python(preference: str, environment: Mapping[str, str] = os.environ) -> str:
    """The interpreter that runs the engine: the environment variable, else the preference. Raises `EngineError`.

    A virtual environment's folder stands for the interpreter in it, a bare name is looked up on the search path.
    """
    wanted = environment.get(VARIABLE, "").strip() or preference.strip()
    if not wanted:
        raise EngineError(f"No Python is set to run the engine: {HOW_TO_SET}.")
    path = Path(os.path.expanduser(wanted))
    if path.is_dir():
        inside = [path / "bin" / "python", path / "Scripts" / "python.exe", path / "python.exe"]
        found = next((str(candidate) for candidate in inside if candidate.is_file()), None)
    else:
        found = str(path) if path.is_file() else shutil.which(wanted)
    if found is None:
        raise EngineError(f"The engine's Python {wanted} does not exist: {HOW_TO_SET}.")
    return found


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without what Blender or its launcher put there for itself and what would lead Python astray.

    The weights that come with the add-on are named in it, unless the user names others.
    """
    kept = {k: v for k, v in environment.items() if k not in _DROPPED and not k.startswith(_DROPPED_BEGINNINGS)}
    if not kept.get(WEIGHTS_VARIABLE) and (_WEIGHTS / "catalog.toml").is_file():
        kept[WEIGHTS_VARIABLE] = str(_WEIGHTS)
    return kept | {"PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}


class Engine:
    """One engine process and at most one request at work in it.

    Make it, `poll` until `ready`; `ask`, `poll` until `result` is set, as often as there is work; `close` or `kill` in any case.
    """

    def __init__(
        self, python: str, version: str, environment: Mapping[str, str] | None = None, patience: float = 120.0, held: Held | None = None
    ):
        """Starts the process and asks it to describe itself. `version`: what the engine should be, up to its last number; another
        one gets a warning.

        `patience`: seconds within which it has to answer that. `held`: what is held for as long as the process lives. Raises
        `EngineError` when it cannot be started.
        """
        self.python = python
        self.ready = False
        self.found_version = ""
        self.previews: bool | str = False
        """Whether it shows finished frames while a job goes on: True, or "wanted" when it does so while their folder is there."""
        self.result: dict[str, Any] | None = None
        self.progress: Progress | None = None
        self.messages: list[tuple[str, str]] = []
        self._version = version
        self._answer_by = time.monotonic() + patience
        self._pending: dict[int, str] = {}
        self._last_id = 0
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._incoming: queue.SimpleQueue[dict[str, Any] | int] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._held = held
        self._scratch = _scratch_folder()
        self._process = self._start(clean_environment() if environment is None else dict(environment))
        self._log = _thread(self._read_log)
        _thread(self._read)
        _thread(self._write)
        self._request("describe")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def idle(self) -> bool:
        """Whether it has answered everything and can be given more to do."""
        return self.ready and self.alive and not self._pending

    def ask(self, method: str, document: Mapping[str, Any]) -> None:
        """Sends something to do: "render", "check", "fingerprint" or "splice". Its end arrives through `poll`."""
        self.result, self.progress = None, None
        self._request(method, document)

    def render(self, document: Mapping[str, Any]) -> None:
        """Sends a job. Its end arrives through `poll`."""
        self.ask("render", document)

    def abort(self) -> None:
        """Asks the engine to stop the job; `poll` then raises `EngineError` with the status "Aborted"."""
        self._request("abort")

    def poll(self, timeout: float = 0.0) -> None:
        """Takes in what has arrived, waiting up to `timeout` seconds for something. Raises `EngineError` when the job cannot go on."""
        try:
            while True:
                self._take(self._incoming.get(timeout=timeout) if timeout > 0 else self._incoming.get_nowait())
                timeout = 0.0
        except queue.Empty:
            pass
        if not self.ready and time.monotonic() > self._answer_by:
            raise EngineError(f"The engine in {self.python} does not answer{self._last_words()}.")

    def close(self, wait: float = 0.0) -> None:
        """Asks the engine to end and kills it when it has not within three seconds. Returns after at most `wait` seconds."""
        self._request("shutdown")
        self._outgoing.put(None)
        _thread(self._see_off).join(wait)

    def kill(self, wait: float = 0.5) -> None:
        """Ends the process and its children at once. Safe to call at any time, any number of times.

        Returns when they are gone, after at most `wait` seconds.
        """
        self._outgoing.put(None)
        if not self.alive:
            return
        if os.name == "posix":
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()
        else:
            self._process.kill()
        try:
            self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return

    def _start(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        apart: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {"creationflags": subprocess.CREATE_NO_WINDOW}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        scratch = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._scratch.name)
        if os.name == "posix" and self._held is not None and self._held.descriptor is not None:
            apart["pass_fds"] = (self._held.descriptor,)  # the process holds on also when Blender is gone before it
        try:
            return subprocess.Popen([self.python, "-m", "flow_inpaint", "serve"], env=environment | scratch, **pipes, **apart)
        except OSError as error:
            self._scratch.cleanup()
            raise EngineError(f"The engine's Python {self.python} cannot be started ({error.strerror}): {HOW_TO_SET}.") from error

    def _request(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        self._last_id += 1
        self._pending[self._last_id] = method
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}}
        self._outgoing.put(json.dumps(message).encode() + b"\n")

    def _take(self, message: dict[str, Any] | int) -> None:
        if isinstance(message, int):
            raise EngineError(self._obituary(message))
        params = message.get("params")
        if message.get("method") == "progress" and isinstance(params, dict):
            fraction, done = (_number(params.get(name)) or 0.0 for name in ("fraction", "done"))
            self.progress = Progress(str(params.get("stage", "")), fraction, _number(params.get("eta_s")), int(done))
        elif message.get("method") == "message" and isinstance(params, dict):
            self.messages.append((str(params.get("level", "info")), str(params.get("text", ""))))
        elif message.get("id") in self._pending:
            self._answered(self._pending.pop(message["id"]), message)

    def _answered(self, method: str, message: dict[str, Any]) -> None:
        error = message.get("error")
        if error and method not in ("abort", "shutdown"):
            status = (error.get("data") or {}).get("status", "Failed") if isinstance(error, dict) else "Failed"
            status = UNKNOWN_METHOD if isinstance(error, dict) and error.get("code") == -32601 else status
            text = error.get("message") if isinstance(error, dict) else str(error)
            raise EngineError(" ".join(str(text or "The engine failed without saying why.").split()), status)
        if method == "describe":
            self._check(message.get("result"))
            self.ready = True
        elif method not in ("abort", "shutdown"):
            self.result = message.get("result") or {}

    def _check(self, description: Any) -> None:
        effect = description.get("effect") if isinstance(description, dict) else None
        found = self.found_version = str(effect.get("version", "")) if isinstance(effect, dict) else ""
        previews = effect.get("previews") if isinstance(effect, dict) else False
        self.previews = previews if previews in (True, "wanted") else False
        if not found:
            raise EngineError(f"What answers in {self.python} is no engine of Flow Inpaint: {HOW_TO_SET}.")
        if found.split(".")[:2] != self._version.split(".")[:2]:
            # Only an engine that the user names gets here: the add-on's own is compared before it is started.
            text = f"The engine in {self.python} is version {found} and this add-on is {self._version}"
            self.messages.append(("warning", f"{text}: it is used as it is, because you named it."))

    def _obituary(self, code: int) -> str:
        if any(line.endswith(("No module named flow_inpaint", "No module named 'flow_inpaint'")) for line in list(self._tail)):
            return f"The engine is not installed in {self.python}: install its wheel there with pip, or {HOW_TO_SET}."
        if code < 0:
            names = {s.value: s.name for s in signal.Signals}
            short = " (the system does that when memory runs out)" if -code == getattr(signal, "SIGKILL", 9) else ""
            return f"The engine was killed by {names.get(-code, f'signal {-code}')}{short}{self._last_words()}."
        return f"The engine ended unexpectedly with exit code {code}{self._last_words()}."

    def _last_words(self) -> str:
        return f"; its last words: {self._tail[-1].rstrip('.')}" if self._tail else ""

    def _read(self) -> None:
        for line in _lines(self._process.stdout):
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict):
                self._incoming.put(message)
            else:
                self._tail.append(line)
        self._log.join(2.0)
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self._scratch.cleanup()
        if self._held is not None:
            self._held.end()
        self._incoming.put(code)

    def _read_log(self) -> None:
        self._tail.extend(_lines(self._process.stderr))

    def _write(self) -> None:
        pipe = self._process.stdin
        try:
            while (line := self._outgoing.get()) is not None:
                pipe.write(line)
                pipe.flush()
            pipe.close()
        except (OSError, ValueError):
            # The process is gone: the reader says so. What it did not take must not be sent again when Python tidies up.
            pipe.raw.close()

    def _see_off(self) -> None:
        try:
            self._process.wait(3.0)
        except subprocess.TimeoutExpired:
            self.kill()


def _thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """The engine's place for temporary files: it goes with the process, also when that was killed and could not tidy up."""
    try:
        return tempfile.TemporaryDirectory(prefix="flow-inpaint-", ignore_cleanup_errors=True)
    except OSError as error:
        folder = tempfile.gettempdir()
        raise EngineError(f"No temporary folder can be made in {folder} ({error.strerror}): free some space there.") from error


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _lines(pipe: BinaryIO) -> Any:
    """The pipe's lines that hold something, as text without line ends."""
    for line in pipe:
        text = line.decode("utf-8", "replace").strip()
        if text:
            yield text
