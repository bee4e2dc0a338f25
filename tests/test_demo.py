"""The demo, with a small shot in place of its own."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from test_cli_on_footage import COUNT, read, shot, write

from flow_inpaint import cli, demo

HOLD = ("SOURCE", "source.mp4"), ("MATTE", "matte.mkv"), ("TRUTH", "truth.mp4")


@pytest.fixture
def small_shot(tmp_path, monkeypatch):
    folder = tmp_path / "demo_shot"
    folder.mkdir()
    footage, matte, truth = shot()
    for (name, file), pictures in zip(HOLD, (footage, matte, truth)):
        lossy = file.endswith(".mp4")
        write(folder / file, pictures, "libx264" if lossy else "ffv1", "yuv444p" if lossy else "gray")
        monkeypatch.setattr(demo, name, folder / file)
    monkeypatch.setattr(demo, "SHOT", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_demo(small_shot, tmp_path, capfd):
    assert cli.main(["demo"]) == 0
    out, err = capfd.readouterr()
    assert err == "" and sorted(os.listdir(tmp_path / "demo")) == ["before_after.png", "result.mkv"]
    assert len(read(tmp_path / "demo" / "result.mkv")) == COUNT
    assert cv2.imread(str(tmp_path / "demo" / "before_after.png")).shape[1] > 1000
    assert f"Look at: {tmp_path / 'demo' / 'before_after.png'}" in out and f"Result: {tmp_path / 'demo' / 'result.mkv'}" in out
    scored = next(line for line in out.splitlines() if line.startswith("PSNR in the hole"))
    ours, untouched = (float(part.split(" dB")[0].split()[-1]) for part in scored.split(": ")[1:])
    assert ours > untouched + 2


def test_demo_goes_where_it_is_told(small_shot, tmp_path):
    assert cli.main(["demo", "elsewhere/deep"]) == 0
    assert sorted(os.listdir(tmp_path / "elsewhere" / "deep")) == ["before_after.png", "result.mkv"]


def test_a_demo_without_its_shot(small_shot, tmp_path, capfd):
    (small_shot / "matte.mkv").unlink()
    assert cli.main(["demo"]) == 2
    assert "matte.mkv is missing: install Flow Inpaint again" in capfd.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_demo_with_no_place(small_shot, tmp_path, capfd):
    (tmp_path / "demo").write_text("a file")
    assert cli.main(["demo"]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_measure_works_on_any_result(small_shot, tmp_path):
    lines = list(demo.measure(small_shot / "truth.mp4", tmp_path / "picture.png"))
    assert "99.00 dB" in lines[0] and (tmp_path / "picture.png").exists()


@pytest.mark.skipif(not demo.SOURCE.exists(), reason="the shot is not there")
def test_the_shot_itself():
    whole = [read(path) for path in (demo.SOURCE, demo.MATTE, demo.TRUTH)]
    assert len({clip.shape for clip in whole}) == 1
    source, matte, truth = (clip[::10] for clip in whole)
    assert 0.005 < (matte > 127).mean() < 0.5
    hole = matte[..., 0] > 127
    inside = np.abs(source[hole].astype(int) - truth[hole]).mean()
    assert inside > 5 * np.abs(source[~hole].astype(int) - truth[~hole]).mean()
