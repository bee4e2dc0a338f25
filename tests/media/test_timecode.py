"""Timecode is that of the frames in the result, whichever part of the source they are."""
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.splice import Splice, splice
from flow_inpaint.media.timecode import later, timecode_of
from footage import encode
from rendering import ENDINGS, render

NTSC = Fraction(30000, 1001)


def stamped(path: Path, label: str, **settings: object) -> Path:
    """A clip with timecode."""
    plain = encode(path.with_name(f"plain_{path.name}"), 20, **settings)
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        out.metadata["timecode"] = label
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return path


def label_of(path: Path) -> str | None:
    with av.open(str(path)) as container:
        return timecode_of(container)


@pytest.mark.parametrize("format", ["ffv1", "prores", "h264"])
@pytest.mark.parametrize(("name", "rate", "label", "cut"), [
    ("a.mov", 25, "10:00:59:20", "10:01:00:00"), ("a.mp4", NTSC, "00:09:59;27", "00:10:00;02"), ("a.mkv", 24, "23:59:59:23", "00:00:00:04"),
])  # fmt: skip
def test_it_is_carried_over(tmp_path: Path, format: str, name: str, rate: Fraction, label: str, cut: str) -> None:
    clip = stamped(tmp_path / name, label, rate=rate, codec="ffv1" if name.endswith("mkv") else "libx264")
    with open_source(ClipSpec(clip)) as source:
        assert source.info.timecode == label
    whole, _ = render(clip, tmp_path / ENDINGS[format], format)
    assert label_of(whole.path) == label
    part, _ = render(clip, tmp_path / f"part_{ENDINGS[format]}", format, frames=(2, 9), first=3)
    assert label_of(part.path) == cut
    held, _ = render(clip, tmp_path / f"held_{ENDINGS[format]}", format, indices=(4, 4, 4))
    assert label_of(held.path) is None, "frames that do not run on have none"


def test_a_splice_keeps_it(tmp_path: Path) -> None:
    clip = stamped(tmp_path / "a.mov", "01:00:00:00")
    for name, frames in (("base", None), ("piece", (3, 5))):
        render(clip, tmp_path / f"{name}.mov", "prores", frames=frames)
    splice(Splice.from_document({"base": {"path": str(tmp_path / "base.mov")}, "pieces": [{"path": str(tmp_path / "piece.mov"), "at": 3}], "output": str(tmp_path / "o.mov")}))
    assert label_of(tmp_path / "o.mov") == "01:00:00:00"


@pytest.mark.parametrize(("label", "frames", "rate", "found"), [
    ("00:00:00:00", 0, 24, "00:00:00:00"), ("00:00:00:00", 24 * 3600, 24, "01:00:00:00"), ("23:59:59:24", 1, 25, "00:00:00:00"),
    ("00:00:59;29", 1, NTSC, "00:01:00;02"), ("00:09:59;29", 1, NTSC, "00:10:00;00"), ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
    ("00:00:00;00", 107892, NTSC, "01:00:00;00"), ("00:00:00:00", 108000, NTSC, "01:00:00:00"), ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
    ("23:59:59;29", 1, NTSC, "00:00:00;00"), ("00:00:00:99", 1, 100, "00:00:01:00"), ("00:00:00:30", 1, 25, None), ("nonsense", 1, 25, None),
])  # fmt: skip
def test_counting_labels(label: str, frames: int, rate: Fraction, found: str | None) -> None:
    assert later(label, frames, Fraction(rate)) == found


def test_dropped_labels_never_appear_and_none_comes_twice() -> None:
    seen = [later("00:00:00;00", k, NTSC) for k in range(20000)]
    assert len(set(seen)) == 20000 and sorted(seen) == seen
    assert not [s for s in seen if s[6:8] == "00" and int(s[9:]) < 2 and int(s[3:5]) % 10]
