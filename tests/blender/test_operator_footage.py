"""Footage and mattes as they should not be, and odd ones, in real Blenders with the real engine.

Whatever happens, Blender lives on, and nothing half made is left: no strip, no file, no scene.
"""
from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import counter
import cv2
import numpy as np
import pytest
from addon_fixtures import addon_zip, found_in  # noqa: F401
from bpy_process import run_script

pytestmark = pytest.mark.blender
SOURCE, RESULT = "Street: take #1.mp4", "Street_take_1_flow_inpaint_001"
FRAMES = 40

REFUSED = {
    "source is text": r"text\.mp4",
    "source is empty": r"empty\.mp4",
    "matte is text": r"text\.mp4",
    "mp4 without its end": r"cut\.mp4",
    "fast start mp4 without its end": r"cut_fast\.mp4",
    "mkv without its end": r"cut\.mkv",
    "matte over everything": r"covers the whole picture in every frame",
    "white colour strip": r"covers the whole picture in every frame",
}


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    (folder / "text.mp4").write_text("This is not a video.\n" * 100)
    (folder / "empty.mp4").touch()
    movie(folder / "whole.mp4", FRAMES, codec="libx264", pixel_format="yuv420p")
    movie(folder / "fast.mp4", FRAMES, codec="libx264", pixel_format="yuv420p", movflags="faststart")
    movie(folder / "whole.mkv", FRAMES)
    for whole, cut in (("whole.mp4", "cut.mp4"), ("fast.mp4", "cut_fast.mp4"), ("whole.mkv", "cut.mkv")):
        data = (folder / whole).read_bytes()
        (folder / cut).write_bytes(data[: len(data) * 6 // 10])
    movie(folder / "odd.mkv", 5, (853, 479))
    for name, count, size in (("odd", 5, (853, 479)), ("large", 12, (320, 192))):
        (folder / name).mkdir()
        for k in range(count):
            cv2.imwrite(str(folder / name / f"{k:03d}.png"), counter.disc(k, *size))
    for name, value in (("black", 0), ("white", 255)):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((96, 160), value, np.uint8))
    cv2.imwrite(str(folder / "half.png"), counter.disc(10))
    return folder


def movie(path: Path, frames: int, size: tuple[int, int] = (160, 96), codec: str = "ffv1", pixel_format: str = "bgr0", **options: str) -> None:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(counter.picture(number, *size), "rgb24")))
        container.mux(stream.encode())


def pictures(path: Path) -> np.ndarray:
    """(T, H, W, 3), in the file's own depth."""
    with av.open(str(path)) as container:
        deep = container.streams.video[0].codec_context.pix_fmt != "bgr0"
        return np.stack([frame.to_ndarray(format="rgb48le" if deep else "rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="session")
def case(ask: Callable[..., dict], clips: Path, footage: Path, addon_zip: Path, tmp_path_factory: pytest.TempPathFactory):  # noqa: F811
    work = tmp_path_factory.mktemp("work")
    return lambda name: found_in(ask("scripts_footage.py", addon_zip, clips, sys.executable, work, footage), name)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_sentence_and_leaves_nothing(case, name):
    found = case(name)
    assert found["code"] == 2 and re.search(REFUSED[name], told(found)), found
    assert len(found["strips"]) == 2 and found["files"] == [] and found["scenes"] == 1


@pytest.mark.parametrize("name", ["empty matte", "black colour strip"])
def test_an_empty_matte_passes_the_source_through_and_says_so(case, clips, name):
    found = case(name)
    assert found["code"] == 0 and "note: Nothing is masked, so the source passes through unchanged" in found["errors"]
    assert np.array_equal(pictures(result(found)), pictures(clips / "deep.mkv"))


def test_one_frame(case, clips):
    found = case("one frame")
    assert found["code"] == 0 and found["strips"][1]["span"] == [15, 1]
    made, source, hole = pictures(result(found)), pictures(clips / "deep.mkv")[4:5], [counter.disc(4) > 0]
    check(made, source, np.stack(hole))


def test_a_matte_of_another_size_lies_where_blender_shows_it(case, clips):
    found = case("another size")
    assert found["code"] == 0
    made, source = pictures(result(found)), pictures(clips / "deep.mkv")
    changed = (made != source).any(-1)
    shown = np.stack([cv2.resize(counter.disc(k, 320, 192), (160, 96), interpolation=cv2.INTER_AREA) for k in range(12)])
    assert not changed[shown == 0].any() and changed[shown == 255].mean() > 0.9


def test_odd_sizes(case, footage):
    found = case("odd size")
    assert found["code"] == 0 and found["strips"][1]["span"] == [11, 5]
    holes = np.stack([counter.disc(k, 853, 479) > 0 for k in range(5)])
    check(pictures(result(found)), pictures(footage / "odd.mkv"), holes)


FULL = {
    "result": r"Street_take_1_flow_inpaint_001\.mkv could not be written because the disk is full: free some space",
    "pictures for the engine": r"Blender could not write .*\.png: see that the disk has room",
    "temporary files": r"(No work folder can be made|The work folder .* cannot be written|No temporary folder can be made).*No space left",
}


@pytest.fixture(scope="session")
def full(blender: Path, clips: Path, footage: Path, addon_zip: Path, tmp_path_factory: pytest.TempPathFactory):  # noqa: F811
    """What happens on a disk of its own that is full but for some KiB. Linux only, where that can be made."""
    work = tmp_path_factory.mktemp("small disk")
    small = ["sh", "-c", 'mount -t tmpfs -o size=64m none "$0" && exec "$@"', str(work)]
    before = ["unshare", "--user", "--map-root-user", "--mount", *small]
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a disk of their own: no unshare, or it is not allowed")
    arguments = [addon_zip, clips, sys.executable, work, footage]
    found = run_script(blender, "scripts_full_disk.py", arguments, tmp_path_factory.mktemp("full") / "answer.json", before)
    assert isinstance(found, dict), found
    return found


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_is_said_and_leaves_nothing(full, name):
    found = full[name]
    assert "error" not in found, found["error"]
    assert found["code"] in (1, 2) and re.search(FULL[name], told(found)), found
    assert found["files"] == [] and len(found["strips"]) == 2 and found["scenes"] == 1
    assert found["temporary"] == []


@pytest.mark.parametrize("name", FULL)
def test_with_room_again_it_works(full, name):
    again = full[name]["again"]
    assert again["code"] == 0 and again["files"] == ["flow_inpaint", f"flow_inpaint/{RESULT}.mkv"], again


def told(found: dict[str, Any]) -> str:
    """The one error among the lines of progress."""
    lines = [line for line in found["errors"].splitlines() if not line.startswith("Flow Inpaint: ")]
    assert len(lines) == 1 and lines[0].startswith("flow_inpaint: "), found["errors"]
    return lines[0]


def result(found: dict[str, Any]) -> Path:
    """The one file that was made."""
    assert found["files"] == ["flow_inpaint", f"flow_inpaint/{RESULT}.mkv"] and found["scenes"] == 1
    assert [s["name"] for s in found["strips"]] == [SOURCE, RESULT, "matte"]
    return Path(found["strips"][1]["file"])


def check(made: np.ndarray, source: np.ndarray, holes: np.ndarray) -> None:
    assert made.shape == source.shape and np.array_equal(made[~holes], source[~holes])
    assert (made[holes] != source[holes]).any(-1).mean() > 0.5
