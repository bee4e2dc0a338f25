"""`flow-inpaint` on real files, through the real pipeline: what works, and what bad footage is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from flow_inpaint import cache, cli

WIDTH, HEIGHT, COUNT = 96, 64, 12
SOON = 30.0


def write(path: Path, pictures: list[np.ndarray], codec: str = "ffv1", pixel_format: str | None = None) -> Path:
    """A clip of (H, W, 3) RGB or (H, W) grey pictures."""
    grey = pictures[0].ndim == 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format or ("gray" if grey else "bgr0")
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray" if grey else "rgb24")))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def shot(count: int = COUNT, width: int = WIDTH, height: int = HEIGHT) -> tuple[list, list, list]:
    """Footage, matte and truth: a camera pans over a texture, a red box crosses it."""
    rng = np.random.default_rng(7)
    wall = cv2.resize(rng.integers(0, 256, (height // 4, width // 2, 3), np.uint8), (width * 2, height), interpolation=cv2.INTER_CUBIC)
    footage, matte, truth = [], [], []
    for k in range(count):
        clean = np.ascontiguousarray(wall[:, 2 * k : 2 * k + width])
        cover = np.zeros((height, width), np.uint8)
        cover[height // 3 : height // 3 + 16, 8 + 4 * k : 24 + 4 * k] = 255
        footage.append(np.where(cover[..., None] > 0, np.uint8([200, 20, 20]), clean))
        matte.append(cover)
        truth.append(clean)
    return footage, matte, truth


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    footage, matte, truth = shot()
    write(folder / "shot.mkv", footage)
    write(folder / "matte.mkv", matte)
    write(folder / "truth.mkv", truth)
    return folder


@pytest.fixture
def out(tmp_path, monkeypatch):
    """The working folder; nothing but what a command makes is in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capfd, out: Path, *words: str | Path, code: int = 2) -> str:
    before = sorted(out.rglob("*"))
    assert cli.main([str(word) for word in words]) == code
    printed, err = capfd.readouterr()
    assert err.startswith("flow-inpaint: ") and err.count("\n") == 1, err
    assert "Wrote" not in printed
    assert sorted(out.rglob("*")) == before
    return err


def test_a_run(clips, out, capfd):
    assert cli.main(["run", str(clips / "shot.mkv"), str(clips / "matte.mkv"), "result.mkv"]) == 0
    printed, err = capfd.readouterr()
    assert err == "" and f"Wrote {out / 'result.mkv'}: {COUNT} frames of {WIDTH}x{HEIGHT} in 0:0" in printed
    assert os.listdir(out) == ["result.mkv"]
    result, source, matte = read(out / "result.mkv"), read(clips / "shot.mkv"), read(clips / "matte.mkv")[..., 0] > 127
    assert np.array_equal(result[~matte], source[~matte])
    error = np.abs(result[matte].astype(int) - read(clips / "truth.mkv")[matte])
    assert error.mean() < 40 < np.abs(source[matte].astype(int) - read(clips / "truth.mkv")[matte]).mean()


def test_frames_are_job_frames_both_included(clips, out, capfd):
    words = [str(clips / "shot.mkv"), str(clips / "matte.mkv"), "result.mkv", "--frames", "3-5", "--json"]
    assert cli.main(["run", *words]) == 0
    event = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert event["event"] == "result" and (event["frames"], event["first"]) == (3, 3)
    result, source, matte = read(out / "result.mkv"), read(clips / "shot.mkv")[3:6], read(clips / "matte.mkv")[3:6, ..., 0] > 127
    assert len(result) == 3 and np.array_equal(result[~matte], source[~matte])


def test_check_writes_nothing(clips, out, capfd):
    assert cli.main(["check", str(clips / "shot.mkv"), str(clips / "matte.mkv"), "result.mkv", "--json"]) == 0
    forecast = json.loads(capfd.readouterr().out)
    assert (forecast["frames"], forecast["width"], forecast["height"]) == (COUNT, WIDTH, HEIGHT)
    assert 0.02 < forecast["masked"] < 0.06
    assert os.listdir(out) == []


def test_an_empty_matte_passes_through(clips, out, capfd):
    write(out / "black.mkv", [np.zeros((HEIGHT, WIDTH), np.uint8)] * COUNT)
    assert cli.main(["run", str(clips / "shot.mkv"), "black.mkv", "result.mkv"]) == 0
    printed = capfd.readouterr().out
    assert "Nothing is masked" in printed and printed.rstrip().endswith("the source unchanged.")
    assert np.array_equal(read(out / "result.mkv"), read(clips / "shot.mkv"))


