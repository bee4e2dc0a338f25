"""Replacing some frames of a result: the others bit for bit, the sound kept, nothing half written."""
from __future__ import annotations

import os
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.errors import Aborted, BadClip, BadParameter
from flow_inpaint.job import ClipSpec, OutputSpec
from flow_inpaint.media import open_output, open_source
from flow_inpaint.media.splice import Splice, splice
from footage import counter_rgb, encode


def result(source: Path, target: Path, format: str, frames: tuple[int, int] | None = None, brightness: int = 0) -> list[str]:
    """The source made brighter in a corner, as the pipeline writes it. The names of the files."""
    with open_source(ClipSpec(source)) as clip:
        first, last = frames or (0, clip.info.count - 1)
        hole = np.zeros((clip.info.height, clip.info.width), bool)
        hole[-16:, -16:] = True
        with open_output(OutputSpec(target, format), clip, first, last) as output:
            for picture in clip.read(first, last):
                output.write(picture.composite(np.full_like(picture.rgb, brightness), hole))
            return output.commit().files


def packets(path: Path, kind: str = "video") -> list[tuple[int, bytes]]:
    with av.open(str(path)) as movie:
        return [(p.pts, bytes(p)) for p in movie.demux(*getattr(movie.streams, kind)) if p.size]


@pytest.mark.parametrize("format, ending", [("ffv1", ".mkv"), ("prores", ".mov")])
def test_a_movie(tmp_path, format, ending):
    source = encode(tmp_path / "a.mp4", 20, sound="aac")
    base, piece, out = (tmp_path / (name + ending) for name in ("base", "piece", "out"))
    result(source, base, format)
    result(source, piece, format, (5, 8), brightness=200)
    made = splice(Splice.from_document({"base": {"path": str(base)}, "pieces": [{"path": str(piece), "at": 5}], "output": str(out)}))
    assert (made.path, made.files) == (out, [out.name])
    whole, old, new = packets(out), packets(base), packets(piece)
    assert [data for _, data in whole] == [data for _, data in old[:5] + new + old[9:]]
    assert [pts for pts, _ in whole] == [pts for pts, _ in old]
    assert [data for _, data in packets(out, "audio")] == [data for _, data in packets(base, "audio")] != []
    with open_source(ClipSpec(out)) as clip:
        corners = [int(p.rgb[-4, -4, 1]) for p in clip.read(0, 19)]
    assert [k for k, corner in enumerate(corners) if corner > 100] == [5, 6, 7, 8]
    assert sorted(os.listdir(tmp_path)) == sorted(["a.mp4", base.name, piece.name, out.name])


def test_two_pieces_and_a_pixel_aspect(tmp_path):
    source = encode(tmp_path / "a.mp4", 12, pixel_aspect=Fraction(16, 15))
    names = ("base", "one", "two")
    base, one, two = (tmp_path / f"{name}.mkv" for name in names)
    result(source, base, "ffv1")
    result(source, one, "ffv1", (0, 0), brightness=255)
    result(source, two, "ffv1", (10, 11), brightness=255)
    pieces = [{"path": str(one), "at": 0}, {"path": str(two), "at": 10}]
    splice(Splice.from_document({"base": {"path": str(base)}, "pieces": pieces, "output": str(tmp_path / "out.mkv")}))
    with open_source(ClipSpec(tmp_path / "out.mkv")) as clip:
        assert clip.info.pixel_aspect == Fraction(16, 15)
        assert [k for k, p in enumerate(clip.read(0, 11)) if p.rgb[-4, -4, 1] > 100] == [0, 10, 11]
    # What was spliced can be spliced again.
    again = {"base": {"path": str(tmp_path / "out.mkv")}, "pieces": [{"path": str(one), "at": 3}], "output": str(tmp_path / "again.mkv")}
    splice(Splice.from_document(again))
    assert len(packets(tmp_path / "again.mkv")) == 12


def test_pictures(tmp_path):
    source = encode(tmp_path / "a.mp4", 6)
    base = result(source, tmp_path / "base", "png")
    piece = result(source, tmp_path / "piece", "png", (2, 3), brightness=200)
    before = {name: (tmp_path / "base" / name).read_bytes() for name in base}
    document = {
        "base": {"path": str(tmp_path / "base"), "files": base},
        "pieces": [{"path": str(tmp_path / "piece"), "files": piece, "at": 2}],
        "output": str(tmp_path / "out"),
    }
    made = splice(Splice.from_document(document))
    assert made.files == base == sorted(os.listdir(tmp_path / "out"))
    for k, name in enumerate(base):
        now = (tmp_path / "out" / name).read_bytes()
        assert (now == before[name]) == (k not in (2, 3))
        assert (tmp_path / "base" / name).read_bytes() == before[name]


@pytest.mark.parametrize("change", ["size", "place", "format", "missing", "taken"])
def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path, change):
    source = encode(tmp_path / "a.mp4", 8)
    base, piece, out = tmp_path / "base.mkv", tmp_path / "piece.mkv", tmp_path / "out.mkv"
    result(source, base, "ffv1")
    result(encode(tmp_path / "b.mp4", 8, size=(160, 96)) if change == "size" else source, piece, "ffv1", (0, 3))
    if change == "format":
        out = tmp_path / "out.mp4"
    if change == "missing":
        base.unlink()
    if change == "taken":
        out.write_text("mine")
    before = sorted(os.listdir(tmp_path))
    document = {"base": {"path": str(base)}, "pieces": [{"path": str(piece), "at": 6 if change == "place" else 0}], "output": str(out)}
    with pytest.raises(BadClip) as caught:
        splice(Splice.from_document(document))
    assert "\n" not in str(caught.value) and sorted(os.listdir(tmp_path)) == before


def test_a_splice_that_says_too_little():
    with pytest.raises(BadParameter):
        Splice.from_document({"base": {"path": "a"}, "output": "b"})


@pytest.mark.parametrize("name", ["../away.png", "sub/a.png", "/etc/a.png", "..\\away.png", "..", ""])
def test_names_that_lead_out_of_the_folder(name):
    """A document may come from a stranger: what it names must not be written anywhere else."""
    document = {"base": {"path": "a", "files": [name]}, "pieces": [], "output": "b"}
    with pytest.raises(BadParameter, match="names in the clip's folder"):
        Splice.from_document(document)


def test_stopping_leaves_nothing(tmp_path):
    source = encode(tmp_path / "a.mp4", 8, picture=counter_rgb)
    result(source, tmp_path / "base.mkv", "ffv1")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Aborted):
        splice(Splice.from_document({"base": {"path": str(tmp_path / "base.mkv")}, "pieces": [], "output": str(tmp_path / "o.mkv")}), stop.is_set)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "base.mkv"]


@pytest.mark.skipif(os.name == "nt", reason="links as POSIX has them")
def test_links_at_its_place_lead_nowhere(tmp_path):
    source = encode(tmp_path / "a.mp4", 4)
    result(source, tmp_path / "base.mkv", "ffv1")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / ".out.mkv.part").symlink_to(tmp_path / "precious")
    document = {"base": {"path": str(tmp_path / "base.mkv")}, "pieces": [], "output": str(tmp_path / "out.mkv")}
    made = splice(Splice.from_document(document))
    assert not made.path.is_symlink() and len(packets(made.path)) == 4
    made.path.unlink()
    made.path.symlink_to(tmp_path / "nothing")
    with pytest.raises(BadClip, match="is there already"):
        splice(Splice.from_document(document))
    assert (tmp_path / "precious").read_bytes() == b"precious" and not (tmp_path / "nothing").exists()
