"""Whole jobs with references: what they are believed in, and how far they reach."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scenery import psnr, save, view

from flow_inpaint import pipeline
from flow_inpaint.job import Job
from flow_inpaint.media.image_codec import read_image
from flow_inpaint.pipeline import Result

WIDTH, HEIGHT = 96, 64
RED = np.uint8([250, 20, 30])


def disc(x: float, y: float = 32, radius: float = 8) -> np.ndarray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(xs - x, ys - y) <= radius


class Shot:
    def __init__(self, folder: Path, truth: list[np.ndarray], holes: list[np.ndarray]):
        self.folder, self.truth, self.holes = folder, truth, holes
        for k, (picture, hole) in enumerate(zip(truth, holes, strict=True)):
            save(folder / f"source/{k:04d}.png", np.where(hole[..., None], RED, picture))
            save(folder / f"mask/{k:04d}.png", hole.astype(np.uint8) * 255)

    def run(self, references: dict[int, np.ndarray] | None = None, **more: Any) -> tuple[list[np.ndarray], Result]:
        given = []
        for frame, picture in (references or {}).items():
            cv2.imwrite(str(self.folder / f"clean_{frame}.png"), picture[..., [2, 1, 0, 3][: picture.shape[2]]])
            given.append({"frame": frame, "path": f"clean_{frame}.png"})
        params = {name: more.pop(name) for name in ("blend", "reach", "reference_use", "cuts") if name in more}
        output = {"path": "out", "format": "png", "passes": {"path": "passes"}}
        document = {"source": {"path": "source"}, "mask": {"path": "mask"}, "output": output, "references": given, "params": params, **more}
        self.said: list[tuple[str, str]] = []
        result = pipeline.run(Job.from_document(document, self.folder), on_message=lambda *message: self.said.append(message))
        return [read_image(self.folder / "out" / name)[0] for name in result.files], result

    def codes(self, frame: int) -> np.ndarray:
        """What kind of origin each pixel of the hole has."""
        where, code, _ = read_image(self.folder / f"passes/provenance/{frame:05d}.exr")
        return np.stack([*np.moveaxis(where, -1, 0), code])[:, self.holes[frame]]


def still(folder: Path, count: int = 6) -> Shot:
    """Nothing moves, and nothing is ever seen."""
    return Shot(folder, [view(WIDTH, HEIGHT)] * count, [disc(48)] * count)


def worst(clip: Shot, found: list[np.ndarray]) -> float:
    return min(psnr(picture[hole], truth[hole]) for picture, truth, hole in zip(found, clip.truth, clip.holes, strict=True))


@pytest.mark.parametrize("use", ["hole", "unseen"])
def test_one_clean_frame_brings_back_what_nobody_saw(tmp_path: Path, use: str) -> None:
    clip = still(tmp_path)
    before, result = clip.run()
    assert result.unseen == 1 and worst(clip, before) < 30
    found, result = clip.run({2: clip.truth[0]}, reference_use=use)
    assert result.unseen == 0 and worst(clip, found) > 45
    np.testing.assert_array_equal(np.abs(found[2].astype(int) - clip.truth[2]).max(), 0)
    for frame in (0, 5):
        x, y, source, code = clip.codes(frame)
        assert (code == 0.75).all() and (source == 2).all()
        ys, xs = np.nonzero(disc(48))
        assert np.hypot(x - xs, y - ys).max() < 0.2


def test_it_is_carried_further_than_the_reach(tmp_path: Path) -> None:
    clip = still(tmp_path, 12)
    found, result = clip.run({0: clip.truth[0]}, reach=3)
    assert result.unseen == 0 and worst(clip, found) > 45


def test_it_moves_with_the_scene(tmp_path: Path) -> None:
    """A matte that goes with the camera's pan: what it hides stays hidden."""
    truth = [view(WIDTH, HEIGHT, -1.3 * k, 0.4 * k) for k in range(12)]
    clip = Shot(tmp_path, truth, [disc(30 + 1.3 * k, 34 - 0.4 * k, 9) for k in range(12)])
    found, result = clip.run({6: truth[6]})
    assert result.unseen < 0.02
    assert worst(clip, found) > 30
    x, y, source, code = clip.codes(1)
    ys, xs = np.nonzero(clip.holes[1])
    off = np.hypot(x - (xs + 5 * 1.3), y - (ys - 5 * 0.4))[(code == 0.75) & (source == 6)]
    assert off.size > 0.9 * xs.size and np.median(off) < 0.25


