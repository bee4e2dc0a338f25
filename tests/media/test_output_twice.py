"""Two jobs that write one output at the same time: the second is refused, and the first does not notice."""
from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flow_inpaint.errors import Failed
from flow_inpaint.job import ClipSpec, OutputSpec, PassesSpec
from flow_inpaint.locks import Lock
from flow_inpaint.media import open_output, open_source
from flow_inpaint.media.output_place import Claim
from flow_inpaint.media.splice import Clip, Splice, splice
from flow_inpaint.passes import open_passes
from scenery import save, view

KINDS = {"ffv1": "out/film.mkv", "png": "out/pictures", "tiff": "out/a_%03d.tif"}
#: Begins to write an output, says so, and waits to be told to go on.
WRITER = """
import sys
from pathlib import Path
from flow_inpaint.job import ClipSpec, OutputSpec
from flow_inpaint.media import open_output, open_source
path, format = sys.argv[1:]
with open_source(ClipSpec(Path("source"))) as source, open_output(OutputSpec(Path(path), format), source, 0, 2) as output:
    for picture in source.read(0, 2):
        output.write(picture)
        if picture.index == 1:
            print("writing", flush=True)
            sys.stdin.readline()
    output.commit()
"""


@pytest.fixture
def shot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for k in range(3):
        save(tmp_path / "source" / f"{k}.png", view(64, 48, k))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=KINDS)
def writer(shot: Path, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen, OutputSpec]]:
    kind = request.param
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, KINDS[kind], kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=shot
    )
    assert process.stdout.readline() == "writing\n"
    yield process, OutputSpec(Path(KINDS[kind]), kind)
    process.kill()
    process.communicate()


def write(spec: OutputSpec) -> None:
    with open_source(ClipSpec(Path("source"))) as source, open_output(spec, source, 0, 2) as output:
        for picture in source.read(0, 2):
            output.write(picture)
        output.commit()


def check(spec: OutputSpec) -> None:
    """The whole output, and nothing beside it."""
    with open_source(ClipSpec(spec.path)) as made, open_source(ClipSpec(Path("source"))) as source:
        for a, b in zip(made.read(0, 2), source.read(0, 2), strict=True):
            assert np.abs(a.rgb.astype(int) - b.rgb).max() <= (3 if spec.format == "ffv1" else 0)
    left = {path.name for path in Path("out").rglob("*") if path.name.startswith(".")}
    assert not left


def test_the_second_is_refused(writer: tuple[subprocess.Popen, OutputSpec]) -> None:
    process, spec = writer
    with pytest.raises(Failed, match="^Another job is writing out.*: wait for its end, stop it, or choose another output.$"):
        write(spec)
    assert process.communicate("go on\n", timeout=60) == ("", None) and process.returncode == 0
    check(spec)
    write(spec)
    check(spec)


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
def test_one_that_was_killed_stops_nobody(writer: tuple[subprocess.Popen, OutputSpec]) -> None:
    process, spec = writer
    process.kill()
    process.communicate()
    assert any(path.suffix == ".lock" for path in Path("out").rglob("*")), "it has left its lock behind"
    write(spec)
    check(spec)


def test_other_frames_into_the_same_folder_may_be_written(shot: Path) -> None:
    spec = OutputSpec(Path("out/a_%03d.png"), "png")
    with open_source(ClipSpec(Path("source"))) as source:
        with open_output(spec, source, 0, 1) as one, open_output(spec, source, 2, 2) as other:
            for output, first, last in ((one, 0, 1), (other, 2, 2)):
                for picture in source.read(first, last):
                    output.write(picture)
                output.commit()
    check(spec)


def test_frames_that_another_job_is_writing_are_refused(shot: Path) -> None:
    """Though it writes other ones too. What a killed one has left says nothing."""
    spec = OutputSpec(Path("out/a_%03d.png"), "png")
    with open_source(ClipSpec(Path("source"))) as source:
        with open_output(spec, source, 0, 1):
            there = sorted(Path("out").rglob("*"))
            for first, last in ((1, 2), (0, 2), (1, 1)):
                with pytest.raises(Failed, match="^Another job is writing out: wait for its end"):
                    open_output(spec, source, first, last)
            assert sorted(Path("out").rglob("*")) == there
            # The same numbers under other names are no obstacle, nor is what is not ours.
            Path("out/.b.lock").write_bytes(b"\0[[")
            with open_output(OutputSpec(Path("out/b_%03d.png"), "png"), source, 1, 2):
                pass
        Path("out/.a_%03d.png.0-1.lock").write_bytes(b'\0["a_000.png", 3]')
        with open_output(spec, source, 0, 2) as output:
            for picture in source.read(0, 2):
                output.write(picture)
            output.commit()
    Path("out/.b.lock").unlink()
    check(spec)


def test_a_refused_job_makes_no_folders_and_deletes_none(shot: Path) -> None:
    spec = PassesSpec(Path("out/passes"), ("unseen", "patch"))
    with open_source(ClipSpec(Path("source"))) as source:
        with open_passes(spec, source, 0, 2, (), Path("other.mkv")):
            there = sorted(Path("out").rglob("*"))
            with pytest.raises(Failed, match="Another job is writing out/passes/unseen"):
                open_passes(spec, source, 0, 2, (), Path("another.mkv"))
            assert sorted(Path("out").rglob("*")) == there
    assert not Path("out").exists()


def test_splices(shot: Path) -> None:
    names = tuple(f"{k}.png" for k in range(3))
    job = Splice(Clip(Path("source"), names), (Clip(Path("source"), names[:1], 1),), Path("spliced"))
    claim = Claim(Path(".spliced.part"), Path("spliced"))
    with pytest.raises(Failed, match="Another job is writing spliced"):
        splice(job)
    claim.give_up()
    assert splice(job).files == list(names) and not Path(".spliced.lock").exists()


@pytest.mark.parametrize(("number", "refused"), [
        (errno.ENOLCK, None),
        (errno.EOPNOTSUPP, None),
        (errno.EACCES, None),
        (errno.EMFILE, "Too many files are open"),
        (errno.ENOSPC, "film.mkv could not be written"),
    ])
def test_without_locks(shot: Path, monkeypatch: pytest.MonkeyPatch, number: int, refused: str | None) -> None:
    """A file system that has none is no obstacle; a disk or a process that is full is."""

    def take(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Lock, "take", take)
    spec = OutputSpec(Path("out/film.mkv"), "ffv1")
    if refused:
        with pytest.raises(Failed, match=refused):
            write(spec)
        assert not Path("out").exists()
    else:
        write(spec)
        check(spec)
