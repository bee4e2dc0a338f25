"""What a job reads, as one short key for every frame: so that a host can tell which frames have changed since a run."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from .clock import Clock
from .heeding import heeding
from .job import Job
from .machine import Machine
from .methods import Methods
from .references import digest
from .stand_ins import mended, open_footage
from .survey import matte_of

KEY = 8
_BYTES = KEY // 2


@dataclass(frozen=True)
class Fingerprint:
    """`keys`: `KEY` hexadecimal digits for each job frame, one after the other. `methods`: what each stage would be done by."""

    width: int
    height: int
    keys: str
    methods: dict[str, str]


def fingerprint(
    job: Job,
    *,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
    aborted: Callable[[], bool] = lambda: False,
) -> Fingerprint:
    """Reads the source and the mattes of every job frame; `frames` and `output` do not matter.

    Two frames have the same key when their pictures have the same samples and the same pixels of them are to be
    replaced, whatever the files are called. Raises the errors of `pipeline.run`.
    """
    methods = Methods.of(job.params, Machine(str(job.params["device"]))).names
    # A clean frame is carried through the whole shot, so it counts for every frame.
    painted = b"".join(digest(one) + one.frame.to_bytes(4) for one in job.references)
    keys = []
    with heeding(Clock(aborted=aborted).check), open_footage(job.source, str(job.params["damaged_frames"])) as source:
        info = source.info
        last = info.count - 1
        with matte_of(job, info) as matte:
            for picture, (hole, share) in zip(source.read(0, last), mended(matte, source).read_shares(0, last), strict=True):
                keys.append(_key(picture.rgb, picture.alpha, hole, share, painted))
                on_frame(len(keys), info.count)
    return Fingerprint(info.width, info.height, "".join(keys), methods)


def _key(rgb: np.ndarray, alpha: np.ndarray | None, hole: np.ndarray, share: np.ndarray | None, painted: bytes) -> str:
    digest = blake2b(np.packbits(hole).tobytes() + painted, digest_size=_BYTES)
    digest.update(np.ascontiguousarray(rgb).data)
    if share is not None:
        digest.update(share[hole].data)
    if alpha is not None:
        digest.update(np.ascontiguousarray(alpha).data)
    return digest.hexdigest()
