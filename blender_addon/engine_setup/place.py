"""Where the engine lives, and what counts as installed.

    ROOT/engine.json    the stamp, written last and in one go: it names the environment that is used. Without it nothing is installed.
    ROOT/e1, e2 ...     environments. Each installation makes a new one where it stays, because environments do not survive being
                        moved; one that the stamp does not name is half made or outlived. It goes with the next installation or start
                        of an engine, once nobody works in it (`use`).
    ROOT/t              temporary files of an installation, on the disk whose room was looked at
    ROOT/downloads      wheels and parts of wheels, kept until an installation succeeds
    ROOT/install.log    what the last installation did, every word of pip included
    ROOT/lock           held by whoever changes any of this

The names are short because Windows ends paths at 260 characters, and PyTorch has files 171 characters deep.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

from . import locks, use
from .busy_files import patiently
from .errors import SetupError, about_folder

FORMAT = 1
LONGEST_WINDOWS_ROOT = 64

State = Literal["missing", "broken", "outdated", "whole"]
_ENVIRONMENT = re.compile(r"e\d+")
_WHEEL = re.compile(r"flow_inpaint-([^-]+)-.*\.whl")


@dataclass(frozen=True)
class Wheel:
    """The engine's wheel that the add-on carries."""

    path: Path
    version: str
    sha256: str


