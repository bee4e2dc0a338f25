"""The work folder of a job, which outlives a run that was cut off and is taken up by the next run of the same job.

What a run leaves:

    success, a cancel, an input that cannot be used   nothing
    a kill, SIGTERM, a host that has gone             the folder
    a full disk, too little memory, a failed output   the folder
    an error that nobody foresaw                      the folder; nothing, if the run had gone on from an earlier one

A cancel is a decision against the result, most often in order to change something, and gigabytes that nobody comes back for
would fill the disk. Whoever wants to go on later ends the process, or the host.
"""
from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .busy_files import replace
from .cache import ABOUT, LOCK, PLACE, about, empty, place, tidy
from .errors import Aborted, Failed, Unforeseen, explained
from .locks import Lock
from .work import disk_trouble, work_folder

#: Processes that may do jobs of one key, which then differ in their outputs.
_TWINS = 9
_MOMENT = 0.05


class WorkPlace:
    """A work folder that a run has to itself.

    path     the folder
    resumed  the stage in which the run stopped that is gone on with; empty: there is none
    """

    def __init__(self, path: Path, said: Mapping[str, Any], lock: Lock | None = None):
        self.path, self._said, self._lock = path, dict(said), lock
        self.resumed = str(about(path).get("stage", "")) if lock else ""
        self._stage: str | None = None
        self.note(self.resumed)

    def note(self, stage: str) -> None:
        """Writes down which stage begins. Raises `Failed`."""
        if stage == self._stage:
            return
        part = self.path / f"{ABOUT}.part"
        try:
            part.write_text(json.dumps(self._said | {"stage": stage}), "utf-8")
            replace(part, self.path / ABOUT)
        except OSError as error:
            raise disk_trouble(part, error) from error
        self._stage = stage

    def clear(self) -> None:
        """Forgets all that an earlier run has left. Raises `Failed`."""
        try:
            empty(self.path)
        except OSError as error:
            raise disk_trouble(self.path, error) from error
        stage, self._stage = self._stage, None
        self.note(stage or "")

    def give_up(self, *, keep: bool) -> None:
        """Lets others have the folder, or deletes it."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        emptied = False
        try:
            try:
                if not keep:
                    empty(self.path)
                    emptied = True
            finally:
                lock.release(delete=emptied)
            if emptied:
                self.path.rmdir()
        except FileNotFoundError:
            # Somebody has deleted it: no reason to call a job failed that is done.
            return
        except OSError as error:
            raise Failed(f"The work folder {self.path} cannot be deleted ({error.strerror}): delete it by hand.") from error


@contextmanager
def kept_work(
    key: str, said: Mapping[str, Any], *, keep: Callable[[], bool], say: Callable[[str, str], None]
) -> Iterator[WorkPlace]:
    """The work folder of the job with this key, with what an earlier run has left in it.

    said  source, output and frames, for the list of folders
    keep  asked when the job was stopped: whether another run is to go on with it
    say   takes messages for the user: level, text

    Where the usual place cannot be written, a temporary folder serves, which is not kept. Raises `Failed` when the place that
    FLOW_INPAINT_CACHE names cannot be written, and when another process does this job.
    """
    try:
        work = _taken(place(), key, said)
    except OSError as error:
        if os.environ.get(PLACE):
            raise Failed(f"The folder {os.environ[PLACE]} that {PLACE} names cannot be used ({error.strerror}): choose another.") from error
        say("info", f"The work cannot be kept in {place()} ({error.strerror}): if this run is cut off, the next one begins anew.")
        with work_folder() as folder:
            yield WorkPlace(folder, said)
        return
    try:
        yield work
    except BaseException as thrown:
        work.give_up(keep=_worth_keeping(thrown, keep, bool(work.resumed)))
        if isinstance(thrown, OSError) and thrown.filename and Path(os.fsdecode(thrown.filename)).parent == work.path:
            raise disk_trouble(Path(os.fsdecode(thrown.filename)), thrown) from thrown
        raise
    try:
        work.give_up(keep=False)
    except Failed as error:
        # The job is done: what cannot be deleted is no reason to call it failed.
        say("warning", str(error))


def _taken(where: Path, key: str, said: Mapping[str, Any]) -> WorkPlace:
    """Raises `OSError`, and `Failed` where a process has the same output."""
    where.mkdir(parents=True, exist_ok=True, mode=0o700)
    tidy()
    for name in (key, *(f"{key}-{number}" for number in range(2, _TWINS + 1))):
        folder = where / name
        lock = _locked(folder)
        if lock is not None:
            return WorkPlace(folder, said, lock)
        if not about(folder):
            # The other one has only just begun.
            time.sleep(_MOMENT)
        if about(folder).get("output") == said.get("output"):
            raise Failed(f"Another process is doing this job and writes {said.get('output')}: wait for it, or stop it first.")
    raise Failed(f"{_TWINS} other processes are doing this job: wait for them.")


def _locked(folder: Path) -> Lock | None:
    while True:
        folder.mkdir(exist_ok=True, mode=0o700)
        try:
            return Lock.take(folder / LOCK)
        except FileNotFoundError:
            # Its last user has just deleted it.
            continue


def _worth_keeping(thrown: BaseException, keep: Callable[[], bool], resumed: bool) -> bool:
    error = explained(thrown)
    if isinstance(error, Aborted):
        return keep()
    if isinstance(error, Unforeseen):
        # What is kept may itself be what is wrong.
        return not resumed
    return error.exit_code != 2
