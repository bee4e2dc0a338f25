"""Whether a new engine works: its own doctor, then a removal on a clip of six small pictures made here."""
from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from .errors import SetupError

_WIDTH, _HEIGHT, _FRAMES = 96, 64, 6
_HOLE = (40, 24, 12, 12)

Run = Callable[[list[str]], tuple[int, list[str], list[str]]]
"""Runs the engine with these words; its exit code, output and errors by line."""


def examine(run: Run, torch: str) -> list[str]:
    """What the user should know though the engine works. Raises `SetupError` when it does not."""
    code, said, errors = run(["doctor", "--json"])
    try:
        findings = {finding["name"]: finding for finding in json.loads("\n".join(said))["findings"]}
    except (ValueError, KeyError, TypeError):
        raise SetupError(
            f"The engine was installed and does not start ({_last(errors or said)}): install again, or with another Python."
        ) from None
    broken = [f"{finding['name']} {finding['found']}" for finding in findings.values() if finding["state"] == "broken"]
    if broken or code:
        raise SetupError(f"The engine was installed and does not work ({_last(broken) if broken else f'code {code}'}): install again.")
    if torch == "none":
        return []
    found = findings.get("torch", {"state": "note", "found": "not known"})
    if found["state"] != "good" or found["found"].startswith("not installed"):
        raise SetupError(f"PyTorch was installed and {found['found']}: install again, or choose None for the networks.")
    if torch in ("cuda", "apple") and found["found"].endswith("the processor"):
        return ["PyTorch finds no graphics card: networks run on the processor until its driver is brought up to date."]
    return []


def remove_something(run: Run, folder: Path) -> None:
    """A removal from beginning to end in `folder`. Raises `SetupError` when the result is not as it has to be."""
    source, result = folder / "source", folder / "result"
    source.mkdir(parents=True)
    for k in range(_FRAMES):
        (source / f"{k:04d}.png").write_bytes(_picture(k))
    hole = "rect:" + ",".join(map(str, _HOLE))
    code, said, errors = run(["run", str(source), hole, str(result), "--format", "png", "--preset", "draft"])
    made = len(list(result.glob("*.png"))) if result.is_dir() else 0
    if code or made != _FRAMES:
        raise SetupError(f"The engine was installed and fails on a small clip ({_last(errors or said)}): install again.")


def _picture(k: int) -> bytes:
    """A grey PNG of a pattern that moves two pixels a frame."""
    rows = b"".join(b"\0" + bytes((60 + (x + 2 * k) * 7 * (y + 3) % 97) & 255 for x in range(_WIDTH)) for y in range(_HEIGHT))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _last(lines: list[str]) -> str:
    return next((line.strip().rstrip(".") for line in reversed(lines) if line.strip()), "it did not say why")
