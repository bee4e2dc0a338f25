"""What pip is told, and what its many lines mean."""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import SetupError, full_disk

_WITHOUT_QUESTIONS = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--retries", "2"]
_FULL = re.compile(r"No space left on device|Errno 28\b|Disk quota exceeded|not enough space on the disk", re.IGNORECASE)
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionResetError|Connection refused|Connection aborted|IncompleteRead"
    r"|name resolution|getaddrinfo|Name or service not known|nodename nor servname|SSLError|CERTIFICATE_VERIFY_FAILED|ProxyError"
    r"|Max retries exceeded|HTTP error (?:401|403|407|5\d\d)|ProtocolError|Network is unreachable|connection was aborted|incomplete-download|DO NOT MATCH THE HASHES"
)
_MISSING = re.compile(r"No matching distribution found for ([^\s(;]+)")
_REFUSED = re.compile(r"PermissionError|Permission denied|Access is denied|Read-only file system")


def command(python: Path, verb: str, *arguments: str) -> list[str]:
    """A command of pip's that asks nothing, builds nothing from sources and looks at no Python but its own."""
    return [str(python), "-I", "-m", "pip", verb, *_WITHOUT_QUESTIONS, "--only-binary", ":all:", *arguments]


def explained(lines: Sequence[str], root: Path, python: str, wheels: str) -> SetupError:
    """One sentence for pip's failure. `python`: what the environment has, such as "Python 3.12"; `wheels`: the folder, if there is one."""
    text = "\n".join(lines)
    log = root / "install.log"
    if _FULL.search(text):
        return full_disk(root)
    missing = _MISSING.search(text)
    if missing and wheels:
        return SetupError(f"The folder {wheels} has no wheel of {missing[1]} for {python} on this machine: add it, and install again.")
    if _NETWORK.search(text):
        return SetupError(f"The package index cannot be reached: see that this machine is online, and install again ({log} has more).")
    if missing:
        return SetupError(f"There is no package {missing[1]} for {python} on this machine: choose another Python ({log} has more).")
    if "ResolutionImpossible" in text or "conflicting dependencies" in text:
        where = f"in {wheels}" if wheels else "that may be used"
        return SetupError(f"The packages {where} do not go together: {log} says which.")
    if _REFUSED.search(text):
        return SetupError(f"pip may not write in {root}: choose another 'Engine Folder' in the add-on's preferences ({log} has more).")
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    words = errors or [line.strip() for line in lines if line.strip()] or ["it did not say why"]
    return SetupError(f"pip could not install the engine ({words[-1].rstrip('.')}): {log} has more.")
