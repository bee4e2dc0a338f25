"""Scores of a result against the true picture, frame by frame in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import BadClip
from ..job import ClipSpec, MaskPart
from ..media import ClipInfo, Source, open_matte, open_source

_WHITE = 255.0
_PERFECT = 99.0
_SMALL = (432, 240)
_STABILISERS = ((0.01 * _WHITE) ** 2, (0.03 * _WHITE) ** 2)
_AGREEMENT = 1.0


@dataclass(frozen=True)
class Scores:
    """Means over the frames for which they are defined, None where there is no such frame. All on the scale 0..255.

    psnr_hole   dB, RGB, over the masked pixels; at most 99
    ssim_hole   the SSIM map (11x11 Gaussian, sigma 1.5, grey) over the masked pixels
    psnr_432    dB over whole pictures of 432x240, ssim_432 the same for SSIM: the protocol of the literature
    ewarp_hole  how much a masked pixel changes along the true motion to the next frame, where that motion is certain
    outside     the largest difference outside the mask
    """

    psnr_hole: float | None
    ssim_hole: float | None
    psnr_432: float | None
    ssim_432: float | None
    ewarp_hole: float | None
    outside: float
    frames: int

    def lines(self) -> list[str]:
        """For a person."""
        rows = [
            ("PSNR in the hole", _rounded(self.psnr_hole, "dB")),
            ("SSIM in the hole", _rounded(self.ssim_hole)),
            ("PSNR at 432x240", _rounded(self.psnr_432, "dB")),
            ("SSIM at 432x240", _rounded(self.ssim_432)),
            ("temporal error in the hole", _rounded(self.ewarp_hole, "of 255")),
            ("largest difference outside", f"{self.outside:g} of 255"),
            ("frames", str(self.frames)),
        ]
        return [f"{name:26} {value}" for name, value in rows]


def evaluate(truth: ClipSpec, result: ClipSpec, masks: tuple[MaskPart, ...], *, temporal: bool = True) -> Scores:
    """Compares `result` with `truth`, both read through `media`; `masks` is what was replaced (threshold one half).
    Without `temporal`, `ewarp_hole` stays None and it takes half the time.

    Raises `BadClip` for clips that differ in size or length and for whatever `media` refuses.
    """
    with ExitStack() as opened:
        true, made = (opened.enter_context(open_source(spec)) for spec in (truth, result))
        _check_alike(true.info, made.info)
        matte = opened.enter_context(open_matte(masks, true.info, 0, 0.5))
        last = true.info.count - 1
        tally = Tally(temporal)
        for a, b, hole in zip(_frames(true, last), _frames(made, last), matte.read(0, last), strict=True):
            tally.add(a, b, hole)
    return tally.scores()


def _check_alike(truth: ClipInfo, result: ClipInfo) -> None:
    if (truth.width, truth.height) != (result.width, result.height):
        raise BadClip(
            f"{result.path} is {result.width}x{result.height} and {truth.path} is {truth.width}x{truth.height}: "
            "only clips of the same size can be compared."
        )
    if truth.count != result.count:
        raise BadClip(f"{result.path} has {result.count} frames and {truth.path} has {truth.count}: compare clips of the same length.")


def _frames(source: Source, last: int) -> Iterator[np.ndarray]:
    """(H, W, 3) pictures on the scale 0..255: uint8 where the clip has 8 bits, else float32."""
    white = np.float32(_WHITE / source.info.white)
    for picture in source.read(0, last):
        yield picture.rgb if picture.rgb.dtype == np.uint8 else picture.rgb * white


class Tally:
    """Takes in frames in order and keeps one frame back for the temporal error."""

    def __init__(self, temporal: bool) -> None:
        self._values: dict[str, list[float]] = {name: [] for name in ("psnr_hole", "ssim_hole", "psnr_432", "ssim_432", "ewarp_hole")}
        self._outside = 0.0
        self._before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._temporal = temporal
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def add(self, true: np.ndarray, made: np.ndarray, hole: np.ndarray) -> None:
        difference = np.abs(true.astype(np.float32) - made)
        self._outside = max(self._outside, float(difference.max(-1).max(where=~hole, initial=0.0)))
        grey_true, grey_made = _grey(true), _grey(made)
        if hole.any():
            self._note("psnr_hole", _psnr(difference[hole]))
            self._note("ssim_hole", _ssim_map(grey_true, grey_made)[hole].mean())
        small = [cv2.resize(picture, _SMALL, interpolation=cv2.INTER_AREA) for picture in (true, made)]
        self._note("psnr_432", _psnr(small[0].astype(np.float32) - small[1]))
        self._note("ssim_432", _ssim_map(*map(_grey, small)).mean())
        if self._temporal:
            self._add_change(grey_true, made, hole)

    def scores(self) -> Scores:
        means = {name: float(np.mean(values)) if values else None for name, values in self._values.items()}
        return Scores(**means, outside=self._outside, frames=len(self._values["psnr_432"]))

    def _note(self, name: str, value: float) -> None:
        self._values[name].append(float(value))

    def _add_change(self, grey_true: np.ndarray, made: np.ndarray, hole: np.ndarray) -> None:
        before, self._before = self._before, (grey_true, made, hole)
        if before is None or not before[2].any():
            return
        grey_before, made_before, hole_before = before
        forward = self._flow.calc(_bytes(grey_before), _bytes(grey_true), None)
        backward = self._flow.calc(_bytes(grey_true), _bytes(grey_before), None)
        rows, columns = np.indices(hole.shape, np.float32)
        x, y = columns + forward[..., 0], rows + forward[..., 1]
        # Beyond the picture nothing may look certain, so the return motion there is far too long.
        return_motion = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1e6, 1e6, 0, 0))
        certain = hole_before & (np.abs(forward + return_motion).max(-1) < _AGREEMENT)
        if certain.any():
            next_here = cv2.remap(made, x, y, cv2.INTER_LINEAR)
            self._note("ewarp_hole", np.abs(made_before[certain].astype(np.float32) - next_here[certain]).mean())


def _psnr(difference: np.ndarray) -> float:
    mean_square = np.square(difference, dtype=np.float64).mean()
    return _PERFECT if mean_square == 0 else min(_PERFECT, 10 * np.log10(_WHITE**2 / mean_square))


def _grey(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _bytes(grey: np.ndarray) -> np.ndarray:
    return grey if grey.dtype == np.uint8 else np.clip(np.rint(grey), 0, _WHITE).astype(np.uint8)


def _ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The structural similarity (Wang et al. 2004) of two (H, W) pictures at every pixel."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b, square_a, square_b, product = (_local_mean(image) for image in (a, b, a * a, b * b, a * b))
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    for_mean, for_variance = _STABILISERS
    brightness = (2 * mean_a * mean_b + for_mean) / (mean_a**2 + mean_b**2 + for_mean)
    return brightness * (2 * covariance + for_variance) / (variances + for_variance)


def _local_mean(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (11, 11), 1.5)


def _rounded(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{2 if unit else 4}f} {unit}".rstrip()
