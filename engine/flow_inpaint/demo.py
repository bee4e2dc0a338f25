"""`flow-inpaint demo`: the shot that comes with the engine, with the car taken out, measured and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BadClip
from .job import ClipSpec, Job

if TYPE_CHECKING:
    from .pipeline import Result

SHOT = Path(__file__).parent / "demo_shot"
SOURCE, MATTE, TRUTH = SHOT / "source.mp4", SHOT / "matte.mkv", SHOT / "truth.mp4"


def job(folder: Path) -> Job:
    """The demo's job, writing into `folder`. Raises `BadClip` when the shot is not installed."""
    for clip in (SOURCE, MATTE, TRUTH):
        if not clip.is_file():
            raise BadClip(f"{clip} is missing: install Flow Inpaint again, the demo shot is a part of it.")
    return Job.from_document(
        {"source": {"path": str(SOURCE)}, "mask": {"path": str(MATTE)}, "output": {"path": str(folder / "result.mkv")}}
    )


def run(folder: Path, do: Callable[[Job], Result]) -> Iterator[str]:
    """Runs the demo into `folder` with `do`, and says what happens, a line at a time."""
    demo = job(folder)
    yield f"Removing the object from {SOURCE.name} (matte: {MATTE.name}) in {SHOT}."
    result = do(demo)
    yield f"{result.frames} frames of {result.width}x{result.height} in {result.seconds:.0f} s."
    yield from measure(Path(result.path), folder / "before_after.png")
    yield f"Result: {result.path}"


def measure(result: Path, picture: Path) -> Iterator[str]:
    """Scores a result of the demo shot, made by any host, against the truth and draws `picture`; says both."""
    from . import evaluation

    masks = job(picture.parent).mask
    scores = evaluation.evaluate(ClipSpec(TRUTH), ClipSpec(result), masks)
    untouched = evaluation.evaluate(ClipSpec(TRUTH), ClipSpec(SOURCE), masks, temporal=False)
    yield f"PSNR in the hole against the true picture: {scores.psnr_hole:.2f} dB (object still there: {untouched.psnr_hole:.2f} dB)."
    yield f"SSIM in the hole: {scores.ssim_hole:.3f}; temporal error: {scores.ewarp_hole:.2f} of 255."
    evaluation.save_png(picture, evaluation.before_after(ClipSpec(SOURCE), masks, ClipSpec(result)))
    yield f"Look at: {picture}"
