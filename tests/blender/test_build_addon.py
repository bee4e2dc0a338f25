"""The zip: what is in it, that two builds agree, that Blender takes it, and what is refused."""
from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from addon_fixtures import addon_zip, build_addon  # noqa: F401
from bpy_process import interpreters

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def files(addon_zip) -> dict[str, bytes]:  # noqa: F811
    with zipfile.ZipFile(addon_zip) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a build reads, with the module pointed at it."""
    for name in ("blender_addon", "engine", "weights"):
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (REPOSITORY / name).is_file():
            shutil.copy(REPOSITORY / name, tmp_path / name)
    monkeypatch.setattr(build_addon, "HERE", tmp_path)
    monkeypatch.setattr(build_addon, "ENGINE", tmp_path / "engine" / "flow_inpaint")
    monkeypatch.setattr(build_addon, "ADDON", tmp_path / "blender_addon")
    monkeypatch.setattr(build_addon, "WEIGHTS", tmp_path / "weights")
    return tmp_path


def test_everything_is_in_it(files):
    sources = {p.relative_to(REPOSITORY / "blender_addon").as_posix() for p in (REPOSITORY / "blender_addon").rglob("*.py")}
    wheel = f"engine_wheel/flow_inpaint-{build_addon.version()}-py3-none-any.whl"
    assert sources | {"blender_manifest.toml", "effect.toml", "LICENSE", wheel} <= set(files)
    assert files["effect.toml"] == (REPOSITORY / "engine/flow_inpaint/effect.toml").read_bytes()
    assert not [name for name in files if "__pycache__" in name or name.startswith("/") or ".." in name]


def test_the_manifest_asks_for_files_and_the_network_only(files):
    manifest = tomllib.loads(files["blender_manifest.toml"].decode())
    assert manifest["id"] == "flow_inpaint" and manifest["version"] == build_addon.version()
    assert list(manifest["permissions"]) == ["files", "network"] and "wheels" not in manifest


def test_the_wheel_is_whole(files, tmp_path):
    data = next(content for name, content in files.items() if name.endswith(".whl"))
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        record = wheel.read(next(n for n in wheel.namelist() if n.endswith("RECORD"))).decode()
        assert "flow_inpaint/effect.toml" in wheel.namelist() and "flow_inpaint/server.py" in wheel.namelist()
        listed = {line.split(",")[0] for line in record.splitlines()}
        assert listed == set(wheel.namelist())
    name = next(name for name in files if name.endswith(".whl"))
    (tmp_path / Path(name).name).write_bytes(data)
    target = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(tmp_path / Path(name).name)], check=True)
    assert (target / "flow_inpaint" / "effect.toml").is_file()


def test_a_second_build_elsewhere_and_later_has_the_same_bytes(copy, monkeypatch):
    first = build_addon.build(copy / "dist").read_bytes()
    elsewhere = copy / "elsewhere"
    for name in ("blender_addon", "engine"):
        shutil.copytree(copy / name, elsewhere / name)
    for path in copy.rglob("*"):
        path.touch()
    monkeypatch.setattr(build_addon, "ENGINE", elsewhere / "engine" / "flow_inpaint")
    monkeypatch.setattr(build_addon, "ADDON", elsewhere / "blender_addon")
    again = build_addon.build(copy / "again")
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(first).digest()
    assert [p.name for p in (copy / "again").iterdir()] == [again.name]


def test_the_order_and_the_times_are_fixed(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = build_addon.zipped({"b": b"2", "a": b"1"}), build_addon.zipped({"a": b"1", "b": b"2"})
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert packed.namelist() == ["a", "b"] and packed.infolist()[0].date_time == (2023, 11, 14, 22, 13, 20)


def test_blender_takes_it(addon_zip):  # noqa: F811
    if build_addon.validator() is None:
        pytest.skip("no Blender to validate with: run `make blender`")
    build_addon.validate(addon_zip)


@pytest.fixture
def repository(addon_zip, tmp_path) -> Path:  # noqa: F811
    build_addon.publish(addon_zip, tmp_path / "repository")
    return tmp_path / "repository"


def test_the_repository_lists_the_zip(addon_zip, repository):  # noqa: F811
    index = json.loads((repository / "index.json").read_text())
    assert (index["version"], index["blocklist"], len(index["data"])) == ("v1", [], 1)
    entry = index["data"][0]
    content = (repository / entry["archive_url"]).read_bytes()
    assert content == addon_zip.read_bytes() and entry["archive_size"] == len(content)
    assert entry["archive_hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert (entry["id"], entry["version"], entry["type"], entry["blender_version_min"]) == ("flow_inpaint", build_addon.version(), "add-on", "4.2.0")
    assert set(entry["permissions"]) == {"files", "network"} and entry["license"] == ["SPDX:GPL-3.0-or-later"]
    assert sorted(path.name for path in repository.iterdir()) == [addon_zip.name, "index.json"]


def test_every_blender_at_hand_lists_it_in_the_same_way(repository, monkeypatch):
    pythons = [python for python in interpreters() if python.name.startswith("python")]
    if not pythons:
        pytest.skip("no Blender to compare with: run `make blender`")
    for python in pythons:
        monkeypatch.setenv("FLOW_INPAINT_BPY_PYTHONS", str(python))
        build_addon.compare_listings(repository)
    index = json.loads((repository / "index.json").read_text())
    index["data"][0]["tagline"] = "Another"
    (repository / "index.json").write_text(json.dumps(index))
    with pytest.raises(build_addon.BuildError, match="would list the repository in another way"):
        build_addon.compare_listings(repository)


def test_a_new_version_takes_the_place_of_the_old_one(addon_zip, repository, tmp_path):  # noqa: F811
    newer = tmp_path / "flow_inpaint-9.0.0.zip"
    with zipfile.ZipFile(addon_zip) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            manifest = name == "blender_manifest.toml"
            new.writestr(name, data.replace(build_addon.version().encode(), b"9.0.0", 1) if manifest else data)
    build_addon.publish(newer, repository)
    index = json.loads((repository / "index.json").read_text())
    assert [entry["version"] for entry in index["data"]] == ["9.0.0"] and (repository / addon_zip.name).is_file()


def test_what_blender_refuses_is_not_delivered(copy, monkeypatch):
    if build_addon.validator() is None:
        pytest.skip("no Blender to validate with: run `make blender`")
    manifest = copy / "blender_addon" / "blender_manifest.toml"
    manifest.write_text(manifest.read_text().replace('motion"', 'motion."'))
    monkeypatch.setattr(build_addon, "build_wheel", lambda scratch: Path("x.whl"))
    monkeypatch.setattr(build_addon, "normalised_wheel", lambda wheel: b"")
    with pytest.raises(build_addon.BuildError, match="Blender refuses the zip"):
        build_addon.build(copy / "dist")
    assert not (copy / "dist").exists()


@pytest.mark.parametrize("name", ["blender_addon/blender_manifest.toml", "engine/flow_inpaint/effect.toml"])
def test_versions_have_to_agree(copy, name):
    path = copy / name
    path.write_text(path.read_text().replace(f'version = "{build_addon.version()}"', 'version = "7.7.7"', 1))
    with pytest.raises(build_addon.BuildError, match=r"says version 7\.7\.7"):
        build_addon.version()