def test_a_strip_of_one_frame(clips, out):
    footage, matte, _ = shot()
    write(out / "one.mkv", footage[:1])
    cv2.imwrite(str(out / "one.png"), matte[0])
    assert cli.main(["run", "one.mkv", "one.png", "result.mkv"]) == 0
    result = read(out / "result.mkv")
    assert result.shape == (1, HEIGHT, WIDTH, 3)
    hole = matte[0] > 0
    assert np.array_equal(result[0][~hole], footage[0][~hole])
    # Nothing but this frame shows what is behind: it is invented, and it is not the red box.
    assert np.abs(result[0][hole].astype(int) - [200, 20, 20]).mean() > 30


def test_odd_sizes(out):
    footage, matte, _ = shot(3, 853, 479)
    write(out / "odd.mkv", footage)
    write(out / "matte.mkv", matte)
    assert cli.main(["run", "odd.mkv", "matte.mkv", "result.mkv"]) == 0
    result, holes = read(out / "result.mkv"), np.stack(matte) > 0
    assert result.shape == (3, 479, 853, 3) and np.array_equal(result[~holes], np.stack(footage)[~holes])


def test_missing_files(clips, out, capfd):
    assert "nowhere.mkv does not exist" in refused(capfd, out, "run", "nowhere.mkv", clips / "matte.mkv", "o.mkv")
    assert "nowhere.mkv does not exist" in refused(capfd, out, "run", clips / "shot.mkv", "nowhere.mkv", "o.mkv")
    assert "nowhere.mkv does not exist" in refused(capfd, out, "check", clips / "shot.mkv", "nowhere.mkv", "o.mkv")
    assert "nowhere.mkv does not exist" in refused(capfd, out, "evaluate", clips / "shot.mkv", "nowhere.mkv", clips / "matte.mkv")


def test_files_that_are_no_video(clips, out, capfd):
    for name, content in (
        ("text.mkv", b"not a video\n" * 100),
        ("empty.mp4", b""),
        ("text.png", b"no picture"),
        ("zeros.mov", bytes(5000)),
    ):
        (out / name).write_bytes(content)
        assert name in refused(capfd, out, "run", name, clips / "matte.mkv", "o.mkv")
        assert name in refused(capfd, out, "run", clips / "shot.mkv", name, "o.mkv")


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_video(out, capfd, share):
    footage, matte, _ = shot(40)
    write(out / "whole.mp4", footage, "libx264", "yuv420p")
    write(out / "matte.mkv", matte)
    data = (out / "whole.mp4").read_bytes()
    (out / "cut.mp4").write_bytes(data[: int(len(data) * share)])
    assert "cut.mp4" in refused(capfd, out, "run", "cut.mp4", "matte.mkv", "o.mkv")


def test_a_mask_of_another_size(clips, out, capfd):
    write(out / "wide.mkv", [np.full((HEIGHT, WIDTH * 2), 255, np.uint8)] * COUNT)
    assert "wide.mkv" in refused(capfd, out, "run", clips / "shot.mkv", "wide.mkv", "o.mkv")


def test_a_mask_of_another_length(clips, out, capfd):
    write(out / "short.mkv", shot()[1][:5])
    sentence = refused(capfd, out, "run", clips / "shot.mkv", "short.mkv", "o.mkv")
    assert "short.mkv has 5 frames" in sentence and f"has {COUNT}" in sentence


def test_a_mask_that_does_not_meet_the_source(clips, out, capfd):
    assert "covers no pixel" in refused(capfd, out, "run", clips / "shot.mkv", "rect:500,500,20,20", "o.mkv")
    job = {
        "source": {"path": str(clips / "shot.mkv")},
        "mask": {"path": str(clips / "matte.mkv"), "at": 100},
        "output": {"path": "o.mkv"},
    }
    (out / "job.json").write_text(json.dumps(job), "utf-8")
    assert "matte.mkv" in refused(capfd, out, "run", "--job", "job.json")


def test_a_mask_that_covers_everything(clips, out, capfd):
    write(out / "white.mkv", [np.full((HEIGHT, WIDTH), 255, np.uint8)] * COUNT)
    for mask in ("white.mkv", f"rect:0,0,{WIDTH},{HEIGHT}"):
        assert "covers the whole picture in every frame" in refused(capfd, out, "run", clips / "shot.mkv", mask, "o.mkv")


def test_frames_that_the_source_does_not_have(clips, out, capfd):
    assert "4-99" in refused(capfd, out, "run", clips / "shot.mkv", clips / "matte.mkv", "o.mkv", "--frames", "4-99")


def test_an_output_that_is_footage_of_the_job(out, capfd):
    footage, matte, _ = shot()
    for name, pictures in (("shot.mkv", footage), ("matte.mkv", matte)):
        write(out / name, pictures)
    os.symlink("shot.mkv", out / "link.mkv")
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    for target in ("shot.mkv", "./shot.mkv", "link.mkv", "matte.mkv"):
        assert "never written over" in refused(capfd, out, "run", "shot.mkv", "matte.mkv", target)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == kept


