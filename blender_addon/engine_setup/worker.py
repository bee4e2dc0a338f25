"""The installation itself, in a process of its own, run by the interpreter that the environment is made with.

The first line of its input is the plan; it ends when its input closes, so that nothing outlives the host. It answers in lines of
JSON: {"stage", "fraction", "detail"}, {"note"}, and at last {"error"}, {"cancelled"} or {"done"}. Everything else goes to the log.
"""
from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from . import children, errors, pip_words, self_test
from .download import Fetcher, Item, Unreachable
from .errors import Cancelled, SetupError
from .place import LONGEST_WINDOWS_ROOT, Place, Stamp, python_of, site_packages, wheel
from .plan import Plan
from .torch_builds import build
from .use import Use

_PIP_THAT_ONLY_LOOKS = (25, 3)  # older ones download everything to find out what they would install
_ROOM_FOR_ENVIRONMENT = 60e6
_HARDLY_ANY_ROOM = 8e6


def main() -> int:
    """Returns the exit code: 0 installed, 1 not, 130 cancelled."""
    # What is printed by accident must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    plan = Plan.decoded(sys.stdin.readline())
    if hasattr(os, "nice"):
        os.nice(5)
    worker = Worker(plan, answers)
    threading.Thread(target=worker.watch, args=(sys.stdin,), daemon=True).start()
    try:
        with Place(plan.root).locked():
            stamp = worker.work()
    except Cancelled:
        worker.say(cancelled=True)
        return 130
    except SetupError as error:
        worker.say(error=str(error))
        return 1
    except Exception as error:  # whatever it is, the user is told, and the log has the rest
        worker.log(traceback.format_exc())
        known = errors.about_folder(error, plan.root) if isinstance(error, OSError) else None
        words = " ".join(str(error).split()).rstrip(".")
        worker.say(error=str(known or f"The installation failed ({type(error).__name__}: {words}): {Place(plan.root).log} has more."))
        return 1
    worker.say(done={"python": str(Place(plan.root).python()), "version": stamp.version, "torch": stamp.torch_version})
    return 0


