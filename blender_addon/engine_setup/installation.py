"""An installation as the host sees it: started, looked at now and then, stopped. Nothing here blocks the host."""
from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import interpreters, torch_builds
from .children import apart, kill_tree
from .errors import SetupError
from .interpreters import Interpreter
from .place import Place, State, Wheel
from .plan import Plan

OFFLINE = (
    "Blender may not go online: turn on 'Allow Online Access' in Preferences > System (or start it with --online-mode),"
    " or name a folder of wheels."
)
_ADDON = Path(__file__).resolve().parents[1]
# The add-on's folder goes to the end of the path: a module of the same name in the standard library comes first.
_BEGIN = "import sys, runpy; sys.path.append(sys.argv[1]); runpy.run_module('engine_setup.worker', run_name='__main__')"
_GOODBYE = 5.0


@dataclass(frozen=True)
class Request:
    """What the user asks for. `python` empty: one is looked for, `own` (the host's) as the last resort; `torch`: a name of
    `torch_builds` or "auto"; `wheels` empty: from the network, which `online` allows or not.
    """

    root: Path
    wheel: Wheel
    online: bool
    python: str = ""
    torch: str = "auto"
    wheels: str = ""
    torch_index: str = ""
    own: str = ""


def check(request: Request) -> None:
    """Raises `SetupError` for what can be known before anything is started."""
    if request.wheels:
        folder = Path(request.wheels)
        if not folder.is_dir():
            raise SetupError(f"The folder of wheels {folder} does not exist: name another, or none to install from the network.")
        if next(folder.glob("*.whl"), None) is None:
            raise SetupError(f"There are no wheels in {folder}: fill it with 'pip download', or name none to install from the network.")
    elif not request.online:
        raise SetupError(OFFLINE)
    if not request.root.is_absolute():
        raise SetupError(
            f"The engine's folder {request.root} is no whole path: choose another 'Engine Folder' in the add-on's preferences."
        )


class Change:
    """Something that changes the engine and takes a while. Starts at once; `finished` ends it: then `error` is one sentence, or empty
    when all went well, and `notes` are what the user should know all the same.
    """

    title = success = ""
    can_be_cancelled = False

    def __init__(self, stage: str):
        self.stage = stage
        self.detail = ""
        self.fraction = 0.0
        self.notes: list[str] = []
        self.error = ""
        self.cancelled = False
        self.finished = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def status(self) -> str:
        """What it is doing, in one line."""
        if self.cancelled and not self.finished:
            return "Stopping"
        return f"{self.stage}, {self.detail}" if self.detail else self.stage

    def join(self, timeout: float) -> bool:
        """Waits, for hosts without a window; whether it has finished."""
        self._thread.join(timeout)
        return self.finished

    def cancel(self) -> None:
        """Asks for the end and returns at once."""

    def _work(self) -> None:
        raise NotImplementedError


class Removal(Change):
    """Deletes what `place.Place.remove` does."""

    title, success = "Removing the engine", "The engine was removed."

    def __init__(self, place: Place):
        super().__init__("Deleting files")
        self._place = place
        self._thread.start()

    def _work(self) -> None:
        try:
            self._place.remove()
        except SetupError as error:
            self.error = str(error)
        finally:
            self.finished = True


