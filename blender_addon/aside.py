"""Work that keeps the disk busy for long, in a thread beside a window that lives."""
from __future__ import annotations

import threading
from collections.abc import Callable, Generator


def steps(
    work: Callable[[Callable[[], bool]], object], wanted: Callable[[], bool], patience: Callable[[], float]
) -> Generator[None, None, None]:
    """Yields until `work` has ended; raises what that raises. Each step takes `patience` seconds at most.

    `work` is given something to ask now and then: whether it is `wanted` still. It is not when the generator is closed.
    """
    closed, failure = threading.Event(), []

    def run() -> None:
        try:
            work(lambda: wanted() and not closed.is_set())
        except Exception as error:  # noqa: BLE001  whatever it is, the one who waits is to hear of it
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(patience())
            yield
    finally:
        closed.set()
        thread.join()
    if failure:
        raise failure[0]
