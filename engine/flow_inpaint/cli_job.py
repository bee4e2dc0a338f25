"""A job as the command line says it: its options, and the document that they make."""
from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import effect
from .errors import BadParameter
from .job import Job, read_document

_PARAMETER = "parameter:"
_CLIPS = ("source", "mask", "output")
_JOB_OPTIONS = [
    *("--preset", "--frames", "--format", "--layer", "--mask-channel", "--invert-mask", "--job", "--json"),
    *("--reference", "--passes", "--pass-names", "--provenance-format", "--coverage"),
]


def add_job(parser: argparse.ArgumentParser) -> None:
    """The arguments and options of a command that takes a job."""
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="video file, folder of images or pattern such as shot_%%04d.png")
    parser.add_argument("mask", metavar="MASK", nargs="?", help="the same, or one image for every frame, or rect:x,y,w,h")
    parser.add_argument("output", metavar="OUTPUT", nargs="?", help="video file, folder or pattern; its ending says the format")
    parser.add_argument("--frames", metavar="A-B", help="only these frames of the source, counted from 0, both included")
    parser.add_argument("--format", metavar="F", help=f"output format: {', '.join(effect.formats())}")
    parser.add_argument("--layer", metavar="NAME", help="the layer or part of an OpenEXR source")
    parser.add_argument("--mask-channel", metavar="CHANNEL", help="what to read of the mask: luma or alpha")
    parser.add_argument("--invert-mask", action="store_true", help="replace what the mask leaves black instead")
    clean = "a clean picture of a frame (counted from 0); may be repeated"
    parser.add_argument("--reference", metavar="FRAME=IMAGE", action="append", default=[], help=clean)
    parser.add_argument("--passes", metavar="DIR", help="write pictures about the result into folders in DIR, one image a frame")
    parser.add_argument("--pass-names", metavar="NAMES", help=f"only these of {','.join(effect.passes())}")
    parser.add_argument("--provenance-format", metavar="F", help="exr (exact) or png (16 bits, to an eighth of a pixel)")
    parser.add_argument("--job", metavar="FILE", help="a job as TOML or JSON; what the command line says goes before it")
    parser.add_argument("--json", action="store_true", help="write progress and result as JSON lines")
    parser.add_argument("--preset", metavar="NAME", help=", ".join(effect.presets()))
    for group in effect.descriptor()["groups"]:
        section = parser.add_argument_group(group["label"].lower())
        for declared in effect.parameters().values():
            if declared["group"] == group["name"]:
                _add_parameter(section, declared)


def _add_parameter(section: Any, declared: Mapping[str, Any]) -> None:
    option = option_of(declared["name"])
    settings: dict[str, Any] = {"dest": _PARAMETER + declared["name"], "default": argparse.SUPPRESS, "help": hint_of(declared)}
    if declared["type"] == "Boolean":
        settings["action"] = argparse.BooleanOptionalAction
    else:
        settings["metavar"] = declared.get("unit", {"Int": "N", "Double": "X", "Choice": "NAME"}.get(declared["type"], "TEXT")).upper()
    section.add_argument(option, **settings)


def option_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def hint_of(declared: Mapping[str, Any]) -> str:
    """What a parameter is for, with its range, its default and the presets that change it."""
    facts = [_span(declared)] if _span(declared) else []
    facts.append(f"default {value_said(declared['default'])}")
    for name, preset in effect.presets().items():
        if declared["name"] in preset["values"]:
            facts.append(f"{name} {value_said(preset['values'][declared['name']])}")
    return f"{declared['hint']} ({'; '.join(facts)})".replace("%", "%%")


def _span(declared: Mapping[str, Any]) -> str:
    if declared["type"] == "Choice":
        return ", ".join(choice["name"] for choice in declared["choices"])
    if "min" in declared:
        return f"{declared['min']} to {declared['max']} {declared.get('unit', '')}".rstrip()
    return ""


def value_said(value: effect.Value) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def place_clips(arguments: argparse.Namespace, extra: Sequence[str]) -> None:
    """Clips that argparse left over because options stand between them; anything else left over is refused."""
    options = [word.partition("=")[0] for word in extra if word.startswith("-")]
    if options:
        known = [option_of(name) for name in effect.parameters()] + _JOB_OPTIONS
        near = difflib.get_close_matches(options[0], known, 1)
        raise BadParameter(f"There is no option '{options[0]}' here" + (f"; did you mean '{near[0]}'?" if near else "; --help lists them."))
    for word in extra:
        free = [name for name in _CLIPS if vars(arguments).get(name, "") is None]
        if not free:
            raise BadParameter(f"'{word}' is one argument too many; flow-inpaint --help says more.")
        setattr(arguments, free[0], word)


