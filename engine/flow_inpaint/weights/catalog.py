"""What sets of weights there are: the catalogues, where they are looked for, and which set is the best for a role.

A catalogue is every `.toml` file of a folder together; the weights lie beside them. Folders, first to last:

    1. the one that the environment variable FLOW_INPAINT_WEIGHTS names (a host may point to the weights that it ships)
    2. the user's own, where imported weights go (`user_folder`)
    3. `weights/` of the repository, when the engine runs from there

Of two sets with one name, the first counts. `weights/catalog.toml` shows the format.
"""
from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadWeights
from .architectures import ARCHITECTURES, ROLES, WIDEST, good_width

#: The environment variable with one more folder, searched before the others.
EXTRA_FOLDER = "FLOW_INPAINT_WEIGHTS"

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NEEDED = ("name", "role", "architecture", "width", "file", "sha256", "bytes", "licence", "source")
_OPTIONAL = ("training", "quality", "notes")


@dataclass(frozen=True)
class Quality:
    """How good a set was found to be: `metric` on `data`."""

    data: str
    metric: str
    value: float


@dataclass(frozen=True)
class WeightSet:
    """A table of a catalogue. `origin`: extra (FLOW_INPAINT_WEIGHTS), imported (by the user) or shipped (with Flow Inpaint)."""

    name: str
    role: str
    architecture: str
    width: float
    path: Path
    sha256: str
    bytes: int
    licence: str
    source: str
    training: str
    quality: tuple[Quality, ...]
    notes: str
    origin: str
    catalog: Path

    @property
    def installed(self) -> bool:
        """Whether its file is there at all."""
        return self.path.is_file()


def sets() -> list[WeightSet]:
    """Every set of every catalogue, in the order of search. Raises `BadWeights`."""
    found: dict[str, WeightSet] = {}
    for folder, origin in folders():
        for weight_set in read_folder(folder, origin):
            found.setdefault(weight_set.name, weight_set)
    return list(found.values())


def find(role: str, widest: float = WIDEST) -> WeightSet | None:
    """The best installed set for a role, of at most some width. Raises `BadWeights` when a catalogue cannot be read."""
    return best(role, sets(), widest)


def best(role: str, among: list[WeightSet], widest: float = WIDEST) -> WeightSet | None:
    """THE rule: what FLOW_INPAINT_WEIGHTS adds, over what the user imported, over what is shipped; then the wider; then the first."""
    order = ("extra", "imported", "shipped")
    candidates = [one for one in among if one.role == role and one.width <= widest and one.installed]
    return min(candidates, key=lambda one: (order.index(one.origin), -one.width), default=None)


# --- where ---


def folders() -> list[tuple[Path, str]]:
    """Folders with catalogues and the origin of what lies there, in the order of search. Raises `BadWeights`."""
    found = []
    extra = os.environ.get(EXTRA_FOLDER)
    if extra:
        if not Path(extra).is_dir():
            raise BadWeights(f"{EXTRA_FOLDER} names {extra}, which is no folder: correct or unset it.")
        found.append((Path(extra).absolute(), "extra"))
    found.append((user_folder(), "imported"))
    # In an installed wheel this is some folder beside site-packages, which has no such file.
    repository = Path(__file__).resolve().parents[3] / "weights"
    if (repository / "catalog.toml").is_file():
        found.append((repository, "shipped"))
    return found


def user_folder() -> Path:
    """Where imported weights are kept, existing or not. Raises `BadWeights` for a user without a home."""
    try:
        return _data_folder() / "flow-inpaint" / "weights"
    except RuntimeError as error:
        raise BadWeights("This user has no home folder to keep weights in: set XDG_DATA_HOME to a folder.") from error


def _data_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    given = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    return Path(given) if os.path.isabs(given) else Path.home() / ".local" / "share"


# --- reading and checking ---


def read_folder(folder: Path, origin: str) -> list[WeightSet]:
    """The sets of a folder's catalogues. Raises `BadWeights`."""
    try:
        paths = sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
    except OSError as error:
        raise BadWeights(f"The folder of weights {folder} cannot be read: {error.strerror}.") from error
    documents = {path: document for path in paths if (document := read_catalog(path)) is not None}
    if any(document.get("shipped") for document in documents.values()):
        origin = "shipped"
    found: dict[str, WeightSet] = {}
    for path, document in documents.items():
        for number, table in enumerate(document["sets"], 1):
            called = f"'{line(table['name'])}'" if isinstance(table.get("name"), str) else f"number {number}"
            weight_set = parsed(table, path, origin, f"The catalogue {path}, set {called}")
            if weight_set.name in found:
                raise BadWeights(f"{path}: there already is a set '{weight_set.name}' in {found[weight_set.name].catalog}; rename one.")
            found[weight_set.name] = weight_set
    return list(found.values())


