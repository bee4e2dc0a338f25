"""Clips at one height with the motion between their frames, made once and kept in a folder that is nobody's data set.

A file belongs to the content of a clip, to the height and to the estimator: whatever changes, another file is made.
"""
from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from .. import effect
from ..completion import continuation
from ..errors import Aborted, BadParameter, Failed
from ..flow import ESTIMATORS, Estimator
from ..machine import Choice, Machine, choose
from ..motion import MotionSettings, flows, view_of
from . import store
from .layouts import Clip
from .reading import open_clip

#: Of what is kept: files of another version are left alone and made anew.
_VERSION = 1
_ABREAST = 8
_FAR = 60000.0
#: Somebody may be emptying the folder meanwhile.
_ATTEMPTS = 3


def _never() -> bool:
    return False


def cache_folder() -> Path:
    """Where prepared clips are kept if nothing else is said. Raises `BadParameter` for a user without a home."""
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "flow-inpaint" / "cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "flow-inpaint"
        given = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "flow-inpaint"
    except RuntimeError as error:
        raise BadParameter("This user has no home folder to keep measured motion in: say where with data.cache.") from error


class Prepared:
    """Clips as they are learnt from and measured on.

    cache      the folder, which may be deleted at any time
    height     that larger clips are brought down to; 0: none
    estimator  "dis", "flownet2" or "auto", see `machine.choose`
    machine    that networks run on

    It can be sent to other processes. Raises `MissingWeights`.
    """

    def __init__(self, cache: Path, height: int, estimator: str, machine: Machine):
        self._cache, self._height = cache, height
        self._choice: Choice[Estimator] = choose("flow", ESTIMATORS, estimator, machine)
        self._estimator: Estimator | None = None
        weights = [machine.weights_of(role) for role in self._choice.method.roles]
        self._identity = (self._choice.name, *(found.sha256 for found in weights if found))

    @property
    def estimator(self) -> str:
        """The estimator's name."""
        return self._choice.name

    def shape(self, clip: Clip) -> tuple[int, int, int]:
        """(frames, height, width). Makes the frames if they are not there."""
        stored = self._sound(clip, "frames")
        return stored.count, *stored.shape[:2]

    def frames(self, clip: Clip, first: int, last: int) -> np.ndarray:
        """(last - first + 1, H, W, 3) uint8 RGB."""
        return self._read(clip, "frames", first, last)

    def flows(self, clip: Clip, first: int, last: int) -> np.ndarray:
        """(last - first, 2, 2, H, W) float16 in pixels: of each two neighbours of the frames first..last the flow forward and the
        flow backward, as the estimator finds them between whole pictures."""
        return self._read(clip, "flows", first, last - 1)

    def measured(
        self, a: np.ndarray, b: np.ndarray, hole_a: np.ndarray | None = None, hole_b: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Flows a -> b and b -> a, (2, H, W) float32, of pictures (H, W, 3) uint8, as a job measures them with its defaults: not
        looking into holes (H, W) bool, and continued there. Safe to call from several threads."""
        if self._estimator is None:
            self._estimator = self._choice.make()
        nothing = np.zeros(a.shape[:2], bool)
        views = [view_of(x, nothing if hole is None else hole, colour=self._estimator.colour) for x, hole in ((a, hole_a), (b, hole_b))]
        refinement = int(effect.parameters()["refinement"]["default"])
        return flows(*views, MotionSettings(self._estimator, continuation(), refinement, 1.0))

    def prepare(
        self,
        clips: Sequence[Clip],
        *,
        motion: bool = True,
        rank: int = 0,
        world: int = 1,
        stopped: Callable[[], bool] = _never,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Makes what is not there yet; of several processes each begins elsewhere. Raises `Aborted`, and `BadClip` for a clip that
        cannot be read."""
        begin = len(clips) * rank // max(world, 1)
        kinds = ("frames", "flows") if motion else ("frames",)
        missing = [clip for clip in (*clips[begin:], *clips[:begin]) if not all(self._path(clip, what).exists() for what in kinds)]
        for number, clip in enumerate(missing, 1):
            say(f"Preparing clip {number} of {len(missing)}: {clip.name}")
            for what in kinds:
                self._sound(clip, what, stopped)

    # --- files ---

    def _read(self, clip: Clip, what: str, first: int, last: int) -> np.ndarray:
        try:
            return self._sound(clip, what).read(first, last)
        except store.Damaged:
            self._make(clip, what)
            return self._sound(clip, what).read(first, last)

    def _sound(self, clip: Clip, what: str, stopped: Callable[[], bool] = _never) -> store.Stored:
        path = self._path(clip, what)
        for attempt in range(_ATTEMPTS):
            try:
                return store.Stored(path)
            except (FileNotFoundError, store.Damaged):
                if attempt < _ATTEMPTS - 1:
                    self._make(clip, what, stopped)
            except OSError as error:
                raise Failed(f"{path} cannot be read: {error.strerror}.") from error
        raise Failed(f"{path} was written and cannot be read back: choose another folder with data.cache.")

    def _path(self, clip: Clip, what: str) -> Path:
        words = [_VERSION, _content(clip, self._cache), self._height, *(self._identity if what == "flows" else ())]
        return self._cache / f"{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:40]}.{what}"

    # --- making ---

    def _make(self, clip: Clip, what: str, stopped: Callable[[], bool] = _never) -> None:
        made = {"frames": self._made_frames, "flows": self._made_flows}[what](clip)
        store.write(self._path(clip, what), _until(stopped, made))

    def _made_frames(self, clip: Clip) -> Iterator[np.ndarray]:
        with open_clip(clip) as reader:
            h, w = reader.size
            share = min(self._height / h, 1) if self._height else 1
            size = (max(round(w * share), 1), max(round(h * share), 1))
            for picture in reader.read():
                yield picture if share == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

    def _made_flows(self, clip: Clip) -> Iterator[np.ndarray]:
        count = self.shape(clip)[0]
        with ThreadPoolExecutor(min(os.cpu_count() or 1, _ABREAST)) as pool:
            for first in range(0, count - 1, _ABREAST):
                some = self.frames(clip, first, min(first + _ABREAST, count - 1))
                for both in pool.map(lambda pair: np.stack(self.measured(*pair)), pairwise(some)):
                    yield np.clip(both, -_FAR, _FAR).astype(np.float16)

    def __getstate__(self) -> dict[str, object]:
        # Every process makes an estimator of its own.
        return vars(self) | {"_estimator": None}


def _until(stopped: Callable[[], bool], values: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for value in values:
        if stopped():
            raise Aborted("Stopped while clips were prepared; the clips that are done are kept.")
        yield value


# --- content ---

_known: dict[str, str] = {}


def _content(clip: Clip, cache: Path) -> str:
    """SHA-256 of what a clip's files hold. Files that have neither moved nor changed since are not read again."""
    files = clip.frames or (clip.path,)
    try:
        stats = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError as error:
        raise Failed(f"{error.filename} cannot be read: {error.strerror}.") from error
    seen = hashlib.sha256(json.dumps(stats).encode()).hexdigest()
    if seen in _known:
        return _known[seen]
    note = cache / "known" / seen[:40]
    try:
        noted = note.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        noted = ""
    if len(noted) != 64:
        digest = hashlib.sha256()
        for path in files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        noted = digest.hexdigest()
        _note(note, noted)
    _known[seen] = noted
    return noted


def _note(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(text, "ascii")
        part.replace(path)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}; choose another folder with data.cache.") from error