@cache
def wheel(path: Path) -> Wheel:
    """Raises `SetupError` for a file that is not the engine's wheel."""
    named = _WHEEL.fullmatch(path.name)
    if named is None:
        raise SetupError(f"{path} is not the engine's wheel: install the add-on's zip again.")
    try:
        return Wheel(path, named[1], hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        raise SetupError(f"The engine's wheel {path} cannot be read ({error.strerror}): install the add-on's zip again.") from error


@dataclass(frozen=True)
class Stamp:
    """What is installed. `folder`: the environment's name; `base`: the interpreter that it was made with; `torch`: see `torch_builds`."""

    folder: str
    base: str
    python_version: str
    version: str
    sha256: str
    torch: str
    torch_version: str = ""
    format: int = FORMAT


def default_root(user_folder: Path, blender: str, platform: str = sys.platform, environment: Mapping[str, str] = os.environ) -> Path:
    """ROOT when the preferences name none: in the extension's user folder, or where paths must be short, in a shorter one.

    `blender`: its version, such as "5.2", for a place that all of a user's Blenders share.
    """
    local = environment.get("LOCALAPPDATA", "")
    if platform == "win32" and local and len(str(user_folder)) + len("/engine") > LONGEST_WINDOWS_ROOT:
        return Path(local) / "FlowInpaint" / blender
    return user_folder / "engine"


class Place:
    """ROOT and what is in it. Looking never raises; changing raises `SetupError`."""

    def __init__(self, root: Path):
        self.root = root
        self.log = root / "install.log"
        self.downloads = root / "downloads"
        self.scratch = root / "t"
        self._stamp = root / "engine.json"

    # --- looking ---

    def stamp(self) -> Stamp | None:
        """What is installed, as the last installation wrote it; None when there is none, or none that this version understands."""
        try:
            stored: Any = json.loads(self._stamp.read_text("utf-8"))
            stamp = Stamp(**{field.name: stored[field.name] for field in fields(Stamp)})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        good = stamp.format == FORMAT and all(isinstance(v, str) for k, v in asdict(stamp).items() if k != "format")
        return stamp if good and _ENVIRONMENT.fullmatch(stamp.folder) else None

    def environment(self) -> Path | None:
        stamp = self.stamp()
        return self.root / stamp.folder if stamp else None

    def python(self) -> Path | None:
        """The engine's interpreter, whether it still works or not; None when nothing is installed."""
        folder = self.environment()
        return python_of(folder) if folder else None

    def state(self, carried: Wheel | None) -> State:
        """`carried`: the wheel to compare with; None for an add-on without one, which any engine suits. Only looks at some files."""
        stamp = self.stamp()
        if stamp is None:
            return "missing"
        folder = self.root / stamp.folder
        if not python_of(folder).is_file() or not _base_is_there(folder) or not _engine_of(folder):
            return "broken"
        if carried and (stamp.version, stamp.sha256) != (carried.version, carried.sha256):
            return "outdated"
        return "whole"

    def anything(self) -> bool:
        """Whether `remove` would find something."""
        return any(path.exists() for path in (self._stamp, self.downloads)) or bool(self._environments())

    # --- changing ---

    def make(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / ".writable"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise about_folder(error, self.root) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile. The system lets go of it when the process ends, however that happens."""
        self.make()
        try:
            file = open(self.root / "lock", "a+b")
        except OSError as error:
            raise about_folder(error, self.root) from error
        with file:
            if not locks.alone(file.fileno()):
                raise SetupError(f"Another Blender is changing the engine in {self.root}: wait until it has finished.")
            yield

    def new_environment(self) -> Path:
        """The folder for the next environment, not made yet."""
        return next(folder for n in count(1) if not (folder := self.root / f"e{n}").exists())

    def commit(self, stamp: Stamp) -> None:
        """From here on this is what is installed."""
        half = self._stamp.with_suffix(".part")
        try:
            half.write_text(json.dumps(asdict(stamp), indent=2), "utf-8")
            patiently(os.replace, half, self._stamp)
        except OSError as error:
            half.unlink(missing_ok=True)
            raise about_folder(error, self.root) from error

    def tidy(self) -> None:
        """Removes every environment that the stamp does not name and nobody works in, and what an installation that was killed left of
        its temporary files.
        """
        for folder in self.outlived():
            use.take_away(folder)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def remove(self, patience: float = 5.0) -> None:
        """Everything but the lock, the stamp first. Raises `SetupError` when something stays, or somebody is at work here.

        `patience`: seconds within which an engine that was told to end has to be gone.
        """
        if not self.root.is_dir():
            return
        with self.locked():
            end = time.monotonic() + patience
            while any(use.in_use(folder) for folder in self._environments()):
                if time.monotonic() > end:
                    raise SetupError(f"Another Blender works with the engine in {self.root}: close it, then remove the engine again.")
                time.sleep(0.1)
            try:
                self._stamp.unlink(missing_ok=True)
            except OSError as error:
                raise about_folder(error, self.root) from error
            self.tidy()
            shutil.rmtree(self.downloads, ignore_errors=True)
            self.log.unlink(missing_ok=True)
            left = [path for path in (*self._environments(), self.downloads) if path.exists()]
        if left:
            raise SetupError(f"{left[0]} cannot be removed: close the programs that use it, then remove the engine again.")

    def outlived(self) -> list[Path]:
        """The environments that are not the one that is installed."""
        stamp = self.stamp()
        return [folder for folder in self._environments() if stamp is None or folder.name != stamp.folder]

    def _environments(self) -> list[Path]:
        try:
            return [path for path in self.root.iterdir() if _ENVIRONMENT.fullmatch(path.name)]
        except OSError:
            return []


def python_of(environment: Path) -> Path:
    """An environment's interpreter."""
    return environment / "Scripts" / "python.exe" if os.name == "nt" else environment / "bin" / "python"


def site_packages(environment: Path) -> Path | None:
    """Where an environment's packages lie."""
    if os.name == "nt":
        return environment / "Lib" / "site-packages"
    return next(environment.glob("lib/python3*/site-packages"), None)


def _engine_of(environment: Path) -> bool:
    packages = site_packages(environment)
    return packages is not None and (packages / "flow_inpaint" / "__main__.py").is_file()


def _base_is_there(environment: Path) -> bool:
    """Whether the interpreter that the environment was made with still is where it was: it brings the standard library."""
    try:
        text = (environment / "pyvenv.cfg").read_text("utf-8", "replace")
    except OSError:
        return False
    home = next((line.partition("=")[2].strip() for line in text.splitlines() if line.partition("=")[0].strip() == "home"), "")
    return bool(home) and Path(home).is_dir()


def held(python: str) -> tuple[str, use.Use | None]:
    """An engine's interpreter, held until the use ends; the one that is installed now, where an upgrade has taken that one's environment
    away meanwhile. None for an interpreter that lies in no place of ours.
    """
    own = _place_of(python)
    if own is None:
        return python, None
    try:
        return python, use.Use(Path(python).parent.parent)
    except use.Gone:
        installed = own.environment()
    try:
        return str(python_of(installed)), use.Use(installed)
    except use.Gone:
        return python, None  # what is missing is said by whoever starts it


def tidy_beside(python: str, patience: float = 30.0) -> None:
    """Removes what upgrades have left beside an engine's interpreter because it was in use then. May take seconds, and waits for `patience`
    seconds more where an engine is about to end.
    """
    own, end = _place_of(python), time.monotonic() + patience
    while own is not None and own.outlived():
        with suppress(SetupError), own.locked():
            own.tidy()
        if time.monotonic() > end:
            return
        time.sleep(min(1.0, patience))


def _place_of(python: str) -> Place | None:
    environment = Path(python).parent.parent
    own = Place(environment.parent)
    return own if _ENVIRONMENT.fullmatch(environment.name) and own.stamp() is not None else None
