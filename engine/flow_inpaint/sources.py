"""Everything that the hole of a frame may be taken from: footage, references, and what was invented."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .background import Evidence, Shown, evidence_of
from .media.info import full_scale
from .motion import eight_bits
from .poisson import bounding_box
from .propagation.blend import Candidate, colours, weight_of
from .propagation.closing import MARGIN, error_of_a_step, moved, steps_of
from .propagation.trace import UNSEEN, Hops, Links, follow
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
    by_camera = store.moves_with_camera(frame)
    later, earlier = (links_of(store, frame, pixels, sign, look.reach, look.candidates, by_camera=by_camera) for sign in (1, -1))
    if look.match_sides:
        later, earlier = _closed(store, frame, later, earlier)
    links = [*later, *earlier]
    references, decided = _references(store, frame, look, links)
    return [*_footage(store, frame, look, links, decided), *references, _invented(store, frame, made)]


def links_of(
    store: ShotStore, frame: int, pixels: np.ndarray, sign: int, reach: int, most: int, *, by_camera: bool
) -> list[Links]:
    """Where hole `pixels` (flat indices) of a frame come from in its shot, later (sign 1) or earlier (-1): `most` links, the nearest first.
    by_camera: what is hidden moves with the camera.

    Traced whenever it is asked for: to remember it would take more room than everything else.
    """
    frames = range(frame + sign, frame + sign * (reach + 1), sign)

    def hops_of(k: int) -> Hops:
        return store.hops(k, sign, by_camera=by_camera)

    return follow(pixels, frame, frames, store.shape, lambda k: store.guarded.read(k)[0], hops_of, most)


def background_of(store: ShotStore, frame: int, reach: int) -> Evidence:
    """What a frame tells of whether what it hides moves with the camera."""
    hole = store.hole(frame)
    box = bounding_box(hole, MARGIN)
    if box is None or not store.has_camera(frame):
        return Evidence(0.0, 0.0)
    inside, pixels = hole[box], np.flatnonzero(hole).astype(np.int32)
    shown = []
    for by_camera in (False, True):
        links = (links_of(store, frame, pixels, sign, reach, 1, by_camera=by_camera)[0] for sign in (-1, 1))
        (earlier, before), (later, after) = (_shown(store, frame, some, box, inside) for some in links)
        shown.append(Shown(earlier, later, (before > 0) & (after > 0)))
    return evidence_of(*shown, inside)


def _closed(store: ShotStore, frame: int, later: list[Links], earlier: list[Links]) -> tuple[list[Links], list[Links]]:
    """Links both ways of a frame, made to end at the same thing (see `closing`)."""
    hole = store.hole(frame)
    box = bounding_box(hole, MARGIN)
    if box is None:
        return later, earlier
    # The nearest ones have all pixels of the hole, in the order of its pixels.
    inside = hole[box]
    shown, steps = zip(*(_shown(store, frame, links[0], box, inside) for links in (earlier, later)))
    error = error_of_a_step(*shown, inside, steps)
    if error is None:
        return later, earlier
    of_pixels = error[:, inside]

    def guarded(k: int) -> np.ndarray:
        return store.guarded.read(k)[0]

    return tuple(moved(links, frame, sign, of_pixels, store.shape, guarded) for links, sign in ((later, 1), (earlier, -1)))


def _shown(store: ShotStore, frame: int, links: Links, box: tuple[slice, slice], inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box of a frame with its hole, `inside` (h, w) the box, as it is seen by its links: (h, w) uint8 grey; and over how many steps."""
    seen = links.frame != UNSEEN
    carried = _candidate(store, frame, links, seen, np.ones(int(seen.sum()), np.float32))
    picture, steps, place = store.picture(frame)[box].copy(), np.zeros(inside.shape, np.int32), np.flatnonzero(inside)
    found = colours(store.pictures.stack(), carried)
    if np.issubdtype(store.dtype, np.integer):
        found = np.clip(np.rint(found), 0, full_scale(store.dtype))
    picture.reshape(-1, 3)[place[seen]] = found
    steps.ravel()[place] = steps_of(links, frame)
    return cv2.cvtColor(eight_bits(picture), cv2.COLOR_RGB2GRAY), steps


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
        found.append(Taken(Kind.FOOTAGE, stack, _candidate(store, frame, links, good, weight), source, drift))
    return found


def _candidate(store: ShotStore, frame: int, links: Links, good: np.ndarray, weight: np.ndarray) -> Candidate:
    """Those links of a frame's hole that are `good`, as places in the footage."""
    source = links.frame[good]
    return Candidate(links.pixels[good], store.pictures.places(source), links.x[good], links.y[good], weight, store.gain(source, frame))


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
