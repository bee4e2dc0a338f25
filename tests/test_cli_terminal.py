"""The command line in a process of its own: stopped, on a terminal, and read by something that goes away."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import time

import fake_pipeline
import pytest

from flow_inpaint.progress_bar import Bars, clock_time

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has neither such signals nor such terminals")
SOON = 10.0


def started(folder, *words):
    process = subprocess.Popen(fake_pipeline.command("run", *words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    limit = time.monotonic() + SOON
    while not os.listdir(folder) and time.monotonic() < limit:
        time.sleep(0.02)
    assert os.listdir(folder) == [".c.mkv.part"]
    return process


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_signals_stop_a_run_cleanly(tmp_path, number, options):
    process = started(tmp_path, "long.mkv", "b", "c.mkv", *options)
    process.send_signal(number)
    out, err = process.communicate(timeout=SOON)
    assert process.returncode == 130
    assert err == b"flow-inpaint: The job was stopped; nothing was written.\n"
    assert os.listdir(tmp_path) == []
    if options:
        assert json.loads(out.splitlines()[-1]) == {
            "event": "error",
            "status": "Aborted",
            "message": "The job was stopped; nothing was written.",
        }


@POSIX
def test_a_second_interrupt_ends_at_once(tmp_path):
    process = started(tmp_path, "stuck.mkv", "b", "c.mkv")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=2)
    # What a shell shows as 130.
    assert process.returncode == -signal.SIGINT


@POSIX
def test_a_reader_that_goes_away(tmp_path):
    process = started(tmp_path, "long.mkv", "b", "c.mkv", "--json")
    process.stdout.close()
    process.wait(SOON)
    assert b"Traceback" not in process.stderr.read()
    assert process.returncode != 0 and os.listdir(tmp_path) == []
    process.stderr.close()


# --- on a terminal ---


def screen(written: str) -> list[str]:
    """What a terminal shows after `written`."""
    rows, at = [""], 0
    for piece in re.findall(r"\x1b\[\d*[AJ]|\r|\n|[^\x1b\r\n]+", written):
        if piece == "\n":
            at += 1
            rows += [""] * (at + 1 - len(rows))
        elif piece.endswith("A") and piece[0] == "\x1b":
            at -= int(piece[2:-1])
            assert at >= 0
        elif piece == "\x1b[J":
            rows[at:] = [""]
        elif piece != "\r":
            rows[at] = piece
    return rows


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr("flow_inpaint.progress_bar.Pace", lambda send: send)
    return io.StringIO()


def test_a_bar_for_every_stage(terminal):
    bars = Bars(terminal)
    bars.progress(fake_pipeline.Progress("flow", 10, 20, 0.25, None))
    bars.progress(fake_pipeline.Progress("fill", 1, 4, 0.5, 61.0))
    rows = screen(terminal.getvalue())
    assert rows[0] == "flow  [" + "#" * 20 + "-" * 20 + "] 10/20"
    assert rows[1] == "fill  [" + "#" * 10 + "-" * 30 + "] 1/4"
    assert rows[2] == "total [" + "#" * 20 + "-" * 20 + "]  50%  1:01 left"
    assert rows[3:] == [""]
    bars.message("warning", "two shots")
    bars.progress(fake_pipeline.Progress("fill", 4, 4, 1.0, 0.0))
    rows = screen(terminal.getvalue())
    assert rows[0] == "Warning: two shots" and rows[2].endswith("] 4/4") and len(rows) == 5
    bars.close()
    assert screen(terminal.getvalue()) == ["Warning: two shots", ""]


def test_a_stage_is_shown_to_its_end(monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    terminal = io.StringIO()
    bars = Bars(terminal)
    bars.progress(fake_pipeline.Progress("flow", 1, 4, 0.1, None))
    for done in (2, 3, 4):
        bars.progress(fake_pipeline.Progress("flow", done, 4, 0.1 * done, None))
    assert screen(terminal.getvalue())[0].endswith("1/4"), "too soon to draw again"
    bars.progress(fake_pipeline.Progress("fill", 1, 1, 1.0, 0.0))
    assert screen(terminal.getvalue())[0].endswith("4/4")


@pytest.mark.parametrize("columns", [1, 24, 40])
def test_bars_fit_a_narrow_terminal(terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    bars = Bars(terminal)
    bars.progress(fake_pipeline.Progress("a stage of many words", 100_000, 0, 0.3, 1e6))
    assert all(len(row) <= max(columns - 1, 24) for row in screen(terminal.getvalue()))


def test_times():
    assert [clock_time(s) for s in (0, 0.4, 59.6, 61, 3599.6, 90061, -3)] == ["0:00", "0:00", "1:00", "1:01", "1:00:00", "25:01:01", "0:00"]


def on_a_terminal(folder, *words, environment=()):
    """Exit code, standard output and what the terminal at standard error got."""
    import pty

    main, secondary = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "80"} | dict(environment)
    process = subprocess.Popen(fake_pipeline.command(*words), cwd=folder, stdout=subprocess.PIPE, stderr=secondary, env=env)
    os.close(secondary)
    seen = b""
    try:
        while data := os.read(main, 65536):
            seen += data
    except OSError:
        # How Linux says that the other end of a terminal has closed.
        pass
    os.close(main)
    out = process.stdout.read().decode()
    process.stdout.close()
    return process.wait(SOON), out, seen.decode()


@POSIX
def test_bars_only_where_somebody_watches(tmp_path):
    code, out, seen = on_a_terminal(tmp_path, "run", "a.mkv", "b", "c.mkv")
    assert code == 0 and out.splitlines()[0].startswith("Wrote ")
    assert "flow " in seen and "total" in seen and "#" in seen
    assert screen(seen.replace("\r\n", "\n")) == ["two shots", "Warning: a matte that touches the edge", ""]
    for words, environment in ((["--json"], {}), ([], {"TERM": "dumb"})):
        code, out, seen = on_a_terminal(tmp_path, "run", "a.mkv", "b", "c.mkv", *words, environment=environment)
        assert code == 0 and seen == "" and out
