"""The whole installation with small wheels: from a folder, from an index, and everything that gets in its way."""
from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from setup_kit import asked, engine_wheel, filler_wheel, folders, installation, place, run, serving, torch_wheel, variables

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and permissions as Unix has them")


@pytest.fixture(scope="session")
def carried(tmp_path_factory: pytest.TempPathFactory) -> place.Wheel:
    return engine_wheel(tmp_path_factory.mktemp("carried"))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the engine needs, with PyTorch."""
    folder = tmp_path_factory.mktemp("wheels")
    filler_wheel(folder)
    torch_wheel(folder, "2.13.0")
    return folder


@pytest.fixture(scope="session")
def new_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pip that only looks when it is told to: what the worker fetches first."""
    folder = tmp_path_factory.mktemp("pip")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        "pip>=25.3",
    ]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this needs a network, to get a newer pip than Python comes with")
    return folder


@pytest.fixture(scope="session")
def installed(carried: place.Wheel, wheels: Path, tmp_path_factory: pytest.TempPathFactory):
    """One good installation, in a folder that has a space and letters from elsewhere in its name. Not to be changed."""
    root = tmp_path_factory.mktemp("data") / "Ægir's fólder" / "engine"
    return run(asked(root, carried, wheels=str(wheels), torch="cpu", online=False)), place.Place(root)


class TestFromAFolder:
    def test_it_is_whole(self, installed, carried):
        done, there = installed
        assert done.error == "" and there.state(carried) == "whole" and done.fraction == 1.0
        assert folders(there.root) == ["e1", "engine.json"]
        assert subprocess.run([str(there.python()), "-c", "import flow_inpaint, filler, torch"], check=False).returncode == 0

    def test_the_stamp_says_what_is_there(self, installed, carried):
        stamp = installed[1].stamp()
        assert (stamp.version, stamp.sha256, stamp.torch, stamp.torch_version) == ("0.1.0", carried.sha256, "cpu", "2.13.0")
        assert stamp.python_version == ".".join(map(str, sys.version_info[:3])) and Path(stamp.base).is_file()

    def test_the_log_has_pips_words(self, installed):
        text = installed[1].log.read_text("utf-8")
        assert (
            "Successfully installed" in text
            and text.splitlines()[0].startswith("Flow Inpaint 0.1.0, Python 3.")
            and text.endswith("Done.\n")
        )

    def test_a_package_that_is_not_there(self, carried, tmp_path):
        (tmp_path / "wheels").mkdir()
        torch_wheel(tmp_path / "wheels", "2.13.0")
        error = run(asked(tmp_path / "root", carried, wheels=str(tmp_path / "wheels"))).error
        assert re.fullmatch(
            r"The folder .*wheels has no wheel of filler>=1 for Python 3\.\d+\.\d+ on this machine: add it, and install again\.", error
        )
        assert folders(tmp_path / "root") == []

    def test_a_folder_without_wheels(self, carried, tmp_path):
        with pytest.raises(installation.SetupError, match="There are no wheels in"):
            installation.Installation(asked(tmp_path / "root", carried, wheels=str(tmp_path)), variables())
        with pytest.raises(installation.SetupError, match="does not exist"):
            installation.Installation(asked(tmp_path / "root", carried, wheels=str(tmp_path / "none")), variables())

    def test_without_leave_to_go_online(self, carried, tmp_path):
        with pytest.raises(installation.SetupError, match="turn on 'Allow Online Access'.*or name a folder of wheels"):
            installation.Installation(asked(tmp_path / "root", carried, online=False), variables())
        assert not (tmp_path / "root").exists()


