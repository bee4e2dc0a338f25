"""The command line's words, what it prints and how it ends, with a pipeline that only pretends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import fake_pipeline
import pytest

import flow_inpaint
from flow_inpaint import cli, effect

SOON = 10.0


@pytest.fixture
def pipeline(monkeypatch, tmp_path):
    """A working folder with the pretending pipeline; holds the jobs that it was given."""
    jobs = []

    class Recording:
        Progress = fake_pipeline.Progress

        @staticmethod
        def run(job, **callbacks):
            jobs.append(job)
            return fake_pipeline.run(job, **callbacks)

        @staticmethod
        def check(job, **callbacks):
            jobs.append(job)
            return fake_pipeline.check(job, **callbacks)

    monkeypatch.setitem(sys.modules, "flow_inpaint.pipeline", Recording)
    monkeypatch.setattr(flow_inpaint, "pipeline", Recording, raising=False)
    monkeypatch.chdir(tmp_path)
    return jobs


def refused(capfd, *words: str, code: int = 2) -> str:
    """The sentence with which the words are refused."""
    assert cli.main(words) == code
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    sentence = err.removeprefix("flow-inpaint: ").rstrip("\n")
    assert sentence != err and sentence.endswith((".", "?"))
    return sentence


# --- words to job ---


def test_a_plain_run(pipeline, tmp_path, capfd):
    assert cli.main(["run", "shot.mkv", "matte.mkv", "out.mov"]) == 0
    (job,) = pipeline
    assert job.source.path == tmp_path / "shot.mkv" and job.mask[0].clip.path == tmp_path / "matte.mkv"
    assert job.output.path == tmp_path / "out.mov" and effect.formats()[job.output.format]["extension"] == ".mov"
    assert job.frames is None and job.params == effect.resolve()
    out, err = capfd.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "two shots",
        "Warning: a matte that touches the edge",
        f"Wrote {tmp_path / 'out.mov'}: 30 frames of 64x48 in 0:02.",
        "25.0% of the picture was masked; 50.0% of that is seen in no frame and was invented.",
    ]


def test_an_empty_matte_is_said(pipeline, capfd):
    assert cli.main(["run", "empty.mkv", "m.mkv", "o.mkv", "--frames", "4"]) == 0
    assert pipeline[0].frames == (4, 4)
    assert capfd.readouterr().out.endswith("1 frame of 64x48 in 0:02, the source unchanged.\n")


@pytest.mark.parametrize(
    "words", [["--frames", "3-7", "a", "b", "c.mkv"], ["a", "--frames=3-7", "b", "c.mkv"], ["a", "b", "--frames", " 3 - 7 ", "c.mkv"]]
)
def test_clips_may_stand_between_options(pipeline, tmp_path, words):
    assert cli.main(["run", *words]) == 0
    (job,) = pipeline
    assert (job.source.path, job.mask[0].clip.path, job.output.path) == (tmp_path / "a", tmp_path / "b", tmp_path / "c.mkv")
    assert job.frames == (3, 7)


def test_masks(pipeline):
    run = ["run", "a", "rect:1,2.5,30,40", "c.mkv"]
    assert (
        cli.main(run)
        == cli.main([*run, "--invert-mask"])
        == cli.main(["run", "a", "m", "c.mkv", "--mask-channel", "alpha", "--invert-mask"])
        == 0
    )
    assert [job.mask[0].rectangle for job in pipeline] == [(1, 2.5, 30, 40), (1, 2.5, 30, 40), None]
    assert [job.mask[0].invert for job in pipeline] == [False, True, True]
    assert pipeline[2].mask[0].channel == "alpha"


@pytest.mark.parametrize("declared", effect.parameters().values(), ids=lambda p: p["name"])
def test_every_parameter_is_an_option(pipeline, declared):
    option = "--" + declared["name"].replace("_", "-")
    if declared["type"] == "Boolean":
        given = {(option,): True, ("--no-" + option[2:],): False}
    elif declared["type"] == "Choice":
        given = {(option, choice["name"]): choice["name"] for choice in declared["choices"]}
    else:
        given = {(option, str(declared[edge])): declared[edge] for edge in ("min", "max")}
    for words, value in given.items():
        assert cli.main(["run", "a", "b", "c.mkv", *words]) == 0
        assert pipeline[-1].params == effect.resolve() | {declared["name"]: value}


@pytest.mark.parametrize("preset", effect.presets())
def test_presets(pipeline, preset):
    assert cli.main(["run", "a", "b", "c.mkv", "--preset", preset]) == 0
    assert pipeline[0].params == effect.resolve({"preset": preset})


def test_no_parameter_takes_the_name_of_another_option():
    taken = {"preset", "frames", "format", "mask-channel", "invert-mask", "job", "json", "help", "version"}
    assert not taken & {name.replace("_", "-") for name in effect.parameters()}


@pytest.fixture
def job_file(tmp_path):
    name = next(name for name, p in effect.parameters().items() if p["type"] == "Int")
    folder = tmp_path / "jobs"
    folder.mkdir()
    document = {
        "source": {"path": "a.mkv", "first": 2},
        "mask": [{"path": "m.mkv"}, {"rectangle": [1, 2, 3, 4]}],
        "output": {"path": "o.mkv"},
        "frames": [0, 5],
        "params": {name: effect.parameters()[name]["max"]},
    }
    (folder / "job.json").write_text(json.dumps(document), "utf-8")
    return folder / "job.json"


def test_job_files(pipeline, job_file):
    assert cli.main(["run", "--job", str(job_file)]) == 0
    (job,) = pipeline
    assert job.source.path == job_file.parent / "a.mkv" and job.source.first == 2
    assert job.frames == (0, 5) and len(job.mask) == 2


def test_the_command_line_goes_before_the_job_file(pipeline, job_file, tmp_path):
    name = next(name for name, p in effect.parameters().items() if p["type"] == "Choice")
    choice = effect.parameters()[name]["choices"][-1]["name"]
    words = [
        "b.mkv",
        "--frames",
        "1-2",
        "--format",
        "h264",
        "--mask-channel",
        "alpha",
        "--invert-mask",
        f"--{name.replace('_', '-')}",
        choice,
    ]
    assert cli.main(["run", "--job", str(job_file), *words]) == 0
    (job,) = pipeline
    assert job.source.path == tmp_path / "b.mkv" and job.source.first == 0
    assert [part.invert for part in job.mask] == [True, True] and job.mask[0].channel == "alpha"
    assert job.output.path == job_file.parent / "o.mkv" and job.output.format == "h264"
    assert job.frames == (1, 2)
    document = json.loads(job_file.read_text("utf-8"))
    assert job.params == effect.resolve(document["params"] | {name: choice})


def test_references_passes_and_coverage(pipeline, tmp_path):
    words = ["check", "a", "b", "c.mkv", "--reference", "7=x/clean=1.png", "--reference", "3=b.png", "--coverage", "cover.png"]
    assert cli.main([*words, "--passes", "p", "--pass-names", "patch, unseen", "--provenance-format", "png"]) == 0
    job = pipeline[0]
    assert [(one.frame, one.path) for one in job.references] == [(3, tmp_path / "b.png"), (7, tmp_path / "x/clean=1.png")]
    assert job.output.passes.path == tmp_path / "p" and job.output.passes.provenance == "png"
    assert set(job.output.passes.names) == {"patch", "unseen"} and job.coverage == tmp_path / "cover.png"


def test_passes_of_a_job_file_keep_what_the_command_line_does_not_say(pipeline, tmp_path):
    output = {"path": "c.mkv", "passes": {"path": "p", "names": ["unseen"]}}
    text = json.dumps({"source": {"path": "a"}, "mask": {"path": "b"}, "output": output, "references": [{"frame": 2, "path": "old.png"}]})
    (tmp_path / "job.json").write_text(text, "utf-8")
    assert cli.main(["run", "--job", "job.json", "--passes", "q"]) == 0
    assert cli.main(["run", "--job", "job.json", "--reference", "5=new.png"]) == 0
    first, second = pipeline
    assert first.output.path == tmp_path / "c.mkv"
    assert first.output.passes.path == tmp_path / "q" and first.output.passes.names == ("unseen",)
    assert [one.frame for one in first.references] == [2] and [one.frame for one in second.references] == [5]


# --- what is refused ---


FIRST = next(p for p in effect.parameters().values() if p["type"] in ("Int", "Double"))
OPTION = "--" + FIRST["name"].replace("_", "-")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "The following arguments are required: COMMAND; flow-inpaint --help says more."),
        (["paint"], "Argument COMMAND: invalid choice: 'paint' "),
        (["run"], "Give SOURCE, MASK and OUTPUT, or a job with --job FILE; flow-inpaint run --help says more."),
        (["run", "a", "b"], "Give SOURCE, MASK and OUTPUT, or a job with --job FILE; flow-inpaint run --help says more."),
        (["run", "a", "b", "c.mkv", "d"], "'d' is one argument too many; flow-inpaint --help says more."),
        (["run", "a", "b", "c.mkv", OPTION + "s", "1"], f"There is no option '{OPTION}s' here; did you mean '{OPTION}'?"),
        (["run", "a", "b", "c.mkv", "--xyzzy=3"], "There is no option '--xyzzy' here; --help lists them."),
        (["run", "a", "b", "c.mkv", "--frames"], "Argument --frames: expected one argument; flow-inpaint run --help says more."),
        (["run", "a", "b", "c.mkv", "--frames", "x"], "--frames cannot be 'x': write the first and the last frame, such as 10-40."),
        (["run", "a", "b", "c.mkv", "--frames", "9-4"], "frames [9, 4] ends before it begins."),
        (["run", "a", "b", "c.mkv", "--frames", "1-99999999999"], "--frames cannot be '1-99999999999': write "),
        (["run", "a", "rect:1,2,3", "c.mkv"], "'rect:1,2,3' is not a rectangle: write rect:x,y,width,height in pixels, "),
        (["run", "a", "rect:a,b,c,d", "c.mkv"], "'rect:a,b,c,d' is not a rectangle"),
        (["run", "a", "rect:1,2,0,4", "c.mkv"], "mask.rectangle [1.0, 2.0, 0.0, 4.0] has no area"),
        (["run", "a", "rect:nan,2,3,4", "c.mkv"], "mask.rectangle has to be a list of 4 numbers"),
        (["run", "a", "rect:1,2,3,4", "c.mkv", "--mask-channel", "red"], None),
        (["run", "a", "b", "c.mkv", "--mask-channel", "red"], "mask.channel cannot be 'red': it is luma or alpha."),
        (["run", "a", "b", "c.avi"], "no format writes '.avi'"),
        (["run", "", "b", "c.mkv"], "A file name on the command line is empty."),
        (["run", "a", "b", "c.mkv", "--format", "gif"], f"output.format cannot be 'gif': choose one of {', '.join(effect.formats())}."),
        (["run", "a", "b", "c.mkv", "--preset", "x"], f"There is no preset 'x': choose one of {', '.join(effect.presets())}."),
        (["run", "a", "b", "c.mkv", OPTION, "many"], f"{FIRST['name']} cannot be 'many': it is a"),
        (
            ["run", "a", "b", "c.mkv", OPTION, str(FIRST["max"] + 1)],
            f"{FIRST['name']} cannot be {FIRST['max'] + 1}: it goes from {FIRST['min']} to ",
        ),
        (["run", "a", "b", "c.mkv", "--reference", "a.png"], "--reference cannot be 'a.png': write a frame and its clean picture, such as "),
        (["run", "a", "b", "c.mkv", "--reference", "1=a.png", "--reference", "1=b.png"], "Frame 1 has two references, a.png and b.png: "),
        (["run", "a", "b", "c.mkv", "--passes", ""], "A file name on the command line is empty."),
        (["run", "a", "b", "c.mkv", "--passes", "p", "--pass-names", "unseen,depth"], "There is no pass 'depth': choose from "),
        (["run", "a", "b", "c.mkv", "--pass-names", "unseen"], "output.passes needs the field 'path'."),
        (["run", "a", "b", "c.mkv", "--coverage", "c.png"], "There is no option '--coverage' here"),
        (["run", "--job", "none.toml"], "none.toml cannot be read: No such file or directory."),
        (["check", "missing.mkv", "b", "c.mkv"], "missing.mkv does not exist."),
        (["run", "missing.mkv", "b", "c.mkv"], "missing.mkv does not exist."),
        (["evaluate", "a", "b"], "The following arguments are required: MASKS; flow-inpaint evaluate --help says more."),
        (["evaluate", "table"], "The following arguments are required: N; flow-inpaint evaluate table --help says more."),
        (["describe", "--jsn"], "There is no option '--jsn' here; did you mean '--json'?"),
        (["doctor", "me"], "'me' is one argument too many; flow-inpaint --help says more."),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_bad_words_get_one_sentence(pipeline, capfd, words, sentence):
    if sentence is None:
        # A rectangle has no channels, so there is nothing to choose and nothing to refuse.
        assert cli.main(words) == 0
    else:
        assert sentence in refused(capfd, *words)


@pytest.mark.parametrize("content", ["[]", "3", '"text"', "{}"])
def test_bad_job_files(pipeline, capfd, tmp_path, content):
    (tmp_path / "job.json").write_text(content, "utf-8")
    assert refused(capfd, "run", "--job", "job.json").startswith("job ")
    assert pipeline == []


@pytest.mark.parametrize(
    ("behaviour", "code", "word"), [("crash", 1, "ZeroDivisionError"), ("memory", 1, "memory"), ("full", 1, "disk is full")]
)
def test_failures(pipeline, capfd, tmp_path, behaviour, code, word):
    assert word in refused(capfd, "run", f"{behaviour}.mkv", "b", "c.mkv", code=code)
    assert os.listdir(tmp_path) == []


def test_a_traceback_for_those_who_ask(pipeline, capfd, monkeypatch):
    monkeypatch.setenv("FLOW_INPAINT_TRACEBACK", "1")
    assert cli.main(["run", "crash.mkv", "b", "c.mkv"]) == 1
    assert "Traceback" in capfd.readouterr().err


# --- what is printed ---


def test_json_lines(pipeline, tmp_path, capfd):
    assert cli.main(["run", "wavering.mkv", "b", "c.mkv", "--json"]) == 0
    out, err = capfd.readouterr()
    events = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert err == ""
    assert [e["event"] for e in events[:2]] == ["message", "message"] and events[1]["level"] == "warning"
    progress = [e for e in events if e["event"] == "progress"]
    assert progress[0] == {"event": "progress", "stage": "flow", "done": 0, "total": 30, "fraction": 0.0, "eta_s": None}
    assert progress[-1]["fraction"] == 1.0
    assert events[-1] == {
        "event": "result",
        "path": str(tmp_path / "c.mkv"),
        "format": "ffv1",
        "files": ["c.mkv"],
        "frames": 30,
        "first": 0,
        "width": 64,
        "height": 48,
        "identity": False,
        "masked": 0.25,
        "unseen": 0.5,
        "seconds": 1.5,
    }


def test_json_is_not_spoilt_by_libraries(tmp_path):
    words = fake_pipeline.command("run", "noisy.mkv", "b", "c.mkv", "--json")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=SOON)
    assert {json.loads(line)["event"] for line in done.stdout.splitlines()} == {"message", "progress", "result"}
    assert "printed by a C library" in done.stderr and "printed by a Python library" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["run", "missing.mkv", "b", "c.mkv"], "BadClip", 2),
        (["run", "crash.mkv", "b", "c.mkv"], "Failed", 1),
        (["run", "a"], "BadParameter", 2),
    ],
)
def test_json_errors(pipeline, capfd, words, status, code):
    assert cli.main([*words, "--json"]) == code
    out, err = capfd.readouterr()
    event = json.loads(out)
    assert event["event"] == "error" and event["status"] == status
    assert err == f"flow-inpaint: {event['message']}\n"


def test_check(pipeline, capfd):
    assert cli.main(["check", "a", "b", "c.mkv"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "30 frames of 64x48, 25.0% of the picture masked.",
        "About 1:01 and 321 MiB of memory on cpu.",
        "40 MiB on disk while it runs.",
        f"Optical flow {effect.resolve()['flow']}, flow completion layers, fill exemplar.",
        "The matte touches the edge.",
    ]
    assert cli.main(["check", "a", "b", "c.mkv", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["memory_mib"] == 321.4


def test_describe(capfd):
    assert cli.main(["describe", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == effect.describe()
    assert cli.main(["describe"]) == 0
    table = capfd.readouterr().out
    names = [*effect.parameters(), *effect.presets(), *effect.formats(), "Source", "Mask", "Output"]
    assert all(re.search(rf"^  {name} ", table, re.MULTILINE) for name in names)
    assert "%%" not in table


def test_help_and_version(capfd):
    assert cli.main(["--version"]) == 0
    assert capfd.readouterr().out == f"flow-inpaint {flow_inpaint.__version__}\n"
    for words in ([], ["run"], ["check"], ["evaluate"], ["evaluate", "table"], ["demo"], ["describe"], ["doctor"], ["serve"]):
        assert cli.main([*words, "--help"]) == 0
        out, err = capfd.readouterr()
        assert out.startswith("usage: flow-inpaint") and err == "" and "SUPPRESS" not in out


def test_help_has_every_parameter(capfd):
    cli.main(["run", "--help"])
    text = " ".join(capfd.readouterr().out.split())
    for declared in effect.parameters().values():
        assert "--" + declared["name"].replace("_", "-") in text
        assert " ".join(declared["hint"].split()) in text


def test_file_names_that_the_terminal_cannot_show(pipeline, tmp_path):
    words = fake_pipeline.command("run", "a.mkv", "b", "\u00e9\u4e2d.mkv")
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}, capture_output=True, timeout=SOON
    )
    assert done.returncode == 0 and b"\\xe9\\u4e2d.mkv: 30 frames" in done.stdout


@pytest.mark.parametrize(
    "words",
    [["--help"], ["run", "--help"], ["evaluate", "table", "--help"], ["describe"], ["describe", "--json"], ["--version"], ["run", "a"]],
)
def test_nothing_heavy_is_imported_for_words(words):
    code = (
        "import sys\nfrom flow_inpaint.cli import main\nmain(sys.argv[1:])\n"
        "print('HEAVY', *sorted({'numpy', 'cv2', 'av', 'scipy', 'torch'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=SOON)
    assert done.stderr.splitlines()[-1] == "HEAVY"


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "flow_inpaint", "--version"], capture_output=True, text=True, timeout=SOON)
    assert done.stdout == f"flow-inpaint {flow_inpaint.__version__}\n" and done.returncode == 0
    done = subprocess.run([sys.executable, "-m", "flow_inpaint", "paint"], capture_output=True, text=True, timeout=SOON)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


# --- signals ---


def test_handlers_are_put_back(pipeline):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert cli.main(["run", "a", "b", "c.mkv"]) == 0
    assert cli.main(["run", "missing.mkv", "b", "c.mkv"]) == 2
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
