"""One job is one document: source, mask, output, frames, parameters. The same in the protocol, on disk and on the command line.

    source  { path, first = 0, count, indices, hold = false, rate, upright = true, layer }
    mask    { path, first, count, indices, hold, rate, upright, layer, channel = "luma" | "alpha", invert, at, transform }
            or { rectangle = [x, y, w, h], at, count }, or a list of such parts, which are united
    output  { path, format, passes { path, names, provenance = "exr" | "png" }, previews }
    frames  [first, last]
    references  a list of { frame, path }
    coverage    a PNG file for the picture that a check draws
    params  { preset, NAME = VALUE, ... }

Frame numbers. A *clip frame* is an index into a file, from 0. A *job frame* is an index into the job's
source, from 0: job frame k shows clip frame `indices[k]` (or `first + k`). `frames` and `at` are job
frames, both ends included; the output has one picture for each job frame of `frames`.

`indices` is how a host says held, repeated, skipped and reversed frames. With `hold`, frames asked for beyond the
end of the file show its last one, as an editor's strip does when its sound is longer than its pictures. A mask part without `at`,
`count` and `indices` has to be as long as the source or be a single picture, which then holds for every
frame; a part with any of them covers just its own range, and the frames outside are not masked by it.

Frames of a video are counted as they are stored, whatever their times. With `rate` they are counted by time, as an editor
does: clip frame n is the one that is shown at n / `rate` seconds; it is the rate at which the editor says the file runs. With
`upright` = false, footage that is to be turned for viewing is taken as it is stored, as an editor shows it that does not turn it.

`layer` is the part or the layer of OpenEXR images that is read; left out, the one without a name.

`transform` = [a, b, c, d, e, f] says where a source pixel lies in the mask's picture:
x' = a x + b y + c, y' = d x + e y + f, in pixels with integer coordinates at pixel centres.

`passes.path` is a folder: each pass is written to a folder of its name in it, an image for each job frame, named by
its number. `names` are the passes that are wanted (see `effect.toml`); all, if it is left out. `references` are clean
pictures of job frames, one file each.

`previews` is a folder for what a host shows while the job goes on: a JPEG picture of each job frame that is finished, NNNNN.jpg
by its number, never seen half written. They are made for as long as the folder is there: it is the host's, which makes it when
somebody may look, and removes it, however the job ends; when the disk has no room for them the engine removes those that it has made,
and the folder if nothing else is in it. Nothing that the job reads may lie in it. Frames are
finished in their order: while the progress of the stage "write" says `done`, at least `done` - 1 are there, if the folder was
there before the stage began.
"""
from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping

from . import effect
from .errors import BadClip, BadParameter

#: More frames than a day has at 100 a second.
_MOST = 10**7
#: As much as a host may send in one line.
_LONGEST_DOCUMENT = 16 * 2**20
_CLIP_FIELDS = {"first", "indices", "hold", "rate", "upright", "layer"}


@dataclass(frozen=True)
class ClipSpec:
    """A run of frames of a file, an image pattern or a folder. `count` None: to the end. `rate` None: frames are not counted by time."""

    path: Path
    first: int = 0
    count: int | None = None
    indices: tuple[int, ...] | None = None
    hold: bool = False
    layer: str | None = None
    rate: float | None = None
    upright: bool = True


@dataclass(frozen=True)
class MaskPart:
    """One matte. Exactly one of `clip` and `rectangle` is set."""

    clip: ClipSpec | None = None
    rectangle: tuple[float, float, float, float] | None = None
    channel: str = "luma"
    invert: bool = False
    at: int | None = None
    count: int | None = None
    transform: tuple[float, ...] | None = None

    @property
    def placed(self) -> bool:
        """Whether the part says itself which job frames it covers."""
        clip = self.clip
        return self.at is not None or self.count is not None or bool(clip and (clip.count is not None or clip.indices is not None))


@dataclass(frozen=True)
class PassesSpec:
    """`path` is a folder; `names` are in the descriptor's order; `provenance` is "exr" or "png"."""

    path: Path
    names: tuple[str, ...]
    provenance: str = "exr"


@dataclass(frozen=True)
class OutputSpec:
    path: Path
    format: str
    passes: PassesSpec | None = None
    previews: Path | None = None


@dataclass(frozen=True)
class ReferenceSpec:
    """A clean picture of one job frame."""

    frame: int
    path: Path


