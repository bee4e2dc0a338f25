"""Opens checkpoints, PyTorch's and safetensors, without running what is in them and without believing what they claim.

PyTorch's are pickles, which are programs. `torch.load(weights_only=True)` is what keeps them from doing anything. Before
it sees a file, the instructions are read here without being followed: whatever calls for more than tensors need is refused with
its name, and so are archives that hold less than they promise.
"""
from __future__ import annotations

import io
import mmap
import pickle
import pickletools
import stat
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import BadWeights

_LARGEST_PICKLE = 16 * 2**20
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
#: Magic number, protocol, the machine, the object itself, the list of its storages.
_LEGACY_PICKLES = 5
_NUMBERS = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
_HARMLESS = {
    "collections.OrderedDict",
    "torch.Size",
    "torch.nn.parameter.Parameter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    *(f"torch.{kind}Storage" for kind in _NUMBERS),
    *(f"torch.cuda.{kind}Storage" for kind in _NUMBERS),
}
_WRAPPINGS = ("state_dict", "model")
_PARALLEL = "module."


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors (or what stands in their place) as they are in the file; `metadata` only in safetensors."""

    state: Mapping[str, Any]
    pickled: bool
    metadata: Mapping[str, str]


def open_checkpoint(path: Path) -> Checkpoint:
    """Tensors by name, out of every wrapping that the published files have. Their data may still lie in the file. Raises `BadWeights`."""
    head = _head(path)
    if head[8:9] == b"{":
        return _safetensors(path)
    if head.startswith(b"PK\x03\x04"):
        _refuse_odd_archive(path)
        return Checkpoint(_unwrapped(_loaded(path, mapped=True), path), True, {})
    if head.startswith(b"\x80"):
        _refuse_odd_pickles(path)
        return Checkpoint(_unwrapped(_loaded(path, mapped=False), path), True, {})
    if head[257:262] == b"ustar":
        raise BadWeights(f"{path} is a tar archive: unpack it, or save it again with a PyTorch of 2018 or later.")
    raise BadWeights(f"{path} is neither a PyTorch checkpoint nor a safetensors file.")


def _head(path: Path) -> bytes:
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise BadWeights(f"{path} is a folder: name the file in it.")
        if not stat.S_ISREG(kind):
            raise BadWeights(f"{path} is not a file.")
        with path.open("rb") as file:
            head = file.read(512)
    except (OSError, ValueError) as error:
        raise BadWeights(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not head:
        raise BadWeights(f"{path} is empty.")
    return head


def _safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, False, file.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise BadWeights(f"{path} is a truncated or damaged safetensors file, or none ({error}).") from error


def _loaded(path: Path, mapped: bool) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise BadWeights(f"{path} holds more than weights, or is damaged: PyTorch refuses to open it.") from error
    except Exception as error:
        # A damaged file makes torch.load raise nearly anything: RuntimeError, EOFError, KeyError, TypeError, AssertionError, ...
        raise _damaged(path) from error


def _wordy(path: Path) -> BadWeights:
    return BadWeights(f"{path} needs more than {_LARGEST_PICKLE >> 20} MiB to describe its tensors, far more than any weights: it was not opened.")


def _damaged(path: Path) -> BadWeights:
    return BadWeights(f"{path} is a truncated or damaged PyTorch checkpoint, or none.")


# --- looking before leaping ---


def _refuse_odd_archive(path: Path) -> None:
    """Only what PyTorch writes: nothing compressed, no more bytes promised than are there, and a pickle without programs."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
                raise BadWeights(f"{path} is a compressed archive, which PyTorch's checkpoints are not: unpack it first.")
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise BadWeights(f"{path} promises more than it holds: it was not opened.")
            pickles = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
            if len(pickles) != 1 or any(entry.filename.rpartition("/")[2] == "constants.pkl" for entry in entries):
                raise BadWeights(f"{path} is an archive, but not one of weights alone that PyTorch's torch.save writes.")
            if pickles[0].file_size > _LARGEST_PICKLE:
                raise _wordy(path)
            program = archive.read(pickles[0])
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, struct.error) as error:
        raise _damaged(path) from error
    _refuse_program(io.BytesIO(program), path)


def _refuse_odd_pickles(path: Path) -> None:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            if _refuse_program(mapped, path) != _LEGACY_MAGIC:
                raise BadWeights(f"{path} is a pickle, but not a PyTorch checkpoint.")
            for _ in range(_LEGACY_PICKLES - 1):
                _refuse_program(mapped, path)
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from error


def _refuse_program(stream: IO[bytes] | mmap.mmap, path: Path) -> int | None:
    """Reads one pickle without following it, and returns its first whole number."""
    first, texts = None, ["", ""]
    try:
        for instruction, argument, position in pickletools.genops(stream):
            if (position or 0) > _LARGEST_PICKLE:
                raise _wordy(path)
            if instruction.name in ("LONG1", "LONG4") and first is None:
                first = argument
            if isinstance(argument, str) and instruction.name not in ("GLOBAL", "INST"):
                texts = [texts[1], argument]
            if instruction.name in ("GLOBAL", "INST"):
                wanted = ".".join(argument.split(" ", 1))
            elif instruction.name == "STACK_GLOBAL":
                wanted = ".".join(texts)
            elif instruction.name.startswith("EXT"):
                wanted = f"extension {argument}"
            else:
                continue
            if wanted not in _HARMLESS:
                raise BadWeights(f"{path} would run '{wanted}' when it is opened, which no weights need: it was not opened.")
    except BadWeights:
        raise
    except (ValueError, KeyError, IndexError, EOFError, OverflowError, MemoryError, struct.error) as error:
        raise _damaged(path) from error
    return first


# --- out of the wrapping ---


def _unwrapped(content: Any, path: Path) -> Mapping[str, Any]:
    """{epoch, state_dict, best_EPE}, {n_iter, model, optimizer} and bare ones alike; with DataParallel's prefix or without."""
    if isinstance(content, Mapping):
        content = next((content[key] for key in _WRAPPINGS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content or not all(isinstance(name, str) for name in content):
        raise BadWeights(f"{path} is a PyTorch file, but holds no weights by name.")
    if all(name.startswith(_PARALLEL) for name in content):
        return {name.removeprefix(_PARALLEL): tensor for name, tensor in content.items()}
    return dict(content)