def read_catalog(path: Path) -> dict[str, Any] | None:
    """`{"sets": [table, ...], "shipped": bool}`, the tables unchecked; None if it has just been deleted. Raises `BadWeights`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadWeights(f"The catalogue {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadWeights(f"{path} is not a catalogue of weights: {str(error).rstrip('.')}.") from error
    unknown = sorted(set(document) - {"sets", "shipped"})
    if unknown:
        raise BadWeights(f"The catalogue {path} has a field '{unknown[0]}'; it has sets and shipped.")
    tables = document.get("sets", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise BadWeights(f"The catalogue {path} needs its sets as tables, each beginning with [[sets]].")
    if not isinstance(document.get("shipped", False), bool):
        raise BadWeights(f"The catalogue {path}: shipped cannot be {document['shipped']!r}; it is true or false.")
    return {"sets": tables, "shipped": document.get("shipped", False)}


def parsed(table: Mapping[str, Any], catalog: Path, origin: str, where: str) -> WeightSet:
    """A table of a catalogue as a set. Raises `BadWeights` that names the field and begins with `where`."""
    fields = _Fields(table, where)
    fields.refuse_others()
    architecture = fields.one_of("architecture", list(ARCHITECTURES))
    return WeightSet(
        name=fields.matching("name", NAME, "small letters, digits, '.', '_' and '-'"),
        role=fields.one_of("role", [role for role in ROLES if role in ARCHITECTURES[architecture].roles]),
        architecture=architecture,
        width=fields.width(),
        path=catalog.parent / fields.matching("file", _FILE, "the name of a .safetensors file beside the catalogue"),
        sha256=fields.matching("sha256", _SHA256, "64 digits and small letters from a to f"),
        bytes=fields.size(),
        licence=fields.text("licence"),
        source=fields.text("source"),
        training=fields.text("training"),
        quality=fields.quality(),
        notes=fields.text("notes"),
        origin=origin,
        catalog=catalog,
    )


class _Fields:
    """A table whose fields are checked as they are taken."""

    def __init__(self, table: Mapping[str, Any], where: str):
        self._table, self._where = table, where

    def refuse_others(self) -> None:
        for field in self._table:
            if field not in (*_NEEDED, *_OPTIONAL):
                raise BadWeights(f"{self._where}: there is no field '{field}'.")
        for field in _NEEDED:
            if field not in self._table:
                raise BadWeights(f"{self._where}: the field {field} is missing.")

    def text(self, field: str) -> str:
        value = self._table.get(field, "")
        if not isinstance(value, str) or (field in _NEEDED and not value.strip()):
            raise self._bad(field, "it is a text")
        return line(value)

    def matching(self, field: str, pattern: re.Pattern[str], what: str) -> str:
        value = self._table[field]
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self._bad(field, f"it is {what}")
        return value

    def one_of(self, field: str, choices: list[str]) -> str:
        value = self._table[field]
        if value not in choices:
            raise self._bad(field, f"choose {' or '.join(choices)}")
        return value

    def width(self) -> float:
        value = self._table["width"]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not good_width(value):
            raise self._bad("width", "it is a number above 0, and 1 is the paper's")
        return float(value)

    def size(self) -> int:
        value = self._table["bytes"]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self._bad("bytes", "it is the size of the file")
        return value

    def quality(self) -> tuple[Quality, ...]:
        rows = self._table.get("quality", [])
        shape = "it is a list of tables { data = text, metric = text, value = number }"
        if not isinstance(rows, list):
            raise self._bad("quality", shape)
        for row in rows:
            if not isinstance(row, Mapping) or set(row) != {"data", "metric", "value"}:
                raise self._bad("quality", shape)
            number = row["value"]
            good = isinstance(row["data"], str) and isinstance(row["metric"], str) and isinstance(number, (int, float))
            if not good or isinstance(number, bool) or not abs(number) < 1e300:
                raise self._bad("quality", shape)
        return tuple(Quality(line(row["data"]), line(row["metric"]), float(row["value"])) for row in rows)

    def _bad(self, field: str, rule: str) -> BadWeights:
        return BadWeights(f"{self._where}: {field} cannot be {line(repr(self._table[field]))}; {rule}.")


def line(text: str) -> str:
    """`text` as one line that a terminal shows and does not obey."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
