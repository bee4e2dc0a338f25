"""Makes sets of ours in the user's folder: from files of others, from weights just trained; and deletes them.

A set is two files, NAME.toml (a catalogue of one table) and NAME-DIGEST.safetensors. The first appears, in one step, when
the second is whole, so that nobody ever finds half a set, and an import that fails leaves what was there before.
"""
from __future__ import annotations

import difflib
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import BadParameter, BadWeights, Failed
from .architectures import ROLES, WIDEST, Architecture, good_width, recognised, whole
from .catalog import NAME, WeightSet, line, parsed, read_catalog, sets, user_folder
from .checkpoints import Checkpoint, open_checkpoint
from .loading import need_torch, sha256

if TYPE_CHECKING:
    from torch import Tensor

#: Under this name a safetensors file of ours says, as JSON, what its catalogue says of it.
METADATA = "flow_inpaint"
_TOLD = ("name", "role", "width", "licence", "source", "training", "quality", "notes")
_DIGITS = 12
_SPARE = 2**20
_UNKNOWN_LICENCE = "terms not known: ask whoever made the file"
_UNVERIFIED = "Recognised by names and shapes; its authors publish no checksum to compare with."


def import_file(path: str | Path, role: str | None = None) -> list[WeightSet]:
    """Stores the weights in a file as a set of the user's, replacing the one of the same name.

    `role` says what they are for where the tensors fit more than one role. Raises `BadWeights` when the
    file is not what it should be, `BadParameter` when the role is in doubt; nothing is stored then.
    """
    path = Path(path)
    if role is not None and role not in ROLES:
        raise BadParameter(f"There is no role '{line(role)}': choose one of {', '.join(ROLES)}.")
    need_torch()
    checkpoint = open_checkpoint(path)
    told = _told(checkpoint, path)
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.state.items() if hasattr(tensor, "shape")}
    architecture = recognised(shapes)
    if architecture is None:
        raise BadWeights(f"{path} holds weights of no network that Flow Inpaint knows.")
    width = _width(architecture, shapes, told, path)
    role = _role(architecture, role or told.get("role"), path)
    state = _sound(whole(checkpoint.state, architecture, width, str(path)), path)
    return [store(state, architecture=architecture.name, width=width, **_description(checkpoint, architecture, role, width, told, path))]


def store(
    state: Mapping[str, Tensor],
    *,
    name: str,
    role: str,
    architecture: str,
    width: float,
    licence: str,
    source: str,
    training: str = "",
    quality: Sequence[Mapping[str, Any]] = (),
    notes: str = "",
    folder: Path | None = None,
) -> WeightSet:
    """Writes tensors and their catalogue entry into `folder` (the user's by default), and says what a catalogue then says.

    Training uses it as well. The tensors are written in the precision that they have. Raises `BadWeights` for a
    description that makes no sense, `Failed` when the folder cannot be written.
    """
    folder = folder or user_folder()
    told = dict(name=name, role=role, architecture=architecture, width=width, licence=licence, source=source)
    told |= dict(training=training, quality=list(quality) if isinstance(quality, tuple) else quality, notes=notes)
    description = _checked(told)
    catalog = folder / f"{description['name']}.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            try:
                return _written(state, description, folder, catalog)
            finally:
                _sweep(folder, description["name"])
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failed(f"The disk is full: free some space for the weights in {folder}.") from error
        raise Failed(f"The weights cannot be written to {folder}: {error.strerror or error}.") from error


def remove(name: str) -> None:
    """Deletes a set of the user's. Raises `BadParameter` when there is none of that name."""
    folder = user_folder()
    catalog = folder / f"{name}.toml"
    if not NAME.fullmatch(name) or not catalog.is_file():
        raise BadParameter(_why_not(name))
    try:
        with _locked(folder):
            catalog.unlink(missing_ok=True)
            _sweep(folder, name)
    except OSError as error:
        raise Failed(f"The weights '{name}' cannot be deleted from {folder}: {error.strerror or error}.") from error


# --- what the file is ---