class Installation(Change):
    """Makes the engine's environment and installs the engine into it."""

    title, success = "Installing the engine", "The engine is installed, and has passed its test."
    can_be_cancelled = True

    def __init__(self, request: Request, environment: Mapping[str, str]):
        """`environment`: of the processes that it starts. Raises `SetupError` as `check` does."""
        check(request)
        super().__init__("Looking for a Python")
        self.interpreter: Interpreter | None = None
        self._request, self._environment = request, dict(environment)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread.start()

    def cancel(self) -> None:
        """Asks for the end and returns at once. What was downloaded is kept for the next time."""
        with self._lock:
            self.cancelled = True
            process = self._process
        if process is not None:
            threading.Thread(target=_see_off, args=(process,), daemon=True).start()

    def _work(self) -> None:
        try:
            self._run(self._find())
        except SetupError as error:
            self.error = str(error)
        except Exception as error:  # this thread has nobody else to tell it to
            self.error = f"The installation could not be started ({type(error).__name__}: {error})."
        finally:
            if self.cancelled and not self.error:
                self.error = "The installation was stopped; what was downloaded is kept."
            self.finished = True

    def _find(self) -> Interpreter:
        request = self._request
        if request.python:
            found = interpreters.named(request.python, self._environment)
        else:
            found = found_or_fetched(self._environment, request.own, bool(request.online and not request.wheels))
        self.interpreter = found
        return found

    def _plan(self) -> Plan:
        request = self._request
        choices = [build.name for build in torch_builds.builds()]
        cuda = torch_builds.nvidia_cuda(self._environment) if request.torch in ("auto", "cuda") else None
        torch = torch_builds.suggested(cuda) if request.torch == "auto" else request.torch
        if torch not in choices:
            raise SetupError(f"There is no PyTorch of the kind '{torch}' for this machine: choose {' or '.join(choices)}.")
        index = request.torch_index or torch_builds.index(torch, cuda)
        return Plan(
            request.root, request.wheel.path, torch, index if torch != "none" else None, Path(request.wheels) if request.wheels else None
        )

    def _run(self, interpreter: Interpreter) -> None:
        plan = self._plan()
        command = [interpreter.path, "-I", "-B", "-X", "utf8", "-c", _BEGIN, str(_ADDON)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self._lock:
            if self.cancelled:
                return
            try:
                self._process = process = subprocess.Popen(
                    command, env=self._environment, text=True, encoding="utf-8", errors="replace", **pipes, **apart()
                )
            except OSError as error:
                raise SetupError(f"{interpreter.path} cannot be started ({error.strerror}): name another Python.") from error
        words: list[str] = []
        listener = threading.Thread(target=_keep, args=(process.stderr, words), daemon=True)
        listener.start()
        try:
            process.stdin.write(plan.encoded() + "\n")
            process.stdin.flush()
        except OSError:
            pass  # it has ended already, and what it said is read below
        done = self._listen(process.stdout)
        code = process.wait()
        listener.join(1.0)
        _close(process.stdin)
        if not done and not self.error and not self.cancelled:
            last = next((word.strip() for word in reversed(words) if word.strip()), "it did not say why")
            self.error = (
                f"The installation ended unexpectedly with exit code {code} ({last.rstrip('.')}): {Place(plan.root).log} may have more."
            )

    def _listen(self, stream: IO[str]) -> bool:
        """Takes in what the worker says, to its end; whether the engine is installed."""
        done = False
        for line in stream:
            try:
                said: Any = json.loads(line)
            except ValueError:
                continue
            if "stage" in said:
                self.stage, self.fraction, self.detail = said["stage"], said["fraction"], said["detail"]
            elif "note" in said:
                self.notes.append(said["note"])
            elif "error" in said:
                self.error = said["error"]
            elif "done" in said:
                done = True
                self.cancelled = False
                self.fraction = 1.0
        return done


def found_or_fetched(environment: Mapping[str, str], own: str, may_fetch: bool) -> Interpreter:
    """A suitable interpreter; with uv and a network, one is had before the host's own is taken. Raises `SetupError`."""
    try:
        return interpreters.find(environment)
    except SetupError:
        if may_fetch and interpreters.uv_program(environment):
            try:
                return interpreters.fetched_by_uv(environment)
            except SetupError:
                pass  # the host's own is left, and what is said about that is the better advice
        return interpreters.find(environment, own)


def advice(state: State, place: Place, carried: Wheel | None) -> str:
    """What is the matter with what is installed, and what to do; empty when nothing is."""
    stamp = place.stamp()
    if state == "missing" or stamp is None:
        return "The engine is not installed yet: press Install Engine."
    if state == "broken":
        return f"The engine is damaged, or the Python that it was made with ({stamp.base}) is gone: press Repair Engine."
    if state == "outdated" and carried is not None:
        if stamp.version == carried.version:
            return f"The engine is another build of {stamp.version} than this add-on's: press Upgrade Engine."
        older = "older" if _numbers(stamp.version) < _numbers(carried.version) else "newer"
        return f"The engine is version {stamp.version}, {older} than this add-on's {carried.version}: press Upgrade Engine."
    return ""


def fits(stamp_version: str, addon_version: str) -> bool:
    """Whether engine and add-on speak the same language: their first two numbers agree."""
    return stamp_version.split(".")[:2] == addon_version.split(".")[:2]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _see_off(process: subprocess.Popen[str]) -> None:
    """The worker goes when its input closes, and tidies up first; one that does not is ended."""
    _close(process.stdin)
    end = time.monotonic() + _GOODBYE
    while time.monotonic() < end:
        if process.poll() is not None:
            return
        time.sleep(0.05)
    kill_tree(process)


def _close(pipe: IO[str] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:
        return  # the other end has gone


def _keep(stream: IO[str], words: list[str]) -> None:
    words.extend(stream)
