"""Which Python makes the engine's environment, and what is said of those that cannot."""
from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from setup_kit import installation, interpreters, variables

SetupError = installation.SetupError
pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes interpreters out of shell scripts")
NONE = variables(PATH="/nowhere", HOME="/nowhere")


def pretend(path: Path, version: str = "3.12.1", able: bool = True, implementation: str = "CPython", bits: int = 64) -> Path:
    """A program that answers as that interpreter would."""
    said = {"path": str(path), "version": [int(v) for v in version.split(".")], "able": able, "implementation": implementation}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{json.dumps(said | {'machine': 'x86_64', 'bits': bits, 'home': '/'})}'\n")
    path.chmod(0o755)
    return path


def find(folder: Path, own: str = "") -> interpreters.Interpreter:
    return interpreters.find(NONE, own, lambda _environment, own: [*sorted(map(str, folder.glob("*"))), *([own] if own else [])])


def test_the_real_one():
    found = interpreters.probe(sys.executable, variables())
    assert found.version == sys.version_info[:3] and Path(found.path).is_file()


def test_an_environments_base_is_taken(tmp_path):
    """An environment made from an environment must not die with it."""
    import venv

    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    found = interpreters.named(str(tmp_path / "env"), variables())
    assert not found.path.startswith(str(tmp_path)) and os.path.samefile(found.path, sys._base_executable)


def test_the_first_that_suits(tmp_path):
    pretend(tmp_path / "a", "3.10.4")
    pretend(tmp_path / "b", able=False)
    pretend(tmp_path / "c", "3.11.0")
    pretend(tmp_path / "d", "3.13.0")
    assert find(tmp_path).version == (3, 11, 0)


def test_the_hosts_own_comes_last(tmp_path):
    own = pretend(tmp_path / "own" / "python")
    (tmp_path / "others").mkdir()
    assert find(tmp_path / "others", str(own)).path == str(own)
    pretend(tmp_path / "others" / "a", "3.14.0")
    assert find(tmp_path / "others", str(own)).version == (3, 14, 0)


def test_none_at_all(tmp_path):
    with pytest.raises(SetupError, match=r"^No Python was found: install Python 3.13 from python.org .*, or name one that you have\.$"):
        find(tmp_path)


def test_what_was_wrong_with_those_found(tmp_path):
    pretend(tmp_path / "a", "3.9.2")
    pretend(tmp_path / "b", "3.12.0", able=False)
    with pytest.raises(SetupError) as caught:
        find(tmp_path)
    text = str(caught.value)
    assert f"{tmp_path / 'b'} cannot make virtual environments" in text and "(1 more are no better)" in text and "\n" not in text
    if sys.platform == "linux":
        assert "apt install python3.12-venv" in text


@pytest.mark.parametrize(
    "kind, words",
    [
        ({"version": "3.10.9"}, "is Python 3.10.9, and the engine needs 3.11 or later"),
        ({"able": False}, "cannot make virtual environments"),
        ({"bits": 32}, "is CPython with 32 bits"),
        ({"implementation": "PyPy"}, "is PyPy with 64 bits"),
    ],
)
def test_a_named_one_that_does_not_do(tmp_path, kind, words):
    path = pretend(tmp_path / "python", **kind)
    with pytest.raises(SetupError) as caught:
        interpreters.named(str(path), NONE)
    assert str(caught.value).startswith(f"{path} {words}") and str(caught.value).endswith(".")


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "#!/bin/sh\necho '{}'\n", "not a program"])
def test_what_is_no_python(tmp_path, program):
    (tmp_path / "python").write_text(program)
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(SetupError, match="does not answer as a Python does: name a Python 3.11 or later"):
        interpreters.named(str(tmp_path / "python"), NONE)


def test_one_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreters, "_PATIENCE", 0.2)
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(SetupError, match="does not answer"):
        interpreters.named(str(tmp_path / "python"), NONE)


def test_named_ones_that_are_not_there(tmp_path):
    with pytest.raises(SetupError, match="does not exist"):
        interpreters.named("python-of-nobody", NONE)
    with pytest.raises(SetupError, match="There is no Python in the folder"):
        interpreters.named(str(tmp_path), NONE)


def test_a_name_on_the_search_path(tmp_path):
    pretend(tmp_path / "python3.12")
    assert interpreters.named("python3.12", variables(PATH=f"{tmp_path}:/bin:/usr/bin")).path == str(tmp_path / "python3.12")


def test_the_search_path_is_searched(tmp_path):
    for name, version in (("python3", "3.11.4"), ("python3.12", "3.12.7"), ("python3.10", "3.10.1")):
        pretend(tmp_path / name, version)
    assert interpreters.find(variables(PATH=f"{tmp_path}:/bin"), "").version == (3, 12, 7)


def test_what_uv_has(tmp_path, monkeypatch):
    """Only when nothing else is there."""
    monkeypatch.setattr(interpreters, "_installers_folders", lambda environment: [])
    python = pretend(tmp_path / "kept" / "python")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\n[ "$2" = find ] && echo "{python}"\n')
    uv.chmod(0o755)
    (tmp_path / "bin" / "sh").symlink_to(shutil.which("sh"))
    path = variables(PATH=f"{tmp_path / 'bin'}", HOME=str(tmp_path))
    assert interpreters.find(path, "").path == str(python)


def test_what_uv_fetches(tmp_path, monkeypatch):
    """When there is nothing, before the host's own; the host's own when uv cannot."""
    monkeypatch.setattr(interpreters, "_installers_folders", lambda environment: [])
    own, python, uv = pretend(tmp_path / "own" / "python", "3.14.1"), tmp_path / "kept" / "python", tmp_path / "bin" / "uv"
    pretend(tmp_path / "store" / "python", "3.13.5")
    uv.parent.mkdir()
    (uv.parent / "sh").symlink_to(shutil.which("sh"))
    (uv.parent / "cp").symlink_to(shutil.which("cp"))
    (uv.parent / "mkdir").symlink_to(shutil.which("mkdir"))
    uv.write_text(
        f'#!/bin/sh\nif [ "$2" = find ]; then [ -e "{python}" ] && echo "{python}"; exit; fi\n'
        f'[ -e "{tmp_path}/offline" ] && {{ echo "error: no route" >&2; exit 2; }}\n'
        f'mkdir -p "{python.parent}" && cp "{tmp_path}/store/python" "{python}"\n'
    )
    uv.chmod(0o755)
    path = variables(PATH=str(tmp_path / "bin"), HOME=str(tmp_path))
    (tmp_path / "offline").touch()
    assert installation.found_or_fetched(path, str(own), True).path == str(own)
    with pytest.raises(SetupError, match=r"uv could not download a Python \(error: no route\): install Python 3.13"):
        interpreters.fetched_by_uv(path)
    (tmp_path / "offline").unlink()
    assert installation.found_or_fetched(path, str(own), False).path == str(own)
    assert installation.found_or_fetched(path, str(own), True).version == (3, 13, 5)


def test_the_microsoft_stores(tmp_path):
    path = pretend(tmp_path / "WindowsApps" / "python")
    with pytest.raises(SetupError, match="comes from the Microsoft Store"):
        interpreters.named(str(path), NONE)
