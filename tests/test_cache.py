"""Work folders that are kept: what lies there, deleting it, what nobody comes back for, and the lock."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flow_inpaint import cache, cli, kept_work
from flow_inpaint.errors import Aborted, BadParameter, Failed
from flow_inpaint.locks import Lock

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "work"


def leave(key: str, size: int = 1000, *, stage: str = "flow", days: float = 0, output: str = "/out.mkv") -> Path:
    """What a run leaves that was ended so many days ago."""
    said = {"source": "/shot.mov", "output": output, "frames": "0-9"}
    with pytest.raises(Aborted), kept_work.kept_work(key, said, keep=lambda: True, say=lambda level, text: None) as work:
        work.note(stage)
        (work.path / "pictures").write_bytes(bytes(size))
        raise Aborted("x")
    then = time.time() - days * 86400
    for path in work.path.iterdir():
        os.utime(path, (then, then))
    return work.path


def test_the_list(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cache", "list"]) == 0
    assert capsys.readouterr().out == f"0 work folders, 0.0 MiB, in {place}.\n"
    leave(A, 3 * 2**20, days=3)
    leave(B, stage="trace")
    (place / "something else").mkdir()
    lock = Lock.take(place / B / cache.LOCK)
    assert cli.main(["cache", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [B, "  source   /shot.mov, frames 0-9", "  output   /out.mkv", "  state    is running, in the stage trace, 0.0 MiB"]
    assert lines[5:9] == [A, *lines[1:3], "  state    stopped in the stage flow, 3 days ago, 3.0 MiB"]
    assert lines[-1] == f"2 work folders, 3.0 MiB, in {place}."
    assert cli.main(["cache", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["running"]) for one in told["work"]] == [(B, True), (A, False)] and told["place"] == str(place)
    lock.release()


def test_a_job_that_is_done_stays_done_when_its_work_cannot_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scanner for viruses holds a file of it, say. The next run of the same job finds the folder free."""

    def held(folder: Path) -> None:
        raise PermissionError(13, "being used by another process", str(folder))

    said = []
    real = kept_work.empty
    monkeypatch.setattr(kept_work, "empty", held)
    with kept_work.kept_work(A, {"output": "/out.mkv"}, keep=lambda: False, say=lambda level, text: said.append((level, text))) as work:
        work.note("write")
    assert said == [("warning", f"The work folder {work.path} cannot be deleted (being used by another process): delete it by hand.")]
    monkeypatch.setattr(kept_work, "empty", real)
    with kept_work.kept_work(A, {"output": "/out.mkv"}, keep=lambda: False, say=lambda level, text: None) as again:
        assert again.path == work.path
    assert not work.path.exists()


def test_clearing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key in (A, B, C):
        leave(key)
    (place / "something else").mkdir()
    assert cli.main(["cache", "clear", B]) == 0
    assert sorted(os.listdir(place)) == [A, C, "something else"]
    assert cli.main(["cache", "clear", "d" * 32]) == 2
    assert "There is no work folder" in capsys.readouterr().err
    lock = Lock.take(place / C / cache.LOCK)
    assert cli.main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"Deleted 1 work folder, 0.0 MiB.\nLeft {C}, which is running: /shot.mov\n"
    assert sorted(os.listdir(place)) == [C, "something else"], "only what is ours, and nobody works in"
    lock.release()
    with pytest.raises(BadParameter):
        cache.clear(["something else"])


