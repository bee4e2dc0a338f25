"""Environments that somebody works in. What is said of another Blender is done here by another process."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from setup_kit import installation, place

_WORKS = """
import sys
from pathlib import Path
from engine_setup.use import Use
use = Use(Path(sys.argv[1]))
print(use.descriptor is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(there: place.Place) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that works in the environment e1 until its input closes."""
    begun = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKS, str(there.root / "e1")],
            env=os.environ | {"PYTHONPATH": str(Path(place.__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        assert process.stdout.readline().strip() == "True"
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()


def upgrade(there: place.Place, carried: place.Wheel) -> None:
    """As an installation does it, whose environment is there already."""
    (there.root / "e2").mkdir(exist_ok=True)
    with there.locked():
        there.commit(place.Stamp("e2", sys.executable, "3.11.7", carried.version, carried.sha256, "none"))
        there.tidy()


def test_an_upgrade_leaves_it_until_the_last_one_has_ended(there, carried, another):
    one, other = another(), another()
    before = sorted(str(path) for path in (there.root / "e1").rglob("*"))
    upgrade(there, carried)
    assert sorted(str(path) for path in (there.root / "e1").rglob("*")) == before
    one.communicate()
    there.tidy()
    assert (there.root / "e1" / "pyvenv.cfg").is_file()
    other.communicate()
    there.tidy()
    assert not (there.root / "e1").exists() and (there.root / "e2").exists()


def test_one_that_was_killed_holds_nothing(there, carried, another):
    one = another()
    one.kill()
    one.wait()
    upgrade(there, carried)
    assert not (there.root / "e1").exists()


def test_the_next_start_of_an_engine_takes_it_away(there, carried, another):
    one = another()
    upgrade(there, carried)
    one.communicate()
    place.tidy_beside(str(place.python_of(there.root / "e2")))
    assert not (there.root / "e1").exists()


def test_the_next_start_waits_for_an_engine_that_is_ending(there, carried, another):
    one = another()
    upgrade(there, carried)
    threading.Timer(0.3, one.stdin.close).start()
    place.tidy_beside(str(place.python_of(there.root / "e2")), patience=10.0)
    assert not (there.root / "e1").exists()


def test_the_next_start_does_not_wait_for_ever(there, carried, another):
    another()
    upgrade(there, carried)
    place.tidy_beside(str(place.python_of(there.root / "e2")), patience=0.1)
    assert (there.root / "e1" / "pyvenv.cfg").exists()


def test_nothing_is_taken_away_while_an_installation_goes_on(there, carried, another):
    one = another()
    upgrade(there, carried)
    one.communicate()
    with there.locked():
        place.tidy_beside(str(place.python_of(there.root / "e2")), patience=0.1)
        assert (there.root / "e1").exists()


def test_removing_waits_for_an_engine_that_is_ending(there, another):
    one = another()
    threading.Timer(0.3, one.stdin.close).start()
    there.remove()
    assert sorted(os.listdir(there.root)) == ["lock"]


def test_removing_is_refused_while_another_blender_works(there, carried, another):
    another()
    with pytest.raises(installation.SetupError, match="^Another Blender works with the engine in .*: close it, then remove the engine again"):
        there.remove(patience=0.2)
    assert there.state(carried) == "whole"


def test_it_is_held_by_the_process_that_it_is_handed_on_to(there, carried):
    python, held = place.held(str(there.python()))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held.descriptor,))
    held.end()
    upgrade(there, carried)
    assert python == str(place.python_of(there.root / "e1")) and (there.root / "e1").exists()
    child.communicate(b"\n")
    there.tidy()
    assert not (there.root / "e1").exists()


def test_a_job_that_waited_through_an_upgrade_gets_the_new_one(there, carried):
    before = str(there.python())
    upgrade(there, carried)
    python, held = place.held(before)
    assert python == str(place.python_of(there.root / "e2")) and held.descriptor is not None
    held.end()


def test_what_is_being_taken_away_cannot_be_held(there):
    descriptor = os.open(there.root / "e1" / "in-use", os.O_RDWR | os.O_CREAT)
    assert place.locks.alone(descriptor)
    with pytest.raises(place.use.Gone):
        place.use.Use(there.root / "e1")
    os.close(descriptor)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="gives up being root for a while")
def test_users_who_may_only_read_hold_it_too(there, tmp_path):
    place.use.Use(there.root / "e1").end()
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        os.chmod(folder, os.stat(folder).st_mode | 0o055)
    os.seteuid(65534)
    try:
        held = place.use.Use(there.root / "e1")
        assert held.descriptor is not None and place.use.in_use(there.root / "e1")
        held.end()
    finally:
        os.seteuid(0)


def test_a_python_of_the_users_own(tmp_path):
    assert place.held(sys.executable) == (sys.executable, None)
    place.tidy_beside(sys.executable)
