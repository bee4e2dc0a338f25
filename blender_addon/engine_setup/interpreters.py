"""Which Python the engine's environment is made with: the one that the user names, else the first suitable one on the machine.

Order: python3.13, 3.12, 3.11, 3.14 and python3 of the search path and of the places that installers use (a program started from
a desktop often has a short search path), the `py` launcher of Windows, Pythons that uv has, Blender's own. Blender's own comes
last because an environment dies with the interpreter that it was made with, and Blender's goes with the next Blender.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import SetupError

OLDEST = (3, 11)
_FAMILIAR = ("3.13", "3.12", "3.11", "3.14")
_PATIENCE = 15.0
_INSTALL_ONE = "install Python 3.13 from python.org (Linux: python3 and python3-venv from your distribution)"

# Says what is to be known about an interpreter, and asks for the base of a virtual environment, which could be deleted.
_PROBE = """
import json, os, platform, sys
try:
    import ensurepip, venv
    able = True
except ImportError:
    able = False
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable, "version": list(sys.version_info[:3]), "able": able,
    "implementation": platform.python_implementation(), "machine": platform.machine(), "bits": 64 if sys.maxsize > 2**32 else 32,
    "home": sys.base_prefix,
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make the engine's environment."""

    path: str
    version: tuple[int, int, int]

    @property
    def label(self) -> str:
        return f"Python {'.'.join(map(str, self.version))} ({self.path})"


class Unsuitable(SetupError):
    """`str()` is a sentence; `reason` goes into a list of reasons."""

    def __init__(self, path: str, reason: str, advice: str):
        super().__init__(f"{path} {reason}: {advice}.")
        self.path, self.reason = path, reason


def named(text: str, environment: Mapping[str, str]) -> Interpreter:
    """The interpreter that the user names: a path, a virtual environment's or Python's folder, or a name on the search path.

    Raises `SetupError`.
    """
    wanted = os.path.expanduser(text.strip())
    path = Path(wanted)
    if path.is_dir():
        inside = [path / "bin" / "python3", path / "bin" / "python", path / "Scripts" / "python.exe", path / "python.exe"]
        found = next((str(candidate) for candidate in inside if candidate.is_file()), None)
        if found is None:
            raise SetupError(f"There is no Python in the folder {wanted}: name a Python {_words(OLDEST)} or later.")
    else:
        found = str(path) if path.is_file() else shutil.which(wanted, path=environment.get("PATH"))
    if found is None:
        raise SetupError(f"The Python {wanted} does not exist: name another, or none to have one looked for.")
    return probe(found, environment)


def find(environment: Mapping[str, str], own: str = "", candidates: Callable[..., Iterable[str]] | None = None) -> Interpreter:
    """The first suitable interpreter. `own`: the host's, the last resort. Raises `SetupError` that says what was wrong with those found."""
    seen: set[str] = set()
    refused: list[Unsuitable] = []
    for candidate in (candidates or _candidates)(environment, own):
        real = os.path.realpath(candidate)
        if real in seen or not os.path.isfile(candidate):
            continue
        seen.add(real)
        try:
            return probe(candidate, environment)
        except Unsuitable as no:
            refused.append(no)
    if not refused:
        raise SetupError(f"No Python was found: {_INSTALL_ONE}, or name one that you have.")
    # The one that is nearest to being good is the one that the user can do something about.
    nearest = next((no for no in refused if "virtual environments" in no.reason), refused[0])
    others = f" ({len(refused) - 1} more are no better)" if len(refused) > 1 else ""
    raise SetupError(f"No Python was found that suits: {nearest.path} {nearest.reason}{others}. To go on, {_INSTALL_ONE}.")


