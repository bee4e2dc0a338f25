"""Whole jobs on tiny clips: a disc that moves over a panning texture, and the truth behind it."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from killing import WRITERS
from scenery import psnr, view

from flow_inpaint import effect, pipeline, side_by_side
from flow_inpaint.errors import Aborted, BadClip, Failed
from flow_inpaint.fill import FILLS
from flow_inpaint.flow import ESTIMATORS
from flow_inpaint.job import Job
from flow_inpaint.machine import Method
from flow_inpaint.media.matte import feathered
from flow_inpaint.pipeline import Progress, Result
from flow_inpaint.results import Results

WIDTH, HEIGHT, COUNT = 96, 64, 12


@dataclass
class Shot:
    """A clip on disk beside its mattes; `truth` is what lies behind."""

    folder: Path
    truth: list[np.ndarray]
    holes: list[np.ndarray]
    frames: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.frames = [np.where(hole[..., None], np.uint8([250, 20, 30]), truth) for truth, hole in zip(self.truth, self.holes)]
        write(self.folder / "source", self.frames)
        write(self.folder / "mask", [hole.astype(np.uint8) * 255 for hole in self.holes])

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def job(self, frames: tuple[int, int] | None = None, **params: Any) -> Job:
        return Job.from_document(
            {
                "source": {"path": "source"},
                "mask": {"path": "mask"},
                "output": {"path": str(self.out), "format": "png"},
                "frames": frames,
                "params": params,
            },
            self.folder,
        )

    def run(self, frames: tuple[int, int] | None = None, **params: Any) -> tuple[list[np.ndarray], Result]:
        result = pipeline.run(self.job(frames, **params))
        return [read(self.out / name) for name in result.files], result

    def quality(self, found: Iterable[np.ndarray], first: int = 0) -> float:
        """PSNR in the holes."""
        inside = [(a[hole], b[hole]) for a, b, hole in zip(found, self.truth[first:], self.holes[first:])]
        return psnr(*(np.concatenate(part) for part in zip(*inside)))


def write(folder: Path, pictures: Iterable[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for k, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{k:04d}.png"), picture[..., ::-1] if picture.ndim == 3 else picture)


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[..., ::-1]


def disc(x: float, y: float, radius: float, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    ys, xs = np.mgrid[:height, :width]
    return np.hypot(xs - x, ys - y) <= radius


def shot(folder: Path, count: int = COUNT, width: int = WIDTH, height: int = HEIGHT, pan: tuple[float, float] = (0.6, -0.3)) -> Shot:
    truth = [view(width, height, pan[0] * k, pan[1] * k) for k in range(count)]
    return Shot(folder, truth, [disc(width * 0.25 + 4 * k, height * 0.5, height / 8, width, height) for k in range(count)])


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def work_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where work folders are made in this test."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_the_disc_is_gone_and_the_truth_is_back(tmp_path: Path, work_place: Path) -> None:
    clip = shot(tmp_path)
    found, result = clip.run()
    smeared = [
        cv2.inpaint(np.ascontiguousarray(f), hole.astype(np.uint8), 5, cv2.INPAINT_TELEA) for f, hole in zip(clip.frames, clip.holes)
    ]
    assert clip.quality(found) > 32
    assert clip.quality(found) > clip.quality(smeared) + 9
    for k, (picture, frame, hole) in enumerate(zip(found, clip.frames, clip.holes, strict=True)):
        np.testing.assert_array_equal(picture[~hole], frame[~hole], f"frame {k}")
    masked = sum(hole.sum() for hole in clip.holes)
    assert result.masked == pytest.approx(masked / (COUNT * WIDTH * HEIGHT)) and result.unseen == 0
    assert not result.identity and (result.frames, result.first, result.width, result.height) == (COUNT, 0, WIDTH, HEIGHT)
    assert leftovers(tmp_path) == ["mask", "out", "source", "work"] and leftovers(work_place) == []
    assert leftovers(clip.out) == result.files == [f"{k:04d}.png" for k in range(COUNT)]


@pytest.mark.parametrize("preset", effect.presets())
def test_every_preset(tmp_path: Path, preset: str) -> None:
    clip = shot(tmp_path, 8)
    assert clip.quality(clip.run(preset=preset)[0]) > 26


def test_a_slow_pan_shows_what_a_hole_that_stands_still_hides(tmp_path: Path) -> None:
    """A logo: nothing behind it is seen but by the camera's motion of less than half a pixel a frame."""
    truth = [view(WIDTH, HEIGHT, 0.45 * k) for k in range(32)]
    clip = Shot(tmp_path, truth, [disc(48, 32, 3)] * 32)
    found, result = clip.run()
    assert result.unseen < 0.1
    assert clip.quality(found) > 36


