"""Packs the Blender extension: add-on, descriptor, the engine's wheel and the weights that we ship, in dist/flow_inpaint-VERSION.zip.

    python build_addon.py [--output DIR] [--check]

Beside it lies dist/repository, a static extension repository: put that folder where users reach it, on a web server or a shared
disk, and the address of its index.json is all that a Blender needs to install the add-on and to hear of updates.
The same sources give the same bytes: names are sorted, times and permissions fixed, nothing is compressed (zlib differs
from machine to machine), and the wheel is packed anew in the same way. `--check` writes nothing: it builds twice and compares.
Blender's own validator looks at the result when a Blender is at hand (FLOW_INPAINT_BPY_PYTHONS, .blender/ or the search path).
"""
from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.parse
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ENGINE = HERE / "engine" / "flow_inpaint"
ADDON = HERE / "blender_addon"
WEIGHTS = HERE / "weights"
SETUPTOOLS_NEEDED = 77
EARLIEST = 315532800  # 1980-01-01, where ZIP's calendar begins
LEFT_OUT = {"__pycache__", ".DS_Store"}
INDEX = "index.json"


class BuildError(Exception):
    """One sentence for whoever builds."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Packs the Blender extension.")
    where = "where the zip and the repository go (default: dist)"
    parser.add_argument("--output", type=Path, default=HERE / "dist", metavar="DIR", help=where)
    parser.add_argument("--check", action="store_true", help="build twice, compare and validate, but write nothing")
    options = parser.parse_args()
    try:
        if options.check:
            check()
        else:
            packed = build(options.output)
            print(packed)
            print(publish(packed, options.output / "repository"))
    except BuildError as error:
        print(f"build_addon: {error}", file=sys.stderr)
        return 1
    return 0


def build(folder: Path) -> Path:
    """The validated zip in `folder`. It appears when it is whole. Raises `BuildError`."""
    name = f"flow_inpaint-{version()}.zip"
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / name
        packed.write_bytes(zipped(contents(Path(scratch))))
        validate(packed)
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f".{name}.part"
        shutil.copyfile(packed, half)
        os.replace(half, folder / name)
    return folder / name


def publish(packed: Path, folder: Path) -> Path:
    """A static extension repository in `folder` with the zip; returns its index. The index changes when the zip is there: somebody
    may be reading. Zips of older versions stay, and are not listed. Raises `BuildError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((packed.name, packed.read_bytes()), (INDEX, listing([packed]))):
        half = folder / f".{name}.part"
        half.write_bytes(content)
        os.replace(half, folder / name)
    compare_listings(folder)
    return folder / INDEX


def listing(zips: Sequence[Path]) -> bytes:
    """The index of a repository with these zips, as Blender's extension listing in its version v1 has it."""
    entries = []
    for packed in zips:
        content = packed.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
        entries.append(
            {key: value for key, value in manifest.items() if key != "wheels"}
            | {
                "archive_url": f"./{urllib.parse.quote(packed.name)}",
                "archive_size": len(content),
                "archive_hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
            }
        )
    return (json.dumps({"version": "v1", "blocklist": [], "data": entries}, indent=2) + "\n").encode()


def compare_listings(folder: Path) -> None:
    """Raises `BuildError` when Blender, where there is one, would have written another index."""
    command = validator()
    if command is None:
        return
    ours: dict[str, Any] = json.loads((folder / INDEX).read_text("utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        for entry in ours["data"]:
            name = urllib.parse.unquote(entry["archive_url"].removeprefix("./"))
            shutil.copyfile(folder / name, Path(scratch) / name)
        done = subprocess.run([*command, "server-generate", "--repo-dir", scratch], capture_output=True, text=True, check=False)
        theirs = Path(scratch) / INDEX
        if done.returncode or not theirs.is_file() or json.loads(theirs.read_text("utf-8")) != ours:
            words = " ".join((done.stdout + done.stderr).split())
            raise BuildError(f"Blender would list the repository in another way than {folder / INDEX}: {words}")


def check() -> None:
    """Raises `BuildError` when two builds differ, or Blender refuses the zip."""
    with tempfile.TemporaryDirectory() as scratch:
        first, second = (build(Path(scratch) / turn).read_bytes() for turn in ("first", "second"))
    if first != second:
        raise BuildError("two builds of the same sources differ.")
    print(f"flow_inpaint-{version()}.zip: {len(first)} bytes, SHA-256 {hashlib.sha256(first).hexdigest()}, the same twice")


def version() -> str:
    """The engine's version, which everything else has to agree with. Raises `BuildError`."""
    found = re.search(r'^__version__ = "([^"]+)"$', (ENGINE / "__init__.py").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise BuildError(f"{ENGINE / '__init__.py'} says no version.")
    others = {
        ENGINE / "effect.toml": tomllib.loads((ENGINE / "effect.toml").read_text("utf-8"))["effect"]["version"],
        ADDON / "blender_manifest.toml": tomllib.loads((ADDON / "blender_manifest.toml").read_text("utf-8"))["version"],
    }
    for path, other in others.items():
        if other != found[1]:
            raise BuildError(f"{path} says version {other}, the engine is {found[1]}: make them agree.")
    return found[1]


def contents(scratch: Path) -> dict[str, bytes]:
    """The zip's files by name."""
    files = {path.relative_to(ADDON).as_posix(): path.read_bytes() for path in _files(ADDON) if path.suffix in (".py", ".toml")}
    files["effect.toml"] = (ENGINE / "effect.toml").read_bytes()
    files["LICENSE"] = (HERE / "LICENSE").read_bytes()
    wheel = build_wheel(scratch)
    files[f"engine_wheel/{wheel.name}"] = normalised_wheel(wheel)
    for path in _files(WEIGHTS):
        if path.suffix in (".toml", ".safetensors"):
            files[f"weights/{path.relative_to(WEIGHTS).as_posix()}"] = path.read_bytes()
    return files


def build_wheel(scratch: Path) -> Path:
    """The engine's wheel as pip makes it, from a copy of the sources, so that nothing left over from other builds gets in."""
    source, target = scratch / "source", scratch / "wheel"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (HERE / name).is_file():
            source.mkdir(exist_ok=True)
            shutil.copyfile(HERE / name, source / name)
    shutil.copytree(ENGINE, source / "engine" / "flow_inpaint", ignore=shutil.ignore_patterns(*LEFT_OUT))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(source)]
    if _setuptools() >= SETUPTOOLS_NEEDED:
        command.insert(-1, "--no-build-isolation")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(target.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise BuildError(
            f"pip could not make the engine's wheel: {words[-1] if words else 'it did not say why'}"
            f" (without a network, install setuptools {SETUPTOOLS_NEEDED} or later beside pip)."
        )
    return wheels[0]


def normalised_wheel(path: Path) -> bytes:
    """The wheel with everything that depends on who built it, and when, taken out."""
    with zipfile.ZipFile(path) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    about = record.replace("RECORD", "WHEEL")
    files[about] = re.sub(rb"^Generator: .*$", b"Generator: build_addon", files[about], flags=re.MULTILINE)
    del files[record]
    files[record] = _record(files, record)
    return zipped(files)


def _record(files: Mapping[str, bytes], own_name: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(files[name])])
    rows.writerow([own_name, "", ""])
    return text.getvalue().encode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip whose bytes depend on nothing but the files (and SOURCE_DATE_EPOCH, when that is set)."""
    moment = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH") or EARLIEST), EARLIEST))
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, moment[:6])
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return memory.getvalue()


def validate(packed: Path) -> None:
    """Shows the zip to Blender's validator, when there is one. Raises `BuildError` with its words."""
    command = validator()
    if command is None:
        print("no Blender found: the zip is not validated", file=sys.stderr)
        return
    done = subprocess.run([*command, "validate", str(packed)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError("Blender refuses the zip: " + " ".join((done.stdout + done.stderr).split()))


def validator() -> list[str] | None:
    """The beginning of a command that runs Blender's extension tool: the newest module's script, else a binary's command."""
    named = os.environ.get("FLOW_INPAINT_BPY_PYTHONS", "")
    pythons = [Path(p) for p in named.split(os.pathsep) if p] or sorted(HERE.glob(".blender/bpy-*/bin/python"))
    pattern = "lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    scripts = [script for python in pythons for script in python.parent.parent.glob(pattern)]
    if scripts:
        return [sys.executable, str(max(scripts, key=lambda script: script.parts[-6]))]
    binary = shutil.which("blender")
    return [binary, "--command", "extension"] if binary else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not LEFT_OUT.intersection(path.parts))


def _setuptools() -> int:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
