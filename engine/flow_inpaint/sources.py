"""Everything that the hole of a frame may be taken from: footage, references, and what was invented."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from .propagation.blend import Candidate, weight_of
from .propagation.trace import UNSEEN, Links, follow
from .sharpness import likeness
from .shot_store import frame_of, key_of

if TYPE_CHECKING:
    from .shot import Invented, Look
    from .shot_store import ShotStore


class Kind(Enum):
    FOOTAGE = "footage"
    REFERENCE = "reference"
    INVENTED = "invented"


@dataclass(frozen=True)
class Taken:
    """A candidate for N hole pixels, and where it comes from.

    stack     (T, H, W, 3), what the candidate's `frame` counts in
    frame     (N,) the frame of the shot that it lies in, for what was invented the key frame
    drift     (N,) pixels, as in `Links`
    """

    kind: Kind
    stack: np.ndarray
    candidate: Candidate
    frame: np.ndarray
    drift: np.ndarray


def sources(store: ShotStore, frame: int, look: Look, made: Invented) -> list[Taken]:
    """`made`: what was invented for the frame so far. The stacks are maps of files: do not keep them."""
    pixels = store.hole_pixels(frame)
    links = [one for sign in (1, -1) for one in links_of(store, frame, pixels, sign, look.reach, look.candidates)]
    references, decided = _references(store, frame, look, links)
    return [*_footage(store, frame, look, links, decided), *references, _invented(store, frame, made)]


def links_of(store: ShotStore, frame: int, pixels: np.ndarray, sign: int, reach: int, most: int) -> list[Links]:
    """Where hole `pixels` (flat indices) of a frame come from in its shot, later (sign 1) or earlier (-1): `most` links, the nearest first.

    Traced whenever it is asked for: to remember it would take more room than everything else.
    """
    frames = range(frame + sign, frame + sign * (reach + 1), sign)
    return follow(pixels, frame, frames, store.shape, lambda k: store.guarded.read(k)[0], lambda k: store.hops(k, sign), most)


def _footage(store: ShotStore, frame: int, look: Look, every: Sequence[Links], decided: np.ndarray | None) -> list[Taken]:
    stack = store.pictures.stack()
    own = store.sharp(np.array([frame]))[0]
    found = []
    for links in every:
        good = links.frame != UNSEEN
        if decided is not None:
            good &= ~decided[links.pixels]
        source, drift = links.frame[good], links.drift[good]
        weight = weight_of(np.abs(source - frame), drift, look.consistency) * likeness(own, store.sharp(source))
        candidate = Candidate(links.pixels[good], store.pictures.places(source), links.x[good], links.y[good], weight, store.gain(source, frame))
        found.append(Taken(Kind.FOOTAGE, stack, candidate, source, drift))
    return found


def _references(store: ShotStore, frame: int, look: Look, every: Sequence[Links]) -> tuple[list[Taken], np.ndarray | None]:
    """And which pixels (flat) the frame's own reference decides alone; None: none.

    A reference counts as a frame that shows everything: the nearer in time and the surer the way, the more. Where the
    footage shows a pixel too, it fades out towards the reach, as far as footage is looked for; for what no frame shows it
    is taken however far away it is.
    """
    found: list[Taken] = []
    if not store.reference_keys:
        return found, None
    seen = np.zeros(store.shape[0] * store.shape[1], bool)
    for links in every:
        seen[links.pixels[links.frame != UNSEEN]] = True
    decided = None
    for records in (store.references_later, store.references_earlier):
        if not records.has(frame):
            continue
        links = Links(*records.read(frame))
        distance = np.abs(links.frame - frame)
        weight = weight_of(np.maximum(distance, 1), links.drift, look.consistency)
        if look.references_only_unseen:
            weight[seen[links.pixels]] = 0
        else:
            fading = seen[links.pixels] & (distance > 0)
            weight[fading] *= np.clip(1 - distance[fading] / look.reach, 0, 1)
            if (distance == 0).any():
                decided = np.zeros(seen.size, bool) if decided is None else decided
                decided[links.pixels[distance == 0]] = True
        good = weight > 0
        key = store.keys.places(key_of(links.frame[good], invented=False))
        gain = store.gain(links.frame[good], frame)
        candidate = Candidate(links.pixels[good], key, links.x[good], links.y[good], weight[good].astype(np.float32), gain)
        found.append(Taken(Kind.REFERENCE, store.keys.stack(), candidate, links.frame[good], links.drift[good]))
    return found, decided


def _invented(store: ShotStore, frame: int, made: Invented) -> Taken:
    known = ~made.open
    key = made.key[known]
    frames = frame_of(key)
    candidate = Candidate(made.pixels[known], store.keys.places(key), made.x[known], made.y[known], np.ones(key.size, np.float32), store.gain(frames, frame))
    return Taken(Kind.INVENTED, store.keys.stack(), candidate, frames, np.zeros(key.size, np.float32))