def test_high_finds_what_standard_has_to_invent(tmp_path: Path) -> None:
    """What is behind a wide mark comes out of it only after up to 88 frames of a pan."""
    hole = np.zeros((24, 60), bool)
    hole[8:16, 8:52] = True
    clip = Shot(tmp_path, [view(60, 24, 0.5 * k) for k in range(100)], [hole] * 100)
    standard, before = clip.run((44, 55), preset="standard")
    shutil.rmtree(clip.out)
    high, after = clip.run((44, 55), preset="high")
    assert before.unseen > 0.1 and after.unseen < 0.02
    assert clip.quality(high, 44) > clip.quality(standard, 44) + 3


@pytest.mark.parametrize("left", [0, 80], ids=["left edge", "right edge"])
def test_a_hole_at_the_pictures_edge(tmp_path: Path, left: int) -> None:
    """A still camera: what is hidden for half of the clip is shown exactly in the other half, up to the last column."""
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[:24, left : left + 16] = True
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 6, [hole if k < 3 else ~hole & hole for k in range(6)])
    found, result = clip.run()
    assert result.unseen == 0 and clip.quality(found[:3]) > 45
    # Rounded to whole levels, not cut off.
    assert abs(np.mean([a[hole].astype(float) - clip.truth[0][hole] for a in found[:3]])) < 0.15