def _told(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    """What a safetensors file of ours says of itself."""
    if METADATA not in checkpoint.metadata:
        return {}
    try:
        told = json.loads(checkpoint.metadata[METADATA])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadWeights(f"{path} describes itself in a way that cannot be read.")
    return {field: told[field] for field in _TOLD if field in told}


def _width(architecture: Architecture, shapes: Mapping[str, tuple[int, ...]], told: Mapping[str, Any], path: Path) -> float:
    # Channel counts are rounded, so that a width such as 0.3 cannot be told from them exactly.
    width = told.get("width")
    if isinstance(width, bool) or not isinstance(width, (int, float)):
        width = architecture.width_of(shapes)
    if not good_width(width):
        raise BadWeights(f"{path} looks like weights of {architecture.label} of width {width:g}; widths go from 0 to {WIDEST:g}.")
    return float(width)


def _role(architecture: Architecture, wanted: Any, path: Path) -> str:
    if wanted is not None:
        if wanted not in architecture.roles:
            fitting = " or ".join(architecture.roles)
            raise BadParameter(f"{path} holds weights of {architecture.label}, which can be {fitting}, not {line(str(wanted))}.")
        return wanted
    named = [role for role in architecture.roles if role.removeprefix("dfc_") in _stem(path)]
    if len(architecture.roles) == 1:
        return architecture.roles[0]
    if len(named) == 1:
        return named[0]
    raise BadParameter(
        f"{path} holds weights of {architecture.label}, and neither the file nor its name says which: "
        f"add --role {' or --role '.join(architecture.roles)}."
    )


def _sound(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Each tensor by itself, in float32 or the half precision that it has, and without infinities."""
    import torch

    made = {}
    for name, tensor in state.items():
        if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.bfloat16):
            tensor = tensor.float()
        if not torch.isfinite(tensor).all():
            raise BadWeights(f"{path} holds numbers that are not finite, in '{name}'.")
        made[name] = tensor.detach().contiguous()
    seen = set()
    for name, tensor in made.items():
        # Two names for one tensor, which safetensors does not write.
        if tensor.untyped_storage().data_ptr() in seen:
            made[name] = tensor.clone()
        seen.add(made[name].untyped_storage().data_ptr())
    return made


def _description(
    checkpoint: Checkpoint, architecture: Architecture, role: str, width: float, told: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    stem = _stem(path)
    published = checkpoint.pickled and width == 1 and architecture.published.get(stem) == role
    name = f"{role}-published" if published else f"{role}-{stem}"
    description: dict[str, Any] = {
        "name": name[:80],
        "role": role,
        "licence": architecture.published_licence if checkpoint.pickled else _UNKNOWN_LICENCE,
        "source": f"imported from {path.name} (SHA-256 {sha256(path)})",
        "notes": _UNVERIFIED if published else "",
    }
    if checkpoint.pickled and not published:
        description["licence"] = f"{_UNKNOWN_LICENCE}; if they are the published ones: {architecture.published_licence}"
    return description | {field: value for field, value in told.items() if field not in ("role", "width")}


def _stem(path: Path) -> str:
    """The file's name without its endings, as a part of a set's name."""
    return re.sub(r"[^a-z0-9_-]+", "-", path.name.lower().partition(".")[0]).strip("-") or "weights"


# --- on disk ---


def _checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """The description as it goes into the catalogue, in plain words and numbers. Raises `BadWeights`."""
    where = "The description of the weights"
    checked = parsed(dict(told) | dict(file="x.safetensors", sha256="0" * 64, bytes=1), Path(), "imported", where)
    if checked.name == "catalog":
        raise BadWeights(f"{where}: name cannot be 'catalog', which is the name of a file beside them.")
    described = {field: getattr(checked, field) for field in told}
    return described | {"quality": [asdict(row) for row in checked.quality]}


def _written(state: Mapping[str, Tensor], description: dict[str, Any], folder: Path, catalog: Path) -> WeightSet:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    need = sum(tensor.numel() * tensor.element_size() for tensor in state.values()) + _SPARE
    free = shutil.disk_usage(folder).free
    if free < need:
        raise Failed(f"The weights need {need / 2**20:.0f} MiB in {folder}, and {free / 2**20:.0f} MiB are free: free some space.")
    part = folder / f".{description['name']}.safetensors.part"
    try:
        save_file(dict(state), part, metadata={METADATA: json.dumps(description)})
    except SafetensorError as error:
        raise Failed(f"The weights cannot be written to {folder}: {error}.") from error
    digest = sha256(part)
    path = folder / f"{description['name']}-{digest[:_DIGITS]}.safetensors"
    entry = description | dict(file=path.name, sha256=digest, bytes=part.stat().st_size)
    os.replace(part, path)
    listing = folder / f".{description['name']}.toml.part"
    listing.write_text("\n".join(["[[sets]]", *(f"{field} = {_toml(value)}" for field, value in entry.items()), ""]), "utf-8")
    os.replace(listing, catalog)
    return parsed(entry, catalog, "imported", f"The catalogue {catalog}")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # JSON's strings and numbers are TOML's, as long as no character is written in two halves; `line` has taken the odd ones out.
    return json.dumps(value, ensure_ascii=False)


def _sweep(folder: Path, name: str) -> None:
    """Deletes what no catalogue entry of `name` points to: older weights, and what a failed or killed import left."""
    try:
        listed = read_catalog(folder / f"{name}.toml") or {"sets": []}
    except BadWeights:
        return
    kept = {table.get("file") for table in listed["sets"]}
    ours = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_DIGITS}}}\.safetensors|\.{re.escape(name)}\.(safetensors|toml)\.part")
    for path in folder.iterdir():
        if ours.fullmatch(path.name) and path.name not in kept:
            # Windows keeps what somebody has open; the next sweep finds it again.
            with suppress(OSError):
                path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One import or removal at a time. The system lets go of the lock when a process dies."""
    with open(folder / ".lock", "a+b") as file:
        _lock(file)
        yield


def _lock(file: IO[bytes]) -> None:
    if os.name != "nt":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        return
    import msvcrt

    while True:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            return
        except OSError:
            time.sleep(0.1)


def _why_not(name: str) -> str:
    known = {weight_set.name: weight_set for weight_set in sets()}
    if name in known:
        return f"'{name}' was not imported, it is listed in {known[name].catalog}: delete it there."
    near = difflib.get_close_matches(name, known, 1)
    return f"There are no weights '{line(name)}'" + (f"; did you mean '{near[0]}'?" if near else "; flow-inpaint weights list shows all.")