class Worker:
    """One installation by one plan."""

    def __init__(self, plan: Plan, answers: IO[str]):
        self._plan, self._answers = plan, answers
        self._place = Place(plan.root)
        self._wheel = wheel(plan.wheel)
        self._python = f"Python {platform.python_version()}"
        self._cancelled = threading.Event()
        self._children = children.Children(self._cancelled, self.log)
        self._log: IO[str] | None = None

    # --- talking ---

    def say(self, **message: object) -> None:
        try:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()
        except OSError:
            self._cancelled.set()

    def log(self, text: str) -> None:
        if self._log is not None:
            try:
                self._log.write(text.rstrip() + "\n")
                self._log.flush()
            except OSError:
                return  # a full disk is noticed where it matters

    def watch(self, stream: IO[str]) -> None:
        """Waits for the end of the input."""
        while stream.readline():
            pass
        self._cancelled.set()
        self._children.kill()

    def _stage(self, stage: str, fraction: float, detail: str = "") -> None:
        self.say(stage=stage, fraction=round(fraction, 4), detail=detail)
        if self._cancelled.is_set():
            raise Cancelled

    # --- working ---

    def work(self) -> Stamp:
        """Raises `SetupError` or `Cancelled`; what was installed before is as it was then."""
        if os.name == "nt" and len(str(self._plan.root)) > LONGEST_WINDOWS_ROOT:
            raise SetupError(
                f"The engine's folder {self._plan.root} has a path of more than {LONGEST_WINDOWS_ROOT} letters, which Windows cannot go"
                " down from: choose a shorter 'Engine Folder' in the add-on's preferences."
            )
        self._log = open(self._place.log, "w", encoding="utf-8")  # to the end of the process: `main` has something to say too
        self.log(f"Flow Inpaint {self._wheel.version}, {self._python} ({sys.executable}), networks: {self._plan.torch}")
        self._place.tidy()
        environment = self._place.new_environment()
        try:
            stamp = self._made(environment)
        except BaseException:
            shutil.rmtree(environment, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(self._place.scratch, ignore_errors=True)
        self._place.commit(stamp)
        self._place.tidy()
        shutil.rmtree(self._place.downloads, ignore_errors=True)
        self.log("Done.")
        return stamp

    def _made(self, environment: Path) -> Stamp:
        self._place.scratch.mkdir(exist_ok=True)
        self._make_environment(environment)
        if self._plan.wheels:
            self._install(environment, ["--no-index", "--find-links", str(self._plan.wheels), self._plan.requirement], 0.15)
        else:
            self._install_from_network(environment)
        self._stage("Testing the engine", 0.95)
        torch = _installed_version(environment, "torch")
        if self._plan.torch != "none" and not torch:
            raise SetupError("PyTorch is not among what was installed: install again, or choose None for the networks.")
        for note in self_test.examine(lambda words: self._run_engine(environment, words), self._plan.torch):
            self.say(note=note)
        self._stage("Testing the engine on a small clip", 0.97)
        self_test.remove_something(lambda words: self._run_engine(environment, words), self._place.scratch / "clip")
        Use(environment).end()  # leaves the lock there, also for users who may not write here
        base = getattr(sys, "_base_executable", None) or sys.executable
        return Stamp(environment.name, base, platform.python_version(), self._wheel.version, self._wheel.sha256, self._plan.torch, torch)

    def _make_environment(self, environment: Path) -> None:
        self._stage("Making a Python environment", 0.01)
        if shutil.disk_usage(self._plan.root).free < _ROOM_FOR_ENVIRONMENT:
            raise errors.full_disk(self._plan.root)
        code, lines = self._children.run([sys.executable, "-I", "-m", "venv", str(environment)], self._variables())
        if code:
            self._raise_if_full()
            if any("ensurepip" in line for line in lines):
                raise SetupError(f"{sys.executable} cannot make virtual environments: name another Python ({self._place.log} has more).")
            last = next((line.strip().rstrip(".") for line in reversed(lines) if line.strip()), "it did not say why")
            raise SetupError(f"{self._python} could not make an environment in {self._plan.root} ({last}): {self._place.log} has more.")

    def _install_from_network(self, environment: Path) -> None:
        self._stage("Looking up what is needed", 0.05)
        if _pip_version(environment) < _PIP_THAT_ONLY_LOOKS:
            self._pip(environment, "install", "--upgrade", "pip")
        requirements = [self._plan.requirement, *self._torch(environment)]
        if _pip_version(environment) >= _PIP_THAT_ONLY_LOOKS:
            try:
                paths = self._downloaded(environment, requirements)
                return self._install(environment, ["--no-index", "--no-deps", *paths], 0.8, len(paths))
            except Unreachable as error:
                self.log(f"{error} pip is asked to do it.")
        self._install(environment, requirements, 0.3)

    def _torch(self, environment: Path) -> list[str]:
        """The arguments that make pip take this build of PyTorch and no other, although PyPI may have a newer one of another kind."""
        if self._plan.torch == "none" or not self._plan.index:
            return []
        found = self._resolved(environment, ["--no-deps", "--index-url", self._plan.index, "torch>=2.4"])
        return [f"torch=={found[0]['metadata']['version']}", "--extra-index-url", self._plan.index]

    def _resolved(self, environment: Path, arguments: list[str]) -> list[dict]:
        """pip's report on what it would install."""
        report = self._place.scratch / "report.json"
        # Reads the beginnings of wheels where the index has no descriptions of them.
        quick = ["--use-feature", "fast-deps"]
        for options in (quick, []):
            code, lines = self._pip(
                environment, "install", "--dry-run", "--ignore-installed", "--report", str(report), *options, *arguments
            )
            if not code:
                return json.loads(report.read_text("utf-8"))["install"]
            if not any("fast-deps" in line or line.startswith("Traceback") for line in lines):
                break
        raise self._explained(lines)

    def _downloaded(self, environment: Path, requirements: list[str]) -> list[str]:
        """The wheels' paths."""
        items = [
            Item(one["download_info"]["url"], one["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", ""))
            for one in self._resolved(environment, requirements)
        ]
        folder = self._place.downloads
        folder.mkdir(exist_ok=True)
        fetcher = Fetcher(folder, self._cancelled.is_set, *self._pips_network(environment))
        total = fetcher.measure(items)
        self._refuse_if_too_large(total, sum(fetcher.kept(item) for item in items))
        before, paths = 0, []
        for item in items:

            def arrived(count: int, before: int = before) -> None:
                part = min(1.0, (before + count) / max(total, 1))
                detail = f"{errors.size(before + count)} of {errors.size(total)}"
                self._stage("Downloading", 0.1 + 0.7 * part, detail)

            if item.local is None:
                self.log(f"Downloading {item.name}")
            paths.append(str(fetcher.fetch(item, _seldom(arrived))))
            before += item.bytes
        return paths

    def _refuse_if_too_large(self, total: int, kept: int) -> None:
        needed, free = total * (1 + build(self._plan.torch).unpacked) - kept, shutil.disk_usage(self._plan.root).free
        if needed > free:
            raise SetupError(
                f"The engine needs about {errors.size(needed)} on the disk with {self._plan.root}, where {errors.size(free)} are free:"
                " free some space, or choose another 'Engine Folder' in the add-on's preferences."
            )

    def _install(self, environment: Path, arguments: list[str], begin: float, total: int = 0) -> None:
        """`total`: how many packages there are, 0 where only pip knows."""

        def count() -> int:
            packages = site_packages(environment)
            return len(list(packages.glob("*.dist-info"))) if packages else 0

        before = count()

        def show() -> None:
            done = count() - before
            detail = f"{done} of {total} packages" if total else f"{done} packages so far" if done > 1 else ""
            self._stage("Installing", begin + (0.94 - begin) * done / (total or done + 4), detail)

        show()
        code, lines = self._pip(environment, "install", "--no-warn-script-location", *arguments, tick=show)
        if code:
            raise self._explained(lines)

    def _pip(self, environment: Path, verb: str, *arguments: str, tick: children.Tick | None = None) -> tuple[int, list[str]]:
        return self._children.run(pip_words.command(python_of(environment), verb, *arguments), self._variables(), tick)

    def _pips_network(self, environment: Path) -> tuple[str, list[str]]:
        """The proxy and the certificates that pip is set to use, and the ones that it brings."""
        _, lines = self._children.run([str(python_of(environment)), "-I", "-m", "pip", "config", "list"], self._variables())
        settings = dict(line.split("=", 1) for line in lines if "=" in line)
        found = {key.rpartition(".")[2]: value.strip("'\"") for key, value in settings.items()}
        packages = site_packages(environment)
        own = [str(packages / "pip" / "_vendor" / "certifi" / "cacert.pem")] if packages else []
        return found.get("proxy", ""), [*own, *([found["cert"]] if "cert" in found else [])]

    def _run_engine(self, environment: Path, words: list[str]) -> tuple[int, list[str], list[str]]:
        return self._children.run_apart([str(python_of(environment)), "-m", "flow_inpaint", *words], self._variables())

    def _explained(self, lines: list[str]) -> SetupError:
        self._raise_if_full()
        return pip_words.explained(lines, self._plan.root, self._python, str(self._plan.wheels or ""))

    def _raise_if_full(self) -> None:
        """Not everything that fails for want of room says so."""
        if shutil.disk_usage(self._plan.root).free < _HARDLY_ANY_ROOM:
            raise errors.full_disk(self._plan.root)

    def _variables(self) -> dict[str, str]:
        """pip as the user has set it, but for what would put packages elsewhere; from a folder, pip as nobody has set it."""
        kept = {
            k: v for k, v in os.environ.items() if k not in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_HASHES", "PIP_NO_BINARY")
        }
        if self._plan.wheels:
            kept = {k: v for k, v in kept.items() if not k.startswith("PIP_")} | {"PIP_CONFIG_FILE": os.devnull}
        scratch = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._place.scratch))
        return kept | scratch | {"PIP_USER": "0", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1", "NO_COLOR": "1"}


def _pip_version(environment: Path) -> tuple[int, ...]:
    version = _installed_version(environment, "pip")
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _installed_version(environment: Path, name: str) -> str:
    packages = site_packages(environment)
    found = sorted(packages.glob(f"{name}-*.dist-info")) if packages else []
    return found[-1].name.removesuffix(".dist-info").partition("-")[2] if found else ""


def _seldom(arrived: Callable[[int], None]) -> Callable[[int], None]:
    """The same, a few times a second at most."""
    told = [float("-inf")]

    def tell(count: int) -> None:
        if time.monotonic() > told[0] + 0.2:
            told[0] = time.monotonic()
            arrived(count)

    return tell


if __name__ == "__main__":
    sys.exit(main())
