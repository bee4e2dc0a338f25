"""The engine that stays ready between two jobs: starting one takes longer than many a job."""
from __future__ import annotations

import threading

from . import engine_client
from .engine_setup import place

_waiting: engine_client.Engine | None = None


class Start:
    """An engine on its way: even to start a process can hold Blender up, so a thread does it. `engine` once it is there."""

    def __init__(self, python: str, version: str, ready: engine_client.Engine | None):
        self.engine = ready
        self._error: engine_client.EngineError | None = None
        self._left = False
        self._lock = threading.Lock()
        if ready is None:
            threading.Thread(target=self._start, args=(python, version), daemon=True).start()

    def arrived(self) -> bool:
        """Whether the process runs. Raises `EngineError` when it cannot be started."""
        if self._error is not None:
            raise self._error
        return self.engine is not None

    def leave(self) -> None:
        """Gives back what was taken, or will have been."""
        with self._lock:
            self._left = True
            engine, self.engine = self.engine, None
        if engine is not None:
            give_back(engine)

    def end(self, wait: float = 0.0) -> None:
        """Ends what was taken, or will have been, instead of giving it back. Returns after at most `wait` seconds."""
        with self._lock:
            self._left = True
            engine, self.engine = self.engine, None
        if engine is not None:
            engine.close(wait)

    def _start(self, python: str, version: str) -> None:
        python, held = place.held(python)
        try:
            engine = engine_client.Engine(python, version, held=held)
        except engine_client.EngineError as error:
            if held is not None:
                held.end()
            self._error = error
            return
        with self._lock:
            left = self._left
            if not left:
                self.engine = engine
        if left:
            engine.kill()
        place.tidy_beside(python)


def take(python: str, version: str) -> Start:
    """The engine that waits, if it runs in that interpreter, else a new one. Whoever takes it calls `leave` at the end."""
    global _waiting
    engine, _waiting = _waiting, None
    if engine is not None and engine.python == python and engine.idle:
        return Start(python, version, engine)
    if engine is not None:
        engine.close()
    return Start(python, version, None)


def give_back(engine: engine_client.Engine) -> None:
    """Keeps it for the next job, unless it is dead or still at work: then it ends at once."""
    global _waiting
    if _waiting is None and engine.idle:
        engine.result = None
        engine.messages.clear()
        _waiting = engine
    else:
        engine.kill()


def end(wait: float = 0.0) -> None:
    """Ends the engine that waits: Blender quits, or there is another engine to use. Returns after at most `wait` seconds."""
    global _waiting
    engine, _waiting = _waiting, None
    if engine is not None:
        engine.close(wait)
