"""Where results go: what is refused, what an older result and other files go through, and disks that end."""
from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flow_inpaint.errors import BadClip, Failed, FlowInpaintError
from flow_inpaint.job import ClipSpec, OutputSpec
from flow_inpaint.media import open_output, open_source
from footage import decoded, encode
from rendering import ENDINGS, leftovers, noise, picture_folder, render


def refusal(source: Path, target: Path, format: str, keep: tuple[Path, ...] = (), **spec: object) -> str:
    """Opening the output is refused, and nothing on disk changes."""
    with open_source(ClipSpec(source, **spec)) as clip:
        before = {path: path.stat().st_mtime_ns for path in source.parent.rglob("*")}
        with pytest.raises(BadClip) as caught:
            open_output(OutputSpec(target, format), clip, 0, clip.info.count - 1, keep)
        assert before == {path: path.stat().st_mtime_ns for path in source.parent.rglob("*")}
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_source_is_never_written_over(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mkv", 3)
    assert "is the source itself" in refusal(footage, footage, "ffv1")
    (tmp_path / "b").mkdir()
    assert "is the source itself" in refusal(footage, tmp_path / "b" / ".." / "a.mkv", "ffv1")
    link = tmp_path / "link.mkv"
    link.symlink_to(footage)
    assert "is the source itself" in refusal(footage, link, "ffv1")
    assert "is the source itself" in refusal(link, footage, "ffv1")
    folder = picture_folder(tmp_path / "in", 3)
    assert "is the source's own" in refusal(folder, folder, "png")
    assert "is the source's own" in refusal(folder, folder, "tiff")
    assert "is the source's own" in refusal(folder / "take_%04d.png", folder, "png")
    alias = tmp_path / "alias"
    alias.symlink_to(folder)
    assert "is the source's own" in refusal(folder, alias, "png")
    assert "is the source itself" in refusal(folder / "take_0099.png", folder / "take_0099.png", "png")
    counted = tmp_path / "counted"
    counted.mkdir()
    for i in range(3):
        (counted / f"take_{i:04d}.png").write_bytes((folder / "take_0098.png").read_bytes())
    assert "is the source itself" in refusal(counted, counted / "take_%04d.png", "png")


def test_masks_are_never_written_over(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 3)
    mask = encode(tmp_path / "mask.mkv", 3, codec="ffv1")
    assert "is a mask of this job" in refusal(footage, mask, "ffv1", (mask,))
    folder = picture_folder(tmp_path / "masks", 1)
    (folder / "00001.png").write_bytes(b"mask")
    assert "is a mask of this job" in refusal(footage, folder, "png", (folder / "00001.png",))


def test_places_that_do_not_suit(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 3)
    assert "does not end in .mkv" in refusal(footage, tmp_path / "out.mp4", "ffv1")
    assert "does not end in .png" in refusal(footage, tmp_path / "out.mkv", "png")
    (tmp_path / "folder.mkv").mkdir()
    assert "is a folder" in refusal(footage, tmp_path / "folder.mkv", "ffv1")
    (tmp_path / "file").write_text("x")
    assert "is a file" in refusal(footage, tmp_path / "file", "png")
    assert "cannot be made" in refusal(footage, tmp_path / "file" / "deeper" / "out.mkv", "ffv1")


def test_names_that_the_system_refuses(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 3)
    for target, format in (("x" * 300 + ".mkv", "ffv1"), ("x" * 300, "png"), ("x" * 300 + "/y_%04d.tif", "tiff")):
        assert "File name too long" in refusal(footage, tmp_path / target, format)
    with pytest.raises(Failed, match="File name too long"):
        render(footage, tmp_path / ("x" * 246 + ".mkv"), "ffv1")


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    footage = encode(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(os, "access", lambda *_: False)
    for target, format in ((tmp_path / "new" / "out.mkv", "ffv1"), (tmp_path / "frames", "png")):
        assert "cannot be written to" in refusal(footage, target, format)
        assert not (tmp_path / "new").exists()


def test_float_and_integer_samples_do_not_mix(tmp_path: Path) -> None:
    light = picture_folder(tmp_path / "light", 2, np.float32, ".exr")
    for format in ("ffv1", "png", "h264", "tiff", "prores"):
        assert "choose the format exr" in refusal(light, tmp_path / ENDINGS[format], format)
    assert "choose png or tiff" in refusal(encode(tmp_path / "a.mp4", 2), tmp_path / "out", "exr")


@pytest.mark.parametrize("format", ["ffv1", "h264", "prores", "png"])
def test_leaving_without_commit_leaves_nothing(tmp_path: Path, format: str) -> None:
    footage = encode(tmp_path / "a.mp4", 8, sound="aac")
    place = tmp_path / "results"
    for existing in (False, True):
        if existing:
            place.mkdir()
        for how_many in (0, 5):
            spec = OutputSpec(place / ENDINGS[format], format)
            with pytest.raises(KeyboardInterrupt), open_source(ClipSpec(footage)) as source, open_output(spec, source, 0, 7) as output:
                for picture in source.read(0, how_many):
                    output.write(picture)
                raise KeyboardInterrupt
            assert leftovers(tmp_path) == (["a.mp4", "results"] if existing else ["a.mp4"])


@pytest.mark.parametrize("format", ["ffv1", "png"])
def test_commit_replaces_an_older_result_and_nothing_else(tmp_path: Path, format: str) -> None:
    footage = encode(tmp_path / "a.mp4", 4)
    place = tmp_path / "results"
    old, _ = render(footage, place / ENDINGS[format], format)
    other = old.path.parent / "other.png"
    beside = (old.path if format == "png" else place) / "letter.txt"
    for path in (other, beside):
        path.write_text("keep me")
    before = (old.path if format == "ffv1" else old.path / old.files[0]).read_bytes()
    spec = OutputSpec(place / ENDINGS[format], format)
    with open_source(ClipSpec(footage)) as source, open_output(spec, source, 0, 3) as output:
        for picture in source.read(0, 3):
            output.write(picture)
        assert (old.path if format == "ffv1" else old.path / old.files[0]).read_bytes() == before
        result = output.commit()
    assert (result.path if format == "ffv1" else result.path / result.files[0]).read_bytes() != before
    assert other.read_text() == beside.read_text() == "keep me"
    assert not [name for name in leftovers(place) if name.endswith(".part")]


def test_what_an_earlier_crash_left_behind_does_no_harm(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 4)
    (tmp_path / ".out.mkv.part").write_bytes(b"junk" * 1000)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".out.0-3.part").mkdir()
    (tmp_path / "out" / ".out.0-3.part" / "old.png").write_bytes(b"junk")
    render(footage, tmp_path / "out.mkv", "ffv1")
    render(footage, tmp_path / "out", "png")
    assert len(decoded(tmp_path / "out.mkv")) == 4
    assert leftovers(tmp_path / "out") == [f"{i:05d}.png" for i in range(4)]
    assert not (tmp_path / ".out.mkv.part").exists()


def test_two_chunks_of_one_sequence_share_a_folder(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 8)
    spec = OutputSpec(tmp_path / "out", "png")
    with open_source(ClipSpec(footage)) as source, open_output(spec, source, 0, 3) as one, open_output(spec, source, 4, 7) as two:
        for a, b in zip(source.read(0, 3), source.read(4, 7), strict=True):
            one.write(a)
            two.write(b)
        two.commit()
        one.commit()
    assert leftovers(tmp_path / "out") == [f"{i:05d}.png" for i in range(8)]


def test_an_incomplete_result_cannot_be_committed(tmp_path: Path) -> None:
    footage = encode(tmp_path / "a.mp4", 4)
    spec = OutputSpec(tmp_path / "out.mkv", "ffv1")
    with pytest.raises(ValueError, match="2 of 4"), open_source(ClipSpec(footage)) as source, open_output(spec, source, 0, 3) as output:
        for picture in source.read(0, 1):
            output.write(picture)
        output.commit()
    assert leftovers(tmp_path) == ["a.mp4"]


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A disk of 200 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if os.name == "nt" or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("format", ["ffv1", "prores", "h264", "png", "tiff"])
def test_a_full_disk(tmp_path: Path, small_disk: Path, format: str) -> None:
    footage = encode(tmp_path / "a.mkv", 20, codec="ffv1", size=(320, 240), picture=noise)
    target = small_disk / "deep" / ENDINGS[format]
    with pytest.raises(Failed, match="disk is full: free some space") as caught:
        render(footage, target, format)
    assert str(target) in str(caught.value) and "\n" not in str(caught.value)
    assert leftovers(small_disk) == []


@pytest.mark.parametrize("format", ["ffv1", "png"])
def test_a_disk_that_fails_at_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    footage = encode(tmp_path / "a.mp4", 4)
    moves: list[object] = []

    def failing(source: object, target: object) -> None:
        moves.append(target)
        if len(moves) == (1 if format == "ffv1" else 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        shutil.move(source, target)

    monkeypatch.setattr("flow_inpaint.media.output_place.os.replace", failing)
    with pytest.raises(FlowInpaintError, match="disk is full"):
        render(footage, tmp_path / "results" / ENDINGS[format], format)
    assert leftovers(tmp_path) == ["a.mp4"]


def test_what_the_job_reads_is_not_taken_for_what_a_crash_left(tmp_path: Path) -> None:
    """The names that a result has until it is complete are written to and deleted, whatever lies there."""
    for name in (".out.mkv.part", ".out.mkv.lock"):
        footage = encode(tmp_path / "film.mkv", 3).rename(tmp_path / name)
        assert "until it is done: rename that first" in refusal(footage, tmp_path / "out.mkv", "ffv1")
        footage.unlink()
    folder = picture_folder(tmp_path / ".out.0-2.part", 3).rename(tmp_path / "moved")
    (tmp_path / "out").mkdir()
    inside = folder.rename(tmp_path / "out" / ".out.0-2.part")
    assert "until it is done: rename that first" in refusal(inside, tmp_path / "out", "png")
    other = encode(tmp_path / "a.mkv", 3)
    mask = picture_folder(tmp_path / ".b.mkv.part", 1) / "take_0098.png"
    assert "until it is done: rename that first" in refusal(other, tmp_path / "b.mkv", "ffv1", (mask,))


@pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")
@pytest.mark.parametrize("format", ["ffv1", "png"])
@pytest.mark.parametrize("what", ["part", "lock"])
def test_links_in_the_folder_of_the_result_lead_nowhere(tmp_path: Path, what: str, format: str) -> None:
    """Whoever may write into that folder must not be able to have a job of somebody else write elsewhere."""
    footage = encode(tmp_path / "a.mp4", 3)
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious" * 100)
    place = tmp_path / "results"
    (place / "out").mkdir(parents=True)
    name = {"ffv1": ".out.mkv", "png": "out/.out.0-2"}[format]
    (place / f"{name}.{what}").symlink_to(precious)
    result, _ = render(footage, place / ENDINGS[format], format)
    assert precious.read_bytes() == b"precious" * 100
    assert not result.path.is_symlink() and len(decoded(result.path) if format == "ffv1" else result.files) == 3
    assert not [left for left in leftovers(place) if left.endswith(("part", "lock"))]


@pytest.mark.skipif(os.name == "nt", reason="pipes as POSIX has them")
@pytest.mark.parametrize("name", [".out.mkv.part", ".out.mkv.lock", "out/.out.0-2.part", "out/.another.lock"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    footage = encode(tmp_path / "a.mp4", 3)
    os.mkfifo(tmp_path / name)
    for format in ("ffv1", "png"):
        words = ["run", str(footage), "rect:4,4,8,8", str(tmp_path / ENDINGS[format]), "--preset", "draft"]
        # In a process of its own, because nothing else ends a wait for a pipe.
        subprocess.run([sys.executable, "-m", "flow_inpaint", *words], check=True, timeout=60)
    assert len(leftovers(tmp_path / "out")) in (3, 4)


def test_images_are_all_replaced_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    footage = encode(tmp_path / "a.mp4", 4)
    render(footage, tmp_path / "out", "png", (0, 2))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for path in (tmp_path / "out").iterdir():
        path.write_bytes(path.read_bytes()[::-1])
    older = {name: data[::-1] for name, data in before.items()}
    (tmp_path / "out" / "00003.png").mkdir()
    assert "00003.png is a folder" in refusal(footage, tmp_path / "out", "png")
    (tmp_path / "out" / "00003.png").rmdir()

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "00003.png":
            raise OSError(errno.EIO, "Input/output error")
        os.replace(source, target)

    monkeypatch.setattr("flow_inpaint.media.output_place.replace", failing)
    with pytest.raises(Failed, match="Input/output error"):
        render(footage, tmp_path / "out", "png")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == older
