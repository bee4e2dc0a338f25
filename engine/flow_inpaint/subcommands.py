"""The commands of a command line, and those of a command."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Command = Callable[[argparse.Namespace], int]


def subcommands(parser: argparse.ArgumentParser, metavar: str, parser_class: type[argparse.ArgumentParser]) -> Callable[..., Any]:
    """What adds a command to a parser: its name, what it does (None: it has commands of its own) and a hint, which begins small."""
    commands = parser.add_subparsers(metavar=metavar, required=True, parser_class=parser_class)

    def command(name: str, function: Command | None, hint: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=hint, description=hint[0].upper() + hint[1:] + ".")
        made.set_defaults(command=function)
        return made

    return command
