"""Clips prepared once: the same motion from every reader, made again when broken, and nothing half made."""
from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from dataset_files import davis, write_image

import flow_inpaint
from flow_inpaint.datasets import Clip, find_clips, prepared, store
from flow_inpaint.datasets.prepared import Prepared, cache_folder
from flow_inpaint.errors import Aborted, BadClip, Failed, MissingWeights
from flow_inpaint.flow.dis import DIS
from flow_inpaint.machine import Machine

SIZE = (96, 128)


def texture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, (200, 260, 3)).astype(np.float32), (0, 0), 3).clip(0, 255).astype(np.uint8)


def moving(root: Path, name: str = "pan", frames: int = 4, step: tuple[int, int] = (2, 1)) -> Clip:
    """A picture that moves by `step` = (right, down) a frame."""
    whole = cv2.normalize(texture(), None, 0, 255, cv2.NORM_MINMAX)
    for k in range(frames):
        top, left = 40 - k * step[1], 40 - k * step[0]
        write_image(root / name / f"{k:03d}.png", whole[top : top + SIZE[0], left : left + SIZE[1]])
    return next(clip for clip in find_clips(root) if clip.name == name)


def ready(cache: Path, height: int = 0, estimator: str = "dis") -> Prepared:
    return Prepared(cache, height, estimator, Machine("cpu"))


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """As a new process begins."""
    monkeypatch.setattr(prepared, "_known", {})


@pytest.fixture
def count(monkeypatch):
    """How often motion is measured."""
    calls: list[None] = []
    real = DIS.__call__

    def counted(self, a, b):
        calls.append(None)
        return real(self, a, b)

    monkeypatch.setattr(DIS, "__call__", counted)
    return calls


def test_frames_and_flows(tmp_path):
    clip = moving(tmp_path / "set")
    found = ready(tmp_path / "cache")
    assert found.shape(clip) == (4, *SIZE) and found.estimator == "dis"
    frames, flows = found.frames(clip, 1, 2), found.flows(clip, 0, 3)
    np.testing.assert_array_equal(frames[0][..., ::-1], cv2.imread(str(clip.frames[1])))
    assert flows.shape == (3, 2, 2, *SIZE) and flows.dtype == np.float16
    inner = np.median(flows[:, :, :, 10:-10, 10:-10].astype(float), axis=(0, 3, 4))
    np.testing.assert_allclose(inner, [[2, 1], [-2, -1]], atol=0.1)
    np.testing.assert_array_equal(found.flows(clip, 1, 2)[0], flows[1])


def test_motion_is_measured_once_and_kept(tmp_path, count):
    clip = moving(tmp_path / "set")
    flows = ready(tmp_path / "cache").flows(clip, 0, 3)
    assert len(count) == 6
    np.testing.assert_array_equal(ready(tmp_path / "cache").flows(clip, 0, 3), flows)
    assert len(count) == 6
    assert not [path for path in (tmp_path / "set").rglob("*") if path.suffix not in (".png", "")]
    ready(tmp_path / "cache", height=48).flows(clip, 0, 1)
    assert len(count) == 12


def test_another_content_is_another_clip_and_the_same_content_is_not(tmp_path, count):
    clip = moving(tmp_path / "set")
    found = ready(tmp_path / "cache")
    found.flows(clip, 0, 3)
    (tmp_path / "set/pan").rename(tmp_path / "set/moved")
    (moved,) = find_clips(tmp_path / "set")
    assert ready(tmp_path / "cache").flows(moved, 0, 3).shape[0] == 3 and len(count) == 6
    write_image(moved.frames[2], np.full((*SIZE, 3), 7, np.uint8))
    os.utime(moved.frames[2], ns=(1, 1))
    assert found.flows(moved, 0, 3)[1].any() and len(count) == 12
    np.testing.assert_array_equal(found.frames(moved, 2, 2)[0], 7)


def test_large_clips_are_brought_down(tmp_path):
    clip = moving(tmp_path / "set")
    found = ready(tmp_path / "cache", height=48)
    assert found.shape(clip) == (4, 48, 64) and found.flows(clip, 0, 1).shape == (1, 2, 2, 48, 64)
    assert ready(tmp_path / "cache", height=480).shape(clip) == (4, *SIZE)
    np.testing.assert_allclose(np.median(found.flows(clip, 0, 1)[0, 0].astype(float), axis=(1, 2)), [1, 0.5], atol=0.1)


