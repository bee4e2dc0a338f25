"""What is done about files that are held for a moment. Only Windows refuses to move what is open: here that is played."""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from setup_kit import busy_files

from flow_inpaint import busy_files as of_the_engine


class Held:
    """Refuses what it is asked to do so many times, as Windows does while a file is open."""

    def __init__(self, times: int, do: object):
        self.left, self._do = times, do

    def __call__(self, *arguments: object, **named: object) -> None:
        self.left -= 1
        if self.left < 0:
            self._do(*arguments, **named)
        elif not named.get("ignore_errors"):
            raise PermissionError(13, "being used by another process")


def moved(kind: str, times: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Moves a file over another one that is held, and says what both names hold then."""
    (folder / "new").write_text("new")
    (folder / "old").write_text("old")
    held = Held(times, os.replace)
    if kind == "engine":
        monkeypatch.setattr(of_the_engine.os, "replace", held)
        of_the_engine.replace(folder / "new", folder / "old")
    else:
        busy_files.patiently(held, folder / "new", folder / "old")
    return sorted(path.name + ":" + path.read_text() for path in folder.iterdir())


@pytest.fixture(params=["engine", "addon"])
def kind(request, monkeypatch):
    for room in (busy_files, of_the_engine):
        monkeypatch.setattr(room, "_PATIENCE", 1.0)
    return request.param


def test_what_is_held_for_a_moment_is_moved(kind, tmp_path, monkeypatch):
    assert moved(kind, 3, tmp_path, monkeypatch) == ["old:new"]


def test_what_stays_held_is_not_moved_and_said(kind, tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    for room in (busy_files, of_the_engine):
        monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=lambda s: setattr(clock, "now", clock.now + s)))
    with pytest.raises(PermissionError):
        moved(kind, 1000, tmp_path, monkeypatch)
    assert 1.0 <= clock.now < 1.1 and (tmp_path / "old").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="there it is worth another try")
def test_a_folder_that_may_not_be_written_is_said_at_once():
    assert of_the_engine._PATIENCE == busy_files._PATIENCE == 0.0


def test_a_folder_goes_as_soon_as_nothing_in_it_is_held(tmp_path, monkeypatch):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", Held(3, shutil.rmtree))
    busy_files.remove_folder(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_no_matter(tmp_path):
    busy_files.remove_folder(tmp_path / "nothing")
