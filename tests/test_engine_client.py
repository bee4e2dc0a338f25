"""The engine's process seen from the add-on, in plain Python."""
from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


client = _load(REPOSITORY / "blender_addon/engine_client.py")
engines = _load(REPOSITORY / "tests/blender/engines.py")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., client.Engine]]:
    started = []

    def make(mode: str, patience: float = 20.0, **variables: str) -> client.Engine:
        started.append(client.Engine(str(engines.fake(tmp_path, mode, **variables)), engines.VERSION, patience=patience))
        return started[-1]

    yield make
    for engine in started:
        engine.kill()
        assert not engine.alive


@pytest.fixture
def job(tmp_path: Path) -> dict:
    (tmp_path / "source.mkv").write_bytes(b"footage")
    (tmp_path / "out").mkdir()
    output = {"path": str(tmp_path / "out" / "result.mkv"), "format": "ffv1"}
    return {"source": {"path": str(tmp_path / "source.mkv")}, "mask": [{"rectangle": [0, 0, 1, 1]}], "output": output}


def wait(engine: client.Engine, done: Callable[[], bool], limit: float = 20.0) -> list[float]:
    """Polls as a window's timer does; returns how long the polls took."""
    took, end = [], time.monotonic() + limit
    while not done():
        assert time.monotonic() < end, "the engine took too long"
        begun = time.perf_counter()
        engine.poll()
        took.append(time.perf_counter() - begun)
        time.sleep(0.02)
    return took


def finish(engine: client.Engine, document: dict) -> dict:
    wait(engine, lambda: engine.ready)
    engine.render(document)
    wait(engine, lambda: engine.result is not None)
    return engine.result


def failure(engine: client.Engine, document: dict | None = None) -> client.EngineError:
    with pytest.raises(client.EngineError) as caught:
        finish(engine, document or {})
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_job_is_done(start, job, tmp_path):
    engine = start("copy")
    result = finish(engine, job)
    assert result["files"] == ["result.mkv"] and (tmp_path / "out/result.mkv").read_bytes() == b"footage"
    assert engine.progress == client.Progress("copying", 0.5, 1.0, done=1) and not engine.previews
    assert engine.messages == [("warning", "The fake engine copies.")]
    engine.close(wait=5.0)
    assert not engine.alive


