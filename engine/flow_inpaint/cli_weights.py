"""`flow-inpaint weights`: what is installed, whether it is whole, bringing in files, removing them."""
from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .errors import FlowInpaintError
from .subcommands import subcommands

if TYPE_CHECKING:
    from .weights import WeightSet


def add(parser: argparse.ArgumentParser, parser_class: type[argparse.ArgumentParser]) -> None:
    """Gives the command its own commands."""
    command = subcommands(parser, "WHAT", parser_class)
    listing = command("list", _list, "say what is installed, on what terms, how good it is and where it comes from")
    listing.add_argument("--json", action="store_true", help="write JSON")
    command("verify", _verify, "compare every installed file with the checksum of its catalogue")
    importing = command("import", _import, "take in weights: the published files of FlowNet2, DFC-Net and DeepFill, or a safetensors file")
    importing.add_argument("file", metavar="FILE", help="the checkpoint; programs that it may hold are not run")
    importing.add_argument("--role", metavar="ROLE", help="what it is for, if the file does not say: dfc_stage2 or dfc_stage3")
    removing = command("remove", _remove, "delete weights that were imported")
    removing.add_argument("name", metavar="NAME", help="as the list has it")


def _list(arguments: argparse.Namespace) -> int:
    from . import weights

    found = weights.sets()
    chosen = {role: weights.best(role, found) for role in weights.ROLES}
    light = {role: weights.best(role, found, weights.LIGHT) for role in weights.ROLES}
    missing = [role for role, one in chosen.items() if one is None]
    if arguments.json:
        print(json.dumps({"sets": [_fields(one, chosen, light) for one in found], "missing": missing}, indent=2))
        return 0
    for one in found:
        print("\n".join(_lines(one, chosen, light)) + "\n")
    print(f"No weights for {', '.join(missing)}." if missing else "There are weights for every network.")
    return 0


_Chosen = Mapping[str, "WeightSet | None"]


def _fields(one: WeightSet, chosen: _Chosen, light: _Chosen) -> dict[str, Any]:
    state = {"installed": one.installed, "chosen": chosen[one.role] == one, "chosen_on_processor": light[one.role] == one}
    return asdict(one) | {"path": str(one.path), "catalog": str(one.catalog)} | state


def _lines(one: WeightSet, chosen: _Chosen, light: _Chosen) -> list[str]:
    quality = "; ".join(f"{row.data}: {row.metric} {row.value:g}" for row in one.quality) or "not measured"
    facts = {
        "role": f"{one.role} ({_use(one, chosen[one.role], light[one.role])})",
        "network": f"{one.architecture}, width {one.width:g}, {one.bytes / 2**20:.1f} MiB",
        "licence": one.licence,
        "quality": quality,
        "from": one.source,
        "training": one.training,
        "notes": one.notes,
        "file": f"{one.path} ({one.origin})",
    }
    return [one.name, *(f"  {label:<9} {text}" for label, text in facts.items() if text)]


def _use(one: WeightSet, chosen: WeightSet | None, light: WeightSet | None) -> str:
    if not one.installed:
        return "THE FILE IS MISSING"
    if one == chosen:
        return "in use" if one == light else "in use, but not by auto on a processor"
    return f"in use by auto on a processor, else {_name(chosen)} is" if one == light else f"not in use: {_name(chosen)} is"


def _name(one: WeightSet | None) -> str:
    return one.name if one else "none"


def _verify(_arguments: argparse.Namespace) -> int:
    from . import weights

    broken = 0
    found = weights.sets()
    for one in found:
        try:
            weights.verify(one)
            print(f"ok      {one.name}", flush=True)
        except FlowInpaintError as error:
            broken += 1
            print(f"BROKEN  {one.name}: {error}", flush=True)
    print("There are no weights to verify." if not found else f"{broken} of {len(found)} are broken." if broken else "All are whole.")
    return 1 if broken else 0


def _import(arguments: argparse.Namespace) -> int:
    from . import weights

    for one in weights.import_file(arguments.file, arguments.role):
        print(f"Imported {one.name}: {one.architecture}, width {one.width:g}, {one.bytes / 2**20:.1f} MiB, for the role {one.role}.")
        print(f"Licence: {one.licence}.")
        if one.notes:
            print(one.notes)
        print(f"Stored as {one.path}")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from . import weights

    weights.remove(arguments.name)
    print(f"Removed {arguments.name}.")
    return 0
