"""What a check foretells against what a run really leaves unseen, on scenes whose truth is known."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scenery import save, view

from flow_inpaint import cli, coverage, pipeline
from flow_inpaint.errors import Aborted, BadClip, BadParameter
from flow_inpaint.job import Job

WIDTH, HEIGHT = 160, 96
#: How far the forecast may be off, as a share of the hole.
BOUND = 0.06


def disc(x: float, y: float = 48, radius: float = 14) -> np.ndarray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(xs - x, ys - y) <= radius


def document(folder: Path, truth: list[np.ndarray], holes: list[np.ndarray], **more: Any) -> dict[str, Any]:
    for k, (picture, hole) in enumerate(zip(truth, holes, strict=True)):
        save(folder / f"source/{k:04d}.png", np.where(hole[..., None], np.uint8([250, 20, 30]), picture))
        save(folder / f"mask/{k:04d}.png", hole.astype(np.uint8) * 255)
    return {"source": {"path": "source"}, "mask": {"path": "mask"}, "output": {"path": "out", "format": "png"}, **more}


def foretold(folder: Path, given: dict[str, Any]) -> coverage.Coverage:
    found = pipeline.check(Job.from_document(given, folder)).coverage
    assert found.seen + found.referenced + found.unseen == pytest.approx(1)
    return found


def left(folder: Path, given: dict[str, Any]) -> float:
    return pipeline.run(Job.from_document({**given, "params": given.get("params", {}) | {"fill": "telea"}}, folder)).unseen


def moving(step: float, pan: float, count: int = 14) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A disc that goes `step` pixels a frame before a camera that goes `pan`."""
    return [view(WIDTH, HEIGHT, pan * k) for k in range(count)], [disc(40 + step * k) for k in range(count)]


@pytest.mark.parametrize(
    "step, pan, low, high",
    [(0, 0, 1, 1), (5, 0, 0, 0.02), (1.2, 0, 0.3, 0.8), (0, 0.9, 0.3, 0.8), (2, -2, 0.9, 1), (2, 1.5, 0, 0.25)],
    ids=["nothing moves", "soon gone", "slowly gone", "slow pan", "goes with the scene", "both"],
)
def test_it_foretells_what_a_run_leaves_unseen(tmp_path: Path, step: float, pan: float, low: float, high: float) -> None:
    given = document(tmp_path, *moving(step, pan))
    found, real = foretold(tmp_path, given), left(tmp_path, given)
    assert low <= real <= high and found.unseen == pytest.approx(real, abs=BOUND)
    shares = dict(found.by_frame)
    assert found.frames == len(shares) == 14 and all(0 <= share <= 1 for share in shares.values())
    assert shares[found.worst] == max(shares.values())


def test_no_further_than_the_reach(tmp_path: Path) -> None:
    still, hole = view(WIDTH, HEIGHT), disc(60)
    given = document(tmp_path, [still] * 12, [hole] * 11 + [hole & False], params={"reach": 4})
    assert foretold(tmp_path, given).unseen == pytest.approx(left(tmp_path, given), abs=BOUND)


def test_only_the_wanted_frames_count(tmp_path: Path) -> None:
    still, hole = view(WIDTH, HEIGHT), disc(60)
    given = document(tmp_path, [still] * 12, [hole] * 11 + [hole & False], params={"reach": 4}, frames=[0, 3])
    found = foretold(tmp_path, given)
    assert found.unseen == 1 and [frame for frame, _ in found.by_frame] == [0, 1, 2, 3]