class TestFromAnIndex:
    def test_a_broken_connection_goes_on_where_it_broke(self, carried, wheels, new_pip, tmp_path):
        """Twice in the same file; the third answer brings the rest. And this build of torch beats a newer one of another kind."""
        root = tmp_path / "root"
        torch_wheel(tmp_path / "cpu", "2.12.0+cpu")
        with serving({"simple": wheels, "pip": new_pip, "cpu": tmp_path / "cpu"}) as index:
            pips = {"PIP_INDEX_URL": index.url("simple"), "PIP_EXTRA_INDEX_URL": index.url("pip")}
            index.break_after, index.breaks = 300_000, 2
            begun = installation.Installation(asked(root, carried, torch="cpu", torch_index=index.url("cpu")), variables(**pips))
            seen = set()
            while not begun.join(0.02):
                seen.add((begun.stage, begun.detail))
        assert begun.error == "" and place.Place(root).state(carried) == "whole"
        assert place.Place(root).stamp().torch_version == "2.12.0+cpu"
        ranges = [where for name, where in index.asked if name.startswith("filler") and (not where or where.endswith("-"))]
        assert ranges[-3:] == ["", "bytes=300000-", "bytes=600000-"]
        assert any(stage == "Downloading" and detail.endswith("of 2.0 MB") for stage, detail in seen)
        assert folders(root) == ["e1", "engine.json"]

    def test_cancelled_midway_and_resumed(self, carried, wheels, new_pip, tmp_path):
        root = tmp_path / "root"
        with serving({"simple": wheels, "pip": new_pip}) as index:
            pips = {"PIP_INDEX_URL": index.url("simple"), "PIP_EXTRA_INDEX_URL": index.url("pip")}
            index.slowly = True
            first = installation.Installation(asked(root, carried), variables(**pips))
            deadline = time.monotonic() + 60
            while not (first.stage == "Downloading" and first.fraction > 0.2) and time.monotonic() < deadline:
                assert not first.finished, first.error
                time.sleep(0.02)
            begun = time.perf_counter()
            first.cancel()
            assert time.perf_counter() - begun < 0.02
            assert first.join(10) and first.cancelled and "what was downloaded is kept" in first.error
            assert place.Place(root).state(carried) == "missing" and folders(root) == ["downloads"]
            kept = sum(path.stat().st_size for path in (root / "downloads").iterdir())
            index.slowly = False
            second = run(asked(root, carried), **pips)
        assert second.error == "" and kept > 100_000
        assert index.asked[-1][1].startswith("bytes=") and int(index.asked[-1][1][6:-1]) >= kept

    def test_an_old_pip_does_it_alone(self, carried, wheels, tmp_path):
        """An index without a newer pip: nothing to measure, but an engine all the same."""
        with serving({"simple": wheels}) as index:
            done = run(asked(tmp_path / "root", carried), PIP_INDEX_URL=index.url("simple"))
        assert done.error == "" and place.Place(tmp_path / "root").state(carried) == "whole"

    def test_no_network(self, carried, tmp_path):
        error = run(asked(tmp_path / "root", carried), PIP_INDEX_URL="http://127.0.0.1:9/simple").error
        assert error.startswith("The package index cannot be reached: see that this machine is online, and install again (")
        assert folders(tmp_path / "root") == []


