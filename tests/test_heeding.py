"""A wish to stop is heard wherever a job may be for long, not only between its frames."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from scenery import save, view

from flow_inpaint import fingerprint, pipeline
from flow_inpaint.check import check
from flow_inpaint.errors import Aborted
from flow_inpaint.fill import exemplar
from flow_inpaint.flow.dis import DIS
from flow_inpaint.heeding import heed, heeding
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.matte_view import MatteViewer, Wanted
from flow_inpaint.media import open_source
from flow_inpaint.poisson import interpolate
from flow_inpaint.side_by_side import Workers, in_order
from flow_inpaint.work import Records
from flow_inpaint.work_pictures import Pictures
from flow_inpaint.work_reel import Reel
from flow_inpaint.work_shelf import ShelfArray


class Wish:
    """Counts how often it is asked for, and comes true after so many times."""

    def __init__(self, after: int | None = None):
        self.asked, self._after = 0, after

    def __call__(self) -> bool:
        self.asked += 1
        return self._after is not None and self.asked > self._after

    def check(self) -> None:
        if self():
            raise Aborted("Stopped.")


def film(path: Path, frames: int, every: int) -> Path:
    """With a key frame at the beginning alone, if `every` is no smaller than `frames`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": str(every), "keyint_min": str(every), "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view(64, 48, k, 0), "rgb24")))
        container.mux(stream.encode(None))
    return path


def test_nothing_is_asked_where_nobody_wants_to_stop_anything() -> None:
    heed()
    wish = Wish(0)
    with pytest.raises(Aborted), heeding(wish.check):
        heed()
    heed()
    assert wish.asked == 1


def test_it_reaches_the_workers() -> None:
    wish = Wish(3)
    threads = set()

    def work(k: int) -> int:
        threads.add(threading.get_ident())
        heed()
        return k

    with Workers(2) as pool, heeding(wish.check), pytest.raises(Aborted):
        list(in_order(pool, work, range(100)))
    assert threading.get_ident() not in threads and 4 <= wish.asked < 12


def test_while_a_file_is_indexed(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 200, 50)
    wish = Wish()
    with heeding(wish.check), open_source(ClipSpec(path)):
        pass
    assert wish.asked >= 200
    with heeding(Wish(100).check), pytest.raises(Aborted):
        open_source(ClipSpec(path))


def test_on_the_way_to_a_frame_far_from_a_key_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 200, 1000)
    with open_source(ClipSpec(path)) as source:
        wish = Wish()
        with heeding(wish.check):
            next(source.read(190, 190))
        assert wish.asked >= 180
    with open_source(ClipSpec(path)) as source, heeding(Wish(20).check), pytest.raises(Aborted):
        next(source.read(190, 190))


@pytest.mark.parametrize("kind", ["records", "pictures", "reel", "shelf"])
def test_while_what_is_remembered_is_looked_through(tmp_path: Path, kind: str) -> None:
    def opened() -> object:
        if kind == "records":
            return Records(tmp_path, "a")
        if kind == "pictures":
            return Pictures(tmp_path, "a", (4, 5), np.uint8)
        return Reel(tmp_path, "a", (4, 5), np.uint8) if kind == "reel" else ShelfArray(tmp_path, "a", (30, 4, 5), np.float32)

    made = opened()
    for k in range(30):
        write: dict[str, Callable[[], object]] = {
            "records": lambda k=k: made.write(k, np.zeros(3)),
            "pictures": lambda k=k: made.append(np.zeros((4, 5), np.uint8), k),
            "reel": lambda k=k: made.put(k, np.zeros((4, 5), np.uint8)),
            "shelf": lambda k=k: made.__setitem__(k, np.ones((4, 5), np.float32)),
        }
        write[kind]()
    made.close()
    wish = Wish()
    with heeding(wish.check):
        opened().close()
    assert wish.asked >= 30
    with heeding(Wish(10).check), pytest.raises(Aborted):
        opened()


def test_in_the_arithmetic_of_a_frame() -> None:
    picture = view(160, 120).astype(np.float32)
    hole = np.zeros((120, 160), bool)
    hole[40:80, 50:110] = True
    grey = picture[..., 0].astype(np.uint8)
    for work, least in (
        (lambda: interpolate(picture, hole), 8),
        (lambda: DIS()(grey, grey), 1),
        (lambda: exemplar.fill(picture, hole), 300),
    ):
        wish = Wish()
        with heeding(wish.check):
            work()
        assert wish.asked >= least
        with heeding(Wish(least // 2).check), pytest.raises(Aborted):
            work()


def job(folder: Path, **params: object) -> Job:
    film(folder / "a.mp4", 60, 1000)
    save(folder / "m.png", np.pad(np.full((12, 12), 255, np.uint8), ((18, 18), (26, 26))))
    document = {"source": {"path": "a.mp4"}, "mask": {"path": "m.png"}, "output": {"path": "out.mkv"}, "params": params}
    return Job.from_document(document | {"frames": [50, 55]}, folder)


@pytest.mark.parametrize("what", [pipeline.run, check, fingerprint.fingerprint])
def test_whoever_does_a_job_is_asked_before_its_first_frame(tmp_path: Path, what: Callable[..., object]) -> None:
    """The index of 60 frames alone asks 60 times."""
    with pytest.raises(Aborted):
        what(job(tmp_path), aborted=Wish(40))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "m.png"]


def test_a_mattes_file_is_indexed(tmp_path: Path) -> None:
    film(tmp_path / "m.mp4", 60, 50)
    wanted = Wanted.from_document({"size": [64, 48], "mask": {"path": str(tmp_path / "m.mp4"), "count": 1}})
    with pytest.raises(Aborted):
        MatteViewer().view(wanted, Wish(40))


def test_damaged_frames_are_passed_one_by_one(tmp_path: Path) -> None:
    for k in range(50):
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / f"{k:03d}.png").write_bytes(b"no picture")
    save(tmp_path / "source" / "049.png", view(64, 48))
    with heeding(Wish(20).check), pytest.raises(Aborted):
        open_source(ClipSpec(tmp_path / "source"), tolerant=True)


def test_a_large_hole_is_given_up_soon(tmp_path: Path) -> None:
    """Filling by example goes over all of it in every step."""
    picture = view(480, 360).astype(np.float32)
    hole = np.zeros((360, 480), bool)
    hole[60:300, 80:400] = True
    last, longest = time.monotonic(), 0.0

    def asked() -> None:
        nonlocal last, longest
        now = time.monotonic()
        last, longest = now, max(longest, now - last)

    began = time.monotonic()
    with heeding(asked):
        exemplar.fill(picture, hole)
    assert longest < 0.25 * (time.monotonic() - began)