@dataclass(frozen=True)
class Job:
    source: ClipSpec
    mask: tuple[MaskPart, ...]
    output: OutputSpec
    frames: tuple[int, int] | None = None
    params: Mapping[str, effect.Value] = field(default_factory=effect.resolve)
    references: tuple[ReferenceSpec, ...] = ()
    coverage: Path | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any], base: Path | None = None) -> Job:
        """A validated job. Relative paths count from `base`. Raises `BadParameter` or `BadClip`; opens no media."""
        needed = {"source", "mask", "output"}
        top = _table(document, "job", needed | {"frames", "params", "references", "coverage"}, needed)
        base = base or _working_folder()
        source = _clip(_table(top["source"], "source", {"path", "count"} | _CLIP_FIELDS, {"path"}), "source", base)
        mask = mask_parts(top["mask"], base)
        params = top.get("params") or {}
        if not isinstance(params, Mapping):
            raise BadParameter("params has to be a table of parameter names and values.")
        return cls(
            source=source,
            mask=mask,
            output=_output(top["output"], base),
            frames=_range(top.get("frames")),
            params=effect.resolve(params),
            references=_references(top.get("references"), base),
            coverage=None if top.get("coverage") is None else _path(top["coverage"], "coverage", base),
        )

    @classmethod
    def from_file(cls, path: Path) -> Job:
        """Reads a `.toml` or `.json` job; relative paths count from the file's folder."""
        return cls.from_document(read_document(path), path.resolve().parent)