def test_a_shadow_below_the_matte_goes_with_it(tmp_path: Path) -> None:
    """A band of 6 pixels under a disc, as dark as half, that the matte leaves out."""
    clip = shot(tmp_path)
    shadows = [~hole & (np.roll(hole, 6, 0) | np.roll(hole, 3, 0)) for hole in clip.holes]
    shutil.rmtree(tmp_path / "source")
    write(tmp_path / "source", [np.where(shade[..., None], frame // 2, frame) for frame, shade in zip(clip.frames, shadows)])
    clip.holes = [hole | shade for hole, shade in zip(clip.holes, shadows)]
    left = clip.quality(clip.run()[0])
    shutil.rmtree(clip.out)
    assert clip.quality(clip.run(mask_grow_below=6)[0]) > max(left + 8, 30)


@pytest.mark.parametrize("blend", ["gradient", "linear"])
def test_a_feather_mixes_the_filled_with_the_footage(tmp_path: Path, blend: str) -> None:
    """What the matte covers is what it would be with a matte as large as the feather reaches; beyond, it goes over into the source."""
    clip = shot(tmp_path, 6)
    filled, whole = clip.run(mask_grow=6, blend=blend)
    shutil.rmtree(clip.out)
    found, result = clip.run(mask_feather=6, blend=blend)
    assert result.masked == whole.masked and result.unseen == whole.unseen
    mixed = 0
    for made, full, source, hole in zip(found, filled, clip.frames, clip.holes, strict=True):
        _, share = feathered(hole, 6)
        weight = share[..., None] / np.float32(255)
        np.testing.assert_array_equal(made, np.rint(source + weight * (full.astype(np.float32) - source)))
        np.testing.assert_array_equal(made[hole], full[hole])
        mixed += np.count_nonzero((made != full) & (made != source))
    assert mixed > 100


def test_the_nearer_frame_counts_more(tmp_path: Path) -> None:
    """Seen one frame before with 100, and five frames later with 160: three parts to one."""
    hole = disc(48, 32, 8)
    flat = [np.full((HEIGHT, WIDTH, 3), 160 if k else 100, np.uint8) for k in range(7)]
    clip = Shot(tmp_path, flat, [hole if 1 <= k <= 5 else hole & ~hole for k in range(7)])
    found, _ = clip.run(blend="linear", cuts=False, lighting=False, steadiness=0.0)
    np.testing.assert_allclose([np.median(found[k][hole]) for k in (1, 5)], [115, 145], atol=2)


def test_a_change_of_exposure_leaves_no_seam(tmp_path: Path) -> None:
    clip = shot(tmp_path, pan=(0, 0))
    clip = Shot(tmp_path / "dimmed", [(t * 0.6 + 3 * k).astype(np.uint8) for k, t in enumerate(clip.truth)], clip.holes)
    gradient, linear = clip.quality(clip.run(blend="gradient")[0]), clip.quality(clip.run(blend="linear")[0])
    assert gradient > 34 and gradient > linear + 3


def test_nothing_is_carried_across_a_cut(tmp_path: Path) -> None:
    """Both shots have a static hole and a static camera, so only across the cut could anything be found."""
    hole = disc(48, 32, 8)
    flat = [np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in ((40, 60, 90), (200, 180, 40))]
    clip = Shot(tmp_path, [flat[k // 4] for k in range(8)], [hole if k != 4 else ~hole & hole for k in range(8)])
    said: list[str] = []
    result = pipeline.run(clip.job(), on_message=lambda level, text: said.append(text))
    assert "A new shot begins at frame 4." in said
    found = [read(clip.out / name) for name in result.files]
    for picture, truth in zip(found, clip.truth):
        np.testing.assert_allclose(picture[hole], truth[hole], atol=3)
    assert 0.5 < result.unseen < 0.6
    assert clip.run(cuts=False)[1].unseen == 0


@pytest.mark.parametrize("workers", [1, 5])
def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    clip = shot(tmp_path, 8)
    wanted, _ = clip.run()
    monkeypatch.setattr(side_by_side, "workers", lambda: workers)
    for a, b in zip(clip.run()[0], wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_range_equals_the_same_frames_of_the_whole(tmp_path: Path) -> None:
    clip = shot(tmp_path, 20)
    whole, _ = clip.run(reach=6)
    found, result = clip.run((8, 11), reach=6)
    assert result.first == 8 and result.frames == 4 and result.files == [f"{k:04d}.png" for k in range(8, 12)]
    for picture, wanted in zip(found, whole[8:12], strict=True):
        np.testing.assert_array_equal(picture, wanted)


def test_no_further_than_the_reach(tmp_path: Path) -> None:
    hole, still = disc(48, 32, 8), view(WIDTH, HEIGHT)
    clip = Shot(tmp_path, [still] * 8, [hole] * 7 + [hole & ~hole])
    assert clip.run(reach=7)[1].unseen == 0
    assert clip.run(reach=3)[1].unseen == pytest.approx(4 / 7)


@pytest.mark.parametrize("fill", [name for name, method in FILLS.items() if not method.roles])
def test_what_no_frame_shows_is_invented_once_for_all_frames(tmp_path: Path, fill: str) -> None:
    hole = disc(48, 32, 8)
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 6, [hole] * 6)
    found, result = clip.run(fill=fill)
    assert result.unseen == 1
    for picture in found:
        assert np.abs(picture.astype(int) - found[0])[hole].max() <= 1
        assert np.abs(picture[hole].mean(0) - [250, 20, 30]).max() > 40


def test_one_picture_is_invented_from_the_ends_of_the_shot_and_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fill(picture: np.ndarray, unknown: np.ndarray, others: list, pulse: Any, suspect: np.ndarray) -> np.ndarray:
        asked.append((unknown, others, suspect))
        return np.where(unknown[..., None], np.float32([0, 200, 0]), picture)

    monkeypatch.setitem(FILLS, "exemplar", Method(lambda machine: fill))
    hole = disc(48, 32, 8)
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT, seed=1)] * 14, [hole] * 14)
    found, _ = clip.run(blend="linear")
    assert len(asked) == 1
    np.testing.assert_array_equal(asked[0][0], hole)
    np.testing.assert_array_equal(asked[0][2], hole)
    assert len(asked[0][1]) == 2
    for shown, hidden in asked[0][1]:
        np.testing.assert_array_equal(hidden, hole)
        np.testing.assert_array_equal(shown, clip.frames[0])
    for picture in found:
        np.testing.assert_allclose(picture[hole], np.broadcast_to([0, 200, 0], (hole.sum(), 3)), atol=1)


def test_nothing_masked_is_the_source_itself_and_said(tmp_path: Path, work_place: Path) -> None:
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT, k) for k in range(3)], [np.zeros((HEIGHT, WIDTH), bool)] * 3)
    said: list[tuple[str, str]] = []
    result = pipeline.run(clip.job(), on_message=lambda *message: said.append(message))
    assert result.identity and result.masked == result.unseen == 0
    sentence = "Nothing is masked, so the source passes through unchanged: check the matte, its channel and its threshold."
    assert said == [("warning", sentence)]
    for name, frame in zip(result.files, clip.frames, strict=True):
        np.testing.assert_array_equal(read(clip.out / name), frame)


def test_a_range_without_a_hole_is_an_identity_too(tmp_path: Path) -> None:
    hole = disc(48, 32, 8)
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT, k) for k in range(6)], [hole] * 3 + [hole & ~hole] * 3)
    found, result = clip.run((3, 5))
    assert result.identity
    np.testing.assert_array_equal(found, clip.frames[3:])