def test_what_footage_shows_near_in_time_wins_far_from_the_reference(tmp_path: Path) -> None:
    """The reference is green. In its own frame it is believed; where the disc uncovers things soon, the footage is."""
    green = np.zeros((HEIGHT, WIDTH, 3), np.uint8) + np.uint8([0, 200, 0])
    count = 16
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * count, [disc(16 + 4 * k, radius=7) for k in range(count)])
    truth = view(WIDTH, HEIGHT)
    green = np.where(clip.holes[1][..., None], green, truth)
    found, result = clip.run({1: green}, blend="linear")
    assert result.unseen == 0
    assert np.abs(found[1].astype(int) - green)[clip.holes[1]].max() <= 1
    assert psnr(found[12][clip.holes[12]], truth[clip.holes[12]]) > 40
    share = [np.mean(clip.codes(k)[3] == 0.75) for k in (1, 2, 4, 12)]
    assert share[0] == 1 and share[1] > 0.2 and share[2] < share[1] and share[3] == 0


def test_for_the_unseen_only_leaves_what_is_seen(tmp_path: Path) -> None:
    hole = disc(48, radius=10)
    right = hole & (np.arange(WIDTH) > 48)[None]
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 4, [hole] * 3 + [hole & ~right])
    clip.run()
    unseen = cv2.imread(str(tmp_path / "passes/unseen/00001.png"), 0) == 255
    assert 0.3 < unseen.sum() / hole.sum() < 0.8
    clip.run({1: clip.truth[0]}, reference_use="unseen")
    np.testing.assert_array_equal(clip.codes(1)[3] == 0.75, unseen[hole])
    clip.run({1: clip.truth[0]})
    assert (clip.codes(1)[3] == 0.75).all()


@pytest.mark.parametrize("blend", ["gradient", "linear"])
def test_another_exposure_leaves_no_seam(tmp_path: Path, blend: str) -> None:
    truth = (view(WIDTH, HEIGHT) * 0.7).astype(np.uint8)
    clip = Shot(tmp_path, [truth] * 4, [disc(48)] * 4)
    ramp = np.linspace(0.85, 1.2, WIDTH)[None, :, None]
    found, _ = clip.run({1: np.rint(truth * 0.75 * ramp).astype(np.uint8)}, blend=blend)
    assert worst(clip, found) > 36


def test_only_what_is_painted_is_taken(tmp_path: Path) -> None:
    clip = still(tmp_path)
    painted = disc(48) & (np.arange(WIDTH) < 48)[None]
    found, result = clip.run({2: np.dstack([clip.truth[0], painted.astype(np.uint8) * 255])})
    share = painted.sum() / disc(48).sum()
    assert result.unseen == pytest.approx(1 - share, abs=0.05)
    code = clip.codes(4)[3]
    assert np.mean(code == 0.75) == pytest.approx(share, abs=0.05) and np.mean(code == 0.5) == pytest.approx(1 - share, abs=0.05)
    inner = painted & disc(44)
    assert psnr(found[2][inner], clip.truth[0][inner]) > 32


def test_between_two_references_the_nearer_counts_more(tmp_path: Path) -> None:
    hole = disc(48)
    flat = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    clip = Shot(tmp_path, [flat] * 7, [hole] * 7)
    bright = np.where(disc(48, radius=6)[..., None], np.uint8(160), flat)
    found, result = clip.run({0: flat, 6: bright}, blend="linear")
    assert result.unseen == 0
    levels = [float(np.median(picture[disc(48, radius=4)])) for picture in found]
    assert levels == sorted(levels) and levels[0] == 100 and levels[6] == 160 and abs(levels[3] - 130) <= 1


def test_nothing_is_carried_across_a_cut(tmp_path: Path) -> None:
    flat = [np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in ((40, 60, 90), (200, 180, 40))]
    clip = Shot(tmp_path, [flat[k // 3] for k in range(6)], [disc(48)] * 6)
    _, result = clip.run({1: flat[0]})
    assert ("info", "A new shot begins at frame 3.") in clip.said
    assert result.unseen == 0.5 and (clip.codes(2)[3] == 0.75).all() and (clip.codes(3)[3] == 0.5).all()


def test_a_range_reads_as_far_as_its_references(tmp_path: Path) -> None:
    clip = still(tmp_path, 12)
    found, result = clip.run({1: clip.truth[0]}, frames=[9, 10], reach=2)
    assert result.unseen == 0 and result.files == ["0009.png", "0010.png"]
    assert min(psnr(picture[disc(48)], clip.truth[0][disc(48)]) for picture in found) > 45


def test_a_reference_of_a_frame_without_a_hole_is_said_to_do_nothing(tmp_path: Path) -> None:
    clip = Shot(tmp_path, [view(WIDTH, HEIGHT)] * 3, [disc(48), disc(48), disc(48) & False])
    clip.run({2: clip.truth[0]})
    assert ("warning", "The reference clean_2.png does nothing: nothing is masked in its frame 2.") in clip.said
