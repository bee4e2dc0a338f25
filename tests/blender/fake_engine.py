"""Stands in for the engine: speaks its protocol, does no work. Standard library only; becomes `flow_inpaint/__main__.py`.

What it does is told by FAKE_ENGINE: copy (write the source's bytes as the result), slow (take a second over it), die
(end in the middle, with a last word), kill (die by SIGKILL), deaf (ignore abort and shutdown), old (another version),
noise (write nonsense to its output first), mute (never answer), refuse (an error of the engine's own), forever (half a minute).
Of the other methods it answers check with a forecast, fingerprint with the keys in FAKE_ENGINE_KEYS (a file; else all the
same), and splice by writing its base's bytes. What it was asked, one line of JSON each, goes to FAKE_ENGINE_ASKED.
It writes a half file and a temporary folder before it works, as an engine may, and the job it was given to FAKE_ENGINE_JOB.
"""
from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

MODE = os.environ.get("FAKE_ENGINE", "copy")
VERSION = "9.0.0" if MODE == "old" else os.environ["FAKE_ENGINE_VERSION"]
_aborted = threading.Event()
_lock = threading.Lock()


def send(message: dict) -> None:
    with _lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def fail(number: int, text: str, status: str) -> None:
    send({"id": number, "error": {"code": -32000, "message": text, "data": {"status": status}}})


def render(number: int, job: dict) -> None:
    if os.environ.get("FAKE_ENGINE_JOB"):
        Path(os.environ["FAKE_ENGINE_JOB"]).write_text(json.dumps(job))
    if MODE == "refuse":
        return fail(number, "The matte covers everything.\nThere is nothing to take pixels from.", "BadClip")
    _aborted.clear()
    target = Path(job["output"]["path"])
    half = target.with_name(f".{target.name}.part")
    half.write_bytes(b"half")
    tempfile.mkdtemp()
    send({"method": "message", "params": {"level": "warning", "text": "The fake engine copies."}})
    steps = {"copy": 2, "old": 2, "noise": 2, "slow": 20}.get(MODE, 600)
    for step in range(steps):
        send({"method": "progress", "params": {"stage": "copying", "done": step, "total": steps, "fraction": step / steps, "eta_s": 1.0}})
        time.sleep(0.05)
        if step == 3 and MODE == "die":
            print("Traceback (most recent call last):\nMemoryError: the last word", file=sys.stderr, flush=True)
            os._exit(3)
        if step == 3 and MODE == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if _aborted.is_set() and MODE != "deaf":
            half.unlink()
            return fail(number, "Stopped.", "Aborted")
    half.unlink()
    source = Path(job["source"]["path"])
    if target.suffix:
        shutil.copyfile(source, target)
        files = [target.name]
    else:
        target.mkdir()
        first = (job.get("frames") or (0,))[0]
        files = [f"{k:05d}.png" for k in range(first, first + frames(job))]
        for file in files:
            (target / file).write_bytes(picture())
    result = {"path": str(target), "format": job["output"]["format"], "files": files, "identity": False}
    send({"id": number, "result": result})


def check(number: int, job: dict) -> None:
    forecast = {"frames": frames(job), "width": 160, "height": 96, "masked": 0.1, "memory_mib": 300, "disk_mib": 40, "seconds": 75.0}
    forecast["coverage"] = {"seen": 0.8, "unseen": 0.2, "referenced": 0.0, "reference": 4, "reference_shows": 0.5, "picture": None}
    send({"id": number, "result": forecast | {"device": "cpu", "flow": "dis", "completion": "layers", "fill": "exemplar", "notes": ["A note."]}})


def fingerprint(number: int, job: dict) -> None:
    if os.environ.get("FAKE_ENGINE_KEYS") == "unknown":
        return send({"id": number, "error": {"code": -32601, "message": "There is no method 'fingerprint'."}})
    count = job["source"].get("count") or len(job["source"]["indices"])
    file = os.environ.get("FAKE_ENGINE_KEYS", "")
    keys = Path(file).read_text() if file and Path(file).exists() else "00000000" * count
    methods = {"flow": "dis", "completion": "layers", "fill": "exemplar"}
    send({"id": number, "result": {"width": 160, "height": 96, "keys": keys, "methods": methods}})


def splice(number: int, job: dict) -> None:
    target = Path(job["output"])
    files = job["base"].get("files")
    if files:
        target.mkdir()
        for name in files:
            (target / name).write_bytes(picture())
    else:
        shutil.copyfile(job["base"]["path"], target)
    send({"id": number, "result": {"path": str(target), "files": files or [target.name]}})


def frames(job: dict) -> int:
    first, last = job.get("frames") or (0, (job["source"].get("count") or len(job["source"]["indices"])) - 1)
    return last + 1 - first


def picture() -> bytes:
    """A grey pixel as PNG."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0\x80")), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def main() -> None:
    if MODE == "noise":
        print("Downloading the internet\n[1, 2]\n{ not json", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        method, number = request["method"], request["id"]
        if MODE == "mute":
            continue
        if os.environ.get("FAKE_ENGINE_ASKED"):
            with open(os.environ["FAKE_ENGINE_ASKED"], "a") as log:
                log.write(json.dumps({"method": method, "params": request.get("params"), "pid": os.getpid()}) + "\n")
        if method == "describe":
            send({"id": number, "result": {"effect": {"version": VERSION}}})
        elif method == "render":
            threading.Thread(target=render, args=(number, request["params"]), daemon=True).start()
        elif method in ("check", "fingerprint", "splice"):
            {"check": check, "fingerprint": fingerprint, "splice": splice}[method](number, request["params"])
        elif method == "abort":
            _aborted.set()
            send({"id": number, "result": {}})
        elif method == "shutdown" and MODE != "deaf":
            return
    if MODE == "deaf":
        time.sleep(60)


if __name__ == "__main__":
    main()
