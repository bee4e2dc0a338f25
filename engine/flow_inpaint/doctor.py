"""`flow-inpaint doctor`: what is on this machine, what is wrong with it, and what to do about it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from . import __version__, cache, weights
from .errors import BadWeights

State = Literal["good", "note", "broken"]

_OLDEST_PYTHON = (3, 11)
_OLDEST_BLENDER = (4, 2)
# Names to import and to install.
_LIBRARIES = {"numpy": "numpy", "cv2": "opencv-python-headless", "av": "av", "scipy": "scipy"}
_REQUIRED_DECODERS = ("h264", "hevc", "ffv1")
_OTHER_DECODERS = ("prores", "dnxhd", "vp9", "av1", "exr")
_REQUIRED_ENCODERS = ("ffv1",)
_OTHER_ENCODERS = {"prores_ks": "prores", "libx264": "h264", "exr": "exr"}
_SCARCE_MEMORY = 2 * 2**30
_SCARCE_DISK = 2 * 2**30
_REINSTALL = f'"{sys.executable}" -m pip install --force-reinstall {{}}'
_PATIENCE = 30


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `broken`: no job can run; `note`: jobs run, something is missing. `advice` says what to do."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine() -> list[Finding]:
    """Looks at everything. A look that fails is itself a finding, never an exception."""
    looks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("Flow Inpaint", _own),
        ("Python", _python),
        ("libraries", _libraries),
        ("codecs", _codecs),
        ("images", _images),
        ("device", _device),
        ("weights", _weights),
        ("memory", _memory),
        ("disk", _disk),
        ("Blender", _blender),
    ]
    return [finding for name, look in looks for finding in _looked(name, look)]


def exit_code(findings: Sequence[Finding]) -> int:
    """0 when jobs can run."""
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def lines(findings: Sequence[Finding]) -> list[str]:
    """For a person."""
    width = max(len(finding.name) for finding in findings)
    marks = {"good": "ok    ", "note": "note  ", "broken": "BROKEN"}
    made = []
    for finding in findings:
        made.append(f"{marks[finding.state]} {finding.name:{width}}  {finding.found}")
        if finding.advice:
            made.append(f"{'':{width + 9}}-> {finding.advice}")
    broken = [finding.name for finding in findings if finding.state == "broken"]
    made.append(f"Jobs cannot run: {', '.join(broken)} must be put right first." if broken else "Jobs can run.")
    return made


def as_json(findings: Sequence[Finding]) -> str:
    """For a program: {"ready": bool, "findings": [...]}."""
    return json.dumps({"ready": exit_code(findings) == 0, "findings": [asdict(finding) for finding in findings]}, indent=2)


def _looked(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    # Whatever a broken installation throws, the other findings are still wanted.
    try:
        return look()
    except Exception as error:
        return [Finding(name, "broken", f"could not be looked at ({type(error).__name__}: {error})", "Repair the installation.")]


def _own() -> list[Finding]:
    found = f"{__version__} in {Path(__file__).parent}"
    try:
        importlib.import_module(f"{__package__}.pipeline")
    except Exception as error:
        text = " ".join(str(error).split())
        return [Finding("Flow Inpaint", "broken", f"{found}: does not load ({text})", _REINSTALL.format("flow-inpaint"))]
    return [Finding("Flow Inpaint", "good", found)]


def _python() -> list[Finding]:
    found = f"{platform.python_version()} on {platform.platform()} ({sys.executable})"
    if sys.version_info < _OLDEST_PYTHON:
        return [Finding("Python", "broken", found, f"Install Python {'.'.join(map(str, _OLDEST_PYTHON))} or newer.")]
    return [Finding("Python", "good", found)]


def _libraries() -> list[Finding]:
    return [_library(module, distribution) for module, distribution in _LIBRARIES.items()]


def _library(module: str, distribution: str) -> Finding:
    try:
        loaded = importlib.import_module(module)
    except Exception as error:
        text = " ".join(str(error).split())
        return Finding(module, "broken", f"cannot be loaded ({text})", _REINSTALL.format(distribution))
    return Finding(module, "good", str(loaded.__version__))


def _codecs() -> list[Finding]:
    import av

    known = av.codecs_available
    decoders = [name for name in (*_REQUIRED_DECODERS, *_OTHER_DECODERS) if _opens(name, "r", known)]
    encoders = [name for name in (*_REQUIRED_ENCODERS, *_OTHER_ENCODERS) if _opens(name, "w", known)]
    return [
        _codec_finding("decoders", decoders, _REQUIRED_DECODERS, _OTHER_DECODERS, "footage in these cannot be read"),
        _codec_finding("encoders", encoders, _REQUIRED_ENCODERS, tuple(_OTHER_ENCODERS), _lost_formats(encoders)),
    ]


def _opens(name: str, mode: Literal["r", "w"], known: set[str]) -> bool:
    from av.codec import Codec
    from av.error import FFmpegError

    if name not in known:
        return False
    try:
        return Codec(name, mode) is not None
    except (FFmpegError, ValueError):
        return False


def _lost_formats(encoders: Sequence[str]) -> str:
    return f"without: {', '.join(made for name, made in _OTHER_ENCODERS.items() if name not in encoders)}"


def _codec_finding(name: str, found: list[str], required: tuple[str, ...], others: tuple[str, ...], loss: str) -> Finding:
    missing = [codec for codec in (*required, *others) if codec not in found]
    if not missing:
        return Finding(name, "good", ", ".join(found))
    state: State = "broken" if set(missing) & set(required) else "note"
    return Finding(name, state, f"{', '.join(found)}; missing: {', '.join(missing)} ({loss})", _REINSTALL.format("av"))


def _images() -> list[Finding]:
    import numpy as np

    from .media.image_codec import encode_image, read_image

    lost = []
    with tempfile.TemporaryDirectory(prefix="flow-inpaint-") as folder:
        for suffix, dtype in ((".png", np.uint8), (".png", np.uint16), (".tif", np.uint16), (".exr", np.float32)):
            path = Path(folder) / f"image{suffix}"
            picture = np.arange(8 * 8 * 3).reshape(8, 8, 3).astype(dtype)
            try:
                path.write_bytes(encode_image(suffix, picture, None, 8 * picture.itemsize))
                whole = np.array_equal(read_image(path)[0], picture)
            except Exception:
                # Any failure whatsoever means that this kind of image does not work here.
                whole = False
            if not whole:
                lost.append(f"{suffix} with {8 * picture.itemsize} bits")
    if lost:
        return [
            Finding("images", "note", f"cannot be written and read back: {', '.join(lost)}", _REINSTALL.format("opencv-python-headless av"))
        ]
    return [Finding("images", "good", "PNG, TIFF and OpenEXR are written and read back exactly")]


def _device() -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processor = f"processor with {cores} {'core' if cores == 1 else 'cores'}"
    return [Finding("device", "good", f"{processor} ({platform.machine()})"), _torch()]


def _torch() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("torch", "good", "not installed: no networks, and the processor does the work")
    try:
        torch: Any = importlib.import_module("torch")
        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
            devices.append("Apple GPU")
    except Exception as error:
        return Finding("torch", "note", f"cannot be loaded ({type(error).__name__}: {error})", _REINSTALL.format("torch"))
    return Finding("torch", "good", f"{torch.__version__}; networks run on {', '.join(devices) or 'the processor'}")


def _weights() -> list[Finding]:
    try:
        found = weights.sets()
    except BadWeights as error:
        return [Finding("weights", "note", str(error).rstrip("."), "Correct or delete that file.")]
    best = {role: weights.best(role, found) for role in weights.ROLES}
    installed = [f"{role}: {chosen.name} (width {chosen.width:g})" for role, chosen in best.items() if chosen]
    without = [role for role, chosen in best.items() if not chosen]
    said = "; ".join(installed) or "none installed"
    # DFC-Net is three stages or the single one.
    enough = not set(without) - {"dfc_single"} or not set(without) - {"dfc_stage1", "dfc_stage2", "dfc_stage3"}
    if without:
        said += f"; none for {', '.join(without)}"
    if enough:
        return [Finding("weights", "good", said)]
    return [Finding("weights", "note", said, "Jobs run with the methods that need none; flow-inpaint weights import FILE brings some in.")]


def _memory() -> list[Finding]:
    free = _free_memory()
    if free is None:
        return [Finding("memory", "note", "how much is free is not known on this system")]
    found = f"{free / 2**30:.1f} GiB free"
    if free < _SCARCE_MEMORY:
        return [Finding("memory", "note", found, "Close other programs before large jobs.")]
    return [Finding("memory", "good", found)]


def _free_memory() -> int | None:
    """Bytes, as the system and the container that this runs in have them."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text("ascii"))
        return min(free, limit - int((group / "memory.current").read_text("ascii")))
    except (OSError, ValueError):
        return free


