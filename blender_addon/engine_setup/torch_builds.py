"""PyTorch, which the networks need and nothing else does: what builds there are for a machine, where from, and how large.

Sizes are downloads of everything, the engine's other packages included, in MB: read from the package indexes on 2026-11-25
for Linux x86-64; on Windows and macOS the sum of the wheels' sizes; "cuda" on Windows is an estimate.
"""
from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import size

INDEX = "https://download.pytorch.org/whl/"


@dataclass(frozen=True)
class Build:
    """A choice. `megabytes` by `sys.platform`; a platform that is not there has no such build. `unpacked`: how many times as much
    room the packages take when they are installed, measured for "none" and "cpu".
    """

    name: str
    label: str
    hint: str
    megabytes: Mapping[str, int]
    unpacked: float

    def sizes(self, system: str = sys.platform) -> str:
        """What it takes, in words."""
        download = self.megabytes.get(system, max(self.megabytes.values())) * 1e6
        return f"about {size(download)} to download, {size(download * (1 + self.unpacked))} on the disk while it installs"


_ALL = (
    Build(
        "none",
        "None",
        "No networks: motion is measured and completed by the methods that need no weights",
        {"linux": 149, "win32": 121, "darwin": 93},
        3.4,
    ),
    Build("cpu", "Processor", "The networks on the processor: small ones only, and slowly", {"linux": 353, "win32": 259}, 3.9),
    Build("cuda", "NVIDIA", "The networks on an NVIDIA graphics card", {"linux": 2900, "win32": 3000}, 2.2),
    Build("apple", "Apple", "The networks on the graphics processor of an Apple chip", {"darwin": 243}, 3.9),
)


def builds(system: str = sys.platform, machine: str | None = None) -> list[Build]:
    """The choices on this machine. PyTorch has had no wheels for Intel Macs since 2.3."""
    machine = machine or platform.machine()
    if system == "darwin" and machine != "arm64":
        return [_ALL[0]]
    return [build for build in _ALL if system in build.megabytes] or [_ALL[0], _ALL[1]]


def build(name: str) -> Build:
    return next(one for one in _ALL if one.name == name)


def suggested(cuda: str | None, system: str = sys.platform, machine: str | None = None) -> str:
    """The choice to begin with. `cuda`: see `nvidia_cuda`."""
    names = [one.name for one in builds(system, machine)]
    if "apple" in names:
        return "apple"
    return "cuda" if cuda and "cuda" in names else "none"


def nvidia_cuda(environment: Mapping[str, str]) -> str | None:
    """The newest CUDA that the NVIDIA driver knows, such as "12.8"; None without driver or card. May take a second."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return None
    quiet = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        said = subprocess.run(
            [program], capture_output=True, text=True, errors="replace", timeout=10, env=dict(environment), check=False, **quiet
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"CUDA(?: \w+)? Version:\s*(\d+\.\d+)", said.stdout)
    return found[1] if found and said.returncode == 0 else None


def index(name: str, cuda: str | None, system: str = sys.platform) -> str | None:
    """The package index that has this build; None where PyPI has it. `cuda`: what the driver knows, None if that is not known."""
    if name in ("none", "apple"):
        return None
    if name == "cpu":
        return INDEX + "cpu" if system == "linux" else None
    major, _, minor = (cuda or "12.6").partition(".")
    known = (int(major), int(minor))
    return INDEX + ("cu130" if known >= (13, 0) else "cu128" if known >= (12, 8) else "cu126")