def probe(path: str, environment: Mapping[str, str]) -> Interpreter:
    """What an interpreter is. Raises `Unsuitable`. Starts it, which takes some tens of milliseconds."""
    if "WindowsApps" in Path(path).parts:
        raise Unsuitable(path, "comes from the Microsoft Store, which hides what it writes from Blender", _INSTALL_ONE)
    apart = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        said = subprocess.run(
            [path, "-I", "-c", _PROBE],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
            env=dict(environment),
            **apart,
        )
        found = json.loads(said.stdout.decode("utf-8", "replace"))
        version = tuple(found["version"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        raise Unsuitable(path, "does not answer as a Python does", f"name a Python {_words(OLDEST)} or later") from None
    if version[:2] < OLDEST:
        raise Unsuitable(path, f"is Python {_words(version)}, and the engine needs {_words(OLDEST)} or later", _INSTALL_ONE)
    if found["implementation"] != "CPython" or found["bits"] != 64:
        kind = f"{found['implementation']} with {found['bits']} bits"
        raise Unsuitable(path, f"is {kind}, and the engine's packages are made for CPython with 64 bits", _INSTALL_ONE)
    if not found["able"]:
        debian = f" (Debian, Ubuntu: apt install python{_words(version[:2])}-venv)"
        raise Unsuitable(
            path, f"cannot make virtual environments{debian if sys.platform == 'linux' else ''}", "put that right, or name another Python"
        )
    base = found["path"] if os.path.isfile(found["path"]) else path
    return Interpreter(str(base), version)


def _candidates(environment: Mapping[str, str], own: str) -> Iterator[str]:
    search = environment.get("PATH", "")
    folders = [*search.split(os.pathsep), *_installers_folders(environment)]
    for name in (*(f"python{version}" for version in _FAMILIAR), "python3", "python"):
        for folder in folders:
            if _asks_to_install(folder):
                continue
            candidate = os.path.join(folder, name + (".exe" if os.name == "nt" else ""))
            if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
                yield candidate
    yield from _py_launcher(environment)
    yield from _uv(environment)
    if own:
        yield own


def _installers_folders(environment: Mapping[str, str]) -> list[str]:
    """Where Pythons are put without the search path of a desktop program knowing it."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        framework = "/Library/Frameworks/Python.framework/Versions"
        return [f"{framework}/{version}/bin" for version in _FAMILIAR] + ["/opt/homebrew/bin", "/usr/local/bin", str(home / ".local/bin")]
    if sys.platform == "win32":
        roots = [
            Path(environment.get("LOCALAPPDATA", "")) / "Programs" / "Python",
            Path(environment.get("PROGRAMFILES", "C:/Program Files")),
        ]
        return [str(root / f"Python{version.replace('.', '')}") for root in roots for version in _FAMILIAR]
    return ["/usr/local/bin", "/usr/bin", str(home / ".local/bin")]


def _asks_to_install(folder: str) -> bool:
    """On a Mac without developer tools, starting what lies there opens a window that offers them."""
    return sys.platform == "darwin" and folder.rstrip("/") == "/usr/bin"


def _py_launcher(environment: Mapping[str, str]) -> Iterator[str]:
    program = shutil.which("py", path=environment.get("PATH")) if os.name == "nt" else None
    if program:
        for line in _said([program, "-0p"], environment):
            # " -V:3.12 *        C:\Users\...\python.exe"
            place = line.find(":\\")
            if place > 0:
                yield line[place - 1 :].strip()


def _uv(environment: Mapping[str, str]) -> Iterator[str]:
    program = uv_program(environment)
    if program:
        for line in _said([program, "python", "find", "--offline", f">={_words(OLDEST)},<3.15"], environment):
            yield line.strip()


def uv_program(environment: Mapping[str, str]) -> str | None:
    """uv, where the search path or its installer has it."""
    places = [
        environment.get("PATH", ""),
        os.path.expanduser("~/.local/bin"),
        os.path.expanduser("~/.cargo/bin"),
        *_installers_folders(environment),
    ]
    return shutil.which("uv", path=os.pathsep.join(places))


def fetched_by_uv(environment: Mapping[str, str]) -> Interpreter:
    """A Python that uv downloads, for a machine that has uv and nothing suitable. Raises `SetupError`."""
    program = uv_program(environment)
    if program is None:
        raise SetupError(f"There is no uv on this machine: {_INSTALL_ONE}.")
    apart = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        done = subprocess.run(
            [program, "python", "install", _FAMILIAR[0]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            **apart,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"uv could not download a Python ({type(error).__name__}): {_INSTALL_ONE}.") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it did not say why"])[-1].strip().rstrip(".")
        raise SetupError(f"uv could not download a Python ({last}): {_INSTALL_ONE}.")
    found = next(iter(_uv(environment)), None)
    if found is None:
        raise SetupError(f"uv has downloaded a Python and does not find it: {_INSTALL_ONE}.")
    return probe(found, environment)


def _said(command: list[str], environment: Mapping[str, str]) -> list[str]:
    apart = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            **apart,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _words(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
