"""Job documents and protocol lines made up by chance, for as long as wanted.

    python tests/fuzz/documents.py --seconds 120 [--seed N]

A real server process is sent lines of every kind; each request has to be answered, by one line of JSON with its id, and the
process has to live, and to answer a sound request in between.
"""
from __future__ import annotations

import argparse
import collections
import copy
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from seeds import write_seeds  # noqa: E402

PATIENCE = 25.0
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, -(10**40), 0.5, 1e308, -1e308, "", " ", "a", "\0", "\n", "../..", "/", "~", "%04d", "####",
    "rect:1,2,3,4", "file:///etc/passwd",
    "http://127.0.0.1:9/a.mp4", "concat:/etc/passwd", "$(touch x)", "; touch x", "\ud800", "é" * 300, [], {}, [[]],
    [1, 2, 3, 4], {"path": "a"}, [{"path": "a"}] * 3, "nan", "luma", "ffv1", 10**9,
]  # fmt: skip
METHODS = ["describe", "check", "abort", "render", "splice", "fingerprint", "nothing", "", "__init__", "check\n"]


def spoilt(value: Any, chance: random.Random) -> Any:
    """The document with one thing in it changed, added or taken away."""
    document = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(document)
    node, key = chance.choice(places)
    what = chance.random()
    if what < 0.15 and isinstance(node, dict):
        del node[key]
    elif what < 0.25 and isinstance(node, dict):
        node[chance.choice(("x", "", "path", "count", "layer", "at", "indices"))] = chance.choice(STRANGE)
    else:
        node[key] = chance.choice(STRANGE)
    return document


def line_of(documents: list[Any], number: int, chance: random.Random) -> tuple[bytes, bool]:
    """A line, and whether it is a request that must be answered under its number."""
    kind = chance.random()
    if kind < 0.15:
        noise = bytes(chance.randrange(256) for _ in range(chance.randrange(80)))
        return noise.replace(b"\n", b" ").replace(b"\r", b" "), False
    document = chance.choice(documents)
    for _ in range(chance.choice((1, 1, 2, 4))):
        document = spoilt(document, chance)
    method = "check" if kind < 0.8 else chance.choice(METHODS)
    request: Any = {"jsonrpc": "2.0", "id": number, "method": method, "params": document if chance.random() < 0.95 else {"job": document}}
    line = json.dumps(request).encode()
    if kind > 0.95:
        at = chance.randrange(len(line))
        return line[:at] + bytes([chance.randrange(32, 127)]) + line[at + 1 :], False
    return line, True


class Server:
    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flow_inpaint", "serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )
        self._rest = b""

    def send(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def answer_to(self, number: int) -> dict | None:
        """The answer with this id; None when there is none in time. Raises `ValueError` for what is no JSON."""
        end = time.monotonic() + PATIENCE
        while True:
            while b"\n" not in self._rest:
                if not select.select([self.process.stdout], [], [], max(end - time.monotonic(), 0))[0]:
                    return None
                more = os.read(self.process.stdout.fileno(), 1 << 16)
                if not more:
                    return None
                self._rest += more
            line, _, self._rest = self._rest.partition(b"\n")
            message = json.loads(line)
            if message.get("id") == number:
                return message

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def campaign(folder: Path, seconds: float, seed: int, most: int | None = None) -> tuple[collections.Counter, list[str]]:
    """Returns how many ended how, and what went wrong."""
    chance, counts, wrong = random.Random(seed), collections.Counter(), []
    paths = {path.name: str(path) for path in write_seeds(folder / "seeds")}
    (folder / "out").mkdir()
    output = {"path": str(folder / "out" / "a.mkv")}
    documents: list[Any] = [
        {"source": {"path": paths["h264.mkv"], "rate": 25.0, "upright": False}, "mask": {"rectangle": [8, 8, 9, 9]}, "output": output, "frames": [2, 5], "params": {"preset": "draft"}},
        {"source": {"path": paths["ffv1.mkv"], "first": 1, "count": 3}, "mask": [{"path": paths["a.png"], "at": 1, "transform": [1, 0, 0, 0, 1, 0]}],
         "output": output | {"format": "ffv1"}, "params": {"reach": 4, "mask_grow": 3, "damaged_frames": "fill"}},
        {"source": {"path": paths["half.exr"], "indices": [0, 0, 0], "hold": True}, "mask": {"path": paths["a.tif"], "channel": "alpha", "invert": True},
         "output": {"path": str(folder / "out"), "format": "exr", "passes": {"path": str(folder / "passes"), "names": ["unseen"]}},
         "references": [{"frame": 1, "path": paths["float.exr"]}]},
    ]  # fmt: skip
    before = sorted(str(path) for path in folder.rglob("*"))
    server, end, number = Server(), time.monotonic() + seconds, 0
    try:
        while time.monotonic() < end and (most is None or number < most):
            number += 1
            line, is_request = line_of(documents, number, chance)
            if b'"render"' in line or b'"splice"' in line or b'"shutdown"' in line:
                continue
            server.send(line)
            if not is_request or number % 50 == 0:
                server.send(json.dumps({"jsonrpc": "2.0", "id": -number, "method": "describe"}).encode())
            try:
                answer = server.answer_to(number if is_request else -number)
            except ValueError as error:
                answer = {"error": {"message": f"no JSON came back: {error}"}, "bad": True}
            text = str((answer or {}).get("error", {}).get("message", ""))
            what = None
            if answer is None:
                what = f"no answer in {PATIENCE:g} s" if server.process.poll() is None else f"the process died ({server.process.returncode})"
            elif "bad" in answer or "went wrong inside" in text or "\n" in text:
                what = text
            counts["wrong" if what else "refused" if text else "answered"] += 1
            if what:
                wrong.append(f"{line!r}: {what}")
                print(wrong[-1][:2000], flush=True)
            if answer is None:
                server.close()
                server = Server()
    finally:
        server.close()
    new = sorted({str(path) for path in folder.rglob("*")} - set(before))
    if new:
        wrong.append(f"a check has written {new}")
        print(wrong[-1])
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        counts, wrong = campaign(Path(folder), arguments.seconds, arguments.seed)
    print(", ".join(f"{count} {name}" for name, count in counts.items()), f"- {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