@pytest.mark.parametrize("damage", ["cut", "a byte of a block", "the head", "empty"])
def test_a_broken_file_is_made_again(tmp_path, count, damage):
    clip = moving(tmp_path / "set")
    flows = ready(tmp_path / "cache").flows(clip, 0, 3)
    (path,) = (tmp_path / "cache").glob("*.flows")
    data = bytearray(path.read_bytes())
    if damage == "a byte of a block":
        data[len(data) // 2] ^= 1
    elif damage == "the head":
        data[3] ^= 1
    path.write_bytes({"cut": data[:-100], "empty": b""}.get(damage, data))
    again = ready(tmp_path / "cache")
    np.testing.assert_array_equal(again.flows(clip, 1, 2)[0], flows[1])
    np.testing.assert_array_equal(again.flows(clip, 0, 3), flows)
    assert len(count) == 12 and [p.suffix for p in (tmp_path / "cache").iterdir() if p.is_file()].count(".flows") == 1


def test_a_note_of_the_content_that_was_cut_short_is_written_again(tmp_path):
    clip = moving(tmp_path / "set")
    ready(tmp_path / "cache").shape(clip)
    (note,) = (tmp_path / "cache/known").iterdir()
    whole = note.read_text()
    note.write_text(whole[:20])
    prepared._known.clear()
    assert ready(tmp_path / "cache").shape(clip) and note.read_text() == whole


def test_preparing_says_what_it_does_and_stops_when_asked(tmp_path, count):
    for name in ("a", "b", "c"):
        moving(tmp_path / "set", name, frames=3)
    clips = find_clips(tmp_path / "set")
    write_image(clips[1].frames[0], texture(5)[: SIZE[0], : SIZE[1]])
    said: list[str] = []
    asked: list[None] = []

    def stopped() -> bool:
        asked.append(None)
        return len(asked) > 7

    found = ready(tmp_path / "cache")
    with pytest.raises(Aborted, match="kept"):
        found.prepare(clips, stopped=stopped, say=said.append)
    assert said == ["Preparing clip 1 of 3: a", "Preparing clip 2 of 3: b"]
    assert not list((tmp_path / "cache").glob("*.part")) and len(list((tmp_path / "cache").glob("*.flows"))) == 1
    said.clear()
    found.prepare(clips, say=said.append, rank=1, world=3)
    # The third has the content of the first.
    assert said == ["Preparing clip 1 of 1: b"]
    measured = len(count)
    found.prepare(clips, say=said.append)
    assert len(count) == measured and len(said) == 1


def test_two_processes_prepare_at_once(tmp_path):
    clips = [moving(tmp_path / "set", name, frames=3, step=step) for name, step in (("a", (2, 0)), ("b", (0, 3)))]
    script = (
        "import sys; from pathlib import Path; from flow_inpaint.datasets import find_clips; from flow_inpaint.machine import Machine\n"
        "from flow_inpaint.datasets.prepared import Prepared\n"
        "clips = find_clips(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
        "for height in (0, 60, 48, 40):\n    Prepared(Path(sys.argv[2]), height, 'dis', Machine('cpu')).prepare(clips)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(flow_inpaint.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", script, str(tmp_path / "set"), str(tmp_path / "cache")]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in both] == ["", ""]
    alone = ready(tmp_path / "alone")
    for clip in clips:
        np.testing.assert_array_equal(ready(tmp_path / "cache").flows(clip, 0, 2), alone.flows(clip, 0, 2))
    assert not list((tmp_path / "cache").rglob("*.part")) and len(list((tmp_path / "cache").glob("*.flows"))) == 8


def test_motion_around_holes_is_measured_as_a_job_does(tmp_path):
    from flow_inpaint.completion.smooth import complete
    from flow_inpaint.flow.masked import estimate_pair
    from flow_inpaint.motion import view_of

    clip = moving(tmp_path / "set")
    found = pickle.loads(pickle.dumps(ready(tmp_path / "cache")))
    a, b = found.frames(clip, 0, 1)
    hole = np.zeros(SIZE, bool)
    hole[30:60, 40:80] = True
    one, other = view_of(a, hole), view_of(b, hole)
    how = {"estimator": DIS(), "complete": complete, "refinement": 3, "short_sighted": DIS.short_sighted}
    wanted = estimate_pair(one.grey, other.grey, hole, hole, **how)
    for flow, right in zip(found.measured(a, b, hole, hole), wanted, strict=True):
        np.testing.assert_array_equal(flow, right)
    assert np.abs(wanted[0] - found.flows(clip, 0, 1)[0, 0]).max() > 0.01


def test_what_cannot_be_prepared(tmp_path, monkeypatch):
    clip = moving(tmp_path / "set")
    clip.frames[2].write_bytes(clip.frames[2].read_bytes()[:50])
    with pytest.raises(BadClip, match="002.png is damaged"):
        ready(tmp_path / "cache").prepare([clip])
    assert not list((tmp_path / "cache").glob("*.*"))
    (tmp_path / "file").touch()
    with pytest.raises(Failed, match="cannot be written: .*choose another folder with data.cache"):
        ready(tmp_path / "file").shape(moving(tmp_path / "set2"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(MissingWeights, match="flow cannot be 'flownet2'"):
        ready(tmp_path / "cache", estimator="flownet2")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have other folders")
def test_where_it_is_kept(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/flow-inpaint")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache/flow-inpaint"


def test_a_store_reads_what_was_written(tmp_path):
    values = np.arange(5 * 6, dtype=np.float16).reshape(5, 2, 3)
    store.write(tmp_path / "deep/x", iter(values))
    stored = store.Stored(tmp_path / "deep/x")
    assert stored.count == 5 and stored.shape == (2, 3)
    np.testing.assert_array_equal(stored.read(1, 3), values[1:4])

    def broken():
        yield values[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(tmp_path / "deep/x", broken())
    np.testing.assert_array_equal(store.Stored(tmp_path / "deep/x").read(0, 4), values)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x"]


def test_a_single_frame_has_no_motion_and_stops_nothing(tmp_path, count):
    clip = moving(tmp_path / "set", frames=1)
    ready(tmp_path / "cache").prepare([clip])
    assert ready(tmp_path / "cache").shape(clip) == (1, *SIZE) and not count
    (path,) = (tmp_path / "cache").glob("*.flows")
    assert store.Stored(path).count == 0


def test_davis_is_prepared_too(tmp_path):
    (bear, _) = find_clips(davis(tmp_path / "set"))
    assert ready(tmp_path / "cache").flows(bear, 0, 3).shape == (3, 2, 2, 24, 32)