def test_polling_does_not_hold_up_the_window(start, job):
    engine = start("slow")
    engine.poll()
    wait(engine, lambda: engine.ready)
    engine.render(job)
    took = sorted(wait(engine, lambda: engine.result is not None))
    assert len(took) > 20 and took[len(took) * 9 // 10] < 0.02


def test_abort_is_answered(start, job):
    engine = start("forever")
    wait(engine, lambda: engine.ready)
    engine.render(job)
    wait(engine, lambda: engine.progress is not None)
    engine.abort()
    asked = time.monotonic()
    with pytest.raises(client.EngineError) as caught:
        wait(engine, lambda: False)
    assert caught.value.status == "Aborted" and time.monotonic() - asked < 1.0


def test_an_engine_that_ignores_everything_is_killed(start, job):
    engine = start("deaf")
    wait(engine, lambda: engine.ready)
    engine.render(job)
    engine.abort()
    time.sleep(0.3)
    engine.poll()
    assert engine.alive
    begun = time.perf_counter()
    engine.kill()
    assert time.perf_counter() - begun < 0.5 and not engine.alive


def test_close_does_not_wait_for_an_engine_that_ignores_it(start):
    engine = start("deaf")
    wait(engine, lambda: engine.ready)
    begun = time.perf_counter()
    engine.close()
    assert time.perf_counter() - begun < 0.1
    time.sleep(3.5)
    assert not engine.alive


def test_death_in_the_middle(start, job):
    text = str(failure(start("die"), job))
    assert text == "The engine ended unexpectedly with exit code 3; its last words: MemoryError: the last word."


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_in_the_middle(start, job, tmp_path, monkeypatch):
    monkeypatch.setattr(client.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert "killed by SIGKILL" in str(failure(start("kill"), job))
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_from_outside(start, job):
    engine = start("slow")
    wait(engine, lambda: engine.ready)
    engine.render(job)
    os.kill(engine.pid, signal.SIGTERM)
    with pytest.raises(client.EngineError, match="killed by SIGTERM"):
        wait(engine, lambda: engine.result is not None)


def test_another_version_gets_a_warning(start, job):
    """Whoever names an engine gets it; the add-on's own is compared before it is started."""
    engine = start("old")
    wait(engine, lambda: engine.ready)
    ((level, text),) = engine.messages
    assert finish(engine, job)["files"] == ["result.mkv"]
    assert level == "warning" and f"is version 9.0.0 and this add-on is {engines.VERSION}: it is used as it is" in text


def test_the_weights_beside_the_add_on(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "_WEIGHTS", tmp_path)
    assert client.WEIGHTS_VARIABLE not in client.clean_environment({"PATH": "/bin"})
    (tmp_path / "catalog.toml").touch()
    assert client.clean_environment({})[client.WEIGHTS_VARIABLE] == str(tmp_path)
    assert client.clean_environment({client.WEIGHTS_VARIABLE: "/mine"})[client.WEIGHTS_VARIABLE] == "/mine"


def test_nonsense_on_its_output_is_passed_over(start, job):
    assert finish(start("noise"), job)["files"] == ["result.mkv"]


def test_silence_ends(start):
    assert "does not answer" in str(failure(start("mute", patience=0.5)))


def test_the_engines_own_words_arrive_on_one_line(start, job):
    error = failure(start("refuse"), job)
    assert error.status == "BadClip" and str(error) == "The matte covers everything. There is nothing to take pixels from."


def test_without_the_package(tmp_path):
    engine = client.Engine(str(engines.bare(tmp_path)), "0.1.0")
    text = str(failure(engine))
    assert "is not installed in" in text and client.VARIABLE in text


def test_what_is_no_program(tmp_path):
    (tmp_path / "python").write_text("not a program")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(client.EngineError, match="cannot be started"):
        client.Engine(str(tmp_path / "python"), "0.1.0")


def test_a_program_that_is_no_python(tmp_path):
    text = str(failure(client.Engine("/bin/false", "0.1.0")))
    assert text == "The engine ended unexpectedly with exit code 1."


class TestFindPython:
    def test_variable_before_preference(self, tmp_path):
        (tmp_path / "a").touch()
        (tmp_path / "b").touch()
        assert client.find_python(str(tmp_path / "a"), {client.VARIABLE: str(tmp_path / "b")}) == str(tmp_path / "b")
        assert client.find_python(str(tmp_path / "a"), {}) == str(tmp_path / "a")

    def test_environment_folder(self, tmp_path):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/python").touch()
        assert client.find_python(str(tmp_path), {}) == str(tmp_path / "bin" / "python")

    def test_name_on_the_search_path(self):
        assert Path(client.find_python("sh", {})).name == "sh"

    @pytest.mark.parametrize("wanted", ["", "  "])
    def test_nothing_set(self, wanted):
        with pytest.raises(client.EngineError, match="No Python is set.*preferences.*FLOW_INPAINT_PYTHON"):
            client.find_python(wanted, {})

    def test_missing(self, tmp_path):
        with pytest.raises(client.EngineError, match=r"/none does not exist.*FLOW_INPAINT_PYTHON"):
            client.find_python(str(tmp_path / "none"), {})

    def test_folder_without_python(self, tmp_path):
        with pytest.raises(client.EngineError, match="does not exist"):
            client.find_python(str(tmp_path), {})


def test_the_engine_does_not_inherit_blenders_settings():
    given = {"PATH": "/bin", "PYTHONHOME": "x", "PYTHONPATH": "x", "OCIO": "x", "LD_LIBRARY_PATH": "x", "BLENDER_USER_RESOURCES": "x"}
    assert client.clean_environment(given) == {"PATH": "/bin", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
