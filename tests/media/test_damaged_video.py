"""Real files with flipped bits: no frame that is wrong is ever given out as right, and the sound ones still are."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from damage import COUNT, flipped, packets_of, panned, read_all
from flow_inpaint.errors import BadFrame
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.ffv1_checksums import checksums_hold
from footage import encode

CLIPS = {
    "H.264": ("a.mkv", {"options": {"g": "12", "bf": "2", "crf": "20"}}),
    "H.264 in MP4, open GOP": ("a.mp4", {"options": {"g": "12", "bf": "3", "crf": "20", "x264-params": "open-gop=1"}}),
    "H.264 in MPEG-TS": ("a.ts", {"options": {"g": "12", "bf": "2", "crf": "20"}}),
    "HEVC with hashes": ("a.mkv", {"codec": "libx265", "options": {"crf": "20", "x265-params": "keyint=12:bframes=2:log-level=error:hash=1"}}),
    "HEVC with hashes in MP4": ("a.mp4", {"codec": "libx265", "options": {"crf": "20", "x265-params": "keyint=12:bframes=2:log-level=error:hash=1"}}),
    "FFV1": ("a.mkv", {"codec": "ffv1", "options": {"level": "3", "slicecrc": "1", "g": "1"}}),
    "FFV1 with long groups": ("a.mkv", {"codec": "ffv1", "options": {"level": "3", "slicecrc": "1", "g": "12"}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize("place", [4, 13, 25])
def test_what_is_built_on_a_damaged_frame_is_not_shown(tmp_path: Path, kind: str, place: int) -> None:
    name, settings = CLIPS[kind]
    clip = encode(tmp_path / name, COUNT, size=(160, 96), picture=panned, **settings)
    good = read_all(clip)
    bad_clip = flipped(clip, place)
    backwards = list(range(COUNT - 1, -1, -1))
    for found in (read_all(bad_clip), read_all(bad_clip, backwards)):
        missing = [k for k in found if found[k] is None]
        assert 1 <= len(missing) <= 14, "the damage ends with the group"
        for k in found:
            if found[k] is not None:
                np.testing.assert_array_equal(found[k], good[k], err_msg=f"frame {k}")
    if settings["options"].get("g") == "1":
        assert len(missing) == 1


@pytest.mark.parametrize("places", [(13, 25), (13, 22), (20, 22), (21, 22)])
def test_hashes_tell_of_a_second_place_too(tmp_path: Path, places: tuple[int, int]) -> None:
    """The decoder has pictures waiting after the first."""
    name, settings = CLIPS["HEVC with hashes"]
    clip = encode(tmp_path / name, COUNT, size=(160, 96), picture=panned, **settings)
    good, found = read_all(clip), read_all(flipped(flipped(clip, places[0]), places[1]))
    assert all(found[k] is None or np.array_equal(found[k], good[k]) for k in found)
    assert found[0] is not None and found[9] is not None and found[30] is None


def test_a_frame_that_nothing_is_built_on_is_lost_alone(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", COUNT, size=(160, 96), picture=panned, options={"g": "12", "bf": "2", "crf": "12", "x264-params": "b-pyramid=none"})
    found = read_all(flipped(clip, 6))
    assert [k for k in found if found[k] is None] in ([4], [5]), "a B-frame"


def test_the_first_frame_may_be_the_damaged_one(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mkv", COUNT, size=(160, 96), picture=panned, codec="ffv1", options={"level": "3", "slicecrc": "1", "g": "1"})
    damaged = flipped(clip, 0)
    with pytest.raises(BadFrame, match="frame 0 cannot be decoded"):
        open_source(ClipSpec(damaged))
    found = read_all(damaged)
    assert [k for k in found if found[k] is None] == [0]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gbrp16le"])
def test_checksums_of_ffv1(tmp_path: Path, pixel_format: str) -> None:
    clip = encode(tmp_path / "a.mkv", 2, codec="ffv1", pixel_format=pixel_format, options={"level": "3", "slicecrc": "1", "slices": "4"})
    for data, _ in packets_of(clip):
        assert checksums_hold(data)
        for at in range(0, len(data), len(data) // 29):
            assert not checksums_hold(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
    without = encode(tmp_path / "b.mkv", 2, codec="ffv1", options={"level": "3", "slicecrc": "0", "slices": "4"})
    assert not checksums_hold(packets_of(without)[0][0])
    assert not checksums_hold(b"\xff" * 5)
