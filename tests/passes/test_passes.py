"""Passes of whole jobs: small scenes whose truth is known."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scenery import save, view

from flow_inpaint import pipeline
from flow_inpaint.errors import Aborted, BadClip, Failed
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source
from flow_inpaint.media.image_codec import read_image
from flow_inpaint.media.matte import grown

WIDTH, HEIGHT, COUNT = 96, 64, 8
PAN = np.array([1.25, -0.5])
NAMES = ["provenance", "unseen", "confidence", "patch"]


def disc(x: float, y: float, radius: float) -> np.ndarray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(xs - x, ys - y) <= radius


def scene(folder: Path, pan: np.ndarray = PAN, step: float = 5.0, radius: float = 7.0, deep: bool = False) -> list[np.ndarray]:
    """A disc over a panning texture, as images; returns its holes."""
    holes = [disc(24 + step * k, 32, radius) for k in range(COUNT)]
    for k, hole in enumerate(holes):
        picture = np.where(hole[..., None], np.uint8([250, 20, 30]), view(WIDTH, HEIGHT, *(pan * k)))
        save(folder / f"source/{k:04d}.png", picture.astype(np.uint16) * 257 if deep else picture)
        save(folder / f"mask/{k:04d}.png", hole.astype(np.uint8) * 255)
    return holes


def job(folder: Path, output: dict[str, Any] | None = None, passes: dict[str, Any] | None = None, **more: Any) -> Job:
    wanted = {"path": "out", "format": "png", "passes": {"path": "passes", **(passes or {})}} | (output or {})
    return Job.from_document({"source": {"path": "source"}, "mask": {"path": "mask"}, "output": wanted} | more, folder)


def read(folder: Path, name: str, frame: int) -> tuple[np.ndarray, np.ndarray | None]:
    (path,) = (folder / "passes" / name).glob(f"{frame:05d}.*")
    rgb, alpha, _ = read_image(path)
    return rgb, alpha


def provenance(folder: Path, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) of x, y, frame, and the codes."""
    return read(folder, "provenance", frame)


def test_provenance_points_to_the_pixel_that_was_taken(tmp_path: Path) -> None:
    holes = scene(tmp_path)
    result = pipeline.run(job(tmp_path))
    assert result.passes == {name: str(tmp_path / "passes" / name) for name in NAMES} and result.unseen == 0
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    for k, hole in enumerate(holes):
        where, code = provenance(tmp_path, k)
        np.testing.assert_array_equal(code, np.where(hole, 1, 0))
        assert not where[~hole].any()
        x, y, frame = where[hole].T
        assert set(frame) <= set(range(COUNT)) - {k}
        # What lies at a place of frame k lies `pan` further left in each frame that follows.
        wanted = np.stack([xs[hole], ys[hole]]) + PAN[:, None] * (k - frame)
        off = np.hypot(*(np.stack([x, y]) - wanted))
        assert np.median(off) < 0.1 and off.max() < 0.6
        # Taken from where nothing hides it.
        for f in set(frame):
            at = frame == f
            assert not holes[int(f)][np.rint(y[at]).astype(int), np.rint(x[at]).astype(int)].any()


