"""Long jobs in windows: no seams, bounded disk, and runs that are cut off between them."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenery import save, view
from test_pipeline import HEIGHT, WIDTH, Shot, disc, read
from test_resume import Cut, killed

from flow_inpaint import cache, pipeline, shot_course, windows
from flow_inpaint.job import Job

QUICK = {"preset": "draft", "refinement": 0, "reach": 4, "steadiness": 0.5}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "work"


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few frames are many windows."""
    monkeypatch.setattr(windows, "WINDOW", 6)
    monkeypatch.setattr(shot_course, "_STRETCH", 6)


def panning(folder: Path, count: int, *, still: bool = False, grain: float = 0.0) -> Shot:
    """A hole that is seen behind after some frames, or never when the camera stands `still`."""
    chance = np.random.default_rng(3)
    truth = [view(WIDTH, HEIGHT, 0.0 if still else 2.5 * k) for k in range(count)]
    truth = [np.clip(picture + chance.normal(0, grain, picture.shape), 0, 255).astype(np.uint8) for picture in truth]
    return Shot(folder, truth, [disc(48 + 0.1 * (k % 20), 32, 5) for k in range(count)])


def shots(folder: Path, number: int, count: int) -> Shot:
    """Some shots of `count` frames, every second one of another place and dark; what is behind the hole is seen in part."""
    dark = [k // count % 2 for k in range(number * count)]
    frames = [view(WIDTH, HEIGHT, 0.4 * k, seed=dark[k]) // (1 + 2 * dark[k]) for k in range(number * count)]
    return Shot(folder, frames, [disc(48, 32, 6)] * len(frames))


def run(clip: Shot, frames: tuple[int, int] | None = None, **params: Any) -> list[np.ndarray]:
    return clip.run(frames, **(QUICK | params))[0]


# --- seams ---


def test_windows_leave_no_seam_where_all_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = panning(tmp_path, 130, grain=4.0)
    found = {}
    for window in (30, 120):
        monkeypatch.setattr(windows, "WINDOW", window)
        pictures, result = clip.run(**QUICK | {"reach": 8})
        found[window] = pictures
        assert result.unseen == 0
    for a, b in zip(found[30], found[120], strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_invented_goes_on_from_window_to_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that stands still, and a hole that nothing shows behind: one picture for the whole shot, whatever the windows are."""
    hole = disc(48, 32, 8)
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 130, [hole] * 130)
    found = {}
    for window in (30, 120):
        monkeypatch.setattr(windows, "WINDOW", window)
        found[window] = run(clip)
        for picture in found[window]:
            assert np.abs(picture.astype(int) - found[window][0])[hole].max() <= 1
    # The windows' key frames are others, of the same picture.
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(found[30], found[120], strict=True)) <= 1


def test_an_invented_region_that_moves_differs_only_by_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow pan past the reach. What is seen is the same; what is invented is of other key frames, and does not jump."""
    truth = [view(WIDTH, HEIGHT, 0.2 * k) for k in range(130)]
    clip = Shot(tmp_path, truth, [disc(48, 32, 7)] * 130)
    found = {}
    for window in (30, 120):
        monkeypatch.setattr(windows, "WINDOW", window)
        found[window] = run(clip, steadiness=0.0, blend="linear", reach=20)
    apart = np.array([np.abs(a.astype(int) - b).mean(-1) for a, b in zip(found[30], found[120], strict=True)])
    # The ground comes out of the hole within three pixels of its sides; the first and the last frames see it on one side only.
    sides = disc(48, 32, 7) & (np.abs(np.arange(WIDTH) - 48) > 5)
    assert (apart[20:-20, sides] > 2).mean() < 0.02 and (apart > 2)[:, disc(48, 32, 2)].mean() > 0.5
    inside = disc(48, 32, 5)
    jumps = [np.abs(a.astype(int) - b)[inside].mean() for a, b in zip(found[30], found[30][1:])]
    usual = np.median(jumps)
    # Where one window goes over into the next it changes no more than elsewhere.
    assert max(jumps[k - 1] for k in (30, 60, 90, 120)) < max(2.5 * usual, usual + 1.5)


def test_a_shot_within_a_window_is_as_in_windows_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shots, neither longer than a window."""
    clip = shots(tmp_path, 2, 25)
    found = {}
    for window in (25, 1000):
        monkeypatch.setattr(windows, "WINDOW", window)
        found[window] = run(clip)
    for a, b in zip(found[25], found[1000], strict=True):
        np.testing.assert_array_equal(a, b)


# --- disk ---


def largest_of(clip: Shot, count: int, **params: Any) -> int:
    """Bytes that the work folder has at most."""
    found = 0

    def at(progress: pipeline.Progress) -> None:
        nonlocal found
        found = max(found, sum(path.stat().st_size for path in cache.place().rglob("*") if path.is_file()))

    document = {
        "source": {"path": "source", "indices": [k % len(clip.truth) for k in range(count)]},
        "mask": {"rectangle": [40, 28, 12, 8]},
        "output": {"path": str(clip.out), "format": "png"},
        "params": QUICK | params,
    }
    pipeline.run(Job.from_document(document, clip.folder), on_progress=at)
    return found


def test_the_work_folder_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """But for what finished frames are made of, and a line for each."""
    clip = panning(tmp_path, 40)
    # It begins anew every 40 frames, which are to be one shot.
    short, long = (largest_of(clip, count, cuts=False) for count in (160, 400))
    made = 12 * 8 * 3 + 600
    assert short > 120 * WIDTH * HEIGHT * 3 and long < 1.05 * short + 240 * made


def test_it_is_deleted_shot_by_shot_where_shots_are_wanted_whole(tmp_path: Path) -> None:
    """A reference wants whole shots; of those that are done nothing stays."""
    count = 20
    found = {}
    for number in (2, 6):
        clip = shots(tmp_path / str(number), number, count)
        save(clip.folder / "clean.png", clip.truth[4])
        document = {
            "source": {"path": "source"},
            "mask": {"path": "mask"},
            "output": {"path": str(clip.out), "format": "png"},
            "params": QUICK,
            "references": [{"frame": 4, "path": "clean.png"}],
        }
        sizes = []

        def at(progress: pipeline.Progress, sizes: list[int] = sizes) -> None:
            sizes.append((cache.place() / cache.entries()[0].name / "pictures").stat().st_size if cache.entries() else 0)

        pipeline.run(Job.from_document(document, clip.folder), on_progress=at)
        found[number] = max(sizes) / (WIDTH * HEIGHT * 3)
    assert count < found[2] <= 2 * count and count < found[6] < 2.5 * count


# --- cut off ---


def test_a_killed_job_is_gone_on_with_between_its_windows(tmp_path: Path) -> None:
    clip = panning(tmp_path, 28)
    points = [["flow", 20], ["trace", 12], ["fill", 40], ["write", 3], ["write", 9], ["write", 22], [420, 0.5], [640, 0.3], [800, 0.7]]
    wanted, *found = killed(clip, points, window=6, **QUICK | {"reach": 2})
    assert wanted["code"] == 0 and wanted["pairs"] == 27
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one
    # What is written is not measured again, though it is deleted.
    assert {tuple(one["point"]): one["pairs"] for one in found}["write", 22] <= 4


def test_a_power_cut_between_windows_loses_only_work(tmp_path: Path) -> None:
    clip = panning(tmp_path, 28, still=True)
    points = [["write", 3], ["write", 9], ["write", 22], ["write", 26], ["flow", 28], [500, 0.5], [700, 0.5]]
    wanted, *found = killed(clip, points, window=6, damage=True, **QUICK | {"reach": 2})
    for one in found:
        assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one


def test_whole_shots_are_gone_on_with(tmp_path: Path) -> None:
    clip = shots(tmp_path, 2, 12)
    save(tmp_path / "clean.png", clip.truth[16])
    points = [["flow", 12], ["write", 4], ["write", 11], ["flow", 20], ["trace", 60], ["write", 14], ["write", 22]]
    for damage in (False, True):
        wanted, *found = killed(
            clip, points, window=5, damage=damage, references=[{"frame": 16, "path": "clean.png"}], **QUICK | {"reach": 2}
        )
        assert wanted["said"] == ["A new shot begins at frame 12."] and wanted["pairs"] == 22
        for one in found:
            assert one["killed"] and one["code"] == 0 and one["digest"] == wanted["digest"] and one["left"] == [], one


def cut_off(clip: Shot, done: int, job: Job | None = None) -> None:
    def at(progress: pipeline.Progress) -> None:
        if (progress.stage, progress.done) == ("write", done):
            raise Cut("no more")

    with pytest.raises(Cut):
        pipeline.run(job or clip.job(**QUICK), on_progress=at)
    assert len(cache.entries()) == 1


@pytest.mark.parametrize(("done", "changed"), [(20, 3), (20, 23), (8, 27), (26, 12)])
def test_a_changed_frame_is_seen_when_much_is_deleted(tmp_path: Path, short_windows: None, done: int, changed: int) -> None:
    """Whether it comes before what is written already, or after it in the middle of the run that finds it."""
    clip = panning(tmp_path, 28)
    cut_off(clip, done)
    clip.frames[changed] = 255 - clip.frames[changed]
    save(clip.folder / "source" / f"{changed:04d}.png", clip.frames[changed])
    found = run(clip)
    cache.clear()
    for a, b in zip(found, run(clip), strict=True):
        np.testing.assert_array_equal(a, b)


def test_passes_that_are_asked_for_later(tmp_path: Path, short_windows: None) -> None:
    """What is kept of the frames of a run without passes does not say where they come from."""
    clip = panning(tmp_path, 28)
    document = {
        "source": {"path": "source"},
        "mask": {"path": "mask"},
        "output": {"path": str(clip.out), "format": "png", "passes": {"path": str(tmp_path / "passes"), "names": ["confidence", "unseen"]}},
        "params": QUICK,
    }
    job = Job.from_document(document, clip.folder)

    def passes() -> list[np.ndarray]:
        pipeline.run(job)
        return [read(path) for path in sorted((tmp_path / "passes").rglob("*.png"))]

    cut_off(clip, 20)
    first = passes()
    # And with passes from the beginning.
    cut_off(clip, 20, job)
    second, third = passes(), passes()
    assert len(first) == 2 * 28
    for a, b, c in zip(first, second, third, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


# --- progress ---


def test_frames_come_out_while_others_are_read(tmp_path: Path, short_windows: None) -> None:
    clip = panning(tmp_path, 28)
    seen: list[pipeline.Progress] = []
    pipeline.run(clip.job(**QUICK), on_progress=seen.append)
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and all(0 < p.done <= p.total for p in seen)
    assert list(dict.fromkeys(p.stage for p in seen)) == list(pipeline.STAGES)
    written = [k for k, p in enumerate(seen) if p.stage == "write"]
    assert [seen[k].done for k in written] == list(range(1, 29))
    read_when = {seen[k].done: max(p.done for p in seen[:k] if p.stage == "flow") for k in written}
    assert read_when[1] <= 20 and read_when[8] < 28
    for stage in pipeline.STAGES:
        counts = [p.done for p in seen if p.stage == stage]
        assert counts == sorted(counts) and counts[-1] == [p.total for p in seen if p.stage == stage][-1]
