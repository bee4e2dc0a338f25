"""The engine that stays ready between two jobs: starting one takes longer than many a job."""
from __future__ import annotations

from . import engine_client

_waiting: engine_client.Engine | None = None


def take(python: str, version: str) -> engine_client.Engine:
    """The engine that waits, if it runs in that interpreter, else a new one. Whoever takes it gives it back.

    Raises `engine_client.EngineError`.
    """
    global _waiting
    engine, _waiting = _waiting, None
    if engine is not None and engine.python == python and engine.idle:
        return engine
    if engine is not None:
        engine.close()
    return engine_client.Engine(python, version)


def give_back(engine: engine_client.Engine) -> None:
    """Keeps it for the next job, unless it is dead or still at work: then it ends at once."""
    global _waiting
    if _waiting is None and engine.idle:
        engine.result = None
        _waiting = engine
    else:
        engine.kill()


def end(wait: float = 0.0) -> None:
    """Ends the engine that waits: Blender quits, or there is another engine to use. Returns after at most `wait` seconds."""
    global _waiting
    engine, _waiting = _waiting, None
    if engine is not None:
        engine.close(wait)
