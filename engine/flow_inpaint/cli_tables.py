"""`flow-inpaint evaluate table`: the paper's tables on a data set of the user's."""
from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadParameter

if TYPE_CHECKING:
    from .evaluation.footage import Collection
    from .evaluation.tables import Choices

_SIZE, _GENERATED_FRAMES, _GENERATED_CLIPS = "432x240", 12, 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of the command."""

    def option(name: str, metavar: str, hint: str, **more: Any) -> None:
        parser.add_argument(name, metavar=metavar, help=hint, **more)

    option("number", "N", "1 pictures, 2 several frames, 3 mining, 4 flow completion, 5 propagation, 6 initial flow")
    option("data", "DATA", "a data set: DAVIS, YouTube-VOS, or any folder of clips", nargs="?")
    option("--generated", "SEED", "generated clips, whose flow is known exactly, in place of DATA")
    option("--clips", "K", f"so many generated clips (default {_GENERATED_CLIPS})")
    option("--split", "NAME", "only the clips of a split: 2017/val, valid, or a text file of names")
    option("--sequences", "A,B", "only these clips")
    option("--frames", "N", f"so many frames of each clip (default all; {_GENERATED_FRAMES} of generated ones)")
    option("--size", "WxH", f"the size that clips are brought to, or full: their own (default {_SIZE})", default=_SIZE)
    option("--setting", "NAME", "what is hidden: square, random, object, or several with commas (default square, and object if any)")
    option("--seed", "N", "of the random shapes (default 1)", default="1")
    option("--flow", "NAME", "tables 3 and 4: what measures the true flow of footage, dis or flownet2 (default dis)", default="dis")
    option("--seen", "WHAT", "tables 3 and 4: flow around the hole is true, or estimated as in the pipeline (default true)", default="true")
    weights = "weights to compare: an installed set, a .safetensors file, an exported or a run's folder; + joins stages; repeatable"
    option("--weights", "[LABEL=]WHAT", weights, action="append", default=[])
    option("--device", "NAME", "auto, cpu or gpu (default auto)", default="auto")
    option("--out", "DIR", "where to keep figures and write the table (default tables/table-N)")


def run(arguments: argparse.Namespace, aborted: Callable[[], bool], say: Callable[[str], None]) -> list[Path]:
    """Makes the table, tells its progress and the table, and returns its files. Raises the errors of `errors.py`."""
    number = _one_of("N", arguments.number, ("1", "2", "3", "4", "5", "6"))
    device = _one_of("--device", arguments.device, ("auto", "cpu", "gpu"))
    flow = _one_of("--flow", arguments.flow, ("dis", "flownet2"))
    seen = _one_of("--seen", arguments.seen, ("true", "estimated"))
    size = None if arguments.size == "full" else _size(arguments.size)
    frames = None if arguments.frames is None else _whole("--frames", arguments.frames, 2)
    seed = _whole("--seed", arguments.seed, 0)
    if number not in "34" and (flow, seen) != ("dis", "true"):
        raise BadParameter(f"--flow and --seen are for tables 3 and 4, whose flows they choose, and not for table {number}.")
    if (arguments.data is None) == (arguments.generated is None):
        raise BadParameter("Give either DATA, the folder of a data set, or --generated SEED; flow-inpaint evaluate table --help says more.")
    if arguments.generated is not None and (arguments.split or arguments.sequences):
        raise BadParameter("--split and --sequences choose among the clips of DATA, and generated clips have neither.")
    if arguments.clips is not None and arguments.generated is None:
        raise BadParameter("--clips says how many clips are generated: add --generated SEED, or choose with --sequences.")

    from .evaluation import bench as bench_room
    from .evaluation import runner, tables, weight_choice

    exact = arguments.generated is not None
    collection = _collection(arguments, size, frames, exact)
    if number == "6" and exact and arguments.setting:
        raise BadParameter("--setting hides something, and table 6 on generated clips compares flows of whole pictures: leave it out.")
    settings = [bench_room.NOTHING_HIDDEN] if number == "6" and exact else _settings(arguments.setting, collection)
    given = tuple(weight_choice.read(text) for text in arguments.weights)
    choices = tables.Choices(given, device, flow, seen, seed, exact)
    bench = tables.bench_of(int(number), choices)
    table = runner.Table(
        name=f"table-{number}",
        title=tables.TABLES[int(number)],
        facts=_facts(collection, size, frames, int(number), choices),
        bench=bench,
        collection=collection,
        settings=settings,
        key={"size": list(size) if size else "own", "device": device},
    )
    out = Path(arguments.out) if arguments.out else Path("tables") / f"table-{number}"
    paths = runner.run(table, out, say=say, aborted=aborted)
    say(paths[0].read_text("utf-8").rstrip())
    return paths


def _collection(arguments: argparse.Namespace, size: tuple[int, int] | None, frames: int | None, exact: bool) -> Collection:
    from .evaluation import footage

    if not exact:
        chosen = [name.strip() for name in (arguments.sequences or "").split(",") if name.strip()]
        return footage.of_data_set(Path.cwd() / arguments.data, split=arguments.split, chosen=chosen, size=size, frames=frames)
    if size is None:
        raise BadParameter("--size cannot be 'full' for generated clips, which have no size of their own: give one, such as 432x240.")
    seed = _whole("--generated", arguments.generated, 0)
    clips = _GENERATED_CLIPS if arguments.clips is None else _whole("--clips", arguments.clips, 1)
    return footage.generated(seed, clips, size, frames or _GENERATED_FRAMES)


def _settings(text: str | None, collection: Collection) -> list[str]:
    from .evaluation.holes import SETTINGS

    if text is None:
        return ["square", "object"] if next(iter(collection)).has_object else ["square"]
    wanted = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in wanted:
        _one_of("--setting", name, SETTINGS)
    return wanted


def _facts(collection: Collection, size: Any, frames: int | None, number: int, choices: Choices) -> list[str]:
    length = f"the first {frames} frames of each" if frames else "all frames of each"
    if collection.title.startswith("generated"):
        length = f"{frames or _GENERATED_FRAMES} frames each"
    facts = [f"Data: {collection.title}, {length}, {f'{size[1]}x{size[0]}' if size else 'at their own size'}. Every clip counts alike."]
    if number in (3, 4):
        true = "exact" if choices.exact else f"{choices.flow} on the true footage"
        around = "the true flow is known" if choices.seen == "true" else "the flow is what the pipeline estimates"
        facts.append(f"True flow: {true}. Around the hole {around}. Errors are those inside the hole, forward and backward flow together.")
    for chosen in choices.given:
        what = [f"{one.name} ({one.role}, width {one.width:g}, SHA-256 {one.sha256[:12]})" for one in chosen.sets]
        facts.append(f"Weights {chosen.label}: {', '.join(what) or 'a training run'}.")
    return facts


def _one_of(where: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise BadParameter(f"{where} cannot be '{value}': choose {', '.join(choices[:-1])} or {choices[-1]}.")
    return value


def _whole(where: str, value: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,9}", value) or int(value) < least:
        raise BadParameter(f"{where} cannot be '{value}': it is a whole number from {least} on.")
    return int(value)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found or min(int(found[1]), int(found[2])) < 32:
        raise BadParameter(f"--size cannot be '{text}': write the width and the height, at least 32x32, such as 432x240, or full.")
    return int(found[2]), int(found[1])
