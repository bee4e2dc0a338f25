"""`make demo`: the add-on, packed and installed in a real Blender, takes the car out of the demo shot; measured and shown.

    python make_demo.py BLENDER FOLDER

BLENDER is a Python that has bpy; this runs with the Python that has the engine. Everything goes into FOLDER.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from flow_inpaint import demo, evaluation
from flow_inpaint.errors import FlowInpaintError
from flow_inpaint.fill.telea import fill as telea
from flow_inpaint.job import ClipSpec, MaskPart
from flow_inpaint.media import open_matte, open_source

REPOSITORY = Path(__file__).resolve().parents[2]
EDIT_SCRIPT = Path(__file__).with_name("blender_edit.py")
SHOWN_FRAME = 36
LIMIT_S = 420
# Levels of 255. Blender and PyAV turn the same YUV into RGB with different rounding.
SAME_PICTURE = 3.0
HEARD = ("Flow Inpaint: ", "Blender: ")
# What a demo makes; an earlier one's is removed first, and nothing else in the folder.
MADE = ("footage", "result", "edit.blend", "edit.blend1", "timeline.png", "before_after.png", "blender.log")


class DemoError(Exception):
    """One sentence: what went wrong."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the demo in a real Blender.")
    parser.add_argument("blender", type=Path, help="a Python that has bpy")
    parser.add_argument("folder", type=Path, help="where everything goes")
    options = parser.parse_args()
    try:
        for line in run(options.blender.absolute(), options.folder.absolute()):
            print(line, flush=True)
    except (DemoError, FlowInpaintError, OSError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def run(blender: Path, folder: Path) -> Iterator[str]:
    """The whole demo, and what it does, a line at a time."""
    started = time.monotonic()
    prepare(folder)
    packed = build()
    yield f"Built {packed.relative_to(REPOSITORY)} ({packed.stat().st_size / 1e6:.1f} MB)."
    with tempfile.TemporaryDirectory() as user:
        made = edit(blender, packed, folder, Path(user))
    result = Path(made["file"])
    yield f"The new strip '{made['strip']}' is on channel {made['channel']} of edit.blend."
    check_timeline(folder / "timeline.png", result)
    yield "Comparing it with the true picture, the same shot without the car:"
    yield from compare(result, folder)
    yield f"Done in {time.monotonic() - started:.0f} s. Look at:"
    looks = {
        folder / "before_after.png": "before, matte and after",
        result: "the repaired clip",
        folder / "edit.blend": "the edit, for Blender 5.0 or later",
        folder / "timeline.png": f"frame {SHOWN_FRAME} of the edit, as Blender renders it",
    }
    yield from (f"  {path.relative_to(folder.parent)!s:48} {what}" for path, what in looks.items())


def prepare(folder: Path) -> None:
    """The folder with the footage in it, so that it can be taken elsewhere as a whole, and with nothing of an earlier demo."""
    for name in MADE:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (folder / "footage").mkdir(parents=True)
    for clip in (demo.SOURCE, demo.MATTE):
        shutil.copy(clip, folder / "footage")


def build() -> Path:
    """The extension's zip: the first line of what building it says."""
    command = [sys.executable, str(REPOSITORY / "build_addon.py"), "--output", str(REPOSITORY / "dist")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise DemoError(f"the zip could not be built: {done.stderr.strip()}")
    return Path(done.stdout.splitlines()[0])


def edit(blender: Path, packed: Path, folder: Path, user: Path) -> dict[str, Any]:
    """Runs the part inside Blender, with settings of its own below `user`; shows what it says and keeps all of it in a log."""
    answer, log = user / "answer.json", folder / "blender.log"
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(user), "FLOW_INPAINT_PYTHON": sys.executable}
    command = [str(blender), str(EDIT_SCRIPT), str(packed), str(folder), str(SHOWN_FRAME), str(answer)]
    with log.open("w") as kept, subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        guard = threading.Timer(LIMIT_S, process.kill)
        guard.start()
        for line in process.stdout:
            kept.write(line)
            if line.startswith(HEARD):
                print(f"  {line}", end="", flush=True)
        process.wait()
        late = guard.finished.is_set()
        guard.cancel()
    if late:
        raise DemoError(f"Blender took more than {LIMIT_S} s; what it said is in {log}.")
    if process.returncode or not answer.is_file():
        raise DemoError(f"Blender ended with {process.returncode}; what it said is in {log}.")
    found = json.loads(answer.read_text())
    if "error" in found:
        raise DemoError(f"{found['error']} (what Blender said is in {log})")
    return found


def check_timeline(rendered: Path, result: Path) -> None:
    """Raises `DemoError` unless the picture that Blender rendered is the result's and not the source's."""
    shown = cv2.imread(str(rendered))
    if shown is None:
        raise DemoError(f"Blender has not rendered {rendered}.")
    shown = shown[..., ::-1].astype(np.float32)
    index = SHOWN_FRAME - 1
    pictures = {}
    for path in (result, demo.SOURCE):
        with open_source(ClipSpec(path)) as clip:
            pictures[path] = next(iter(clip.read(index, index))).rgb
    far = {path: np.abs(picture - shown).mean(axis=2) for path, picture in pictures.items()}
    hole = (pictures[result] != pictures[demo.SOURCE]).any(axis=2)
    if not hole.any() or far[result].mean() > SAME_PICTURE or far[result][hole].mean() > far[demo.SOURCE][hole].mean() / 2:
        raise DemoError(f"frame {SHOWN_FRAME} of the timeline, {rendered}, does not show the result {result}.")


def compare(result: Path, folder: Path) -> Iterator[str]:
    """Scores of the result, and of two others to see what they mean; the picture. Raises `DemoError` for a poor result."""
    truth, masks = ClipSpec(demo.TRUTH), (MaskPart(clip=ClipSpec(demo.MATTE)),)
    with tempfile.TemporaryDirectory() as scratch:
        smear(masks, Path(scratch))
        clips = {"the car still there": demo.SOURCE, "Telea, frame by frame": Path(scratch), "Flow Inpaint": result}
        scores = {name: evaluation.evaluate(truth, ClipSpec(path), masks) for name, path in clips.items()}
    yield f"  {'inside the matte':24}{'PSNR':>10}{'SSIM':>9}{'temporal error':>22}"
    for name, found in scores.items():
        yield f"  {name:24}{found.psnr_hole:>7.2f} dB{found.ssim_hole:>9.3f}{found.ewarp_hole:>15.2f} of 255"
    picture = evaluation.before_after(ClipSpec(demo.SOURCE), masks, ClipSpec(result))
    evaluation.save_png(folder / "before_after.png", picture)
    ours, simple = scores["Flow Inpaint"], scores["Telea, frame by frame"]
    if ours.psnr_hole <= simple.psnr_hole or ours.ewarp_hole >= simple.ewarp_hole:
        raise DemoError("the result is no better than the simplest method's; something is wrong with the engine.")


def smear(masks: tuple[MaskPart, ...], folder: Path) -> None:
    """The simplest method there is, for comparison: every picture by itself, its border drawn inward (Telea 2004)."""
    with open_source(ClipSpec(demo.SOURCE)) as source, open_matte(masks, source.info, 0, 0.5) as matte:
        last = source.info.count - 1
        for picture, hole in zip(source.read(0, last), matte.read(0, last), strict=True):
            filled = telea(picture.rgb.astype(np.float32), hole)
            cv2.imwrite(str(folder / f"{picture.index:05d}.png"), np.rint(filled).astype(np.uint8)[..., ::-1])


if __name__ == "__main__":
    sys.exit(main())
