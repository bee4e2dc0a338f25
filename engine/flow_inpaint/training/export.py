"""From a run's checkpoint to weights that can be installed: half-precision safetensors and a catalogue that describes them."""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ..errors import BadParameter, Failed
from ..media.output_place import write_whole, writing
from ..weights.catalog import line
from ..weights.importing import METADATA
from . import checkpoint
from .state import CHECKPOINT, learnt
from .tasks import Part, Task, kind

#: Of weights that nobody has named other terms for: Flow Inpaint's own.
LICENCE = "GPL-3.0-or-later"
#: What a catalogue takes as a name, with room for the role behind it.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def export(
    run: Path,
    out: Path,
    *,
    name: str | None = None,
    roles: Sequence[str] = (),
    which: str | None = None,
    licence: str = LICENCE,
    source: str = "",
    notes: str = "",
) -> list[Path]:
    """Writes what a run has learnt into a folder and returns the files, the catalogue last. Raises `BadParameter`, `Failed`.

    name   of the sets; by default the role with its width
    roles  only these; by default all that the run's phases have trained
    licence, source, notes  as they are to stand in the catalogue
    which  weights, see `state.learnt`: those of the "best" validation or the "last"; by default the best if there are any
    """
    if name is not None and not _NAME.fullmatch(name):
        raise BadParameter(f"--name cannot be '{name}': it is of small letters, digits, '.', '_' and '-'.")
    if not line(licence):
        raise BadParameter(f"--licence is empty: name the terms, or leave it out for {LICENCE}.")
    if not checkpoint.exists(run / CHECKPOINT):
        raise BadParameter(f"{run} holds no run: give the folder that flow-inpaint train has written (its --out).")
    tensors, facts = learnt(run, which)
    config, progress = facts["config"], facts["progress"]
    settings, make = kind(config["what"]).load()
    done = config["phases"][: progress["phase"] + (progress["step"] > 0)]
    if not done:
        raise BadParameter(f"The run in {run} has not taken a step yet.")
    task = make(settings(**done[-1]["task"]))
    parts = task.catalogued()
    if roles:
        parts = [part for part in parts if part.role in roles]
    elif not config["run"]["start"]:
        parts = [part for part in parts if _learnt(part, [make(settings(**phase["task"])) for phase in done])]
    if not parts:
        known = ", ".join(part.role for part in task.catalogued()) or "no weights of its own for the catalogue"
        raise BadParameter(
            f"There is nothing to export yet: this run is for {known}, and not all of it has been trained; --role chooses anyway."
        )
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    written, tables = [], []
    for part in parts:
        own = {key.removeprefix(part.prefix): value for key, value in tensors.items() if key.startswith(part.prefix)}
        halved = {key: value.half() if value.is_floating_point() else value for key, value in own.items()}
        broken = [key for key, value in halved.items() if value.is_floating_point() and not torch.isfinite(value).all()]
        if broken:
            raise Failed(f"{broken[0]} does not fit into half precision: train with a lower rate or more weight decay.")
        role = part.role.replace("_", "-")
        called = f"{name}-{role}" if name and len(parts) > 1 else name or f"{role}-w{part.width:g}"
        network = {"name": called, "role": part.role, "architecture": part.architecture, "width": part.width}
        facts_of_it = {
            "licence": line(licence),
            "source": source or "trained for Flow Inpaint",
            "training": _recipe(config, [phase["name"] for phase in done], facts),
            "quality": [
                {"data": _data(config), "metric": metric, "value": round(value, 5)} for metric, value in progress["metrics"].items()
            ],
            "notes": line(notes),
        }
        header = {"role": part.role, "architecture": part.architecture, "width": f"{part.width:g}"}
        # The file says the same of itself, for whoever gets it without the catalogue and imports it.
        header[METADATA] = json.dumps(network | facts_of_it)
        data = safetensors.torch.save({key: value.contiguous() for key, value in halved.items()}, header)
        path = out / f"{called}.safetensors"
        write_whole(path, data)
        written.append(path)
        tables.append(network | {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} | facts_of_it)
    catalogue = out / "catalog.toml"
    write_whole(catalogue, "\n".join(_table(table) for table in tables).encode())
    return [*written, catalogue]


def _learnt(part: Part, tasks: Sequence[Task]) -> bool:
    """Whether every parameter of it learnt in one of the phases."""
    with torch.device("meta"):
        model = tasks[0].build()
    known = {parameter for task in tasks for groups in task.players(model).values() for group in groups for parameter in group.parameters}
    return all(parameter in known for name, parameter in model.named_parameters() if name.startswith(part.prefix))


def _recipe(config: dict[str, Any], done: Sequence[str], facts: dict[str, Any]) -> str:
    phases, progress = ", ".join(done), facts["progress"]
    spent = f"{progress['total']} steps, {progress['samples']} samples, {progress['seconds']:.0f} s on {facts['device']}"
    return f"flow-inpaint train {config['what']} (phases {phases}; seed {config['run']['seed']}; data {config['data']['source']}): {spent}"


def _data(config: dict[str, Any]) -> str:
    data = config["data"]
    height, width = data["size"]
    # Names, because paths are nobody's business.
    sets = ", ".join(Path(folder).resolve().name for folder in data.get("clips", ()))
    return f"validation clips from {data['source']}{f' ({sets})' if sets else ''}, {width}x{height}"


def _table(table: dict[str, Any]) -> str:
    # What JSON writes of texts and numbers, TOML reads alike.
    lines = ["[[sets]]"]
    for key, value in table.items():
        if key == "quality":
            rows = (", ".join(f"{name} = {json.dumps(entry)}" for name, entry in row.items()) for row in value)
            lines.append("quality = [" + ", ".join(f"{{ {row} }}" for row in rows) + "]")
        else:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