def test_the_best_frame_to_paint_lies_where_most_is_unseen(tmp_path: Path) -> None:
    """Two shots, nothing moves in either: nine frames against four."""
    shots = [view(WIDTH, HEIGHT) // 3, 255 - view(WIDTH, HEIGHT) // 4]
    given = document(tmp_path, [shots[k >= 9] for k in range(13)], [disc(60)] * 13)
    found = foretold(tmp_path, given)
    assert found.unseen == 1 and 0 <= found.reference <= 8 and found.reference_shows == pytest.approx(9 / 13, abs=0.01)


def test_painting_that_frame_shows_as_much_as_was_said(tmp_path: Path) -> None:
    truth, holes = moving(2, -2)
    given = document(tmp_path, truth, holes)
    found = foretold(tmp_path, given)
    assert found.reference_shows > 0.9
    save(tmp_path / "clean.png", truth[found.reference])
    given["references"] = [{"frame": found.reference, "path": "clean.png"}]
    again, real = foretold(tmp_path, given), left(tmp_path, given)
    assert again.unseen == pytest.approx(found.unseen * (1 - found.reference_shows), abs=0.02)
    assert again.unseen == pytest.approx(real, abs=BOUND) and again.referenced > 0.8


def test_a_frame_that_would_show_nothing_is_not_proposed(tmp_path: Path) -> None:
    found = foretold(tmp_path, document(tmp_path, *moving(6, 0)))
    assert found.unseen < 0.002 and found.reference is None and found.reference_shows == 0


@pytest.mark.parametrize(("width", "height"), [(85, 47), (16, 16), (131, 17), (3000, 20)])
def test_small_and_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    for k in range(4):
        save(tmp_path / f"source/{k}.png", view(width, height))
    given = {"source": {"path": "source"}, "mask": {"rectangle": [5, 5, 6, 6]}, "output": {"path": "out", "format": "png"}}
    assert foretold(tmp_path, given).unseen == 1


def test_a_frame_that_is_all_hole(tmp_path: Path) -> None:
    everything = disc(0) | True
    given = document(tmp_path, [view(WIDTH, HEIGHT)] * 5, [everything if k == 2 else everything & False for k in range(5)])
    assert foretold(tmp_path, given).unseen < BOUND


@pytest.mark.parametrize("after", [20, 35, 50])
def test_it_can_be_stopped(tmp_path: Path, after: int) -> None:
    job = Job.from_document(document(tmp_path, *moving(1, 0), coverage="cover.png"), tmp_path)
    answers = iter([False] * after)
    with pytest.raises(Aborted):
        pipeline.check(job, aborted=lambda: next(answers, True))
    assert not (tmp_path / "cover.png").exists()


def test_nothing_masked_has_no_coverage(tmp_path: Path) -> None:
    truth, holes = moving(1, 0, 4)
    given = document(tmp_path, truth, [hole & False for hole in holes], coverage="cover.png")
    assert pipeline.check(Job.from_document(given, tmp_path)).coverage is None and not (tmp_path / "cover.png").exists()


def test_a_matte_of_few_frames_in_a_long_clip_is_found(tmp_path: Path) -> None:
    save(tmp_path / "a.png", view(WIDTH, HEIGHT))
    given = {
        "source": {"path": "a.png", "indices": [0] * 400},
        "mask": {"rectangle": [40, 30, 30, 30], "at": 2, "count": 2},
        "output": {"path": "out", "format": "png"},
    }
    forecast = pipeline.check(Job.from_document(given, tmp_path))
    assert forecast.masked == pytest.approx(2 * 900 / (400 * WIDTH * HEIGHT))
    given["mask"]["count"] = 300
    forecast = pipeline.check(Job.from_document(given, tmp_path))
    assert forecast.masked == pytest.approx(300 * 900 / (400 * WIDTH * HEIGHT), rel=0.03)


@pytest.mark.parametrize("count", [1, 2, 99, 100, 101, 899, 900, 901, 5000, 200_000])
@pytest.mark.parametrize("reach", [1, 3, 40, 240])
def test_however_long_the_shot_the_work_is_bounded(count: int, reach: int) -> None:
    stretches = coverage.plan(10, 9 + count, reach)
    looked = [frame for stretch in stretches for frame in stretch.frames]
    assert looked == sorted(set(looked)) and looked[0] >= 10 and looked[-1] <= 9 + count
    assert len(looked) <= 115 and sum(s.frames[-1] - s.frames[0] + 1 for s in stretches) <= 1000
    for stretch in stretches:
        first, last = stretch.counted
        assert stretch.frames[0] <= first <= last <= stretch.frames[-1]
        assert first == 10 or first - reach >= stretch.frames[0]
        assert last == 9 + count or last + reach <= stretch.frames[-1]
        assert sum(first <= frame <= last for frame in stretch.frames) >= min(count, 5)
    if count <= 100:
        assert looked == list(range(10, 10 + count))


def test_frames_with_a_reference_are_looked_at() -> None:
    (stretch,) = coverage.plan(0, 899, 40, [451])
    assert 451 in stretch.frames and 450 in stretch.frames


def test_the_picture(tmp_path: Path) -> None:
    given = document(tmp_path, *moving(1.2, 0), coverage="cover.png")
    found = foretold(tmp_path, given)
    assert found.picture == str(tmp_path / "cover.png")
    shown = cv2.imread(found.picture)[..., ::-1].astype(int)
    red, green = shown[..., 0] - shown[..., 1:].max(2) > 60, shown[..., 1] - shown[..., [0, 2]].max(2) > 25
    assert red.mean() > 0.003 and green.mean() > 0.003
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cover.png", "mask", "source"]


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    given = document(tmp_path, *moving(1.2, 0, 4), coverage="none/cover.png")
    with pytest.raises(BadClip, match="cover.png cannot be written: there is no folder"):
        foretold(tmp_path, given)
    with pytest.raises(BadClip, match="cover.png cannot be written: there is no folder"):
        foretold(tmp_path, given | {"coverage": f"{'x' * 5000}/cover.png"})
    with pytest.raises(BadParameter, match="^coverage has to be a file name, not 3.$"):
        Job.from_document(given | {"coverage": 3}, tmp_path)


@pytest.mark.parametrize("name", ["source/0001.png", "mask/0002.png", "clean.png", "link.png"])
def test_what_is_read_is_never_written_over(tmp_path: Path, name: str) -> None:
    truth, holes = moving(1.2, 0, 4)
    save(tmp_path / "clean.png", truth[0])
    given = document(tmp_path, truth, holes, coverage=name, references=[{"frame": 0, "path": "clean.png"}])
    (tmp_path / "link.png").symlink_to(tmp_path / "source" / "0003.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    with pytest.raises(BadClip, match=f"{name} is footage that this job reads"):
        foretold(tmp_path, given)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before


@pytest.mark.skipif(os.name == "nt", reason="pipes as POSIX has them")
def test_only_files_are_replaced(tmp_path: Path) -> None:
    """A pipe stands for whatever is no file: as root, `/dev/null` would be replaced with the picture."""
    os.mkfifo(tmp_path / "cover.png")
    (tmp_path / "folder.png").mkdir()
    given = document(tmp_path, *moving(1.2, 0, 4))
    for name in ("cover.png", "folder.png"):
        with pytest.raises(BadClip, match=f"{name} is no file that a picture could replace"):
            foretold(tmp_path, given | {"coverage": name})
    assert (tmp_path / "cover.png").is_fifo() and (tmp_path / "folder.png").is_dir()


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    document(tmp_path, *moving(0, 0, 4))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", "source", "mask", "out", "--coverage", "cover.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Of what is masked other frames show about 0%; 100.0% is seen nowhere and will be invented." in lines
    assert any(line.startswith("Best to paint as a reference: frame ") and line.endswith(" 100% of the unseen.") for line in lines)
    assert f"Look at: {tmp_path / 'cover.png'}" in lines
    assert cli.main(["check", "source", "mask", "out", "--reference", "1=source/0001.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["coverage"]
    assert found["referenced"] == 1 and found["unseen"] == 0 and found["reference"] is None and found["by_frame"][0] == [0, 0.0]
