"""The key of a job's work: equal only where everything is that what is remembered depends on."""
from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, weights
from .effect import Value
from .job import ReferenceSpec
from .methods import Methods
from .references import digest
from .survey import Survey
from .tone import Tone

#: What they lead to is in the key: the machine, and the methods.
_OF_THE_MACHINE = ("device", "device_failure")
_LIBRARIES = ("numpy", "cv2", "av", "scipy")


def job_key(
    params: Mapping[str, Value], methods: Methods, surveyed: Survey, references: Sequence[ReferenceSpec], tone: Tone, first: np.ndarray
) -> str:
    """32 hexadecimal digits. `first`: the region of the first frame that is read, (H, W, 3). Raises `BadClip`.

    Covers the mattes, the references, the parameters, the engine itself, its libraries, the weights and the device; of the source
    its first frame: every later one is compared with what is remembered when it is read again (`ShotStore.remember`), so that
    nothing is read twice for the key. Where files lie and what they are called does not matter, nor does the output.
    """
    assert surveyed.region is not None
    known: dict[str, Any] = {
        "engine": engine_digest(),
        "libraries": [import_module(name).__version__ for name in (*_LIBRARIES, *(("torch",) if methods.networks else ()))],
        "machine": [platform.machine(), methods.machine.name if methods.networks else "cpu"],
        "weights": _weights(methods),
        "methods": methods.names,
        "params": {name: value for name, value in params.items() if name not in _OF_THE_MACHINE},
        "region": [(part.start, part.stop) for part in surveyed.region],
        "needed": surveyed.needed,
        "mattes": surveyed.digest,
        # It comes of frames that no other key shows.
        "tone": [tone.linear, tone.exposure],
        "references": [(spec.frame, digest(spec).hex()) for spec in references],
        "first": [first.dtype.str, blake2b(np.ascontiguousarray(first).data, digest_size=16).hexdigest()],
    }
    return blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16).hexdigest()


def _weights(methods: Methods) -> list[tuple[str, str]]:
    """Of every network that there are weights for, as each stage's machine sees them: a method may take more than it must have."""
    if not methods.networks:
        return []
    choices = [choice for choice in (methods.flow, methods.completion, methods.fill) if choice.method.roles]
    found = [(role, choice.machine.weights_of(role)) for choice in choices for role in weights.ROLES]
    return [(role, one.sha256) for role, one in found if one is not None]


@cache
def engine_digest() -> str:
    """Of the version and of the code that runs, which may be changed under one version."""
    found = blake2b(__version__.encode(), digest_size=16)
    root = Path(__file__).parent
    for path in sorted([*root.rglob("*.py"), root / "effect.toml"]):
        found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()
