"""Files from the network that may break off: what has arrived is kept, and the next try asks for the rest."""
from __future__ import annotations

import errno
import hashlib
import http.client
import os
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .busy_files import patiently
from .errors import Cancelled, SetupError, about_folder

_CHUNK = 1 << 18
_TRIES = 5
_TIMEOUT = 60.0
_NETWORK = (OSError, http.client.HTTPException)  # URLError, TimeoutError and ssl's are OSErrors


class Unreachable(SetupError):
    """The network does not give it; pip, which knows more about proxies and passwords, may be asked instead."""


@dataclass
class Item:
    """A file to fetch. `bytes`: its size, 0 while unknown. `sha256` may be empty."""

    url: str
    sha256: str
    bytes: int = 0

    @property
    def name(self) -> str:
        return urllib.parse.unquote(self.url.split("#")[0].split("?")[0].rpartition("/")[2])

    @property
    def local(self) -> Path | None:
        """The file itself, where the address is one of this machine's."""
        parts = urllib.parse.urlsplit(self.url)
        return Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" else None


class Fetcher:
    """Fetches into `folder`. `cancelled` is asked between two pieces. `proxy`: as pip is set to
    use it. `certificates`: files with more authorities to trust than the system's.
    """

    def __init__(self, folder: Path, cancelled: Callable[[], bool], proxy: str = "", certificates: Sequence[str] = ()):
        self._folder, self._cancelled = folder, cancelled
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=_context(certificates))]
        if proxy:
            handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
        self._opener = urllib.request.build_opener(*handlers)
        self.wait = 1.0

    def measure(self, items: list[Item]) -> int:
        """Bytes of all together, each one's written into it; those that cannot be asked for count 0."""
        for item in items:
            if self._cancelled():
                raise Cancelled
            if item.local is None and not item.bytes:
                try:
                    with self._opener.open(self._request(item, method="HEAD"), timeout=_TIMEOUT) as answer:
                        item.bytes = int(answer.headers.get("Content-Length") or 0)
                except (*_NETWORK, ValueError):
                    continue
        return sum(item.bytes for item in items)

    def kept(self, item: Item) -> int:
        """How many of its bytes are here already."""
        for path in (self._folder / item.name, self._part(item)):
            if path.is_file():
                return path.stat().st_size
        return 0

    def fetch(self, item: Item, arrived: Callable[[int], None]) -> Path:
        """The whole and right file. `arrived`: told how many bytes of it are here. Raises `Unreachable`, `SetupError` or `Cancelled`."""
        if item.local is not None:
            return item.local
        path, part = self._folder / item.name, self._part(item)
        if path.is_file() and (not item.sha256 or _sha256(path) == item.sha256):
            arrived(path.stat().st_size)
            return path
        tries = _TRIES
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                self._go_on(item, part, arrived)
                break
            except _NETWORK as error:
                code = getattr(error, "code", None)
                if code == 416:
                    part.unlink(missing_ok=True)  # there is more of it here than there
                elif code is not None and code < 500:
                    raise Unreachable(f"{item.name} cannot be downloaded: the server answers {code}.") from error
                if isinstance(error, OSError) and error.errno in _DISK:
                    raise about_folder(error, self._folder) from error
                got = part.stat().st_size if part.exists() else 0
                tries = _TRIES if got > before else tries - 1
                if tries == 0:
                    raise Unreachable(f"The connection broke off while downloading {item.name} ({_reason(error)}): {_AGAIN}") from error
                self._pause(self.wait * 2 ** (_TRIES - tries - 1))
        if item.sha256 and _sha256(part) != item.sha256:
            part.unlink()
            raise SetupError(f"{item.name} arrived damaged and was thrown away: install again to download it once more.")
        patiently(os.replace, part, path)
        return path

    def _go_on(self, item: Item, part: Path, arrived: Callable[[int], None]) -> None:
        have = part.stat().st_size if part.exists() else 0
        if item.bytes and have >= item.bytes:
            if have == item.bytes:
                return
            part.unlink()
            have = 0
        request = self._request(item)
        if have:
            request.add_header("Range", f"bytes={have}-")
        with self._opener.open(request, timeout=_TIMEOUT) as answer:
            goes_on = have and answer.status == 206
            length = int(answer.headers.get("Content-Length") or 0)
            have = have if goes_on else 0
            whole = have + length if length else item.bytes
            with open(part, "ab" if goes_on else "wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    have += len(chunk)
                    arrived(have)
                    if self._cancelled():
                        raise Cancelled
        if whole and have < whole:
            raise ConnectionError("it ended early")

    def _part(self, item: Item) -> Path:
        return self._folder / f"{item.name}.{item.sha256[:12]}.part"

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._cancelled():
                raise Cancelled
            time.sleep(0.05)

    @staticmethod
    def _request(item: Item, method: str = "GET") -> urllib.request.Request:
        return urllib.request.Request(item.url, method=method, headers={"User-Agent": "flow-inpaint", "Accept-Encoding": "identity"})


_DISK = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS, errno.EIO, errno.EACCES}  # never the network's
_AGAIN = "install again, and it goes on from there."


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    if isinstance(inner, (BaseException, str)) and str(inner):
        error = inner if isinstance(inner, BaseException) else error
    if isinstance(error, socket.gaierror):
        return "the server's name is not found"
    return " ".join(str(error).split()) or type(error).__name__


def _context(certificates: Sequence[str]) -> ssl.SSLContext:
    """A Python from python.org on a Mac trusts nobody until its user has run a script: that is what `certificates` are for."""
    context = ssl.create_default_context()
    for path in certificates:
        try:
            context.load_verify_locations(path)
        except OSError:
            continue  # not there, or no certificates: the others may do
    return context


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
