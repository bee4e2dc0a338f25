"""Which weights a table compares: sets by the catalogue's names, files, exported folders, and runs of the trainer."""
from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import weights
from ..errors import BadParameter, BadWeights, MissingWeights
from ..machine import Machine
from ..weights.catalog import parsed, read_folder
from ..weights.loading import need_torch, sha256
from . import runs

if TYPE_CHECKING:
    from ..completion.dfc_net import DFCNet

_MARK = re.compile(r"(?<! )=(?! )")
DFC_ROLES = ("dfc_stage1", "dfc_stage2", "dfc_stage3", "dfc_single")


@dataclass(frozen=True)
class Pinned(Machine):
    """A machine on which exactly these sets of weights are installed."""

    sets: tuple[weights.WeightSet, ...] = ()

    def weights_of(self, role: str) -> weights.WeightSet | None:
        return weights.best(role, list(self.sets), self.widest)


@dataclass(frozen=True)
class Weights:
    """Weights to compare.

    label  what the table calls them; "": those that are simply installed
    run    a run's folder, in place of sets
    named  whether the label is of the user's choice
    """

    label: str
    sets: tuple[weights.WeightSet, ...] = ()
    run: Path | None = None
    named: bool = False

    def of(self, *roles: str) -> Weights | None:
        """Only what is for these roles; None if nothing is."""
        sets = tuple(one for one in self.sets if one.role in roles)
        return replace(self, sets=sets) if sets else None

    @property
    def identity(self) -> list[str]:
        """Changes when the weights do."""
        if self.run is not None:
            return [runs.identity(self.run)]
        return sorted(f"{one.role} {one.sha256}" for one in self.sets)

    def machine(self, device: str) -> Pinned:
        """Where only these are installed. `device`: auto, cpu or gpu."""
        return Pinned(device, sets=self.sets)


def read(text: str) -> Weights:
    """What `[LABEL=]WHAT[+WHAT ...]` names: each WHAT a set's name, a .safetensors file, a folder with a catalogue, or a run's.

    An equals sign between spaces is a part of the label, as in "p = 50=NAME".

    Raises `BadParameter`, `BadWeights` or `MissingWeights`.
    """
    label, what = "", text
    if not Path(text).exists() and (mark := _MARK.search(text)):
        label, what = text[: mark.start()], text[mark.end() :]
    need_torch()
    parts = [part.strip() for part in what.split("+")] if not Path(what).exists() else [what]
    if not all(parts):
        raise BadParameter(f"--weights cannot be '{text}': write LABEL=NAME, or LABEL=NAME+NAME for the stages of one network.")
    if len(parts) == 1 and runs.is_run(Path(parts[0])):
        return Weights(label.strip() or Path(parts[0]).resolve().name, run=Path(parts[0]), named=bool(label))
    found = [one for part in parts for one in _sets(part)]
    gone = next((one for one in found if not one.installed), None)
    if gone:
        raise MissingWeights(f"The weights '{gone.name}' are listed in {gone.catalog}, but {gone.path} is gone: install them again.")
    twice = next((one.role for k, one in enumerate(found) if one.role in [other.role for other in found[:k]]), None)
    if twice:
        raise BadParameter(f"--weights cannot be '{text}': it names two sets for {twice}; give each its own --weights.")
    return Weights(label.strip() or "+".join(one.name for one in found), tuple(found), named=bool(label))


def installed(*roles: str) -> Weights | None:
    """The best installed sets for these roles."""
    found = tuple(one for role in roles if (one := weights.find(role)))
    return Weights("", found) if found else None


def dfc_shape(chosen: Weights) -> tuple[str, int] | None:
    """Which network of the paper's table 4 they make, and of how many stages; None if they are for something else.

    "stages", "single", or "plain": stages without the multi-scale head.
    """
    if chosen.run is not None:
        return runs.dfc_shape(chosen.run)
    roles = {one.role for one in chosen.sets}
    if "dfc_stage1" not in roles:
        return ("single", 1) if "dfc_single" in roles else None
    return "stages", 1 if "dfc_stage2" not in roles else 2 if "dfc_stage3" not in roles else 3


def dfc_net(chosen: Weights) -> DFCNet:
    """The flow completion network that `dfc_shape` tells of."""
    if chosen.run is not None:
        return runs.dfc_net(chosen.run)
    from ..completion.dfc import DFC

    return DFC.installed(chosen.machine("cpu")).net


def _sets(part: str) -> list[weights.WeightSet]:
    path = Path(part)
    if path.is_dir():
        found = read_folder(path, "extra")
        if not found:
            raise BadParameter(f"--weights cannot be '{part}': the folder holds neither a training run nor a catalogue of weights.")
        return found
    if path.suffix == ".safetensors":
        return [_file(path)]
    found = [one for one in weights.sets() if one.name == part]
    if not found:
        known = ", ".join(one.name for one in weights.sets())
        have = f"installed are {known}" if known else "none are installed"
        raise BadParameter(f"--weights cannot be '{part}': it is neither a file or folder nor a set's name; {have}.")
    return found


def _file(path: Path) -> weights.WeightSet:
    """A set of a file by itself, which says in its header what it is, as all files of ours do."""
    from safetensors import SafetensorError, safe_open

    from ..weights.importing import METADATA

    if not path.is_file():
        raise BadParameter(f"--weights cannot be '{path}': the file does not exist.")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise BadWeights(f"{path} is no safetensors file ({error}).") from error
    told = _header(header.get(METADATA), header)
    if not told:
        raise BadWeights(f"{path} does not say what it is: flow-inpaint weights import takes it in, and then its name can be given.")
    table = {"licence": "not stated", "source": str(path), "name": path.stem.lower()} | told
    table |= {"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
    return parsed(table, path, "extra", f"The header of {path}")


def _header(text: str | None, header: dict[str, str]) -> dict[str, Any]:
    fields = ("name", "role", "architecture", "width", "licence", "source", "training", "quality", "notes")
    try:
        told = json.loads(text) if text else dict(header)
        told = {field: told[field] for field in fields if field in told}
        return told | {"width": float(told["width"])} if {"role", "architecture", "width"} <= told.keys() else {}
    except (ValueError, TypeError):
        return {}