def test_everything_masked_is_refused(tmp_path: Path) -> None:
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 3, [np.ones((HEIGHT, WIDTH), bool)] * 3)
    for call in (pipeline.run, pipeline.check):
        with pytest.raises(BadClip, match="^The matte covers the whole picture in every frame"):
            call(clip.job())
    assert not clip.out.exists()


def test_one_frame_that_is_all_hole_is_brought_back_by_its_neighbours(tmp_path: Path) -> None:
    everything = np.ones((HEIGHT, WIDTH), bool)
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 5, [everything if k == 2 else ~everything for k in range(5)])
    found, result = clip.run()
    assert result.unseen == 0 and clip.quality(found) > 20


def test_a_clip_of_one_frame(tmp_path: Path) -> None:
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)], [disc(48, 32, 6)])
    found, result = clip.run()
    assert result.unseen == 1 and len(found) == 1
    assert np.abs(found[0][clip.holes[0]].mean(0) - clip.truth[0][clip.holes[0]].mean(0)).max() < 50


@pytest.mark.parametrize(("width", "height"), [(85, 47), (16, 16), (131, 17)])
def test_small_and_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    clip = shot(tmp_path, 5, width, height)
    found, _ = clip.run()
    for picture, frame, hole in zip(found, clip.frames, clip.holes, strict=True):
        assert picture.shape == (height, width, 3)
        np.testing.assert_array_equal(picture[~hole], frame[~hole])
    if height > 40:
        assert clip.quality(found) > 27


def test_pictures_that_are_too_small_are_refused(tmp_path: Path) -> None:
    clip = shot(tmp_path, 3, 15, 40)
    with pytest.raises(BadClip, match="source is 15x40: pictures of at least 16x16 pixels are needed.$"):
        clip.run()


def test_frames_that_the_clip_does_not_have(tmp_path: Path) -> None:
    clip = shot(tmp_path, 3)
    with pytest.raises(BadClip, match=r"^Frames 1-3 are asked for, and source has frames 0-2\.$"):
        clip.run((1, 3))


def test_progress_runs_from_nothing_to_one_without_going_back(tmp_path: Path) -> None:
    clip = shot(tmp_path, 8)
    seen: list[Progress] = []
    pipeline.run(clip.job(), on_progress=seen.append)
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions) and 0 < fractions[0] < 0.05 and fractions[-1] == pytest.approx(1)
    assert list(dict.fromkeys(p.stage for p in seen)) == list(pipeline.STAGES)
    assert all(0 < p.done <= p.total and (p.eta_s is None or p.eta_s >= 0) for p in seen)
    assert seen[-1].eta_s == pytest.approx(0, abs=1e-6) and len(seen) > 4 * 8


@pytest.mark.parametrize("stage", pipeline.STAGES)
def test_stopping_leaves_nothing_behind(tmp_path: Path, work_place: Path, stage: str) -> None:
    clip = shot(tmp_path, 8)
    seen: list[str] = []
    with pytest.raises(Aborted, match="^Stopped before the end; nothing was written.$"):
        pipeline.run(clip.job(), on_progress=lambda p: seen.append(p.stage), aborted=lambda: stage in seen)
    assert seen[-1] == stage and seen.count(stage) == 1
    assert leftovers(tmp_path) == ["mask", "source", "work"] and leftovers(work_place) == []


def test_stopping_a_check(tmp_path: Path) -> None:
    with pytest.raises(Aborted):
        pipeline.check(shot(tmp_path, 3).job(), aborted=lambda: True)


@pytest.mark.parametrize("limit", [300, 40_000], ids=["at once", "later"])
def test_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, work_place: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    written = 0

    def write(file: Any, data: bytes) -> None:
        nonlocal written
        written += len(data)
        if written > limit:
            raise OSError(28, "No space left on device")
        file.write(data)

    for room in WRITERS:
        monkeypatch.setattr(room, "write_all", write)
    with pytest.raises(Failed, match="^The work folder .* cannot be written: No space left on device. Free some space there"):
        shot(tmp_path).run()
    assert leftovers(tmp_path) == ["mask", "source", "work"] and leftovers(work_place) == []


