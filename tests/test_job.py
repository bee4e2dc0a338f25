"""Job documents: what a good one becomes, and that a bad one is only ever refused in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_inpaint import effect
from flow_inpaint.errors import BadClip, BadParameter, FlowInpaintError
from flow_inpaint.job import ClipSpec, Job, MaskPart, OutputSpec, PassesSpec, format_of, read_document

GOOD = {"source": {"path": "a.mkv"}, "mask": {"path": "m.mkv"}, "output": {"path": "o.mkv"}}


def refusal(**changed) -> str:
    document = {key: value for key, value in (GOOD | changed).items() if value is not ...}
    with pytest.raises(FlowInpaintError) as caught:
        Job.from_document(document, Path("/base"))
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_smallest_job():
    job = Job.from_document(GOOD, Path("/base"))
    assert job.source == ClipSpec(Path("/base/a.mkv"))
    assert job.mask == (MaskPart(clip=ClipSpec(Path("/base/m.mkv"))),)
    assert job.output == OutputSpec(Path("/base/o.mkv"), next(n for n, f in effect.formats().items() if f["extension"] == ".mkv"))
    assert job.frames is None and job.params == effect.resolve()


def test_everything_at_once():
    job = Job.from_document(
        {
            "source": {"path": "/abs/a_%04d.png", "first": 3, "count": 10, "indices": [4, 4, 3]},
            "mask": [
                {"path": "m", "channel": "alpha", "invert": True, "at": 2, "count": 4, "transform": [1, 0, 0.5, 0, 1, -0.5]},
                {"rectangle": [1, 2, 3.5, 4], "at": 0, "count": 2, "invert": True},
            ],
            "output": {"path": "out", "format": "png"},
            "frames": [2, 2],
            "params": {"preset": next(iter(effect.presets()))},
        },
        Path("/base"),
    )
    assert job.source == ClipSpec(Path("/abs/a_%04d.png"), 3, 10, (4, 4, 3))
    assert job.mask[0].transform == (1, 0, 0.5, 0, 1, -0.5) and job.mask[0].invert and job.mask[0].channel == "alpha"
    assert job.mask[1] == MaskPart(rectangle=(1, 2, 3.5, 4), invert=True, at=0, count=2)
    assert job.frames == (2, 2)
    assert all(part.placed for part in job.mask)


def test_how_a_host_shows_a_clip():
    clip = {"path": "a.mp4", "rate": 24, "upright": False}
    job = Job.from_document(GOOD | {"source": clip, "mask": clip}, Path("/base"))
    assert job.source == ClipSpec(Path("/base/a.mp4"), rate=24.0, upright=False) == job.mask[0].clip
    for wrong in (0, -1, True, "24", float("nan"), float("inf")):
        assert "source.rate cannot be" in refusal(source={"path": "a.mp4", "rate": wrong})
    assert "source.upright cannot be 1" in refusal(source={"path": "a.mp4", "upright": 1})


@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be deleted there")
def test_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert Job.from_document(GOOD | {"source": {"path": "/a/b.mkv"}}).source.path == Path("/a/b.mkv")
    assert Job.from_document(GOOD).source.path == Path(GOOD["source"]["path"])


def test_relative_paths_count_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Job.from_document(GOOD).source.path == tmp_path / "a.mkv"


_PASSES = f"choose from {', '.join(effect.passes())}"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"source": ...}, "job needs the field 'source'."),
        ({"mask": ...}, "job needs the field 'mask'."),
        ({"output": ...}, "job needs the field 'output'."),
        ({"sauce": 1}, "job has no field 'sauce'; it has coverage, frames, mask, output, params, references, source."),
        ({"source": "a.mkv"}, "source has to be a table, not text."),
        ({"source": None}, "source has to be a table, not nothing."),
        ({"source": 3}, "source has to be a table, not a number."),
        ({"source": {}}, "source needs the field 'path'."),
        ({"source": {"path": ""}}, "source.path has to be a file name, not ''."),
        ({"source": {"path": "a\0b"}}, "source.path has to be a file name, not 'a\\x00b'."),
        ({"source": {"path": "\ud800"}}, "source.path has to be a file name, not '\\ud800'."),
        ({"source": {"path": 5}}, "source.path has to be a file name, not 5."),
        ({"source": {"path": "a", "first": -1}}, "source.first cannot be -1: it is a whole number, 0 or more."),
        ({"source": {"path": "a", "first": True}}, "source.first cannot be True: it is a whole number, 0 or more."),
        ({"source": {"path": "a", "count": 0}}, "source.count cannot be 0: it is a whole number, 1 or more."),
        ({"source": {"path": "a", "indices": []}}, "source.indices has to be a list of clip frames."),
        ({"source": {"path": "a", "indices": [1, "2"]}}, "source.indices cannot be '2': it is a whole number, 0 or more."),
        ({"mask": []}, "mask is an empty list: give at least one matte."),
        ({"mask": {}}, "mask needs either a path or a rectangle."),
        ({"mask": {"path": "m", "rectangle": [0, 0, 1, 1]}}, "mask needs either a path or a rectangle."),
        (
            {"mask": {"rectangle": [0, 0, 1, 1], "channel": "luma"}},
            "a rectangle mask has no field 'channel'; it has at, count, invert, rectangle.",
        ),
        ({"mask": {"rectangle": [0, 0, 0, 1]}}, "mask.rectangle [0, 0, 0, 1] has no area: it is x, y, width, height in pixels."),
        ({"mask": {"rectangle": [0, 0, 1]}}, "mask.rectangle has to be a list of 4 numbers, not [0, 0, 1]."),
        ({"mask": {"rectangle": "0,0,1,1"}}, "mask.rectangle has to be a list of 4 numbers, not '0,0,1,1'."),
        ({"mask": {"rectangle": [0, 0, float("nan"), 1]}}, "mask.rectangle has to be a list of 4 numbers, not [0, 0, nan, 1]."),
        ({"mask": {"rectangle": [0, 0, 1, 1], "invert": "no"}}, "mask.invert cannot be 'no': say true or false."),
        ({"mask": {"path": "m", "invert": 1}}, "mask.invert cannot be 1: say true or false."),
        ({"mask": {"path": "m", "channel": "red"}}, "mask.channel cannot be 'red': it is luma or alpha."),
        ({"mask": {"path": "m", "channel": ["luma"]}}, "mask.channel cannot be ['luma']: it is luma or alpha."),
        ({"mask": {"path": "m", "transform": [1, 0]}}, "mask.transform has to be a list of 6 numbers, not [1, 0]."),
        ({"mask": {"path": "m", "at": "now"}}, "mask.at cannot be 'now': it is a whole number, 0 or more."),
        ({"output": {"path": "o.mkv", "format": "gif"}}, f"output.format cannot be 'gif': choose one of {', '.join(effect.formats())}."),
        (
            {"output": {"path": "o.mkv", "format": ["ffv1"]}},
            f"output.format cannot be ['ffv1']: choose one of {', '.join(effect.formats())}.",
        ),
        ({"output": {"path": "o.mkv", "passes": "p"}}, "output.passes has to be a table, not text."),
        ({"output": {"path": "o.mkv", "passes": {}}}, "output.passes needs the field 'path'."),
        ({"output": {"path": "o.mkv", "passes": {"path": 3}}}, "output.passes.path has to be a file name, not 3."),
        ({"output": {"path": "o.mkv", "passes": {"path": "p", "names": 3}}}, "output.passes.names has to be a list of passes, not 3."),
        ({"output": {"path": "o.mkv", "passes": {"path": "p", "names": []}}}, "output.passes.names has to be a list of passes, not []."),
        ({"output": {"path": "o.mkv", "passes": {"path": "p", "names": [["unseen"]]}}}, f"There is no pass ['unseen']: {_PASSES}."),
        ({"output": {"path": "o.mkv", "passes": {"path": "p", "names": ["depth"]}}}, f"There is no pass 'depth': {_PASSES}."),
        ({"output": {"path": "o.mkv", "passes": {"path": "p", "provenance": 4}}}, "output.passes.provenance cannot be 4: it is exr or png."),
        ({"frames": 3}, "frames has to be [first, last], not 3."),
        ({"frames": [1]}, "frames has to be [first, last], not [1]."),
        ({"frames": [5, 2]}, "frames [5, 2] ends before it begins."),
        ({"frames": [0.5, 2]}, "frames cannot be 0.5: it is a whole number, 0 or more."),
        ({"params": [1]}, "params has to be a table of parameter names and values."),
        ({"params": {"preset": "x"}}, f"There is no preset 'x': choose one of {', '.join(effect.presets())}."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refusals(changed, sentence):
    assert refusal(**changed) == sentence


@pytest.mark.parametrize("document", [None, [], "job", 3, True])
def test_a_document_that_is_no_table(document):
    with pytest.raises(BadParameter, match="job has to be a table, not "):
        Job.from_document(document)


def test_formats_by_ending():
    for name, declared in effect.formats().items():
        assert format_of("x" + declared["extension"]) == name
        assert format_of("x" + declared["extension"].upper()) == name
    assert format_of("folder") == "png"
    assert format_of("x.tiff") == format_of("x.tif")
    with pytest.raises(BadParameter, match=r"x\.avi: no format writes '\.avi'; use \.mkv, "):
        format_of("x.avi")


def test_files(tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(GOOD), "utf-8")
    (folder / "job.toml").write_text('source.path = "a.mkv"\nmask.path = "m.mkv"\noutput.path = "o.mkv"\n', "utf-8")
    for name in ("job.json", "job.toml"):
        assert Job.from_file(folder / name) == Job.from_document(GOOD, folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("j.json", b"{"), ("j.json", b"\xff\xfe\x00"), ("j.toml", b"a ="), ("j.json", b"[" * 100_000), ("j.toml", b"a = " + b"[" * 5000)],
    ids=["json", "utf-8", "toml", "deep json", "deep toml"],
)
def test_files_that_are_no_job(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadParameter, match="is not a job document: .*[^.]\\.$"):
        read_document(tmp_path / name)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(BadClip, match="none.toml cannot be read: No such file or directory."):
        Job.from_file(tmp_path / "none.toml")
    with pytest.raises(BadClip, match="cannot be read"):
        Job.from_file(tmp_path)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["luma", "ffv1", "a.mkv", "x.gif"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner, max_size=4), max_leaves=8
)
NUMBERS = st.lists(st.integers(-5, 50) | st.floats(), min_size=2, max_size=6)


def tables(*names: str) -> st.SearchStrategy:
    """Tables of the right fields with right and wrong values."""
    return st.fixed_dictionaries({}, optional={name: VALUES | NUMBERS | st.integers(0, 9) | st.just("a.mkv") for name in names}) | VALUES


CLIPS = tables("path", "first", "count", "indices")
PARTS = tables("path", "first", "count", "indices", "channel", "invert", "at", "transform") | tables("rectangle", "at", "count", "invert")
DOCUMENTS = st.fixed_dictionaries(
    {"source": CLIPS, "mask": PARTS | st.lists(PARTS, max_size=3), "output": tables("path", "format")},
    optional={"frames": NUMBERS | VALUES, "params": tables("preset", *effect.parameters())},
)


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS | VALUES)
def test_only_our_errors_escape(document):
    try:
        job = Job.from_document(document, Path("/base"))
    except (BadParameter, BadClip) as error:
        assert "\n" not in str(error) and str(error)
    else:
        assert set(job.params) == set(effect.parameters()) and job.mask and job.output.format in effect.formats()


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from([*GOOD, "frames", "params"]))
def test_one_field_spoilt(value, name):
    try:
        job = Job.from_document(GOOD | {name: value}, Path("/base"))
    except (BadParameter, BadClip) as error:
        assert str(error)
    else:
        assert job.source.path == Path("/base/a.mkv")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*effect.parameters(), "preset", "x"]), VALUES, max_size=3))
def test_parameters_are_valid_or_refused(params):
    try:
        resolved = effect.resolve(params)
    except BadParameter as error:
        assert str(error).endswith((".", "?"))
    else:
        assert effect.resolve(resolved) == resolved


def test_passes_keep_the_descriptors_order(tmp_path):
    names = list(effect.passes())
    job = Job.from_document(GOOD | {"output": {"path": "o.mkv", "passes": {"path": "p", "names": names[::-1][:2]}}}, tmp_path)
    assert job.output.passes == PassesSpec(tmp_path / "p", tuple(names[-2:]), "exr")
    job = Job.from_document(GOOD | {"output": {"path": "o.mkv", "passes": {"path": "p", "provenance": "png"}}}, tmp_path)
    assert job.output.passes == PassesSpec(tmp_path / "p", tuple(names), "png")


def test_a_document_without_an_end_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("flow_inpaint.job._LONGEST_DOCUMENT", 2**20)
    (tmp_path / "endless.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(BadParameter, match="endless.json is not a job document: it is longer than 1 MiB.$"):
        Job.from_file(tmp_path / "endless.json")


def test_more_frames_than_a_list_can_hold(tmp_path):
    """A held clip of so many frames is a list of as many numbers."""
    document = {"source": {"path": "a.mkv", "count": 10**9, "hold": True}, "mask": {"rectangle": [0, 0, 9, 9]}, "output": {"path": "b.mkv"}}
    with pytest.raises(BadParameter, match="source.count is too large: no clip has more than 10000000 frames."):
        Job.from_document(document)