# --- arguments to a job ---


def job_of(arguments: argparse.Namespace) -> Job:
    """The job that they say. Raises `BadParameter`."""
    if arguments.job is None:
        if arguments.output is None:
            raise BadParameter("Give SOURCE, MASK and OUTPUT, or a job with --job FILE; flow-inpaint run --help says more.")
        document, base = {}, Path.cwd()
    else:
        file = Path(arguments.job)
        document, base = read_document(file), file.resolve().parent
    if isinstance(document, dict):
        document = document | _overrides(arguments, document)
    return Job.from_document(document, base)


def _overrides(arguments: argparse.Namespace, document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a job document that the command line sets; what it does not mention stays the document's."""
    fields: dict[str, Any] = {}
    if arguments.source is not None:
        fields["source"] = {"path": from_here(arguments.source)}
    if arguments.layer is not None:
        fields["source"] = _table(fields.get("source", document.get("source"))) | {"layer": arguments.layer}
    if arguments.output is not None:
        fields["output"] = {"path": from_here(arguments.output)}
    if arguments.format is not None:
        fields["output"] = _table(fields.get("output", document.get("output"))) | {"format": arguments.format}
    if arguments.passes is not None or arguments.pass_names is not None or arguments.provenance_format is not None:
        output = _table(fields.get("output", document.get("output")))
        fields["output"] = output | {"passes": _table(output.get("passes")) | _passes(arguments)}
    if vars(arguments).get("coverage") is not None:
        fields["coverage"] = from_here(arguments.coverage)
    if arguments.reference:
        fields["references"] = [_reference(text) for text in arguments.reference]
    if arguments.mask is not None:
        fields["mask"] = mask_part(arguments.mask)
    if arguments.mask_channel is not None or arguments.invert_mask:
        fields["mask"] = _adjusted(fields.get("mask", document.get("mask")), arguments.mask_channel, arguments.invert_mask)
    if arguments.frames is not None:
        fields["frames"] = _frames(arguments.frames)
    params = {key.removeprefix(_PARAMETER): value for key, value in vars(arguments).items() if key.startswith(_PARAMETER)}
    if arguments.preset is not None:
        params["preset"] = arguments.preset
    if params:
        fields["params"] = _table(document.get("params")) | params
    return fields


def _table(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def from_here(path: str) -> str:
    """An absolute path, from the working folder. Raises `BadParameter`."""
    if not path:
        raise BadParameter("A file name on the command line is empty.")
    return str(Path.cwd() / path)


def mask_part(text: str) -> dict[str, Any]:
    """The mask of a job document that `rect:x,y,w,h` or a path stands for."""
    if not text.startswith("rect:"):
        return {"path": from_here(text)}
    try:
        rectangle = [float(number) for number in text.removeprefix("rect:").split(",")]
    except ValueError:
        rectangle = []
    if len(rectangle) != 4:
        raise BadParameter(f"'{text}' is not a rectangle: write rect:x,y,width,height in pixels, such as rect:100,50,64,32.")
    return {"rectangle": rectangle}


def _adjusted(mask: Any, channel: str | None, invert: bool) -> Any:
    if isinstance(mask, list):
        return [_adjusted(part, channel, invert) for part in mask]
    if not isinstance(mask, Mapping):
        return mask
    changed = dict(mask)
    if channel is not None and "path" in mask:
        changed["channel"] = channel
    if invert:
        changed["invert"] = True
    return changed


def _passes(arguments: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {} if arguments.passes is None else {"path": from_here(arguments.passes)}
    if arguments.pass_names is not None:
        given["names"] = [name.strip() for name in arguments.pass_names.split(",")]
    if arguments.provenance_format is not None:
        given["provenance"] = arguments.provenance_format
    return given


def _reference(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"\s*(\d{1,9})\s*=(.+)", text)
    if not found:
        raise BadParameter(f"--reference cannot be '{text}': write a frame and its clean picture, such as 42=clean.png.")
    return {"frame": int(found[1]), "path": from_here(found[2])}


def _frames(text: str) -> list[int]:
    found = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", text)
    if not found:
        raise BadParameter(f"--frames cannot be '{text}': write the first and the last frame, such as 10-40.")
    return [int(found[1]), int(found[2] or found[1])]