def test_what_cannot_be_deleted_is_not_held(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that tidies up in vain, say, must not keep the next run from going on."""
    leave(A)

    def held(folder: Path) -> None:
        raise PermissionError(13, "being used by another process", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(cache, "empty", held)
        with pytest.raises(Failed, match=f"^The work folder {place / A} cannot be deleted: being used by another process.$"):
            cache.clear()
    assert [one.running for one in cache.entries()] == [False]
    cache.clear()
    assert not cache.entries()


def test_what_nobody_comes_back_for_goes_when_a_job_starts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(A, days=cache.OLDEST_DAYS + 1)
    leave(B, days=cache.OLDEST_DAYS - 1)
    leave(C)
    assert sorted(os.listdir(place)) == [B, C]
    monkeypatch.setattr(cache, "LARGEST_GIB", 1500 / 2**30)
    leave("d" * 32, 10)
    assert sorted(os.listdir(place)) == [C, "d" * 32], "the one that was used last stays"


def test_what_runs_is_not_tidied_away(place: Path) -> None:
    folder = leave(A, days=100)
    lock = Lock.take(folder / cache.LOCK)
    leave(B)
    assert sorted(os.listdir(place)) == [A, B]
    lock.release()


def test_a_link_in_the_cache_is_not_followed(place: Path, tmp_path: Path) -> None:
    folder = leave(A)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    (folder / "link").symlink_to(tmp_path / "precious")
    (place / B).symlink_to(tmp_path / "precious")
    cache.clear()
    assert (tmp_path / "precious" / "file").read_text() == "x"


def test_nonsense_in_a_work_folder(place: Path) -> None:
    folder = leave(A)
    for text in ("", "[]", "{", '{"source": 3}'):
        (folder / cache.ABOUT).write_text(text)
        (one,) = cache.entries()
        assert one.name == A and one.stage == ""


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"XDG_CACHE_HOME": "/some"}, "/some/flow-inpaint/work"),
        ({"HOME": "/me", "XDG_CACHE_HOME": "not/absolute"}, "/me/.cache/flow-inpaint/work"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_the_usual_place(variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.PLACE)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache.place()) == wanted


HOLDS = """
import sys, time
from pathlib import Path
from flow_inpaint.locks import Lock
lock = Lock.take(Path(sys.argv[1]))
print(lock is not None, flush=True)
time.sleep(60)
"""


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    assert Lock.take(path, patience=0.1) is None
    process.kill()
    process.wait()
    process.stdout.close()
    lock = Lock.take(path, patience=0)
    assert lock is not None and Lock.take(path, patience=0) is None
    lock.release(delete=True)
    assert not path.exists()


def test_a_lock_on_a_deleted_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking, its last holder deletes the file: whoever comes next must not get a second lock."""
    from flow_inpaint import locks

    path, real = tmp_path / "lock", locks._locked
    first = Lock.take(path)

    def slow(descriptor: int) -> bool:
        monkeypatch.setattr(locks, "_locked", real)
        first.release(delete=True)
        return real(descriptor)

    monkeypatch.setattr(locks, "_locked", slow)
    second = Lock.take(path)
    assert second is not None and path.exists() and Lock.take(path, patience=0) is None
    second.release()


@pytest.mark.skipif(os.name == "nt", reason="pipes as POSIX has them")
def test_a_pipe_among_the_work_is_not_waited_for(place: Path) -> None:
    folder = leave(A)
    (folder / cache.ABOUT).unlink()
    os.mkfifo(folder / cache.ABOUT)
    done = subprocess.run([sys.executable, "-m", "flow_inpaint", "cache", "list"], capture_output=True, text=True, timeout=20, check=True)
    assert A in done.stdout and "source   unknown" in done.stdout


def test_notes_without_an_end_or_a_bottom(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = leave(A)
    (folder / cache.ABOUT).write_text("[" * 200_000)
    assert [one.stage for one in cache.entries()] == [""]
    monkeypatch.setattr(cache, "_LONGEST", 1000)
    (folder / cache.ABOUT).write_text(json.dumps({"stage": "flow", "source": "x" * 2000}))
    assert [one.stage for one in cache.entries()] == [""]


def test_names_do_nothing_to_the_terminal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(A, output="/a\nb\x1b[2J\x9b31m")
    assert cli.main(["cache", "list"]) == 0
    assert "  output   /a b\\x1b[2J\\x9b31m\n" in capsys.readouterr().out
    assert str(Failed("/a\nb\x1b[2J is bad.")) == "/a b\\x1b[2J is bad."


def test_one_folder_that_cannot_be_deleted_keeps_none_of_the_others(place: Path) -> None:
    for name in (A, B, C):
        leave(name)
    (place / B / cache.LOCK).unlink()
    (place / B / cache.LOCK).mkdir()
    with pytest.raises(Failed, match=f"^The work folder {place / B} cannot be deleted"):
        cache.clear()
    assert os.listdir(place) == [B]


@pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")
def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x" * 100)
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    lock = Lock.take(tmp_path / "lock")
    lock.say(b"mine")
    assert (tmp_path / "precious").read_text() == "x" * 100 and Lock.said(tmp_path / "lock") == b"mine"
    lock.release()
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        Lock.said(tmp_path / "lock")
