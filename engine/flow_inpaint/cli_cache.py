"""`flow-inpaint cache`: the work that runs which were cut off have left, and deleting it."""
from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from .errors import on_one_line
from .subcommands import subcommands

if TYPE_CHECKING:
    from .cache import Kept


def add(parser: argparse.ArgumentParser, parser_class: type[argparse.ArgumentParser]) -> None:
    """Gives the command its own commands."""
    command = subcommands(parser, "WHAT", parser_class)
    listing = command("list", _list, "say what is kept of runs that were cut off: its job, how far it came, its size and age")
    clearing = command("clear", _clear, "delete what is kept, except for jobs that are running")
    for made in (listing, clearing):
        made.add_argument("--json", action="store_true", help="write JSON")
    clearing.add_argument("names", metavar="NAME", nargs="*", help="only these, as the list has them")


def _list(arguments: argparse.Namespace) -> int:
    from . import cache

    found = cache.entries()
    if arguments.json:
        print(json.dumps({"place": str(cache.place()), "work": [asdict(one) for one in found]}, indent=2))
        return 0
    for one in found:
        print("\n".join(_lines(one)) + "\n")
    print(f"{_sum(found)} in {cache.place()}.")
    return 0


def _lines(one: Kept) -> list[str]:
    state = "is running, in the stage" if one.running else "stopped in the stage"
    return [
        one.name,
        f"  source   {on_one_line(one.source) or 'unknown'}, frames {on_one_line(one.frames) or 'unknown'}",
        f"  output   {on_one_line(one.output) or 'unknown'}",
        f"  state    {state} {on_one_line(one.stage) or 'matte'}, {'' if one.running else _age(one) + ' ago, '}{_size(one.size)}",
    ]


def _age(one: Kept) -> str:
    seconds = max(time.time() - one.used, 0)
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _size(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _sum(found: list[Kept]) -> str:
    folders = "1 work folder" if len(found) == 1 else f"{len(found)} work folders"
    return f"{folders}, {_size(sum(one.size for one in found))},"


def _clear(arguments: argparse.Namespace) -> int:
    from . import cache

    gone, busy = cache.clear(arguments.names)
    if arguments.json:
        print(json.dumps({"deleted": [asdict(one) for one in gone], "running": [asdict(one) for one in busy]}, indent=2))
        return 0
    print(f"Deleted {_sum(gone).rstrip(',')}." if gone else "Nothing was deleted.")
    for one in busy:
        print(f"Left {one.name}, which is running: {on_one_line(one.source)}")
    return 0