def read_document(path: Path) -> Any:
    """What a `.toml` or `.json` file says, unchecked. Raises `BadClip` when it cannot be read, `BadParameter` when it is neither."""
    try:
        with open(path, "rb") as file:
            said = file.read(_LONGEST_DOCUMENT + 1)
        if len(said) > _LONGEST_DOCUMENT:
            raise BadParameter(f"{path} is not a job document: it is longer than {_LONGEST_DOCUMENT >> 20} MiB.")
        text = said.decode("utf-8")
        return tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise BadClip(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadParameter(f"{path} is not a job document: {str(error).rstrip('.')}.") from error


def format_of(path: str) -> str:
    """The output format that a path asks for by its ending; a path without one is a folder of PNG."""
    suffix = Path(path).suffix.lower()
    aliases = {".tiff": ".tif"}
    for name, declared in effect.formats().items():
        if declared["extension"] == aliases.get(suffix, suffix):
            return name
    if suffix == "":
        return "png"
    known = ", ".join(f["extension"] for f in effect.formats().values())
    raise BadParameter(f"{path}: no format writes '{suffix}'; use {known}, or a folder for an image sequence.")


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path()  # it was deleted: whole paths do not need it, others lead nowhere and are reported


def _table(value: Any, name: str, known: set[str], needed: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadParameter(f"{name} has to be a table, not {_kind(value)}.")
    for key in value:
        if key not in known:
            raise BadParameter(f"{name} has no field '{key}'; it has {', '.join(sorted(known))}.")
    for key in sorted(needed):
        if key not in value:
            raise BadParameter(f"{name} needs the field '{key}'.")
    return value


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", str: "text", bool: "true or false"}.get(type(value), "a number")


def _path(value: Any, name: str, base: Path) -> Path:
    if not isinstance(value, str) or not nameable(value):
        raise BadParameter(f"{name} has to be a file name, not {value!r}.")
    return base / Path(value)


def nameable(text: str) -> bool:
    """Whether a file may have this name."""
    if not text or "\0" in text:
        return False
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise BadParameter(f"{name} cannot be {value!r}: say true or false.")
    return value


def _whole(value: Any, name: str, low: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise BadParameter(f"{name} cannot be {value!r}: it is a whole number, {low} or more.")
    if value > _MOST:
        raise BadParameter(f"{name} is too large: no clip has more than {_MOST} frames.")
    return value


def _rate(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MOST:
        raise BadParameter(f"{name} cannot be {value!r}: it is a number of frames a second, above 0.")
    return float(value)


def _numbers(value: Any, name: str, size: int) -> tuple[float, ...]:
    good = isinstance(value, (list, tuple)) and len(value) == size
    if not good or any(isinstance(v, bool) or not isinstance(v, (int, float)) or abs(v) > 1e9 or v != v for v in value):
        raise BadParameter(f"{name} has to be a list of {size} numbers, not {value!r}.")
    return tuple(float(v) for v in value)


def _clip(table: Mapping[str, Any], name: str, base: Path) -> ClipSpec:
    indices = table.get("indices")
    if indices is not None:
        if not isinstance(indices, (list, tuple)) or not indices:
            raise BadParameter(f"{name}.indices has to be a list of clip frames.")
        indices = tuple(_whole(v, f"{name}.indices", 0) for v in indices)
    count = table.get("count")
    layer = table.get("layer")
    if layer is not None and (not isinstance(layer, str) or not nameable(layer)):
        raise BadParameter(f"{name}.layer has to be the name of a layer, not {layer!r}.")
    return ClipSpec(
        path=_path(table["path"], f"{name}.path", base),
        first=_whole(table.get("first", 0), f"{name}.first", 0),
        count=None if count is None else _whole(count, f"{name}.count", 1),
        indices=indices,
        hold=_boolean(table.get("hold", False), f"{name}.hold"),
        layer=layer,
        rate=None if table.get("rate") is None else _rate(table["rate"], f"{name}.rate"),
        upright=_boolean(table.get("upright", True), f"{name}.upright"),
    )


def mask_parts(value: Any, base: Path) -> tuple[MaskPart, ...]:
    """The `mask` of a document. Raises `BadParameter`."""
    parts = value if isinstance(value, list) else [value]
    if not parts:
        raise BadParameter("mask is an empty list: give at least one matte.")
    return tuple(_mask_part(part, base) for part in parts)


def _mask_part(value: Any, base: Path) -> MaskPart:
    at_and_count = {"at", "count"}
    clip_fields = {"path", "channel", "invert", "transform"}
    table = _table(value, "mask", {"rectangle"} | at_and_count | clip_fields | _CLIP_FIELDS, set())
    if ("path" in table) == ("rectangle" in table):
        raise BadParameter("mask needs either a path or a rectangle.")
    at = None if table.get("at") is None else _whole(table["at"], "mask.at", 0)
    count = None if table.get("count") is None else _whole(table["count"], "mask.count", 1)
    invert = _boolean(table.get("invert", False), "mask.invert")
    if "rectangle" in table:
        _table(table, "a rectangle mask", {"rectangle", "invert"} | at_and_count, set())
        rectangle = _numbers(table["rectangle"], "mask.rectangle", 4)
        if rectangle[2] <= 0 or rectangle[3] <= 0:
            raise BadParameter(f"mask.rectangle {list(table['rectangle'])} has no area: it is x, y, width, height in pixels.")
        return MaskPart(rectangle=rectangle, invert=invert, at=at, count=count)
    channel = table.get("channel", "luma")
    if channel not in ("luma", "alpha"):
        raise BadParameter(f"mask.channel cannot be {channel!r}: it is luma or alpha.")
    transform = table.get("transform")
    return MaskPart(
        clip=_clip(table, "mask", base),
        channel=channel,
        invert=invert,
        at=at,
        count=count,
        transform=None if transform is None else _numbers(transform, "mask.transform", 6),
    )


def _output(value: Any, base: Path) -> OutputSpec:
    table = _table(value, "output", {"path", "format", "passes", "previews"}, {"path"})
    path = _path(table["path"], "output.path", base)
    name = table.get("format") or format_of(str(table["path"]))
    if not isinstance(name, str) or name not in effect.formats():
        raise BadParameter(f"output.format cannot be {name!r}: choose one of {', '.join(effect.formats())}.")
    passes = None if table.get("passes") is None else _passes(table["passes"], base)
    previews = None if table.get("previews") is None else _path(table["previews"], "output.previews", base)
    return OutputSpec(path, name, passes, previews)


def _passes(value: Any, base: Path) -> PassesSpec:
    table = _table(value, "output.passes", {"path", "names", "provenance"}, {"path"})
    known = effect.passes()
    names = table.get("names", list(known))
    if not isinstance(names, (list, tuple)) or not names:
        raise BadParameter(f"output.passes.names has to be a list of passes, not {names!r}.")
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise BadParameter(f"There is no pass {name!r}: choose from {', '.join(known)}.")
    kind = table.get("provenance", "exr")
    if kind not in ("exr", "png"):
        raise BadParameter(f"output.passes.provenance cannot be {kind!r}: it is exr or png.")
    return PassesSpec(_path(table["path"], "output.passes.path", base), tuple(name for name in known if name in names), kind)


def _references(value: Any, base: Path) -> tuple[ReferenceSpec, ...]:
    """In order of frames."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadParameter(f"references has to be a list, not {_kind(value)}.")
    found: dict[int, ReferenceSpec] = {}
    for item in value:
        table = _table(item, "a reference", {"frame", "path"}, {"frame", "path"})
        spec = ReferenceSpec(_whole(table["frame"], "a reference's frame", 0), _path(table["path"], "a reference's path", base))
        if spec.frame in found:
            both = f"{found[spec.frame].path.name} and {spec.path.name}"
            raise BadParameter(f"Frame {spec.frame} has two references, {both}: give one of them.")
        found[spec.frame] = spec
    return tuple(found[frame] for frame in sorted(found))


def _range(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise BadParameter(f"frames has to be [first, last], not {value!r}.")
    first, last = (_whole(v, "frames", 0) for v in value)
    if last < first:
        raise BadParameter(f"frames [{first}, {last}] ends before it begins.")
    return first, last
