"""The queue: jobs that were started in a window, one after the other in the engine that stays warm.

Nothing in here is saved with the file or taken back by undo: a job belongs to the session, what it makes to the file.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count

from .task import Cancelled, Task, TaskError

KEPT = 8
"""How many jobs that are over stay in the list."""


class State(Enum):
    WAITING = "Waiting"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


@dataclass
class Job:
    """One entry of the list. `make` makes its task anew, from what the strips are then. `text`: how it ended."""

    make: Callable[[], Task]
    task: Task
    number: int
    verb: str
    subject: str
    state: State = State.WAITING
    text: str = ""
    seconds: float = 0.0
    begun: float = field(default=0.0, repr=False)

    @property
    def over(self) -> bool:
        return self.state not in (State.WAITING, State.RUNNING)

    def status(self) -> str:
        if self.state is State.RUNNING:
            return self.task.status()
        return self.text or self.state.value


listed: list[Job] = []
_numbers = count(1)


def add(make: Callable[[], Task]) -> Job:
    """Puts a task at the end of the queue. What is wrong with it is found out at once: raises `TaskError`."""
    task = make()
    job = Job(make, task, next(_numbers), task.verb, task.subject)
    listed.append(job)
    over = [one for one in listed if one.over]
    for one in over[:-KEPT]:
        listed.remove(one)
    return job


def find(number: int) -> Job | None:
    return next((job for job in listed if job.number == number), None)


def running() -> Job | None:
    return next((job for job in listed if job.state is State.RUNNING), None)


def waiting() -> list[Job]:
    return [job for job in listed if job.state is State.WAITING]


def in_order() -> list[Job]:
    """As a list shows them: what runs, what waits, then what is over, the latest first."""
    live = [job for job in listed if job.state is State.RUNNING] + waiting()
    return live + [job for job in reversed(listed) if job.over]


def busy() -> bool:
    """Whether anything runs or waits."""
    return any(not job.over for job in listed)


def step() -> Job | None:
    """Lets the job whose turn it is do as much as it has time for. Returns it when that was its end."""
    job = running() or next(iter(waiting()), None)
    if job is None:
        return None
    if job.state is State.WAITING:
        job.state, job.begun = State.RUNNING, time.monotonic()
    try:
        if job.task.advance():
            return None
        _end(job, State.DONE, job.task.outcome())
    except Cancelled:
        _end(job, State.CANCELLED, "Stopped: nothing was changed")
    except TaskError as error:
        _end(job, State.FAILED, str(error))
    except Exception as error:
        _end(job, State.FAILED, f"Something went wrong inside Flow Inpaint ({type(error).__name__}: {error}): please report it.")
        raise
    return job


def cancel(number: int) -> None:
    """Asks the job to stop; one that waits is over at once."""
    job = find(number)
    if job is None or job.over:
        return
    if job.state is State.RUNNING:
        job.task.cancel()
    else:
        job.task.stop()
        _end(job, State.CANCELLED, "Taken out of the queue")


def retry(number: int) -> Job | None:
    """The same once more, at the end of the queue, in the place of the one that is over. Raises `TaskError`."""
    job = find(number)
    if job is None or not job.over:
        return None
    again = add(job.make)
    listed.remove(job)
    return again


def clear() -> None:
    """Takes those that are over from the list."""
    listed[:] = [job for job in listed if not job.over]


def stop_all() -> None:
    """Ends everything at once: the file that it belongs to goes, or the add-on, or Blender."""
    for job in listed:
        if not job.over:
            job.task.stop()
    listed.clear()


def _end(job: Job, state: State, text: str) -> None:
    job.state, job.text = state, text
    job.seconds = time.monotonic() - job.begun if job.begun else 0.0