def _disk() -> list[Finding]:
    place = cache.place()
    folder = next(parent for parent in (place, *place.parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.1f} GiB free in {folder}, where work files go"
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        # Jobs go on without, in a temporary folder, unless a place was asked for.
        state: State = "broken" if os.environ.get(cache.PLACE) else "note"
        return [Finding("disk", state, f"{folder} cannot be written to ({error.strerror})", f"Set {cache.PLACE} to a folder that can.")]
    if free < _SCARCE_DISK:
        return [Finding("disk", "note", found, f"Free some space, or set {cache.PLACE} to a folder with more.")]
    return [Finding("disk", "good", found)]


def _blender() -> list[Finding]:
    findings = [_blender_program(path)] if (path := shutil.which("blender")) else []
    if importlib.util.find_spec("bpy") is not None:
        findings.append(Finding("bpy", "good", f"Blender {importlib.metadata.version('bpy')} as a Python module"))
    if findings:
        return findings
    return [Finding("Blender", "note", "none on the search path", "Only the add-on needs it; a Blender elsewhere works as well.")]


def _blender_program(path: str) -> Finding:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Blender", "note", f"{path} does not start ({type(error).__name__})", "Repair or reinstall Blender.")
    version = re.match(r"Blender (\d+)\.(\d+)\S*", said.stdout.strip())
    if said.returncode or version is None:
        return Finding("Blender", "note", f"{path} does not say its version (exit code {said.returncode})", "Repair or reinstall Blender.")
    found = f"{version[0].removeprefix('Blender ')} at {path}"
    if (int(version[1]), int(version[2])) < _OLDEST_BLENDER:
        return Finding("Blender", "note", found, f"The add-on needs Blender {'.'.join(map(str, _OLDEST_BLENDER))} or newer.")
    return Finding("Blender", "good", found)
