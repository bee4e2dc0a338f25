"""Frames that cannot be read, refused, held or filled, as a job's parameter says."""
from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from damage import COUNT, flipped, panned, read_all
from flow_inpaint.check import check
from flow_inpaint.errors import BadClip, BadFrame
from flow_inpaint.fingerprint import fingerprint
from flow_inpaint.job import Job
from flow_inpaint.media.image_codec import encode_image, read_image
from flow_inpaint.pipeline import run
from footage import encode

SIZE = (160, 96)
BOX = slice(30, 62), slice(64, 96)


def job(source: Path, output: Path, **params: object) -> Job:
    mask = {"rectangle": [BOX[1].start, BOX[0].start, 32, 32]}
    return Job.from_document({"source": {"path": str(source)}, "mask": mask, "output": {"path": str(output)}, "params": {"preset": "draft", **params}})


def made(source: Path, output: Path, **params: object) -> tuple[list[np.ndarray], list[str]]:
    said: list[str] = []
    run(job(source, output, **params), on_message=lambda level, text: said.append(text))
    if output.suffix:
        with av.open(str(output)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], said
    return [read_image(path)[0] for path in sorted(output.iterdir())], said


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[int]]:
    """A real H.264 file with sound, the same with bits flipped in a P-frame, and the frames that are lost by that."""
    folder = tmp_path_factory.mktemp("clips")
    clip = encode(folder / "a.mkv", COUNT, size=SIZE, picture=panned, options={"g": "12", "bf": "0", "crf": "12"}, sound="aac")
    damaged = flipped(clip, 20)
    found = read_all(damaged)
    lost = [k for k in found if found[k] is None]
    assert lost == [20, 21, 22, 23]
    return clip, damaged, lost


def test_refused_by_number(clips, tmp_path) -> None:
    with pytest.raises(BadFrame, match=r"bad_a\.mkv: frame 20 cannot be decoded"):
        made(clips[1], tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["fill", "hold"])
def test_damaged_frames_of_a_video(clips, tmp_path, how: str) -> None:
    clip, damaged, lost = clips
    pictures, said = made(damaged, tmp_path / "out.mkv", damaged_frames=how)
    truth, _ = made(clip, tmp_path / "whole.mkv")
    assert len(pictures) == COUNT, "no frame is left out"
    wanted = "show the frame before again" if how == "hold" else "are made of the frames around them"
    assert [text for text in said if re.search(f"4 of the frames of .*bad_a.mkv cannot be read and {wanted}.*: 20, 21, 22, 23", text)]
    outside = np.ones(SIZE[::-1], bool)
    outside[BOX] = False
    for k in range(COUNT):
        if k not in lost:
            np.testing.assert_array_equal(pictures[k][outside], truth[k][outside])
    inner = (slice(8, -8), slice(16, -16))
    errors = [np.abs(pictures[k].astype(float) - truth[k])[inner].mean() for k in lost]
    if how == "fill":
        assert max(errors) < 4.5, "what moves is where it should be"
    else:
        np.testing.assert_array_equal(pictures[22][outside], truth[19][outside])
        assert min(errors) > 6
    with av.open(str(tmp_path / "out.mkv")) as result:
        assert result.streams.audio


@pytest.mark.parametrize("feather", [0, 6])
def test_the_object_does_not_come_back_in_a_filled_frame(tmp_path, feather: int) -> None:
    """A white box runs across; the matte follows it. In the frames that are made up it runs too, under the neighbours' mattes."""
    (tmp_path / "in").mkdir()
    (tmp_path / "matte").mkdir()
    for k in range(12):
        rgb, matte = panned(k, *SIZE) // 2, np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        rgb[40:56, 20 + 8 * k : 36 + 8 * k], matte[38:58, 18 + 8 * k : 38 + 8 * k] = 255, 255
        if k not in (6, 7):
            (tmp_path / f"in/x.{k:03d}.png").write_bytes(encode_image(".png", rgb, None, 8))
        (tmp_path / f"matte/{k:03d}.png").write_bytes(encode_image(".png", matte, None, 8))
    document = {
        "source": {"path": str(tmp_path / "in")},
        "mask": {"path": str(tmp_path / "matte")},
        "output": {"path": str(tmp_path / "out")},
    }
    with pytest.raises(BadClip, match="images 6 to 7 are missing between x.005.png and x.008.png"):
        run(Job.from_document(document))
    run(Job.from_document(document | {"params": {"damaged_frames": "fill", "mask_feather": feather}}))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"x.{k:03d}.png" for k in range(12)]
    for k in range(12):
        assert read_image(tmp_path / f"out/x.{k:03d}.png")[0].max() < 150, f"frame {k}"


@pytest.mark.parametrize("pattern", ["", "plate_%04d.png", "plate_####.png"])
def test_a_sequence_with_gaps_and_a_damaged_image(tmp_path, pattern: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in (0, 1, 2, 4, 5, 6, 7):
        data = encode_image(".png", panned(k, *SIZE), None, 8)
        (folder / f"plate_{95 + k:04d}.png").write_bytes(data[:-300] if k == 6 else data)
    pictures, said = made(folder / pattern, tmp_path / "out", damaged_frames="hold")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"plate_{95 + k:04d}.png" for k in range(8)]
    assert any("2 of the frames" in text and text.endswith("3, 6.") for text in said)
    np.testing.assert_array_equal(pictures[3][:20], panned(2, *SIZE)[:20])
    np.testing.assert_array_equal(pictures[6][:20], panned(5, *SIZE)[:20])
    filled, _ = made(folder / pattern, tmp_path / "filled", damaged_frames="fill")
    assert np.abs(filled[3].astype(float) - panned(3, *SIZE))[:20, 8:-8].mean() < 3
    with pytest.raises(BadClip, match="image 98 is missing"):
        made(folder / pattern, tmp_path / "refused")


def test_frames_at_the_ends_take_the_nearest(tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(5):
        data = encode_image(".png", panned(k, *SIZE), None, 8)
        (folder / f"{k}.png").write_bytes(data[:900] if k in (0, 4) else data)
    pictures, _ = made(folder, tmp_path / "out", damaged_frames="fill")
    np.testing.assert_array_equal(pictures[0][:20], panned(1, *SIZE)[:20])
    np.testing.assert_array_equal(pictures[4][:20], panned(3, *SIZE)[:20])


def test_nothing_that_can_be_read(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    for k in range(3):
        (tmp_path / f"in/{k}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(BadClip, match="0.png is damaged or cut short"):
        made(tmp_path / "in", tmp_path / "out", damaged_frames="fill")
    assert not (tmp_path / "out").exists()


def test_a_fingerprint_is_of_what_is_shown(clips, tmp_path) -> None:
    keys = [fingerprint(job(clip, tmp_path / "out.mkv", damaged_frames="hold")).keys for clip in clips[:2]]
    changed = [k for k in range(COUNT) if keys[0][8 * k : 8 * k + 8] != keys[1][8 * k : 8 * k + 8]]
    assert changed == clips[2]


def test_a_check_copes_too(clips, tmp_path) -> None:
    assert check(job(clips[1], tmp_path / "out.mkv", damaged_frames="fill")).frames == COUNT