def test_outputs_that_cannot_be_written(clips, out, capfd):
    (out / "file").write_bytes(b"")
    for target in ("file/result.mkv", "/proc/none/result.mkv"):
        assert target.split("/")[-2] in refused(capfd, out, "run", clips / "shot.mkv", clips / "matte.mkv", target)


def test_evaluate(clips, out, capfd):
    truth, source, matte = (str(clips / name) for name in ("truth.mkv", "shot.mkv", "matte.mkv"))
    assert cli.main(["evaluate", truth, truth, matte, "--json"]) == 0
    scores = json.loads(capfd.readouterr().out)
    assert scores["psnr_hole"] == 99 and scores["outside"] == 0 and scores["frames"] == COUNT
    assert cli.main(["evaluate", truth, source, matte]) == 0
    assert "PSNR in the hole" in capfd.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize(("number", "kept"), [(signal.SIGINT, 0), (signal.SIGTERM, 1)])
def test_a_run_that_is_stopped_leaves_nothing_but_work_that_may_be_wanted(tmp_path, number, kept, work_is_kept_here):
    cache.clear()
    long_job(tmp_path)
    words = [sys.executable, "-m", "flow_inpaint", "run", "long.mkv", "matte.mkv", "made/result.mkv", "--json"]
    process = subprocess.Popen(
        words, cwd=tmp_path, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while json.loads(process.stdout.readline()).get("stage") in (None, "matte"):
        pass
    process.send_signal(number)
    began = time.monotonic()
    out, err = process.communicate(timeout=SOON)
    assert time.monotonic() - began < 2.0 and process.returncode == 130
    assert json.loads(out.splitlines()[-1])["status"] == "Aborted" and err.count(b"\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["long.mkv", "matte.mkv"]
    assert [one.stage for one in cache.entries()] == ["flow"] * kept
    cache.clear()


# --- the real pipeline in a server ---


def long_job(folder: Path) -> dict:
    footage, matte, _ = shot(120, 320, 240)
    write(folder / "long.mkv", footage)
    write(folder / "matte.mkv", matte)
    job = {"source": {"path": "long.mkv"}, "mask": {"path": "matte.mkv"}, "output": {"path": "made/result.mkv"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "render", "params": job}


def serving(folder: Path, request: dict) -> subprocess.Popen:
    """A server that is in the middle of the request."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(
        [sys.executable, "-m", "flow_inpaint", "serve"], cwd=folder, env=os.environ | {"TMPDIR": str(folder)}, **pipes
    )
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    while json.loads(process.stdout.readline()).get("params", {}).get("stage") in (None, "matte"):
        pass
    return process


def closed(process: subprocess.Popen) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def test_a_server_whose_host_goes_away_leaves_nothing_but_its_work(tmp_path):
    cache.clear()
    process = serving(tmp_path, long_job(tmp_path))
    process.stdin.close()
    began = time.monotonic()
    assert process.wait(SOON) == 0
    assert time.monotonic() - began < 2.0
    assert sorted(os.listdir(tmp_path)) == ["long.mkv", "matte.mkv"]
    assert process.stderr.read() == b""
    assert [one.stage for one in cache.entries()] == ["flow"], "the host may come back"
    cache.clear()
    closed(process)


def test_an_abort_frees_the_server_for_the_next_job(tmp_path):
    request = long_job(tmp_path)
    process = serving(tmp_path, request)
    process.stdin.write(b'{"jsonrpc": "2.0", "id": 2, "method": "abort"}\n')
    process.stdin.flush()
    began = time.monotonic()
    answers = {}
    while len(answers) < 2:
        message = json.loads(process.stdout.readline())
        if "id" in message:
            answers[message["id"]] = message
    assert time.monotonic() - began < 1.5
    assert answers[2]["result"] == {"aborted": True} and answers[1]["error"]["data"] == {"status": "Aborted"}
    assert sorted(os.listdir(tmp_path)) == ["long.mkv", "matte.mkv"]
    request["id"], request["params"]["frames"] = 3, [0, 2]
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    while (message := json.loads(process.stdout.readline())).get("id") != 3:
        pass
    assert message["result"]["frames"] == 3 and (tmp_path / "made" / "result.mkv").exists()
    process.stdin.close()
    assert process.wait(SOON) == 0
    closed(process)


def test_a_killed_server_leaves_no_result(tmp_path):
    process = serving(tmp_path, long_job(tmp_path))
    process.kill()
    process.wait(SOON)
    assert not (tmp_path / "made" / "result.mkv").exists()
    closed(process)
