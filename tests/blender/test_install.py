"""Installing, judging and removing the add-on's own engine in real Blenders."""
from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from addon_fixtures import addon_zip, build_addon

sys.path.append(str(Path(__file__).resolve().parents[1] / "engine_setup"))
import setup_kit

pytestmark = pytest.mark.blender
ADVICE = "The engine is not installed yet: press Install Engine"


@pytest.fixture(scope="session")
def light_zip(addon_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The add-on's zip with the small engine in the place of the real one."""
    folder = tmp_path_factory.mktemp("light")
    wheel = setup_kit.engine_wheel(folder, build_addon.version())
    with zipfile.ZipFile(addon_zip) as whole, zipfile.ZipFile(folder / addon_zip.name, "w") as light:
        for name in whole.namelist():
            if not name.startswith("engine_wheel/"):
                light.writestr(name, whole.read(name))
        light.write(wheel.path, f"engine_wheel/{wheel.path.name}")
    return folder / addon_zip.name


@pytest.fixture(scope="session")
def found(ask, clips, light_zip, tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("engines")
    setup_kit.filler_wheel(folder / "wheels", 1000)
    (folder / "python").write_text(sys.executable)
    (folder / "version").write_text(build_addon.version())
    return ask("scripts_install.py", light_zip, clips, folder, tmp_path_factory.mktemp("work") / "w")


@pytest.fixture
def case(found):
    def one(name: str) -> Any:
        if "error" in found[name] and "Traceback" in str(found[name]["error"]):
            pytest.fail(found[name]["error"], pytrace=False)
        return found[name]

    return one


def one_line(found: dict[str, Any], code: int) -> str:
    assert found["code"] == code and found["out"] == "", found
    *progress, last = found["errors"].splitlines()
    assert all(line.startswith("Flow Inpaint: ") for line in progress) and last.startswith("flow_inpaint: "), found
    return last.removeprefix("flow_inpaint: ")


def test_without_leave_to_go_online(case):
    assert case("offline")["allowed"] is False
    assert "turn on 'Allow Online Access'" in one_line(case("offline")["command"], 1)
    assert case("offline")["after"]["there"] == []


def test_usage(case):
    assert "'quantum'" in one_line(case("usage"), 2)
    assert case("help")["code"] == 0 and "--wheels DIR" in case("help")["out"] and "--strip" not in case("help")["out"]


def test_a_python_that_is_not_there(case):
    assert one_line(case("no_python"), 1).startswith("The Python /none/python does not exist")


def test_by_command(case):
    done = case("command")
    assert done["before"]["state"] == "missing" and done["before"]["advice"].startswith(ADVICE)
    assert done["refused"]["said"].startswith(f"Error: {ADVICE}") and len(done["refused"]["strips"]) == 2
    lines = done["command"]["errors"].splitlines()
    assert done["command"]["code"] == 0 and len(lines) < 10 and all(line.startswith("Flow Inpaint: ") for line in lines)
    said = json.loads(done["command"]["out"])
    assert said["engine"] == "installed" and said["version"] == build_addon.version() and said["torch"] is None and said["notes"] == []
    assert Path(said["python"]).is_relative_to(said["folder"]) and said["folder"] == done["after"]["root"]
    assert done["after"]["state"] == "whole" and done["after"]["advice"] == ""


def test_it_lies_in_the_extensions_user_folder(case):
    root = Path(case("command")["after"]["root"])
    assert root.parts[-5:] == ("extensions", ".user", "user_default", "flow_inpaint", "engine")
    assert case("command")["after"]["there"] == ["e1", "engine.json", "install.log", "lock"]


def test_the_own_engine_does_the_job(case):
    assert case("command")["removal"]["said"] == "{'FINISHED'}" and len(case("command")["removal"]["strips"]) == 3


def test_by_operator_again(case):
    assert case("operator")["said"] == "{'FINISHED'}"
    assert (
        case("operator")["after"]["state"] == "whole"
        and "e2" in case("operator")["after"]["there"]
        and "e1" not in case("operator")["after"]["there"]
    )


def test_in_vain(case):
    assert "does not exist: name another" in case("in_vain")["said"] and case("in_vain")["same"]


def test_the_window_lives_on(case):
    done = case("responsive")
    # Of the thread's own time; the clock's has what other processes of a busy machine take.
    assert done["longest"] < 0.02 and done["longest on the clock"] < 0.1, done
    assert "Installing" in done["stages"] and done["error"] == "The installation was stopped; what was downloaded is kept."
    assert done["running"] is False and done["after"]["state"] == "whole"


@pytest.mark.parametrize(
    "name, usable, words",
    [
        ("older", False, "The engine is version 0.0.1, older than this add-on's"),
        ("newer", False, "The engine is version 9.1.0, newer than this add-on's"),
        ("patch", True, ".99, newer than this add-on's"),
        ("build", True, "The engine is another build of"),
    ],
)
def test_other_versions(case, name, usable, words):
    """The same language is understood, another is refused; both are offered the upgrade."""
    done = case("versions")[name]
    assert (
        done["state"] == "outdated"
        and done["usable"] is usable
        and words in done["advice"]
        and done["advice"].endswith("press Upgrade Engine.")
    )
    assert done["said"].startswith("{'FINISHED'}" if usable else f"Error: {done['advice'].removesuffix('.')}")
    assert case("versions")["put right"]["state"] == "whole"


def test_broken(case):
    done = case("broken")
    assert done["state"] == "broken" and "press Repair Engine" in done["advice"] and done["said"].startswith("Error: The engine is damaged")


def test_another_folder(case):
    done = case("other_folder")
    assert done["state"]["root"].endswith("elsewhere é") and done["state"]["state"] == "missing"
    assert "does not exist" in one_line(done["in vain"], 1) and done["removed"]["code"] == 0


def test_the_weights_of_the_zip_are_named_to_the_engine(case):
    assert case("weights") == {"catalog": True, "inside": True}


def test_removed_by_operator(case):
    done = case("operator_removes")
    assert done["said"] == "{'FINISHED'}" and done["after"]["state"] == "missing" and done["after"]["there"] == ["lock"]
    assert done["refused"]["said"].startswith(f"Error: {ADVICE}")
    assert case("remove_nothing")["code"] == 0 and json.loads(case("remove_nothing")["out"])["engine"] == "removed"
