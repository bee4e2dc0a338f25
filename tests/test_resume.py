"""Jobs that are cut off, and what the next run makes of what is left."""
from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenery import save, view
from test_pipeline import Shot, disc, read, shot

from flow_inpaint import cache, job_key, kept_work, pipeline, shot_reading
from flow_inpaint.errors import Aborted, BadClip, Failed, OutOfMemory, Unforeseen, explained
from flow_inpaint.job import Job
from flow_inpaint.locks import Lock

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")

FRAMES = 9
#: So little reach that something has to be invented too.
PARAMS = {"reach": 2, "fill": "telea"}
#: What may have been under way when a run was killed: a pair for each worker, and those read ahead.
UNDER_WAY = 4
#: Of a frame that is finished.
WRITES = 6


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "work"


def clips(output: str) -> dict[str, Any]:
    return {"source": {"path": "source"}, "mask": {"path": "mask"}, "output": {"path": output, "format": "png"}}


def killed(
    clip: Shot, points: list[list[Any]], *, damage: bool = False, references: Any = None, window: int = 80, **params: Any
) -> Iterator[dict]:
    """First what an undisturbed run makes, then what comes of each point. See `killing.py`."""
    document = clips("out") | {"params": PARAMS | params}
    spec = {"folder": str(clip.folder), "job": document | {"references": references}, "points": points, "damage": damage, "window": window}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), json.dumps(spec)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr[-2000:]
    return map(json.loads, done.stdout.splitlines())


def test_a_killed_job_is_gone_on_with(tmp_path: Path) -> None:
    stages = [["flow", 1], ["flow", 6], ["flow", FRAMES], ["trace", FRAMES], ["fill", 3 * FRAMES], ["write", FRAMES - 1]]
    chance = random.Random(1)
    inside = [[chance.randrange(1, 250), chance.random()] for _ in range(5)]
    wanted, *found = killed(shot(tmp_path, FRAMES), [*stages, *inside])
    assert wanted["pairs"] == FRAMES - 1 and wanted["fills"] > 0 and wanted["said"] == []
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one
        (stage,) = one["kept"]
        assert one["said"] == [f"Going on with a run of this job that ended in the stage {stage}."]
        if stage == "flow" and isinstance(one["point"][0], str):
            assert one["pairs"] <= FRAMES - 1 - (one["point"][1] - UNDER_WAY), one
        if stage != "flow":
            assert one["pairs"] == 0, one
        if stage == "write":
            assert one["fills"] == 0 and one["writes"] <= WRITES * UNDER_WAY, one


def test_a_power_cut_loses_only_work(tmp_path: Path) -> None:
    """Pages of the files without their content, and ends that are missing, are seen."""
    chance = random.Random(2)
    points = [["trace", 5], ["fill", 9], ["write", 1], ["write", 2], *([chance.randrange(80, 250), 0.5] for _ in range(3))]
    wanted, *found = killed(shot(tmp_path, FRAMES), points, damage=True)
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one
    assert any(one["pairs"] < wanted["pairs"] for one in found)


def test_a_feathered_job_is_gone_on_with(tmp_path: Path) -> None:
    points = [["flow", FRAMES], ["fill", 2], ["write", 2]]
    wanted, *found = killed(shot(tmp_path, FRAMES), points, mask_feather=4)
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one


def test_references_are_gone_on_with(tmp_path: Path) -> None:
    clip = shot(tmp_path, FRAMES)
    save(tmp_path / "clean.png", clip.truth[4])
    points = [["flow", FRAMES], ["trace", 2 * FRAMES], ["fill", 2]]
    wanted, *found = killed(clip, points, references=[{"frame": 4, "path": "clean.png"}], grain=1.0)
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one


# --- in this process, where an error stands for the kill ---


class Cut(Failed):
    """Ends a run as a full disk would."""


def cut_off(clip: Shot, stage: str, done: int, **params: Any) -> None:
    def at(progress: pipeline.Progress) -> None:
        if (progress.stage, progress.done) == (stage, done):
            raise Cut("no more")

    with pytest.raises(Cut):
        pipeline.run(clip.job(**(PARAMS | params)), on_progress=at)
    assert len(cache.entries()) == 1