def test_provenance_leads_to_the_very_colour(tmp_path: Path) -> None:
    """One candidate, whole pixels, put in as they are: the result is the pixel that provenance names."""
    hole = disc(48, 32, 7)
    for k in range(2):
        save(tmp_path / f"source/{k}.png", view(WIDTH, HEIGHT))
    save(tmp_path / "mask/0.png", hole.astype(np.uint8) * 255)
    save(tmp_path / "mask/1.png", hole.astype(np.uint8) * 0)
    pipeline.run(job(tmp_path, params={"blend": "linear"}))
    where, code = provenance(tmp_path, 0)
    x, y, frame = where[hole].T
    assert (frame == 1).all() and (code[hole] == 1).all()
    source = cv2.imread(str(tmp_path / "source/1.png"))[..., ::-1].astype(np.float32)
    named = cv2.remap(source, x[None], y[None], cv2.INTER_LINEAR)[0]
    made = cv2.imread(str(tmp_path / "out/0.png"))[..., ::-1]
    assert np.abs(made[hole] - named).max() < 4.5


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("feather", [0, 3])
def test_the_patch_over_the_source_is_the_result(tmp_path: Path, deep: bool, feather: int) -> None:
    """A feather's fade is in the colours: alpha stays one or nothing, so that the result is exact."""
    holes = [grown(hole, feather) for hole in scene(tmp_path, deep=deep)]
    pipeline.run(job(tmp_path, params={"mask_feather": feather}))
    for k, hole in enumerate(holes):
        rgb, alpha = read(tmp_path, "patch", k)
        source, result = (read_image(tmp_path / folder / f"{k:04d}.png")[0] for folder in ("source", "out"))
        assert rgb.dtype == source.dtype
        np.testing.assert_array_equal(alpha > 0, cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
        assert set(np.unique(alpha)) == {0, np.iinfo(alpha.dtype).max}
        np.testing.assert_array_equal(np.where(alpha[..., None] > 0, rgb, source), result)


def test_the_patch_of_subsampled_video(tmp_path: Path) -> None:
    """Where several pixels share their colour, the patch is what the result shows, not what was meant."""
    holes = scene(tmp_path)
    lossless = {"source": {"path": "source"}, "mask": {"rectangle": [0, 0, 1, 1]}, "output": {"path": "source.mp4"}}
    pipeline.run(Job.from_document(lossless, tmp_path))
    wanted = {"path": "out.mkv", "format": "ffv1", "passes": {"path": "passes", "names": ["patch"]}}
    pipeline.run(Job.from_document({"source": {"path": "source.mp4"}, "mask": {"path": "mask"}, "output": wanted}, tmp_path))
    assert sorted(p.name for p in (tmp_path / "passes").iterdir()) == ["patch"]
    with open_source(ClipSpec(tmp_path / "source.mp4")) as before, open_source(ClipSpec(tmp_path / "out.mkv")) as after:
        assert before.info.pixel_format == "yuv420p"
        for a, b, hole in zip(before.read(0, COUNT - 1), after.read(0, COUNT - 1), holes, strict=True):
            rgb, alpha = read(tmp_path, "patch", a.index)
            assert (alpha[hole] == 255).all() and (alpha == 255).sum() <= disc(24 + 5 * a.index, 32, 7 + 4).sum() * 1.3
            np.testing.assert_array_equal(np.where(alpha[..., None] > 0, rgb, a.rgb), b.rgb)


def test_unseen_and_confidence_of_what_nobody_saw(tmp_path: Path) -> None:
    """A disc that stands still before a still camera, gone in the last frame for its right half."""
    hole, still = disc(48, 32, 10), view(WIDTH, HEIGHT)
    right = hole & (np.arange(WIDTH) > 50)[None]
    for k in range(4):
        save(tmp_path / f"source/{k}.png", still)
        save(tmp_path / f"mask/{k}.png", (hole & ~right if k == 3 else hole).astype(np.uint8) * 255)
    result = pipeline.run(job(tmp_path))
    unseen, sure = (read(tmp_path, name, 0)[0] for name in ("unseen", "confidence"))
    assert unseen.dtype == sure.dtype == np.uint8 and set(np.unique(unseen)) == {0, 255}
    # Two pixels beside the hole are no source (halos).
    near = cv2.dilate((hole & ~right).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    np.testing.assert_array_equal(unseen[..., 0] == 255, hole & near)
    assert (sure[hole & near] == 0).all() and (sure[~hole] == 255).all()
    assert 200 < sure[hole & ~near].min() and sure[hole & ~near].max() < 255
    counted = sum((read(tmp_path, "unseen", k)[0][..., 0] == 255).sum() for k in range(4))
    assert result.unseen == pytest.approx(counted / (3 * hole.sum() + (hole & ~right).sum()))
    where, code = provenance(tmp_path, 0)
    np.testing.assert_array_equal(code == 0.5, unseen[..., 0] == 255)


def test_confidence_foretells_the_error(tmp_path: Path) -> None:
    """The surer half is better than the other one."""
    holes = scene(tmp_path, radius=12)
    pipeline.run(job(tmp_path))
    error, sure = [], []
    for k, hole in enumerate(holes):
        made = cv2.imread(str(tmp_path / f"out/{k:04d}.png"))[..., ::-1].astype(float)
        error.append(np.abs(made - view(WIDTH, HEIGHT, *(PAN * k)))[hole].mean(1))
        sure.append(read(tmp_path, "confidence", k)[0][hole][:, 0])
    error, sure = np.concatenate(error), np.concatenate(sure)
    assert error[sure > np.median(sure)].mean() < error[sure <= np.median(sure)].mean()


def test_provenance_in_16_bits_counts_eighths_of_a_pixel(tmp_path: Path) -> None:
    holes = scene(tmp_path)
    pipeline.run(job(tmp_path))
    exact = [provenance(tmp_path, k) for k in range(COUNT)]
    pipeline.run(job(tmp_path, passes={"path": "deep", "names": ["provenance"], "provenance": "png"}))
    for k, (where, code) in enumerate(exact):
        rgb, alpha, depth = read_image(tmp_path / f"deep/provenance/{k:05d}.png")
        assert depth == 16
        np.testing.assert_array_equal(rgb, np.rint(where * [8, 8, 1]))
        np.testing.assert_array_equal(alpha, np.where(holes[k], 65535, 0))


def test_a_range_of_frames_keeps_their_numbers_and_leaves_others_alone(tmp_path: Path) -> None:
    scene(tmp_path)
    pipeline.run(job(tmp_path))
    whole = {name: read(tmp_path, name, 4)[0] for name in NAMES}
    (tmp_path / "passes/unseen/00003.png").write_bytes(b"older")
    for name in NAMES:
        for path in (tmp_path / "passes" / name).glob("0000[45].*"):
            path.unlink()
    pipeline.run(job(tmp_path, frames=[4, 5]))
    assert (tmp_path / "passes/unseen/00003.png").read_bytes() == b"older"
    for name in NAMES:
        assert sorted(p.stem for p in (tmp_path / "passes" / name).iterdir()) == [f"{k:05d}" for k in range(COUNT)]
        np.testing.assert_array_equal(read(tmp_path, name, 4)[0], whole[name])


def test_nothing_masked_gives_empty_passes(tmp_path: Path) -> None:
    for k in range(2):
        save(tmp_path / f"source/{k}.png", view(WIDTH, HEIGHT, k))
    save(tmp_path / "mask.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    assert pipeline.run(job(tmp_path, mask={"path": "mask.png"})).identity
    for name in NAMES:
        rgb, alpha = read(tmp_path, name, 1)
        assert (rgb == (255 if name == "confidence" else 0)).all() and (alpha is None or not alpha.any())


@pytest.mark.parametrize("stage", pipeline.STAGES)
def test_stopping_leaves_nothing_behind(tmp_path: Path, stage: str) -> None:
    scene(tmp_path)
    seen: list[str] = []
    with pytest.raises(Aborted):
        pipeline.run(job(tmp_path), on_progress=lambda p: seen.append(p.stage), aborted=lambda: stage in seen)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mask", "source"]


def test_a_result_that_cannot_be_moved_takes_its_passes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flow_inpaint.media.image_writer import ImageOutput

    def commit(self: ImageOutput) -> None:
        raise Failed("no room")

    scene(tmp_path)
    monkeypatch.setattr(ImageOutput, "commit", commit)
    with pytest.raises(Failed, match="^no room$"):
        pipeline.run(job(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mask", "source"]


PEAK = """
import re, sys
from pathlib import Path
from flow_inpaint import pipeline, side_by_side
from flow_inpaint.job import Job
side_by_side.workers = lambda: 2
count = int(sys.argv[2])
job = {"source": {"path": "source", "indices": [k % 8 for k in range(count)]}, "mask": {"rectangle": [60, 40, 60, 60]},
       "output": {"path": f"out{count}", "format": "png", "passes": {"path": f"passes{count}"}},
       "references": [{"frame": 1, "path": "source/0001.png"}],
       "params": {"reach": 2, "fill": "telea", "refinement": 0, "flow_size": "half"}}
pipeline.run(Job.from_document(job, Path(sys.argv[1])))
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system as Linux does")
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """The passes of 48 more frames are more than 150 MiB before they are encoded."""
    for k in range(8):
        save(tmp_path / f"source/{k:04d}.png", view(320, 240, k))

    def peak(count: int) -> int:
        done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path), str(count)], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert peak(72) < peak(24) + 16


def refused(folder: Path, **passes: Any) -> str:
    scene(folder)
    with pytest.raises(BadClip) as caught:
        pipeline.run(job(folder, passes=passes, output={"path": "passes/patch"} if passes.get("path") == "passes" else None))
    assert not (folder / "out").exists()
    return str(caught.value)


def test_places_that_are_taken(tmp_path: Path) -> None:
    text = refused(tmp_path / "a", path="passes")
    assert text == f"The passes' folder {tmp_path / 'a/passes/patch'} is where the result goes: choose another."
    (tmp_path / "b").mkdir()
    (tmp_path / "b/file").write_text("x")
    assert refused(tmp_path / "b", path="file") == f"The passes' folder {tmp_path / 'b/file'} is a file: choose another."


def test_a_mask_is_never_written_over(tmp_path: Path) -> None:
    scene(tmp_path)
    (tmp_path / "mask").rename(tmp_path / "unseen")
    for path in (tmp_path / "unseen").iterdir():
        path.rename(path.with_name(f"0{path.name}"))
    with pytest.raises(BadClip, match="^The output .*unseen.00000.png is a mask of this job: choose another name, it is never"):
        pipeline.run(job(tmp_path, passes={"path": "."}, mask={"path": "unseen"}))


def test_too_large_for_16_bits(tmp_path: Path) -> None:
    save(tmp_path / "source/0.png", np.zeros((16, 8200, 3), np.uint8))
    document = {
        "source": {"path": "source"},
        "mask": {"rectangle": [4, 4, 4, 4]},
        "output": {"path": "out", "format": "png", "passes": {"path": "passes", "provenance": "png"}},
    }
    with pytest.raises(BadClip, match="^source is 8200x16, too large for provenance in 16 bits: write it as exr.$"):
        pipeline.run(Job.from_document(document, tmp_path))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    scene(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(Failed, match="could not be written because the disk is full"):
        pipeline.run(job(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mask", "source"]