class TestInTheWay:
    def test_an_engine_that_does_not_work(self, installed, carried, wheels, tmp_path):
        """What was installed before stays, and stays in use."""
        root = tmp_path / "root"
        shutil.copytree(installed[1].root, root, symlinks=True)
        before = place.Place(root).stamp()
        error = run(asked(root, carried, wheels=str(wheels)), FAKE_ENGINE_BROKEN="run").error
        assert error == "The engine was installed and fails on a small clip (no luck today): install again."
        assert (
            place.Place(root).stamp() == before and folders(root) == ["e1", "engine.json"] and place.Place(root).state(carried) == "whole"
        )

    @posix
    def test_killed_midway(self, carried, wheels, tmp_path):
        """Half an environment is never taken for a whole one, and goes with the next installation."""
        root = tmp_path / "root"
        begun = installation.Installation(asked(root, carried, wheels=str(wheels)), variables())
        while begun.stage != "Installing":
            assert not begun.finished, begun.error
            time.sleep(0.01)
        os.kill(begun._process.pid, signal.SIGKILL)
        assert begun.join(10) and re.match(r"The installation ended unexpectedly with exit code -9", begun.error)
        assert place.Place(root).state(carried) == "missing" and "e1" in folders(root)
        place.Place(root).tidy()
        assert "e1" not in folders(root)

    def test_what_a_killed_one_left_of_its_test(self, carried, wheels, tmp_path):
        root = tmp_path / "root"
        (root / "t" / "clip" / "source").mkdir(parents=True)
        assert run(asked(root, carried, wheels=str(wheels))).error == "" and folders(root) == ["e1", "engine.json"]

    def test_what_nobody_thought_of(self, carried, wheels, tmp_path):
        """Still is one sentence, and the log has the rest."""
        root = tmp_path / "root"
        root.mkdir()
        (root / "t").touch()
        self.refused(root, carried, wheels)
        assert "Traceback" in place.Place(root).log.read_text("utf-8")

    @posix
    def test_the_host_goes_away(self, carried, wheels, tmp_path):
        begun = installation.Installation(asked(tmp_path / "root", carried, wheels=str(wheels)), variables())
        while begun.stage != "Installing":
            assert not begun.finished, begun.error
            time.sleep(0.01)
        begun._process.stdin.close()
        assert begun.join(10) and begun._process.returncode == 130
        assert folders(tmp_path / "root") == []

    def test_two_at_once(self, carried, wheels, tmp_path):
        root = tmp_path / "root"
        first = installation.Installation(asked(root, carried, wheels=str(wheels)), variables())
        while first.stage != "Making a Python environment":
            assert not first.finished, first.error
            time.sleep(0.01)
        second = run(asked(root, carried, wheels=str(wheels)))
        assert second.error == f"Another Blender is changing the engine in {root}: wait until it has finished."
        with pytest.raises(installation.SetupError, match="Another Blender"):
            place.Place(root).remove()
        assert first.join(60) and first.error == ""

    def test_a_file_in_the_place_of_the_folder(self, carried, wheels, tmp_path):
        (tmp_path / "file").touch()
        self.refused(tmp_path / "file" / "root", carried, wheels)

    @staticmethod
    def refused(root: Path, carried: place.Wheel, wheels: Path) -> None:
        error = run(asked(root, carried, wheels=str(wheels))).error
        assert error.startswith(f"The folder {root} cannot be written (") and error.endswith(
            "choose another 'Engine Folder' in the add-on's preferences."
        )

    def test_an_interpreter_that_is_gone(self, carried, wheels, tmp_path):
        error = run(asked(tmp_path / "root", carried, wheels=str(wheels), python=str(tmp_path / "none"))).error
        assert error == f"The Python {tmp_path / 'none'} does not exist: name another, or none to have one looked for."

    def test_a_torch_that_is_not_for_this_machine(self, carried, wheels, tmp_path):
        error = run(asked(tmp_path / "root", carried, wheels=str(wheels), torch="quantum")).error
        assert error.startswith("There is no PyTorch of the kind 'quantum' for this machine: choose none or ")


MOUNT = 'mount -t tmpfs -o size="$1" none "$0" && shift && exec "$@"'
FULL = "The disk with {} is full: free some space and install again; what was downloaded is kept."
READ_ONLY = "The folder {} cannot be written (Read-only file system): choose another 'Engine Folder' in the add-on's preferences."


@pytest.mark.parametrize("disk, error", [("20m", FULL), ("75m", FULL), ("20m,ro", READ_ONLY)])
def test_a_disk(carried, tmp_path, disk, error):
    """Too small for a Python environment at all, or for what goes into it, or read-only. Linux only, where disks can be made."""
    folder, wheels = tmp_path / "disk", tmp_path / "wheels"
    folder.mkdir()
    filler_wheel(wheels, 80_000_000)
    small = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(folder), disk]
    try:
        subprocess.run([*small, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a disk of their own: no unshare, or it is not allowed")
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from setup_kit import *\n"
        f"w = place.wheel(Path({str(carried.path)!r})); r = Path({str(folder)!r}) / 'root'\n"
        f"print(run(asked(r, w, wheels={str(wheels)!r})).error, folders(r), place.Place(r).state(w), sep='|')"
    )
    done = subprocess.run([*small, sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().split("|") == [error.format(folder / "root"), "[]", "missing"], done.stderr


def test_the_real_engine_from_a_folder_of_wheels(tmp_path_factory):
    """As a studio without a network does it: the wheels are fetched elsewhere, by the command that the manual gives."""
    folder = tmp_path_factory.mktemp("real")
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    import build_addon

    (folder / "build").mkdir()
    made = build_addon.build_wheel(folder / "build")
    constraints = ["--constraint", str(Path(__file__).resolve().parents[2] / "constraints.txt")]
    fetch = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder / "wheels"),
        *constraints,
        str(made),
    ]
    if subprocess.run(fetch, check=False, capture_output=True).returncode:
        pytest.skip("the engine's packages cannot be downloaded here")
    (folder / "wheels" / made.name).unlink()
    root = folder / "data" / "engine"
    done = run(asked(root, place.wheel(made), wheels=str(folder / "wheels"), online=False))
    assert done.error == "" and done.notes == [] and place.Place(root).state(place.wheel(made)) == "whole"
    shutil.rmtree(folder)
