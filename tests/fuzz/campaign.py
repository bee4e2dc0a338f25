"""Damages files, has them read in a child process, and keeps what goes wrong.

    python tests/fuzz/campaign.py --seconds 600 [--seed N] [--keep FOLDER]

Wrong is: a crash, more time or memory than allowed, an error that is not one sentence of ours, pictures that are not
what was announced, frames lacking without a word. The exit code is 1 if anything was, and the files are kept.
"""
from __future__ import annotations

import argparse
import collections
import json
import os
import random
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from seeds import COUNT, PROMISING, damaged, write_seeds  # noqa: E402

#: Seconds that a small file may take.
PATIENCE = 25.0
HERE = Path(__file__).resolve().parent


class Child:
    """The reader, started again whenever it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def ask(self, request: dict) -> dict:
        if self._process is None or self._process.poll() is not None:
            environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / "reader.py")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            )
            self._rest = b""
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        line = self._line()
        if line is not None:
            return json.loads(line)
        self.close()
        return {"wrong": f"took more than {PATIENCE:g} s" if self._timed_out else f"the process died ({self._code})"}

    def _line(self) -> bytes | None:
        end = time.monotonic() + PATIENCE
        self._timed_out, out = False, self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(end - time.monotonic(), 0)):
                    self._timed_out = True
                    return None
                more = os.read(out.fileno(), 1 << 16)
                if not more:
                    return None
                self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def close(self) -> None:
        if self._process is not None:
            if self._timed_out:
                self._process.kill()
            self._process.stdin.close()
            self._code = self._process.wait()
            self._process.stdout.close()
            self._process = None

    _code: int = 0
    _timed_out: bool = False


def verdict(seed: Path, how: str, found: dict) -> str | None:
    """What is wrong about an answer, or None."""
    if "wrong" in found:
        return str(found["wrong"])
    promises = seed.suffix in PROMISING and how == "cut"
    if promises and found.get("frames", COUNT) < COUNT:
        return f"{COUNT - found['frames']} frames are lacking without a word"
    return None


def campaign(folder: Path, seconds: float, seed: int, keep: Path, most: int | None = None) -> tuple[collections.Counter, list[str]]:
    """Returns how many ended how, and what went wrong."""
    chance = random.Random(seed)
    seeds, counts, wrong = write_seeds(folder / "seeds"), collections.Counter(), []
    child, end, number = Child(), time.monotonic() + seconds, 0
    matte = next(path for path in seeds if path.name == "a.png")
    try:
        while time.monotonic() < end and (most is None or number < most):
            number += 1
            origin = seeds[number % len(seeds)]
            how, data = damaged(origin.read_bytes(), chance)
            place = folder / "case"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            file = place / chance.choice((origin.name, f"new\nline {origin.name}"))
            file.write_bytes(data)
            request: dict = {"do": "read", "path": str(file)}
            if number % 9 == 0:
                source, mask = (origin, file) if chance.random() < 0.5 else (file, matte)
                ending = ".exr" if origin.suffix == ".exr" else ".mkv" if origin.suffix in (*PROMISING, ".ts") else ".png"
                request = {"do": "job", "document": {
                    "source": {"path": str(source)}, "mask": {"path": str(mask)}, "output": {"path": str(place / "out" / f"r{ending}")},
                    "params": {"preset": "draft", "damaged_frames": chance.choice(("refuse", "fill", "hold"))},
                }}  # fmt: skip
            found = child.ask(request)
            what = verdict(origin, how, found)
            counts["wrong" if what else "refused" if "refused" in found else "read"] += 1
            counts[f"  {request['do']} {origin.suffix}"] += 1
            if what:
                keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, keep / f"{seed}-{number}-{origin.name}")
                wrong.append(f"{request['do']} of {seed}-{number}-{origin.name} ({how}): {what.strip()}")
                print(wrong[-1], flush=True)
    finally:
        child.close()
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = campaign(Path(folder), arguments.seconds, arguments.seed, arguments.keep)
    for name, count in counts.items():
        print(f"{count:8d} {name}")
    print(f"{len(wrong)} findings" + (f", kept in {arguments.keep}" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
