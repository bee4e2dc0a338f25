"""What a job needs is taken away while it runs: the folder of its output, its work folder, its source, its memory. See also test_resume.py."""
from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flow_inpaint import cache, memory_at_hand, pipeline, work
from flow_inpaint.errors import BadClip, Failed, OutOfMemory, Unforeseen, explained
from flow_inpaint.job import Job
from flow_inpaint.media import image_codec, output_place
from scenery import save, view

FRAMES = 6
GONE = "^The work folder .* was deleted while the job was running: run it again, it begins anew.$"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOW_INPAINT_CACHE", str(tmp_path / "cache"))
    hole = np.zeros((64, 96), np.uint8)
    hole[20:36, 30:50] = 255
    for k in range(FRAMES):
        save(tmp_path / "source" / f"{k}.png", view(96, 64, 2 * k))
        save(tmp_path / "mask" / f"{k}.png", hole)
    (tmp_path / "out").mkdir()
    return tmp_path


def run(folder: Path, output: str, stage: str = "", loss: Callable[[], object] = lambda: None) -> list[str]:
    """Does the job, and `loss` when a stage has gone some way. Returns what was said."""
    clips = {"source": {"path": str(folder / "source")}, "mask": {"path": str(folder / "mask")}}
    params = {"reach": 2, "fill": "telea"}
    job = Job.from_document(clips | {"output": {"path": str(folder / output)}, "params": params})
    said: list[str] = []
    lost: list[str] = []

    def progress(told: pipeline.Progress) -> None:
        if told.stage == stage and told.done >= 2 and not lost:
            lost.append(stage)
            loss()

    pipeline.run(job, on_progress=progress, on_message=lambda level, text: said.append(text))
    return said


def delete(place: Path) -> None:
    """A folder that the job's threads go on writing into."""
    while place.exists():
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("stage", ["flow", "fill", "write"])
@pytest.mark.parametrize("output", ["out/film.mkv", "out/pictures"])
def test_the_outputs_folder_vanishes(folder: Path, output: str, stage: str) -> None:
    with pytest.raises(Failed, match=r"^.*/out/.* could not be written \(No such file or directory\): check the disk and the folder's"):
        run(folder, output, stage, lambda: delete(folder / "out"))
    assert not (folder / "out").exists()
    assert any("Going on with a run of this job" in text for text in run(folder, output))
    assert not cache.entries() and not [path for path in (folder / "out").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("stage", ["flow", "trace", "fill"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_work_folder_vanishes(folder: Path, stage: str, whole: bool) -> None:
    def loss() -> None:
        if whole:
            delete(folder / "cache")
        else:
            for path in (folder / "cache").rglob("*"):
                path.is_file() and path.unlink()

    with pytest.raises(Failed, match=GONE):
        run(folder, "out/film.mkv", stage, loss)
    assert not list((folder / "out").iterdir())
    run(folder, "out/film.mkv")
    assert (folder / "out/film.mkv").exists() and not cache.entries()


def test_the_work_folder_vanishes_at_the_end(folder: Path) -> None:
    """What of it has been read by then may be enough."""
    try:
        run(folder, "out/film.mkv", "write", lambda: delete(folder / "cache"))
    except Failed as error:
        assert re.match(GONE, str(error)) and not list((folder / "out").iterdir())
    else:
        assert [path.name for path in (folder / "out").iterdir()] == ["film.mkv"]


@pytest.mark.parametrize("stage", ["matte", "flow", "write"])
def test_the_source_vanishes(folder: Path, stage: str) -> None:
    with pytest.raises(BadClip, match=r"/source/\d.png cannot be read: No such file or directory.$"):
        run(folder, "out/film.mkv", stage, lambda: (folder / "source").rename(folder / "elsewhere"))
    assert not list((folder / "out").iterdir())


def test_no_more_threads() -> None:
    said = explained(RuntimeError("can't start new thread"))
    assert isinstance(said, Failed) and str(said) == "No more threads can be started: close other programs, or raise the limit (ulimit -u)."


def test_an_encoder_without_memory_is_no_wrong_format(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    def opened(_: object) -> None:
        raise av.error.MemoryError(12, "Cannot allocate memory")

    class Stream:
        codec_context = type("Context", (), {"open": opened})()

    from flow_inpaint.media.video_writer import VideoOutput

    output = object.__new__(VideoOutput)
    output._stream = Stream()
    with pytest.raises(MemoryError) as caught:
        output._open_encoder()
    assert isinstance(explained(caught.value), OutOfMemory)


LIMITED = """
import resource, sys
import scipy.ndimage
from flow_inpaint import cli, pipeline
now = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (now + (int(sys.argv[1]) << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.exit(cli.main(["run", "source", "mask", "out/film.mkv", "--reach", "2", "--fill", "telea"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
def test_out_of_memory(folder: Path) -> None:
    """One sentence, unless a library ends the process for want of memory, as OpenBLAS does: then too nothing is half there."""
    ends: list[int] = []
    said: list[str] = []
    for limit in (1, 60, 160):
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit)], cwd=folder, env=os.environ, capture_output=True, text=True, check=False
        )
        ends.append(done.returncode)
        said.append(done.stderr)
        if done.returncode == 0:
            (folder / "out/film.mkv").unlink()
            continue
        assert not (folder / "out/film.mkv").exists()
        if done.returncode > 0 and "OpenBLAS" not in done.stderr:
            (sentence,) = (line for line in done.stderr.splitlines() if line.startswith("flow-inpaint: "))
            assert "went wrong" not in sentence and not list((folder / "out").iterdir())
    assert ends[0] == 1, (ends, said[0])
    run(folder, "out/film.mkv")
    assert [path.name for path in (folder / "out").iterdir()] == ["film.mkv"] and not cache.entries()


@pytest.mark.skipif(os.name == "nt", reason="limits as POSIX has them")
@pytest.mark.parametrize("place", ["work", "output"])
def test_file_handles_are_not_taken_for_a_disk(tmp_path: Path, place: str) -> None:
    """The advice that goes with a full disk would lead nowhere."""
    error = OSError(errno.EMFILE, "Too many open files")
    if place == "work":
        said = work.disk_trouble(tmp_path / "pictures", error)
    else:
        with pytest.raises(Failed) as caught, output_place.writing(tmp_path / "out.mkv"):
            raise error
        said = caught.value
    assert str(said) == "Too many files are open: close other programs, or raise the limit (ulimit -n)."


def test_without_memory_a_library_that_refuses_a_picture_says_nothing_about_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV reads none where it has no room for it, as if it were damaged."""
    file = folder / "source" / "0.png"
    monkeypatch.setattr(image_codec.cv2, "imdecode", lambda *_: None)
    with pytest.raises(BadClip, match="0.png is not an image that can be read"):
        image_codec.read_image(file)
    monkeypatch.setattr(memory_at_hand, "_LITTLE", 1 << 62)
    with pytest.raises(MemoryError):
        image_codec.read_image(file)


def test_a_library_that_there_is_no_memory_for_is_no_fault_of_ours() -> None:
    for text in ("libavcodec.so.62: failed to map segment from shared object", "libx.so: cannot allocate memory in static TLS block"):
        assert isinstance(explained(ImportError(text)), OutOfMemory)
    assert isinstance(explained(ImportError("No module named 'x'")), Unforeseen)
