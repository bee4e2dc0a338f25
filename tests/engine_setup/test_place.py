"""What counts as an installed engine."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from setup_kit import engine_wheel, installation, place


def test_whole(there, carried):
    assert there.state(carried) == "whole" and there.state(None) == "whole" and installation.advice("whole", there, carried) == ""


def test_nothing_there(tmp_path, carried):
    nothing = place.Place(tmp_path / "none")
    assert nothing.state(carried) == "missing" and nothing.python() is None and not nothing.anything()
    assert "press Install Engine" in installation.advice("missing", nothing, carried)
    nothing.remove()


def test_without_the_stamp_nothing_counts(there, carried):
    (there.root / "engine.json").unlink()
    assert there.state(carried) == "missing" and there.anything()
    there.tidy()
    assert not (there.root / "e1").exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"folder": "e1"}', None],
)
def test_a_damaged_stamp(there, carried, text):
    path = there.root / "engine.json"
    if text is None:
        text = json.dumps(json.loads(path.read_text()) | {"folder": "../../elsewhere"})
    path.write_text(text)
    assert there.state(carried) == "missing"


@pytest.mark.parametrize("gone", ["python", "home", "engine", "all"])
def test_broken(there, carried, tmp_path, gone):
    environment = there.environment()
    if gone == "python":
        there.python().unlink()
    elif gone == "home":
        (environment / "pyvenv.cfg").write_text(f"home = {tmp_path / 'no'}\n")
    elif gone == "engine":
        (place.site_packages(environment) / "flow_inpaint" / "__main__.py").unlink()
    else:
        os.rename(environment, tmp_path / "away")
    assert there.state(carried) == "broken"
    text = installation.advice("broken", there, carried)
    assert text.endswith("press Repair Engine.") and sys.executable in text


@pytest.mark.parametrize("version, word", [("0.0.9", "newer"), ("0.1.1", "older"), ("0.10.0", "older"), ("1.0", "older")])
def test_another_version(there, tmp_path, version, word):
    other = engine_wheel(tmp_path / "other", version)
    assert there.state(other) == "outdated"
    assert installation.advice("outdated", there, other) == (
        f"The engine is version 0.1.0, {word} than this add-on's {version}: press Upgrade Engine."
    )


def test_another_build_of_the_same_version(there, carried, tmp_path):
    other = place.Wheel(carried.path, carried.version, "0" * 64)
    assert there.state(other) == "outdated"
    assert installation.advice("outdated", there, other) == "The engine is another build of 0.1.0 than this add-on's: press Upgrade Engine."
    assert installation.fits("0.1.0", "0.1.7") and not installation.fits("0.1.0", "0.2.0")


def test_remove(there, carried):
    (there.downloads).mkdir()
    (there.root / "mine.txt").write_text("not Flow Inpaint's")
    there.remove()
    assert sorted(os.listdir(there.root)) == ["lock", "mine.txt"] and there.state(carried) == "missing"


def test_the_next_environment_never_is_one_that_is_there(there):
    assert there.new_environment().name == "e2"
    (there.root / "e2").mkdir()
    assert there.new_environment().name == "e3"
    there.tidy()
    assert sorted(path.name for path in there.root.iterdir() if path.is_dir()) == ["e1"]


def test_short_paths_on_windows(tmp_path):
    long = Path("C:/Users/Somebody/AppData/Roaming/Blender Foundation/Blender/5.2/extensions/.user/user_default/flow_inpaint")
    there = place.default_root(long, "5.2", "win32", {"LOCALAPPDATA": "C:/Users/Somebody/AppData/Local"})
    assert there == Path("C:/Users/Somebody/AppData/Local/FlowInpaint/5.2") and len(str(there)) <= place.LONGEST_WINDOWS_ROOT
    assert place.default_root(Path("D:/b/flow_inpaint"), "5.2", "win32", {"LOCALAPPDATA": "C:/x"}) == Path("D:/b/flow_inpaint/engine")
    assert place.default_root(tmp_path, "5.2", "linux", {}) == tmp_path / "engine"


def test_what_is_no_wheel_of_the_engine(tmp_path):
    (tmp_path / "other-1.0-py3-none-any.whl").touch()
    with pytest.raises(installation.SetupError, match="is not the engine's wheel: install the add-on's zip again"):
        place.wheel(tmp_path / "other-1.0-py3-none-any.whl")
    with pytest.raises(installation.SetupError, match="cannot be read"):
        place.wheel(tmp_path / "flow_inpaint-1.0-py3-none-any.whl")
