"""Processes that the worker starts: their words are logged and kept, and they go when it is told to stop."""
from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from .errors import Cancelled

Tick = Callable[[], None]
_TICK = 0.4


class Children:
    """One child at a time. `cancelled`: set by whoever also calls `kill`. `log`: takes a line."""

    def __init__(self, cancelled: threading.Event, log: Callable[[str], None]):
        self._cancelled, self._log = cancelled, log
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def run(self, command: Sequence[str], variables: Mapping[str, str], tick: Tick | None = None) -> tuple[int, list[str]]:
        """Exit code and lines of output and errors together. `tick` is called now and then meanwhile. Raises `Cancelled`."""
        code, lines, _ = self._run(command, variables, subprocess.STDOUT, tick)
        return code, lines

    def run_apart(self, command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, list[str], list[str]]:
        """Exit code, lines of output, lines of errors. Raises `Cancelled`."""
        return self._run(command, variables, subprocess.PIPE, None)

    def kill(self) -> None:
        """Ends the child and its children at once."""
        with self._lock:
            child = self._child
        if child is not None and child.poll() is None:
            kill_tree(child)

    def _run(
        self, command: Sequence[str], variables: Mapping[str, str], errors: int, tick: Tick | None
    ) -> tuple[int, list[str], list[str]]:
        self._log("$ " + " ".join(f'"{word}"' if " " in word else word for word in command))
        arrived: queue.SimpleQueue[tuple[int, str | None]] = queue.SimpleQueue()
        with self._lock:
            if self._cancelled.is_set():
                raise Cancelled
            self._child = child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=dict(variables),
                **apart(),
            )
        streams = [stream for stream in (child.stdout, child.stderr) if stream is not None]
        for number, stream in enumerate(streams):
            threading.Thread(target=_read, args=(number, stream, arrived), daemon=True).start()
        kept: tuple[list[str], list[str]] = ([], [])
        open_streams = len(streams)
        while open_streams:
            try:
                number, line = arrived.get(timeout=_TICK)
            except queue.Empty:
                if tick:
                    tick()
                continue
            if line is None:
                open_streams -= 1
            else:
                kept[number].append(line)
                self._log(line)
        code = child.wait()
        if self._cancelled.is_set():
            raise Cancelled
        return code, *kept


def apart() -> dict[str, Any]:
    """Arguments of Popen for a process that no key reaches and that shows no window."""
    return {"start_new_session": True} if os.name == "posix" else {"creationflags": subprocess.CREATE_NO_WINDOW}


def kill_tree(child: subprocess.Popen[Any]) -> None:
    """Ends a process started with `apart` and everything that it started."""
    if os.name == "posix":
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            child.kill()
    else:
        taskkill = ["taskkill", "/T", "/F", "/PID", str(child.pid)]
        subprocess.run(taskkill, stdin=subprocess.DEVNULL, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
        child.kill()


def _read(number: int, stream: IO[str], arrived: queue.SimpleQueue[tuple[int, str | None]]) -> None:
    for line in stream:
        arrived.put((number, line.rstrip("\n")))
    arrived.put((number, None))
