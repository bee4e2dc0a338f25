"""Tables of finished pictures: the whole pipeline, and fills that know nothing but single frames (the paper's tables 1, 2, 5 and 6)."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import pipeline
from ..fill import FILLS
from ..job import ClipSpec, Job, MaskPart
from ..machine import Machine
from ..media.image_codec import read_image
from ..work import work_folder
from .bench import Aborted, Column, Found, Method, check
from .footage import Footage
from .holes import hidden_of
from .runs import inpainter
from .scores import evaluate
from .sheet import overlay, save_png
from .weight_choice import DFC_ROLES, Weights

_COLUMNS = (
    Column("psnr_hole", "PSNR hole (dB)", 2),
    Column("ssim_hole", "SSIM hole"),
    Column("psnr_432", "PSNR whole frame at 432x240 (dB)", 2),
    Column("ssim_432", "SSIM whole frame at 432x240", 4),
    Column("ewarp_hole", "warping error hole (of 255)", 2),
    Column("minutes", "minutes a clip", 3),
)
_PNG = {"format": "png"}

#: A reader of frames gives the picture as it is given, (H, W, 3) uint8, and its hole, (H, W) bool.
Read = Callable[[int], tuple[np.ndarray, np.ndarray]]
#: A frame's number, the number of frames and their reader -> the filled frame (H, W, 3), 0..255.
EachFrame = Callable[[int, int, Read], np.ndarray]


@dataclass(frozen=True)
class Ready:
    """A clip on disk: the folders of PNG files truth, given and holes, `count` each."""

    folder: Path
    count: int

    def read(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The picture as given, (H, W, 3) uint8 RGB, and the hole, (H, W) bool."""
        return self.picture("given", k), self.picture("holes", k)[..., 0] > 0

    def picture(self, kind: str, k: int) -> np.ndarray:
        return read_image(self._path(kind, k))[0]

    def write(self, kind: str, k: int, picture: np.ndarray) -> None:
        self._path(kind, k).parent.mkdir(exist_ok=True)
        save_png(self._path(kind, k), picture)

    def _path(self, kind: str, k: int) -> Path:
        return self.folder / kind / f"{k:05d}.png"


