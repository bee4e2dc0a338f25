"""What tests of an installation need: small wheels, an engine that does no work, an index that misbehaves on request."""
from __future__ import annotations

import base64
import hashlib
import os
import sys
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
if str(REPOSITORY / "blender_addon") not in sys.path:
    # At the end: the add-on's rooms are not to stand in front of anything.
    sys.path.append(str(REPOSITORY / "blender_addon"))

from engine_setup import busy_files, download, errors, installation, interpreters, pip_words, place, torch_builds  # noqa: F401

ENGINE = """
import json, os, sys
words = sys.argv[1:]
if os.environ.get("FAKE_ENGINE_BROKEN") == words[0]:
    sys.exit("no luck today")
if words[0] == "doctor":
    try:
        import torch
        found = torch.__version__ + "; networks run on the processor"
    except ImportError:
        found = "not installed"
    rows = [("Flow Inpaint", "good", "%(version)s in here"), ("torch", "good", found)]
    print(json.dumps({"ready": True, "findings": [{"name": n, "state": s, "found": f, "advice": ""} for n, s, f in rows]}))
elif words[0] == "serve":
    import runpy
    runpy.run_module("flow_inpaint.served", run_name="__main__")
else:
    import filler
    os.makedirs(words[3])
    for name in os.listdir(words[1]):
        open(os.path.join(words[3], name), "wb").write(b"x")
"""


def wheel(
    folder: Path, name: str, version: str, files: dict[str, bytes | str], requires: list[str] = (), tag: str = "py3-none-any"
) -> Path:
    """A wheel with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-{version}.dist-info"
    extras = sorted({line.split('extra == "')[1].rstrip('"') for line in requires if "extra ==" in line})
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Provides-Extra: {e}" for e in extras),
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    every = {key: value.encode() if isinstance(value, str) else value for key, value in files.items()}
    every[f"{about}/METADATA"] = ("\n".join(metadata) + "\n").encode()
    every[f"{about}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    record = [
        f"{key},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for key, data in every.items()
    ]
    every[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,"]).encode()
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for key, data in every.items():
            packed.writestr(key, data)
    return path


def engine_wheel(folder: Path, version: str = "0.1.0") -> place.Wheel:
    """An engine that needs `filler`, and with networks `torch`."""
    package = {"flow_inpaint/__init__.py": "", "flow_inpaint/__main__.py": ENGINE % {"version": version}}
    package["flow_inpaint/served.py"] = (REPOSITORY / "tests" / "blender" / "fake_engine.py").read_text()
    return place.wheel(wheel(folder, "flow_inpaint", version, package, ["filler>=1", 'torch>=2.4; extra == "networks"']))


def filler_wheel(folder: Path, size: int = 2_000_000) -> Path:
    """As many bytes as no packing makes smaller."""
    return wheel(folder, "filler", "1.0", {"filler/__init__.py": "", "filler/data.bin": os.urandom(size)})


def torch_wheel(folder: Path, version: str) -> Path:
    return wheel(folder, "torch", version, {"torch/__init__.py": f"__version__ = '{version}'\n"})


class Index(ThreadingHTTPServer):
    """A package index of folders of wheels. `break_after`: how many bytes of a large wheel (pip's own aside) that is asked for to its end
    arrive, of each of the next `breaks` requests. `asked`: what was asked for, with the range.
    """

    daemon_threads = True

    def __init__(self, folders: dict[str, Path]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folders = folders
        self.break_after, self.breaks = 0, 0
        self.slowly = False
        self.asked: list[tuple[str, str]] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none of the test's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, *words: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = [urllib.parse.unquote(part) for part in self.path.strip("/").split("/")]
        folder = self.server.folders.get(parts[0])
        if folder is None or len(parts) != 2:
            return self.send_error(404)
        file = folder / parts[1]
        if file.suffix == ".whl" and file.is_file():
            return self._file(file)
        found = [path for path in sorted(folder.glob("*.whl")) if path.name.split("-")[0].replace("_", "-") == parts[1]]
        if not found:
            return self.send_error(404)
        link = '<a href="/{0}/{1}#sha256={2}">{3}</a>'
        rows = [link.format(parts[0], urllib.parse.quote(p.name), hashlib.sha256(p.read_bytes()).hexdigest(), p.name) for p in found]
        self._answer(200, "\n".join(rows).encode(), {"Content-Type": "text/html"})

    def _file(self, file: Path) -> None:
        data, asked = file.read_bytes(), self.headers.get("Range", "")
        spared = file.name.startswith("pip") or len(data) < 100_000
        if self.command == "GET":
            self.server.asked.append((file.name, asked))
        if asked:
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = (int(begin), int(end) if end else len(data) - 1) if begin else (len(data) - int(end), len(data) - 1)
            if first >= len(data):
                return self.send_error(416)
            where = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Accept-Ranges": "bytes"}
            return self._answer(206, data[first : last + 1], where, whole=not begin or bool(end) or spared)
        self._answer(200, data, {"Accept-Ranges": "bytes"}, whole=spared)

    def _answer(self, code: int, data: bytes, headers: dict[str, str], whole: bool = True) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if not whole and self.server.breaks:
            self.server.breaks -= 1
            self.wfile.write(data[: self.server.break_after])
            self.wfile.flush()
            self.connection.close()
            return
        step = 50_000 if self.server.slowly and not whole else max(len(data), 1)
        for k in range(0, len(data), step):
            self.wfile.write(data[k : k + step])
            if self.server.slowly:
                time.sleep(0.1)


@contextmanager
def serving(folders: dict[str, Path]) -> Iterator[Index]:
    index = Index(folders)
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        index.shutdown()
        index.server_close()


def variables(**more: str) -> dict[str, str]:
    """An environment in which pip is set by nobody but the test."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PIP_", "PYTHON")) and k.lower() not in ("http_proxy", "https_proxy", "all_proxy")
    }
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"} | more


def run(request: installation.Request, limit: float = 120.0, **more: str) -> installation.Installation:
    """An installation that has ended. Its end is one sentence or none."""
    begun = installation.Installation(request, variables(**more))
    assert begun.join(limit), begun.status()
    assert "\n" not in begun.error and "Traceback" not in begun.error
    return begun


def asked(root: Path, wheel: place.Wheel, **more: Any) -> installation.Request:
    return installation.Request(**{"root": root, "wheel": wheel, "online": True, "python": sys.executable, "torch": "none"} | more)


def folders(root: Path) -> list[str]:
    """What lies in ROOT but the lock and the log."""
    return sorted(path.name for path in root.iterdir() if path.name not in ("lock", "install.log")) if root.is_dir() else []
