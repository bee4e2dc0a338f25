"""Pictures of finished frames while a job goes on."""
from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import save, view

from flow_inpaint import pipeline
from flow_inpaint.errors import Aborted, BadClip, BadParameter, Failed
from flow_inpaint.job import Job
from flow_inpaint.previews import Previews

COUNT, FIRST, LAST = 8, 2, 6


def job(folder: Path, masked: bool = True, **output: object) -> Job:
    for k in range(COUNT):
        save(folder / f"source/{k:04d}.png", view(96, 64, 3.0 * k, 0.0))
    save(folder / "black.png", np.zeros((64, 96), np.uint8))
    (folder / "so far" / "seen").mkdir(parents=True, exist_ok=True)
    mask = {"rectangle": [40, 20, 12, 12]} if masked else {"path": "black.png"}
    wanted = {"path": "out.mkv", "format": "ffv1", "previews": "so far/seen"} | output
    return Job.from_document({"source": {"path": "source"}, "mask": mask, "output": wanted, "frames": [FIRST, LAST], "params": {"preset": "draft"}}, folder)


class _Still:
    def __init__(self, index: int):
        self.index, self.rgb = index, np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize("masked", [True, False])
def test_what_is_said_to_be_finished_is_there_and_whole(tmp_path: Path, masked: bool) -> None:
    folder, counts = tmp_path / "so far" / "seen", []

    def look(progress: pipeline.Progress) -> None:
        if progress.stage == "write":
            names = sorted(path.name for path in folder.iterdir())
            assert names == [f"{k:05d}.jpg" for k in range(FIRST, FIRST + len(names))] and len(names) >= progress.done - 1
            assert all(cv2.imread(str(folder / name)) is not None for name in names)
            counts.append(progress.done)

    assert pipeline.run(job(tmp_path, masked), on_progress=look).identity is not masked
    assert counts == [1, 2, 3, 4, 5]
    for k in range(FIRST, LAST + 1):
        shown = cv2.imread(str(folder / f"{k:05d}.jpg"))[..., ::-1].astype(int)
        assert shown.shape == (64, 96, 3)
        wanted = view(96, 64, 3.0 * k, 0.0)
        assert np.abs(shown - wanted).mean() < 6


def test_without_previews_nothing_is_written(tmp_path: Path) -> None:
    pipeline.run(job(tmp_path, previews=None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["black.png", "out.mkv", "so far", "source"]
    assert not list((tmp_path / "so far" / "seen").iterdir())


def test_they_are_made_while_their_folder_is_there(tmp_path: Path) -> None:
    wanted, folder = job(tmp_path), tmp_path / "so far" / "seen"
    folder.rmdir()
    pipeline.run(wanted)
    assert not folder.exists()


def test_a_folder_that_comes_and_goes(tmp_path: Path) -> None:
    previews, picture = Previews(tmp_path / "seen"), _Still(7)
    assert previews.encoded(picture) is None
    previews.write(7, None)
    (tmp_path / "seen").mkdir()
    encoded = previews.encoded(picture)
    previews.write(7, encoded)
    assert (tmp_path / "seen" / "00007.jpg").read_bytes() == encoded
    shutil.rmtree(tmp_path / "seen")
    previews.write(8, encoded)
    assert not (tmp_path / "seen").exists()


def test_a_full_disk_costs_the_pictures_and_not_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        if path.name == "00004.jpg":
            raise Failed(f"{path} could not be written because the disk is full.")
        path.write_bytes(data)

    monkeypatch.setattr("flow_inpaint.previews.write_whole", full)
    pipeline.run(job(tmp_path))
    assert (tmp_path / "out.mkv").exists() and not (tmp_path / "so far" / "seen").exists()


def test_a_stopped_job_leaves_the_hosts_folder_and_no_result(tmp_path: Path) -> None:
    folder = tmp_path / "so far" / "seen"
    with pytest.raises(Aborted):
        pipeline.run(job(tmp_path), aborted=lambda: (folder / "00003.jpg").exists())
    assert not (tmp_path / "out.mkv").exists() and (folder / "00002.jpg").exists() and not list(folder.glob("*.part"))


def test_it_has_to_be_a_folders_name(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="output.previews has to be a file name, not 3"):
        job(tmp_path, previews=3)


def test_a_full_disk_takes_nothing_else_out_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("keep me")

    def full(path: Path, data: bytes) -> None:
        if path.name == "00002.jpg":
            raise Failed(f"{path} could not be written because the disk is full.")
        path.write_bytes(data)

    monkeypatch.setattr("flow_inpaint.previews.write_whole", full)
    previews = Previews(tmp_path)
    for k in range(1, 4):
        previews.write(k, b"picture")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("read", ["source", "mattes"])
def test_footage_is_never_written_over(tmp_path: Path, read: str) -> None:
    """Pictures of a camera may well be called as previews are."""
    wanted = job(tmp_path, previews=read)
    for k in range(COUNT):
        save(tmp_path / "source" / f"{k:05d}.jpg", view(96, 64, 3.0 * k, 0.0))
        save(tmp_path / "mattes" / f"{k:05d}.jpg", np.zeros((64, 96), np.uint8))
        (tmp_path / "source" / f"{k:04d}.png").unlink()
    wanted = Job.from_document(
        {"source": {"path": "source"}, "mask": {"path": "mattes"}, "output": {"path": "out.mkv", "previews": read}}, tmp_path
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    with pytest.raises(BadClip, match="for previews has footage in it that this job reads"):
        pipeline.run(wanted)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")} == before


def test_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    assert pipeline.run(job(tmp_path, previews="x" * 5000)).frames == LAST - FIRST + 1