def test_after_a_frame_that_cannot_be_written_no_other_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one may wait to be written already, and would take its place."""
    written: list[int] = []

    def write(self: Results, encoded: tuple) -> None:
        written.append(encoded[0].index)
        if written == [0, 1, 2]:
            # Time for the next frame to come.
            time.sleep(0.5)
            raise Failed("No room for it.")

    monkeypatch.setattr(Results, "write", write)
    with pytest.raises(Failed, match="No room for it"):
        shot(tmp_path, 8).run()
    assert written == [0, 1, 2]


def test_an_estimator_that_fails_leaves_nothing(tmp_path: Path, work_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fails(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > 5:
            raise ArithmeticError("no flow")
        return np.zeros((2, *a.shape), np.float32)

    fails.colour = fails.short_sighted = False
    monkeypatch.setitem(ESTIMATORS, "dis", Method(lambda machine: fails))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(3)
    with pytest.raises(ArithmeticError, match="no flow"):
        shot(tmp_path).run()
    assert leftovers(tmp_path) == ["mask", "source", "work"] and leftovers(work_place) == []
    assert cv2.getNumThreads() == 3
    cv2.setNumThreads(threads)


def test_an_older_result_stays_when_a_job_fails(tmp_path: Path) -> None:
    clip = shot(tmp_path, 4)
    clip.run()
    before = {p.name: p.read_bytes() for p in clip.out.iterdir()}
    with pytest.raises(Aborted):
        pipeline.run(clip.job(fill="telea"), aborted=iter([False] * 20 + [True] * 99).__next__)
    assert {p.name: p.read_bytes() for p in clip.out.iterdir()} == before


def test_a_forecast_counts_what_a_run_finds(tmp_path: Path) -> None:
    clip = shot(tmp_path, 8)
    forecast, (_, result) = pipeline.check(clip.job((2, 5))), clip.run((2, 5))
    assert (forecast.frames, forecast.width, forecast.height) == (4, WIDTH, HEIGHT)
    assert forecast.masked == pytest.approx(result.masked) and forecast.memory_mib > 0 and forecast.seconds >= 0
    assert (forecast.flow, forecast.completion, forecast.fill, forecast.notes) == ("dis", "layers", "exemplar", [])


#: The most that a job has of its own, in KiB. What it has mapped of files can be given back at any time.
PEAK = """
import sys
from pathlib import Path
from flow_inpaint import pipeline, shot_course, side_by_side, windows
from flow_inpaint.job import Job
side_by_side.workers = lambda: 2
folder, count, windows.WINDOW, *rectangle = sys.argv[1], *map(int, sys.argv[2:])
shot_course._STRETCH = windows.WINDOW
job = {"source": {"path": "source", "indices": [k % 8 for k in range(count)]}, "mask": {"rectangle": rectangle},
       "output": {"path": str(count), "format": "png"}, "params": {"reach": 2, "fill": "telea", "refinement": 0, "flow_size": "half"}}
own = []
def at(progress):
    own.append(int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]))
pipeline.run(Job.from_document(job, Path(folder)), on_progress=at)
print(max(own))
"""
#: The C library gives freed memory back at once and keeps none, so that what is counted is in use.
NOTHING_KEPT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system as Linux does")
@pytest.mark.parametrize(
    ("window", "counts", "rectangle"),
    [(40, (46, 110), (60, 40, 60, 60)), (8, (24, 64), (80, 60, 160, 120))],
    ids=["a small hole", "a quarter of the picture through many windows"],
)
def test_memory_does_not_grow_with_the_length(
    tmp_path: Path, window: int, counts: tuple[int, int], rectangle: tuple[int, int, int, int]
) -> None:
    """Once a window is full. The pictures of so many more frames would be 14 and 9 MiB, what is remembered of their holes as much again."""
    shot(tmp_path, 8, 320, 240)

    def peak(count: int) -> float:
        words = [sys.executable, "-c", PEAK, *map(str, (tmp_path, count, window, *rectangle))]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | NOTHING_KEPT)
        return int(done.stdout) / 1024

    few, many = (peak(count) for count in counts)
    assert many < few + 8


@pytest.mark.parametrize("which", ["source/0005.png", "mask/0005.png", None])
def test_footage_that_changes_while_it_is_read_is_spoken_of(tmp_path: Path, which: str | None) -> None:
    clip, said = shot(tmp_path), []

    def change(progress: pipeline.Progress) -> None:
        if which and (progress.stage, progress.done) == ("write", 1):
            (clip.folder / which).write_bytes((clip.folder / which).read_bytes() + b" ")

    pipeline.run(clip.job(), on_progress=change, on_message=lambda level, text: said.append((level, text)))
    told = [text for level, text in said if level == "warning" and "changed while the job was running" in text]
    assert [text.split(" was changed")[0] for text in told] == ([str(clip.folder / which)] if which else [])