def pairs_of(clip: Shot, monkeypatch: pytest.MonkeyPatch, job: Job | None = None, **params: Any) -> tuple[int, list[np.ndarray]]:
    """How many pairs a run measures, and what it makes."""
    measured: list[int] = []
    real = shot_reading.measure
    with monkeypatch.context() as patch:
        patch.setattr(shot_reading, "measure", lambda *given: measured.append(1) or real(*given))
        result = pipeline.run(job or clip.job(**(PARAMS | params)))
    return len(measured), [read(clip.out / name) for name in result.files]


def undisturbed(clip: Shot, monkeypatch: pytest.MonkeyPatch, job: Job | None = None, **params: Any) -> list[np.ndarray]:
    cache.clear()
    return pairs_of(clip, monkeypatch, job, **params)[1]


def test_a_changed_frame_is_seen_though_its_file_looks_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = shot(tmp_path, FRAMES)
    cut_off(clip, "write", 1)
    path = clip.folder / "source" / "0005.png"
    before = path.stat()
    clip.frames[5] = clip.frames[5].copy()
    clip.frames[5][10:30, 10:30] //= 2
    save(path, clip.frames[5])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    pairs, found = pairs_of(clip, monkeypatch)
    # The pairs before that frame are still true.
    assert pairs == FRAMES - 5
    for a, b in zip(found, undisturbed(clip, monkeypatch), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_cut_in_the_same_frames_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cut off twice, with a change between, has nothing of the first in it."""
    clip = shot(tmp_path, FRAMES)
    cut_off(clip, "fill", 1)
    save(clip.folder / "source" / "0003.png", 255 - clip.frames[3])
    cut_off(clip, "flow", 6)
    save(clip.folder / "source" / "0003.png", clip.frames[3])
    _, found = pairs_of(clip, monkeypatch)
    for a, b in zip(found, undisturbed(clip, monkeypatch), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("changed", ["matte", "parameter", "grown", "feathered", "reference", "engine", "weights", "range"])
def test_a_changed_job_takes_nothing_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    clip = shot(tmp_path, FRAMES)
    save(tmp_path / "clean.png", clip.truth[4])
    document = clips(str(clip.out)) | {"params": dict(PARAMS), "references": [{"frame": 4, "path": "clean.png"}]}

    def at(progress: pipeline.Progress) -> None:
        if progress.stage == "write":
            raise Cut("no more")

    with pytest.raises(Cut):
        pipeline.run(Job.from_document(document, tmp_path), on_progress=at)
    count = FRAMES - 1
    if changed == "matte":
        save(clip.folder / "mask" / "0008.png", disc(50, 30, 9).astype(np.uint8) * 255)
    elif changed == "parameter":
        document["params"]["refinement"] = 1
    elif changed == "grown":
        document["params"]["mask_grow"] = 1
    elif changed == "feathered":
        document["params"]["mask_feather"] = 3
    elif changed == "reference":
        save(tmp_path / "clean.png", clip.truth[4] // 2)
    elif changed == "engine":
        monkeypatch.setattr(job_key, "engine_digest", lambda: "another")
    elif changed == "weights":
        monkeypatch.setattr(job_key, "_weights", lambda methods: [("dfc_stage1", "0" * 64)])
    else:
        document["frames"] = [0, 3]
        count = 3 + PARAMS["reach"] + 1  # the frame beside it, which it is steadied by
    job = Job.from_document(document, tmp_path)
    pairs, found = pairs_of(clip, monkeypatch, job)
    assert pairs == count
    assert len(cache.entries()) == 1, "the other job's work stays for it"
    for a, b in zip(found, undisturbed(clip, monkeypatch, job), strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_may_move_and_the_output_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever met a full disk has to be able to write elsewhere."""
    clip = shot(tmp_path / "a", FRAMES)
    cut_off(clip, "write", 1)
    clip.folder.rename(tmp_path / "b")
    clip.folder = tmp_path / "b"
    assert pairs_of(clip, monkeypatch)[0] == 0
    assert cache.entries() == []


@pytest.mark.parametrize(
    ("thrown", "keep", "kept"),
    [
        (Aborted("x"), False, False),
        (Aborted("x"), True, True),
        (BadClip("x"), False, False),
        (Failed("x"), False, True),
        (OutOfMemory("x"), False, True),
        (MemoryError(), False, True),
        (ArithmeticError("x"), False, True),
        (KeyboardInterrupt(), False, False),
        (RuntimeError("CUDA error: unspecified launch failure"), False, True),
    ],
)
def test_what_is_kept(tmp_path: Path, thrown: BaseException, keep: bool, kept: bool) -> None:
    def at(progress: pipeline.Progress) -> None:
        if progress.stage == "trace":
            raise thrown

    with pytest.raises(BaseException) as caught:
        pipeline.run(shot(tmp_path, 4).job(), on_progress=at, keep_work=lambda: keep)
    assert isinstance(caught.value, (type(thrown), OutOfMemory))
    found = cache.entries()
    assert [one.stage for one in found] == (["trace"] if kept else []) and not any(one.running for one in found)
    if kept:
        assert (found[0].source, found[0].frames) == (str(tmp_path / "source"), "0-3") and found[0].size > 10_000


def test_an_error_that_comes_again_leaves_nothing(tmp_path: Path) -> None:
    """What is kept may be what is wrong."""
    clip = shot(tmp_path, 4)

    def at(progress: pipeline.Progress) -> None:
        if progress.stage == "fill":
            raise ArithmeticError("x")

    for left in (1, 0):
        with pytest.raises(ArithmeticError):
            pipeline.run(clip.job(), on_progress=at)
        assert len(cache.entries()) == left


def test_a_job_that_another_process_does_is_refused(tmp_path: Path, place: Path) -> None:
    clip = shot(tmp_path, 4)
    cut_off(clip, "write", 1)
    (one,) = cache.entries()
    lock = Lock.take(Path(one.path) / cache.LOCK)
    assert lock is not None
    with pytest.raises(Failed, match=f"^Another process is doing this job and writes {clip.out}: wait for it, or stop it first.$"):
        clip.run(**PARAMS)
    assert [path.name for path in place.iterdir()] == [one.name] and not clip.out.exists()
    pipeline.run(Job.from_document(clips("elsewhere") | {"params": PARAMS}, tmp_path))
    assert (tmp_path / "elsewhere").is_dir() and [path.name for path in place.iterdir()] == [one.name]
    lock.release()
    clip.run(**PARAMS)
    assert list(place.iterdir()) == []


def test_a_place_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = shot(tmp_path, 4)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "file"))
    with pytest.raises(Failed, match=f"^The folder {tmp_path}/file that FLOW_INPAINT_CACHE names cannot be used .*: choose another.$"):
        clip.run()
    assert not clip.out.exists()
    # Of its own choice it finds another.
    monkeypatch.delenv(cache.PLACE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said: list[str] = []
    pipeline.run(clip.job(), on_message=lambda level, text: said.append(text))
    assert said == [
        f"The work cannot be kept in {tmp_path}/file/flow-inpaint/work (Not a directory): if this run is cut off, the next one begins anew."
    ]


def test_a_work_folder_that_cannot_be_written_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = shot(tmp_path, FRAMES)
    real = kept_work.WorkPlace.note

    def refuses(self: kept_work.WorkPlace, stage: str) -> None:
        if stage == "fill":
            (self.path / f"{cache.ABOUT}.part").mkdir()
        real(self, stage)

    with monkeypatch.context() as patch:
        patch.setattr(kept_work.WorkPlace, "note", refuses)
        with pytest.raises(Failed, match="^The work folder .* cannot be written: Is a directory. Free some space there"):
            clip.run(**PARAMS)
    (one,) = cache.entries()
    assert one.stage == "trace"
    (Path(one.path) / f"{cache.ABOUT}.part").rmdir()
    assert pairs_of(clip, monkeypatch)[0] == 0


@pytest.mark.parametrize(
    ("thrown", "status", "sentence"),
    [
        (OSError(24, "Too many open files"), "Failed", "Too many files are open: close other programs, or raise the limit (ulimit -n)."),
        (OSError(12, "Cannot allocate memory"), "OutOfMemory", "There is not enough memory for this job"),
        (RuntimeError("CUDA error: an illegal memory access"), "Failed", "The graphics card has failed or is gone: run the job again"),
        (RuntimeError("shapes differ"), "Failed", "Something went wrong inside Flow Inpaint (RuntimeError: shapes differ)"),
    ],
)
def test_what_a_machine_runs_out_of_is_said_in_a_sentence(thrown: Exception, status: str, sentence: str) -> None:
    said = explained(thrown)
    assert said.status == status and str(said).startswith(sentence)
    assert isinstance(said, Unforeseen) == ("went wrong" in sentence)


LIMITED = """
import resource, sys
what, limit = getattr(resource, sys.argv[1]), int(sys.argv[2])
from flow_inpaint import cli, pipeline
resource.setrlimit(what, (limit, limit))
sys.exit(cli.main(["run", "source", "mask", "out", "--reach", "2", "--fill", "telea"]))
"""


@pytest.mark.parametrize(("what", "limits"), [("RLIMIT_FSIZE", (20_000, 100_000)), ("RLIMIT_NOFILE", (6, 9, 14, 22))])
def test_out_of_disk_or_handles(tmp_path: Path, what: str, limits: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, nothing half-written, and the next run goes on."""
    clip = shot(tmp_path, FRAMES)
    for limit in limits:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, what, str(limit)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode in (1, 2) and done.stderr.startswith("flow-inpaint: ") and done.stderr.count("\n") == 1, done.stderr
        assert "Something went wrong" not in done.stderr, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["mask", "source"]
    if what == "RLIMIT_FSIZE":
        assert [one.stage for one in cache.entries()] == ["flow"]
    pairs, found = pairs_of(clip, monkeypatch)
    for a, b in zip(found, undisturbed(clip, monkeypatch), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted on Linux and by root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the motion; when there is room again, it goes on."""
    monkeypatch.setenv(cache.PLACE, str(small_disk / "cache"))
    (small_disk / "ballast").write_bytes(bytes(3_700_000))
    clip = shot(tmp_path / "shot", FRAMES)
    with pytest.raises(Failed, match="^The work folder .* cannot be written: No space left on device. Free some space there"):
        clip.run(**PARAMS)
    assert not clip.out.exists() and [one.stage for one in cache.entries()] == ["flow"]
    (small_disk / "ballast").unlink()
    pairs, found = pairs_of(clip, monkeypatch)
    assert 0 < pairs < FRAMES - 1
    for a, b in zip(found, undisturbed(clip, monkeypatch), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_output_on_a_full_disk(tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-written; into another place it takes only the last stage."""
    clip = shot(tmp_path / "shot", FRAMES)
    full = clips(str(small_disk / "out")) | {"params": PARAMS}
    (small_disk / "ballast").write_bytes(bytes(4_150_000))
    with pytest.raises(Failed, match="could not be written because the disk is full: free some space or choose another output."):
        pipeline.run(Job.from_document(full, clip.folder))
    assert os.listdir(small_disk) == ["ballast"]
    assert pairs_of(clip, monkeypatch)[0] == 0


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a mount that cannot be written")
def test_a_work_folder_that_became_read_only(tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.PLACE, str(small_disk / "cache"))
    clip = shot(tmp_path / "shot", 5)
    cut_off(clip, "write", 1)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(Failed, match="^The folder .*/cache that FLOW_INPAINT_CACHE names cannot be used .Read-only file system.: choose"):
        clip.run(**PARAMS)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert pairs_of(clip, monkeypatch)[0] == 0


@pytest.mark.parametrize("stage", ["flow", "write"])
def test_a_cut_that_only_shows_outside_the_region_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """What lies too far from the hole to be kept is replaced between the runs, so that another shot begins there."""
    # So large that what is kept of it is no tenth.
    width, height, radius = 640, 480, 8
    truth = [view(width, height, 0.6 * k, 0.0) for k in range(FRAMES)]
    clip = Shot(tmp_path, truth, [disc(80 + k, 120, radius, width, height) for k in range(FRAMES)])
    cut_off(clip, stage, FRAMES if stage == "flow" else 2)
    region = slice(120 - radius - 70, 120 + radius + 70), slice(0, 80 + FRAMES + radius + 70)
    for k in range(5, FRAMES):
        other = (255 - clip.frames[k][:, ::-1]) // 2
        other[region] = clip.frames[k][region]
        save(clip.folder / "source" / f"{k:04d}.png", other)
    said: list[str] = []
    pipeline.run(clip.job(**PARAMS), on_message=lambda level, text: said.append(text))
    assert any("Going on" in text for text in said) and any("A new shot begins at frame 5" in text for text in said)
    found = [read(clip.out / f"{k:04d}.png") for k in range(FRAMES)]
    for a, b in zip(found, undisturbed(clip, monkeypatch), strict=True):
        np.testing.assert_array_equal(a, b)