class InpaintingBench:
    """`methods`: their work is `Whole` or `Alone`."""

    columns = _COLUMNS
    around = ("Given", "True picture")
    baseline = None

    def __init__(self, methods: Sequence[Method], seed: int):
        self.methods, self._seed = methods, seed
        self.identity = {"bench": "inpainting", "seed": seed}

    @contextmanager
    def opened(self, footage: Footage, setting: str, aborted: Aborted) -> Iterator[Ready]:
        with work_folder() as folder:
            ready = Ready(folder, footage.count)
            for k, (truth, given, hole) in enumerate(hidden_of(footage, setting, self._seed)):
                check(aborted)
                ready.write("truth", k, truth)
                ready.write("given", k, given)
                ready.write("holes", k, np.repeat(hole[..., None].astype(np.uint8) * 255, 3, -1))
            yield ready

    def surroundings(self, ready: Ready) -> tuple[np.ndarray, np.ndarray]:
        given, hole = ready.read(ready.count // 2)
        return overlay(given, hole), ready.picture("truth", ready.count // 2)

    def measure(self, method: Method, ready: Ready, aborted: Aborted) -> list[Found]:
        with work_folder(ready.folder) as result:
            made = Ready(result, ready.count)
            begun = time.monotonic()
            method.work(ready, made, aborted)
            minutes = (time.monotonic() - begun) / 60
            mask = MaskPart(clip=ClipSpec(ready.folder / "holes"))
            scores = evaluate(ClipSpec(ready.folder / "truth"), ClipSpec(result / "result"), (mask,))
            names = [column.name for column in _COLUMNS if column.name != "minutes"]
            figures = {name: getattr(scores, name) for name in names} | {"minutes": minutes}
            return [(figures, _middle(result / "result"))]


@dataclass(frozen=True)
class Whole:
    """The pipeline with parameters and the weights on a machine."""

    params: Mapping[str, Any]
    machine: Machine

    def __call__(self, ready: Ready, made: Ready, aborted: Aborted) -> None:
        document = {
            "source": {"path": str(ready.folder / "given")},
            "mask": {"path": str(ready.folder / "holes")},
            "output": {"path": str(made.folder / "result")} | _PNG,
            "params": dict(self.params),
        }
        pipeline.run(Job.from_document(document), aborted=aborted, machine=self.machine)


@dataclass(frozen=True)
class Alone:
    """Every frame filled by itself. `make` is called once, when it is needed first."""

    make: Callable[[], EachFrame]

    def __call__(self, ready: Ready, made: Ready, aborted: Aborted) -> None:
        fill = self.make()
        for k in range(ready.count):
            check(aborted)
            given, hole = ready.read(k)
            filled = np.clip(np.rint(fill(k, ready.count, ready.read)), 0, 255).astype(np.uint8) if hole.any() else given
            made.write("result", k, np.where(hole[..., None], filled, given))


def _middle(folder: Path) -> np.ndarray:
    files = sorted(folder.iterdir())
    return read_image(files[len(files) // 2])[0]


# --- methods ---


def alone(fill: str, chosen: Weights | None, device: str) -> Method:
    """A fill on each frame by itself. `chosen`: its weights, where it needs some."""
    label = {"telea": "Telea", "exemplar": "Exemplar", "deepfill": "DeepFill"}[fill] + _of(chosen) + ", each frame alone"
    if FILLS[fill].roles and chosen is None:
        return Method((label,))
    machine = (chosen or Weights("")).machine(device)

    @cache
    def make() -> EachFrame:
        method = FILLS[fill].make(machine)

        def fill_one(k: int, _count: int, read: Read) -> np.ndarray:
            given, hole = read(k)
            return method(given.astype(np.float32), hole, pulse=lambda: None)

        return fill_one

    return Method((label,), {"alone": fill, "weights": chosen.identity if chosen else []}, Alone(make))


def learnt(label: str, chosen: Weights, frames: int, device: str) -> Method:
    """A run's DeepFill on each frame, with the `frames` neighbours that it was trained to see."""
    run = chosen.run
    assert run is not None

    @cache
    def make() -> EachFrame:
        return network_fill(inpainter(run), frames, Machine(device).device)

    return Method((label,), {"alone": "run", "weights": chosen.identity}, Alone(make))


def network_fill(network: Any, frames: int, device: str) -> EachFrame:
    """A trainer's `Inpainter` that sees `frames` neighbours, half of them on either side, repeating the clip's ends."""
    import torch

    network = network.to(device)

    def tensors(picture: np.ndarray, hole: np.ndarray) -> tuple[Any, Any]:
        missing = torch.from_numpy(hole)[None].to(device).float()
        seen = torch.from_numpy(picture[..., ::-1].copy()).to(device).permute(2, 0, 1).float() / 127.5 - 1
        return seen * (1 - missing), missing

    @torch.inference_mode()
    def fill(k: int, count: int, read: Read) -> np.ndarray:
        masked, hole = tensors(*read(k))
        beside = None
        if frames:
            others = [tensors(*read(at)) for at in neighbours(k, frames, count)]
            beside = torch.cat([part for pair in others for part in pair])[None]
        answer = network(masked[None], hole[None], beside)[-1][0].float()
        return (answer.permute(1, 2, 0).cpu().numpy()[..., ::-1] + 1) * 127.5

    return fill


def neighbours(k: int, frames: int, count: int) -> list[int]:
    """The numbers of the frames that a fill of frame `k` of `count` sees beside it, in order; the clip's ends are repeated."""
    return [min(max(k + step, 0), count - 1) for step in range(-(frames // 2), frames // 2 + 1) if step]


def propagated(flow: Weights | None, completion: Weights | None, fill: Weights | None, device: str, *, wanted: Mapping[str, str]) -> Method:
    """The whole pipeline; `wanted` says the methods by parameter, and the weights are what each is to use, None where it has none."""
    stages = (("flow", flow, ("flownet2",)), ("completion", completion, DFC_ROLES), ("fill", fill, ("deepfill",)))
    words = {"dis": "DIS", "flownet2": "FlowNet2", "smooth": "smooth", "layers": "in layers", "dfc": "DFC-Net"}
    words |= {"exemplar": "exemplar", "deepfill": "DeepFill"}
    if completion and not completion.of("dfc_stage1"):
        words["dfc"] = "DFC-Single"
    label = ", ".join(words[wanted[name]] + _of(chosen) for name, chosen, _ in stages)
    networks = {"flow": "flownet2", "completion": "dfc", "fill": "deepfill"}
    if any(wanted[name] == networks[name] and chosen is None for name, chosen, _ in stages):
        return Method((label,))
    sets = tuple(one for _, chosen, roles in stages if chosen for one in chosen.sets if one.role in roles)
    used = Weights("", sets)
    params = dict(wanted) | {"device": device}
    return Method((label,), {"pipeline": dict(wanted), "weights": used.identity}, Whole(params, used.machine(device)))


def _of(chosen: Weights | None) -> str:
    return f" ({chosen.label})" if chosen and chosen.label else ""
