"""`flow-inpaint serve`: jobs, their ends, and hosts that come to an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time

import fake_pipeline
import pytest
from server_host import SOON, Host

from flow_inpaint import effect, server


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    for pipe in (made.process.stdin, made.process.stdout, made.process.stderr):
        pipe.close()


def test_describe_is_the_descriptor(host):
    assert host.ask("describe")["result"] == effect.describe()
    assert host.ask("describe", {})["result"] == effect.describe()
    assert host.end() == 0
    assert host.process.stderr.read() == b""


def test_render(host):
    result = host.ask("render", host.job("plain", frames=[3, 12]))["result"]
    assert result == {
        "path": str(host.folder / "result.mkv"),
        "format": "ffv1",
        "files": ["result.mkv"],
        "frames": 10,
        "first": 3,
        "width": 64,
        "height": 48,
        "identity": False,
        "masked": 0.25,
        "unseen": 0.5,
        "seconds": 1.5,
    }
    messages = [m["params"] for m in host.notified if m["method"] == "message"]
    assert messages == [{"level": "info", "text": "two shots"}, {"level": "warning", "text": "a matte that touches the edge"}]
    progress = [m["params"] for m in host.notified if m["method"] == "progress"]
    assert progress[0] == {"stage": "flow", "done": 0, "total": 30, "fraction": 0.0, "eta_s": None}
    assert progress[-1] == {"stage": "write", "done": 30, "total": 30, "fraction": 1.0, "eta_s": 0.0}
    assert host.left() == ["result.mkv"]


def test_one_process_does_job_after_job(host):
    for number in range(5):
        answer = host.ask("render", host.job("plain", output={"path": f"{number}.mkv"}))
        assert answer["result"]["files"] == [f"{number}.mkv"]
    assert host.ask("render", host.job("missing"))["error"]["data"] == {"status": "BadClip"}
    assert "result" in host.ask("render", host.job("plain"))


def test_check(host):
    assert host.ask("check", host.job("plain"))["result"] == {
        "frames": 30,
        "width": 64,
        "height": 48,
        "masked": 0.25,
        "memory_mib": 321.4,
        "disk_mib": 40,
        "seconds": 61.0,
        "device": "cpu",
        "flow": effect.resolve()["flow"],
        "completion": "layers",
        "fill": "exemplar",
        "notes": ["The matte touches the edge."],
        "coverage": None,
    }
    assert host.ask("check", host.job("missing"))["error"]["message"] == "missing.mkv does not exist."
    assert host.left() == []


@pytest.mark.parametrize(
    ("behaviour", "status", "sentence"),
    [
        ("missing", "BadClip", "missing.mkv does not exist."),
        ("memory", "OutOfMemory", "There is not enough memory for this job: close other programs, or do fewer frames at a time."),
        ("full", "Failed", "The disk is full: free some space, or choose another place for the output."),
        ("crash", "Failed", "Something went wrong inside Flow Inpaint (ZeroDivisionError: division by zero): please report it."),
        (
            "leave",
            "Failed",
            "Something went wrong inside Flow Inpaint (SystemExit: a library that thinks it is the program): please report it.",
        ),
    ],
)
def test_jobs_that_fail(host, behaviour, status, sentence):
    answer = host.ask("render", host.job(behaviour))
    assert answer["error"] == {"code": -32000, "message": sentence, "data": {"status": status}}
    assert host.left() == []
    assert "result" in host.ask("render", host.job("plain"))
    host.end()
    assert (b"Traceback" in host.process.stderr.read()) == (status != "BadClip")


def test_bad_jobs_are_refused_before_they_run(host):
    answer = host.ask("render", host.job("plain", params={"preset": "x"}))
    assert answer["error"]["data"] == {"status": "BadParameter"} and answer["error"]["message"].startswith("There is no preset 'x'")
    answer = host.ask("render", host.job("plain", sauce=1))
    assert answer["error"]["message"].startswith("job has no field 'sauce'")
    for params in (None, {}, []):
        assert host.ask("render", params)["error"]["code"] == server.INVALID_PARAMS
    assert host.notified == []


def test_abort_is_answered_at_once_and_cleans_up(host):
    render = host.send("render", host.job("long"))
    host.wait_for_progress()
    assert host.left() == [".result.mkv.part"]
    began = time.monotonic()
    abort = host.send("abort")
    answers = {answer["id"]: answer for answer in (host.next(), host.next())}
    assert time.monotonic() - began < 1.0
    assert answers[abort]["result"] == {"aborted": True}
    assert answers[render]["error"]["data"] == {"status": "Aborted"}
    assert host.left() == []
    assert host.ask("abort")["result"] == {"aborted": False}
    assert "result" in host.ask("render", host.job("plain"))


def test_while_a_job_runs(host):
    render = host.send("render", host.job("long"))
    host.wait_for_progress()
    assert host.ask("describe")["result"] == effect.describe()
    for method in ("render", "check"):
        assert host.ask(method, host.job("plain"))["error"] == {
            "code": server.BUSY,
            "message": "Another job is running: abort it or wait for its end.",
        }
    host.raw(b'{"jsonrpc": "2.0", "method": "abort"}\n')
    answer = host.next()
    assert answer["id"] == render and answer["error"]["data"] == {"status": "Aborted"}


def test_shutdown_ends_a_job_first(host):
    render = host.send("render", host.job("long"))
    host.wait_for_progress()
    shutdown = host.send("shutdown")
    assert host.next()["id"] == render
    assert host.next() == {"jsonrpc": "2.0", "id": shutdown, "result": None}
    assert host.process.wait(2) == 0
    assert host.left() == []


def test_closed_input_ends_a_job_and_the_process(host):
    host.send("render", host.job("long"))
    host.wait_for_progress()
    began = time.monotonic()
    assert host.end() == 0
    assert time.monotonic() - began < 2.0
    assert host.left() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_job_and_the_process(host, number):
    host.send("render", host.job("long"))
    host.wait_for_progress()
    host.process.send_signal(number)
    assert host.process.wait(SOON) == 130
    assert host.left() == []
    assert b"Traceback" not in host.process.stderr.read()


def test_killed_in_mid_run_leaves_no_result(host):
    host.send("render", host.job("long"))
    host.wait_for_progress()
    host.process.kill()
    host.process.wait(SOON)
    assert "result.mkv" not in host.left()


def test_a_job_that_does_not_stop_is_left_behind(tmp_path):
    words = fake_pipeline.command("serve")
    words[2] = words[2].replace("from flow_inpaint.cli", "from flow_inpaint import server\nserver.GRACE = 0.3\nfrom flow_inpaint.cli")
    host = Host(tmp_path, words)
    host.send("render", host.job("stuck"))
    assert host.ask("describe")["result"]
    assert host.end() == 1
    assert b"did not stop" in host.process.stderr.read()


def test_a_host_that_does_not_read_holds_up_nothing(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(fake_pipeline.command("serve"), cwd=tmp_path, **pipes)
    describe = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "describe"}).encode() + b"\n"
    job = {"source": {"path": "plain.mkv"}, "mask": {"rectangle": [0, 0, 8, 8]}, "output": {"path": "result.mkv"}}
    # Their answers are more than a pipe holds.
    process.stdin.write(describe * 40)
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "render", "params": job}).encode() + b"\n")
    process.stdin.flush()
    limit = time.monotonic() + SOON
    while not (tmp_path / "result.mkv").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    assert (tmp_path / "result.mkv").exists()
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()


@pytest.mark.skipif(os.name == "nt", reason="needs a pipe whose other end can be closed while it is read")
def test_a_host_that_stops_reading_for_good(tmp_path):
    reading, writing = os.pipe()
    process = subprocess.Popen(fake_pipeline.command("serve"), cwd=tmp_path, stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.close(reading)
    job = {"source": {"path": "long.mkv"}, "mask": {"rectangle": [0, 0, 8, 8]}, "output": {"path": "result.mkv"}}
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "render", "params": job}).encode() + b"\n")
    process.stdin.flush()
    time.sleep(0.5)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(5) == 0
    assert os.listdir(tmp_path) == [] and process.stderr.read() == b""
    process.stderr.close()


def test_what_libraries_print_stays_out_of_the_protocol(host):
    assert host.ask("render", host.job("noisy"))["result"]["frames"] == 30
    host.end()
    log = host.process.stderr.read()
    assert b"printed by a C library" in log and b"printed by a Python library" in log


def test_progress_never_falls(host):
    host.ask("render", host.job("wavering"))
    fractions = [m["params"]["fraction"] for m in host.notified if m["method"] == "progress"]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] == 1.0


def test_progress_comes_at_most_ten_times_a_second(host):
    host.send("render", host.job("long"))
    host.wait_for_progress()
    time.sleep(1.0)
    host.send("abort")
    host.next(), host.next()
    assert 3 <= sum(m["method"] == "progress" for m in host.notified) <= 14


def clip(folder, name, count=12, spot=None):
    """A small lossless movie, with a white pixel in frame `spot`."""
    import av
    import numpy as np

    with av.open(str(folder / name), "w") as movie:
        stream = movie.add_stream("ffv1", rate=25, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for number in range(count):
            picture = np.full((48, 64, 3), 10 * number, np.uint8)
            if number == spot:
                picture[5, 5] = 255
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        movie.mux(stream.encode())
    return str(folder / name)


def test_fingerprint_says_which_frame_is_another(host, tmp_path):
    jobs = [host.job("plain", source={"path": clip(tmp_path, name, spot=spot)}) for name, spot in (("a.mkv", None), ("b.mkv", 7))]
    one, other = (host.ask("fingerprint", job)["result"] for job in jobs)
    assert (one["width"], one["height"], set(one["methods"])) == (64, 48, {"flow", "completion", "fill"})
    assert [k for k in range(12) if one["keys"][8 * k : 8 * k + 8] != other["keys"][8 * k : 8 * k + 8]] == [7]
    progress = [m["params"] for m in host.notified if m["method"] == "progress"]
    assert progress[-1]["stage"] == "look" and progress[-1]["done"] == progress[-1]["total"] == 12


def test_splice_and_what_is_wrong_with_one(host, tmp_path):
    base, piece = clip(tmp_path, "base.mkv"), clip(tmp_path, "piece.mkv", 2)
    document = {"base": {"path": base}, "pieces": [{"path": piece, "at": 10}], "output": str(tmp_path / "out.mkv")}
    assert host.ask("splice", document)["result"] == {"path": str(tmp_path / "out.mkv"), "files": ["out.mkv"]}
    assert host.ask("splice", document)["error"]["data"] == {"status": "BadClip"}
    assert host.ask("splice", {"base": {"path": base}})["error"]["data"] == {"status": "BadParameter"}
    assert host.ask("splice", {"base": 7, "pieces": 5, "output": {}})["error"]["data"] == {"status": "BadParameter"}
    assert host.ask("fingerprint", host.job("plain", source={"path": "nothing.mkv"}))["error"]["data"] == {"status": "BadClip"}
    assert host.left() == ["base.mkv", "out.mkv", "piece.mkv"]


def test_a_host_that_asks_for_ever_and_reads_nothing(tmp_path):
    """What it does not read is not kept for it without end."""
    words = fake_pipeline.command("serve")
    words[2] = words[2].replace("from flow_inpaint.cli", "from flow_inpaint import server\nserver.MOST_UNREAD = 300_000\nfrom flow_inpaint.cli")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, cwd=tmp_path, **pipes)
    try:
        with pytest.raises(BrokenPipeError):
            for _ in range(20_000):
                process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "describe"}\n')
                process.stdin.flush()
        assert process.wait(SOON) == 0
        assert b"does not read what it is answered" in process.stderr.read()
    finally:
        process.kill()
        for pipe in (process.stdout, process.stderr):
            pipe.close()


class Box:
    """An outbox that keeps what is said."""

    is_given_up = False

    def __init__(self):
        self.said = []

    def put(self, message):
        self.said.append(message)


JOB = {"source": {"path": "a.mkv"}, "mask": {"rectangle": [0, 0, 8, 8]}, "output": {"path": "result.mkv"}}
RENDER = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "render", "params": JOB}).encode()


def test_a_signal_while_a_job_begins_waits_for_its_end(monkeypatch):
    begin, ended = threading.Thread.start, []

    def interrupted(self):
        begin(self)
        raise KeyboardInterrupt

    def work(self, method, job, aborted):
        while not aborted():
            time.sleep(0.01)
        time.sleep(0.2)
        ended.append(method)

    monkeypatch.setattr(server.Server, "_do", work)
    behind = server.Server(Box())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        behind.receive(RENDER)
    assert behind.finish() and ended == ["render"]


def test_a_machine_that_starts_no_more_threads(monkeypatch):
    """The job is refused, and the next one is not taken for a second one."""

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    behind = server.Server(box := Box())
    said = box.said
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(2):
            behind.receive(RENDER)
    assert ["No more threads can be started" in message["error"]["message"] for message in said] == [True, True]
    behind.receive(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "abort"}).encode())
    assert said[-1]["result"] == {"aborted": False}
    assert behind.finish()
