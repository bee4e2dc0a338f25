"""Checkpoints that a kill cannot spoil: files of bounded size, named by an index that is replaced in one step.

    FOLDER/index.json          the names and SHA-256 of the shards, in order, and what is no tensor
    FOLDER/<sha256>.shard      the tensors as safetensors, cut into pieces

A shard is called by its content, so a new checkpoint never writes into a file of the one before; what only the old
one needs is deleted once the new index is in place.
"""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ..errors import BadParameter

#: Bytes of a file at most.
SHARD = 16 << 20
INDEX = "index.json"
_FORMAT = 1


def exists(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def save(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, shard: int = SHARD) -> None:
    """Writes tensors and facts (JSON) so that the folder holds the old or the new checkpoint, whole, at any moment."""
    folder.mkdir(parents=True, exist_ok=True)
    data = memoryview(safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))
    shards = []
    for start in range(0, len(data), shard):
        piece = data[start : start + shard]
        sha256 = hashlib.sha256(piece).hexdigest()
        _write(folder / f"{sha256}.shard", piece)
        shards.append({"file": f"{sha256}.shard", "sha256": sha256, "bytes": len(piece)})
    _sync(folder)
    index = {"format": _FORMAT, "shards": shards, "facts": dict(facts)}
    _write(folder / INDEX, json.dumps(index, indent=1, allow_nan=False).encode())
    _sync(folder)
    kept = {INDEX, *(entry["file"] for entry in shards)}
    for path in folder.iterdir():
        if path.name not in kept and path.suffix in (".shard", ".part"):
            path.unlink(missing_ok=True)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts. Raises `BadParameter` with what is damaged."""
    index = _index(folder)
    data = bytearray()
    for entry in index["shards"]:
        path = folder / entry["file"]
        try:
            piece = path.read_bytes()
        except OSError as error:
            raise _damaged(folder, f"{path.name} cannot be read ({error.strerror})") from error
        if hashlib.sha256(piece).hexdigest() != entry["sha256"]:
            raise _damaged(folder, f"{path.name} is not what the index says")
        data += piece
    try:
        return safetensors.torch.load(bytes(data)), index["facts"]
    except safetensors.SafetensorError as error:
        raise _damaged(folder, f"its tensors cannot be read ({error})") from error


def facts(folder: Path) -> dict[str, Any]:
    """Only what is no tensor."""
    return _index(folder)["facts"]


def _index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
        if index["format"] != _FORMAT:
            raise _damaged(folder, f"its format is {index['format']}, and this version reads {_FORMAT}")
        if not all(Path(entry["file"]).name == entry["file"] for entry in index["shards"]):
            raise _damaged(folder, f"{INDEX} names files elsewhere")
        return index
    except OSError as error:
        raise _damaged(folder, f"{INDEX} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{INDEX} is no index") from error


def _damaged(folder: Path, why: str) -> BadParameter:
    return BadParameter(f"The checkpoint {folder} is damaged: {why}; delete it to start again.")


def _write(path: Path, data: bytes | memoryview) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _sync(folder: Path) -> None:
    """What was renamed in the folder survives a power cut too, where a folder can be synchronised."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
