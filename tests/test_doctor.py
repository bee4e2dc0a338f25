"""The doctor finds what is wrong, says what to do, and never fails itself."""

from __future__ import annotations

import builtins
import importlib
import json
import os
import shutil
import subprocess
import sys
import types

import pytest

from flow_inpaint import cli, doctor
from flow_inpaint.doctor import Finding


def named(name: str) -> Finding:
    found = [finding for finding in doctor.examine() if finding.name == name]
    assert len(found) == 1
    return found[0]


def test_this_machine_can_run_jobs(capfd):
    assert cli.main(["doctor"]) == 0
    out, err = capfd.readouterr()
    assert err == "" and out.endswith("Jobs can run.\n")
    for word in (
        "Python",
        "numpy",
        "cv2",
        "av",
        "scipy",
        "h264",
        "prores_ks",
        "OpenEXR",
        "cores" if os.cpu_count() != 1 else "core",
        "GiB free",
        "Blender",
    ):
        assert word in out
    assert cli.main(["doctor", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["ready"] is True
    assert {finding["state"] for finding in said["findings"]} <= {"good", "note"}
    assert all(set(finding) == {"name", "state", "found", "advice"} for finding in said["findings"])


def test_every_complaint_comes_with_advice():
    assert all(finding.advice for finding in doctor.examine() if finding.state == "broken")


@pytest.mark.parametrize("module", ["numpy", "cv2", "av", "scipy"])
def test_a_library_that_is_missing(monkeypatch, capfd, module):
    real = importlib.import_module

    def without(name, *rest):
        if name == module:
            raise ImportError(f"libfoo.so: cannot open\nshared object for {name}")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    finding = named(module)
    assert finding.state == "broken" and "libfoo.so: cannot open shared object" in finding.found and "pip install" in finding.advice
    assert cli.main(["doctor"]) == 1
    assert f"Jobs cannot run: {module} must be put right first." in capfd.readouterr().out


def test_an_engine_that_does_not_load(monkeypatch):
    real = importlib.import_module

    def without(name, *rest):
        if name == "flow_inpaint.pipeline":
            raise ImportError("No module named 'numpy.core'")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    finding = named("Flow Inpaint")
    assert finding.state == "broken" and "does not load (No module named 'numpy.core')" in finding.found


def test_without_any_library_the_rest_is_still_said(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named_ones):
        if name.split(".")[0] in ("av", "cv2"):
            raise ImportError("gone")
        return real(name, *rest, **named_ones)

    monkeypatch.setattr(builtins, "__import__", without)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["codecs"].state == "broken" and "gone" in findings["codecs"].found
    assert findings["Python"].state == "good" and findings["disk"].found and "memory" in findings


@pytest.mark.parametrize(
    ("codec", "name", "state"),
    [("ffv1", "encoders", "broken"), ("h264", "decoders", "broken"), ("libx264", "encoders", "note"), ("prores", "decoders", "note")],
)
def test_a_codec_that_is_missing(monkeypatch, codec, name, state):
    real = doctor._opens
    monkeypatch.setattr(doctor, "_opens", lambda wanted, mode, known: wanted != codec and real(wanted, mode, known))
    finding = named(name)
    assert finding.state == state and f"missing: {codec} (" in finding.found and "pip install" in finding.advice
    if codec == "libx264":
        assert "without: h264" in finding.found


def test_unknown_codecs_do_not_open():
    assert not doctor._opens("no such codec", "r", {"no such codec"})
    assert not doctor._opens("h264", "r", set())


def test_images_that_do_not_come_back(monkeypatch):
    from flow_inpaint.media import image_codec

    real = image_codec.encode_image
    monkeypatch.setattr(image_codec, "encode_image", lambda suffix, *rest: b"" if suffix == ".exr" else real(suffix, *rest))
    finding = named("images")
    assert finding.state == "note" and ".exr with 32 bits" in finding.found and ".png" not in finding.found


def test_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    finding = doctor._python()[0]
    assert finding.state == "broken" and "3.11" in finding.advice


def fake_torch(devices, metal):
    return types.SimpleNamespace(
        __version__="9.9",
        cuda=types.SimpleNamespace(device_count=lambda: len(devices), get_device_name=lambda i: devices[i]),
        backends=types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: metal)),
    )


@pytest.mark.parametrize(
    ("devices", "metal", "said"), [([], False, "the processor"), (["H1", "H2"], False, "H1, H2"), ([], True, "Apple GPU")]
)
def test_torch(monkeypatch, devices, metal, said):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", lambda name: fake_torch(devices, metal))
    finding = doctor._torch()
    assert finding.state == "good" and f"9.9; networks run on {said}" in finding.found


def test_torch_that_does_not_load(monkeypatch):
    def broken(name):
        raise OSError("no CUDA library")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", broken)
    assert doctor._torch().state == "note" and "no CUDA library" in doctor._torch().found


def test_no_torch(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert doctor._torch().state == "good" and "processor does the work" in doctor._torch().found


def test_little_memory(monkeypatch):
    monkeypatch.setattr(doctor, "_free_memory", lambda: 2**29)
    assert doctor._memory()[0].state == "note" and doctor._memory()[0].found == "0.5 GiB free"
    monkeypatch.setattr(doctor, "_free_memory", lambda: None)
    assert doctor._memory()[0].state == "note"


def test_little_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOW_INPAINT_CACHE", str(tmp_path / "not" / "yet"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=2**20))
    assert doctor._disk()[0].state == "note" and "FLOW_INPAINT_CACHE" in doctor._disk()[0].advice and str(tmp_path) in doctor._disk()[0].found

    def refused(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refused)
    assert doctor._disk()[0].state == "broken" and "Permission denied" in doctor._disk()[0].found
    monkeypatch.delenv("FLOW_INPAINT_CACHE")
    assert doctor._disk()[0].state == "note"


@pytest.mark.skipif(os.name == "nt", reason="writes a shell script")
@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo Blender 5.0.1", "good", "5.0.1 at "),
        ("echo Blender 4.1.0 Alpha", "note", "4.1.0 at "),
        ("echo Blender nonsense", "note", "does not say its version"),
        ("exit 3", "note", "does not say its version (exit code 3)"),
        ("sleep 20", "note", "does not start (TimeoutExpired)"),
    ],
)
def test_blender_on_the_path(monkeypatch, tmp_path, script, state, said):
    program = tmp_path / "blender"
    program.write_text(f"#!/bin/sh\nexec {script}\n" if script.startswith("sleep") else f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    monkeypatch.setattr(doctor, "_PATIENCE", 1.0)
    finding = doctor._blender()[0]
    assert finding.state == state and said in finding.found
    assert finding.advice or state == "good"


def test_no_blender_is_no_obstacle(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [finding.state for finding in doctor._blender()] == ["note"]


def test_blender_as_a_module(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "5.0.1")
    assert doctor._blender() == [Finding("bpy", "good", "Blender 5.0.1 as a Python module")]


def test_the_doctor_answers_soon():
    done = subprocess.run([sys.executable, "-m", "flow_inpaint", "doctor"], capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b""
