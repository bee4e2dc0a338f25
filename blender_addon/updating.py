"""Making a result again, from its recipe: only the frames that something has changed for.

What is exact: a frame keeps its pixels bit for bit when its picture and its matte, and those of all frames within reach of
it (and of the frames beside it, by which it is steadied), are as they were. The other frames are made as if they alone had
been asked for, with everything around them to look at.
"""
from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import bpy

from . import engine_client, passes, recipe, removal, strips
from .outputs import Outputs, Written
from .properties import FRAMES, PATCH, Request
from .task import Task, TaskError, context_of

_KEY = 8
_LOOK_SHARE = 0.15
_SPLICED = {"ffv1", "prores"}
"""Movie formats in which a frame can be replaced without touching its neighbours."""


@dataclass(frozen=True)
class Changes:
    """Which pictures of the result have to be made again: [first, last] each, counted from its first one. `why`: for the user."""

    runs: list[tuple[int, int]]
    whole: bool
    why: str

    @property
    def frames(self) -> int:
        return sum(last + 1 - first for first, last in self.runs)


class Update(Task):
    """Call `advance` until it returns False; then `changes` says what was made again and `path` where it is."""

    verb = "Update"

    def __init__(self, scene: bpy.types.Scene, strip_name: str, python: str, settings: Mapping[str, Any] | None = None):
        """`settings`: parts of the recipe's request to put others in place of, and `params`. Raises `TaskError`."""
        super().__init__(scene, python, strip_name)
        self.strip_name = strip_name
        self.path = Path()
        self.changes = Changes([], False, "")
        with self._tidily():
            self._read(scene, settings or {})
            self._resolved = removal.resolve(scene, self._request, self._request.source, self._place.work)
            self._outputs = Outputs(self._place, self._request, self._resolved.floating)
            self._first, self._count = removal.wanted(self._resolved, self._request)
            self.notes += self._resolved.notes
            self._snap(scene, self._resolved, self._place.work)

    def outcome(self) -> str:
        if not self.changes.runs:
            return f"Nothing to do: '{self.strip_name}' is up to date"
        return f"'{self.strip_name}': {self.changes.frames} of {self._count} frames made again, because {self.changes.why}: {self.path}"

    def result(self) -> dict[str, Any]:
        made = {"source": self._request.source, "strip": self.strip_name, "path": str(self.path), "notes": self.notes}
        made["passes"] = self._outputs.beside
        done = "updated" if self.changes.runs else "nothing"
        ranges = [[self._timeline(first), self._timeline(last)] for first, last in self.changes.runs]
        return made | {"done": done, "frames": self.changes.frames, "ranges": ranges, "why": self.changes.why}

    def _timeline(self, number: int) -> int:
        return self._resolved.start + self._first + number

    def _read(self, scene: bpy.types.Scene, settings: Mapping[str, Any]) -> None:
        strip = strips.find_source(scene, self.strip_name)
        old = recipe.read(strip)
        if old is None:
            raise TaskError(f"Strip '{strip.name}' was not made by Flow Inpaint: select a result, or remove something from this one.", True)
        source = recipe.source_of(scene, old)
        channel = settings.get("mask_channel") or recipe.mask_channel_of(scene, old, source)
        self._old = old
        self._request = replace(old.to_request(source, channel), **{k: v for k, v in settings.items() if k != "mask_channel"})
        paths = strips.files.paths(strip)
        self._base = _Base(strip.type == "MOVIE", paths, frozenset(recipe.missing(strip)), passes.folder_of(strip), passes.found(strip))
        self.path = paths[0] if strip.type == "MOVIE" else paths[0].parent
        self._mattes = [mask.name for mask in strips.mask_strips(scene, source, channel)]
        self._identity, self._kept = recipe.identity(source), recipe.request_of(self._request, source)
        self._place = self._reserve(self._request.output, source.name)

    def _work(self) -> Iterator[None]:
        made = yield from self._with_engine(self._make)
        yield from self._when_free()
        if made is not None:
            self.path = self._outputs.commit(made)
            self._put(made.files)
        elif self._new != self._old:
            self._rewrite()

    def _make(self, engine: engine_client.Engine) -> Generator[None, None, Written | None]:
        """What was written; None when nothing has changed."""
        yield from self._get_ready(engine, self._resolved)
        document = removal.job_of(self._resolved, self._request, self._first, self._count)
        self.stage = "Looking for changes"
        whole = document | {"output": self._outputs.document()}
        found = yield from self._fingerprint(engine, whole, _LOOK_SHARE)
        self._new = replace(
            self._old,
            engine=engine.found_version,
            source=self._identity,
            mattes=self._mattes,
            request=self._kept,
            start=self._resolved.start,
            first=self._first,
            count=self._count,
            keys=found["keys"],
            methods=found["methods"],
            how=self._resolved.how.value,
            size=[found["width"], found["height"]],
            job=document,
        )
        self.changes = self._changes()
        if not self.changes.runs:
            return None
        self.changes_strips = True
        self.frames = self.changes.frames
        if not self.changes.whole:
            try:
                return (yield from self._pieces(engine, document))
            except engine_client.EngineError as error:
                if error.status != "BadClip" or self._outputs.target.exists():
                    raise
                self.notes.append(f"The earlier result could not be used ({str(error).rstrip('.')}): everything was made again.")
                self.changes = Changes([(0, self._count - 1)], True, self.changes.why)
        watched = self._watched(engine, whole, self._outputs.previews, self._resolved.start, self._first)
        return self._outputs.written((yield from self._ask(engine, "render", watched)))

    def _changes(self) -> Changes:
        """Everything, when something matters for every frame; else what lies within reach of the frames that have changed."""
        old, new, count = self._old, self._new, self._count
        everything = [(0, count - 1)]
        whole = [
            (not old.keys or not new.keys, "the engine cannot tell what has changed"),
            (old.engine != new.engine, f"the engine is {new.engine} and was {old.engine}"),
            (old.methods != new.methods, "other methods are used now"),
            (_kind(old) != _kind(new), "the settings have changed"),
            ((old.how, old.size) != (new.how, new.size), "the source's pictures are got in another way"),
            ((old.first, old.count, len(old.keys)) != (new.first, new.count, len(new.keys)), "other frames are shown"),
            (self._base.movie and bool(self._base.missing), "the file is missing"),
            (len(self._base.missing) == len(self._base.paths), "the files are missing"),
            (not set(self._outputs.beside) <= set(self._base.passes), "passes are wanted that are not there"),
        ]
        for so, why in whole:
            if so:
                return Changes(everything, True, why)
        context = context_of(self._request.params)
        changed = [k - self._first for k in range(len(new.keys) // _KEY) if _key(old, k) != _key(new, k)]
        touched = {j for k in changed for j in range(max(k - context, 0), min(k + context, count - 1) + 1)}
        lost = {number for number in self._base.missing if number < count}
        lost |= passes.missing(self._base.folder, self._outputs.beside, new.first, count)
        why = " and ".join(w for w, so in (("the source or the matte has changed", touched), ("files are missing", lost)) if so)
        runs = _runs(sorted(touched | lost))
        spliced = not self._base.movie or self._request.format in _SPLICED
        if runs and not spliced:
            return Changes(everything, True, why)
        return Changes(runs, runs == everything, why)

    def _pieces(self, engine: engine_client.Engine, document: dict[str, Any]) -> Generator[None, None, Written]:
        """The changed frames, put into the earlier result and its passes."""
        outputs, base, done = self._outputs, self._base, 0
        pieces: list[dict[str, Any]] = []
        for number, (first, last) in enumerate(self.changes.runs):
            frames = [self._first + first, self._first + last]
            share = 0.95 * (last + 1 - first) / max(self.frames - done, 1)
            done += last + 1 - first
            job = document | {"frames": frames, "output": outputs.document(number)}
            pieces.append(outputs.piece(number, (yield from self._ask(engine, "render", job, share)), first))
        self.stage = "Putting the new frames in"
        for name in outputs.beside:
            kept = passes.files(base.folder / name, self._first, self._count)
            parts = [outputs.pass_piece(number, name, first) for number, (first, _) in enumerate(self.changes.runs)]
            yield from self._splice(engine, {"path": str(base.folder / name), "files": kept}, parts, outputs.spliced_pass(name))
        before = {"path": str(self.path)} | ({} if base.movie else {"files": [path.name for path in base.paths]})
        return outputs.spliced((yield from self._splice(engine, before, pieces, outputs.target)))

    def _splice(
        self, engine: engine_client.Engine, base: dict[str, Any], pieces: list[dict[str, Any]], output: Path
    ) -> Generator[None, None, list[str]]:
        return (yield from self._ask(engine, "splice", {"base": base, "pieces": pieces, "output": str(output)}, 0.5))["files"]

    def _put(self, files: list[str] | None) -> None:
        """Every strip that shows the earlier result shows the new one; if that has another shape, a new strip takes their place."""
        scene = self._scene()
        showing = recipe.of_id(scene, self._old.id) if scene else []
        if not showing:
            raise TaskError(f"Strip '{self.strip_name}' is gone: the new result lies in {self.path}.")
        old, new = self._old, self._new
        patch = self._request.result == PATCH
        same = (files is None) == self._base.movie and patch == (old.request.get("result") == PATCH)
        if same and (old.count, old.how, old.size) == (new.count, new.how, new.size):
            for strip in showing:
                strips.repoint(strip, self.path, files)
            self._rewrite()
            passes.renew(scene, showing[0])
            return
        start = self._timeline(0)
        before, source, how = showing[0].name, self._request.source, self._resolved.how
        strip = strips.place(scene, source, self.path, files, start, self._count, self.path.stem, how, instead=showing, patch=patch)
        recipe.write(strip, new)
        passes.renew(scene, strip)
        self.strip_name = strip.name
        self.notes.append(f"The result has another shape: '{strip.name}' takes the place of '{before}'.")

    def _rewrite(self) -> None:
        """Strips and channels may have new names and numbers, even where nothing else has changed."""
        scene = self._scene()
        for strip in recipe.of_id(scene, self._old.id) if scene else ():
            recipe.write(strip, self._new)


@dataclass(frozen=True)
class _Base:
    """The earlier result's files and the numbers of those that are missing; the folder of its passes and which are there."""

    movie: bool
    paths: list[Path]
    missing: frozenset[int]
    folder: Path
    passes: list[str]


def _kind(of: recipe.Recipe) -> tuple[Any, ...]:
    """What of the settings matters for every frame."""
    return of.request["params"], of.request["format"], of.request.get("result", FRAMES)


def _key(of: recipe.Recipe, number: int) -> str:
    return of.keys[number * _KEY : (number + 1) * _KEY]


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Neighbours joined: [first, last] each."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs


def settings_of(request: Request) -> dict[str, Any]:
    """What of the panel's request takes the place of a recipe's."""
    return {one.name: getattr(request, one.name) for one in fields(Request) if one.name not in ("source", "mask_channel", "frames")}
