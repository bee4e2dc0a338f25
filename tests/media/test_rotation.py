"""Footage that is stored lying on its side or upside down: read upright, and exact outside the hole in a lossless result."""
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.samples import planes
from footage import counter_of, counter_rgb
from phone_footage import MATRICES, MIRRORED, write
from rendering import ENDINGS, blob, render

pytestmark = pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_matrix"), reason="this PyAV cannot write such files")

STAMPS = [20 * k for k in range(8)]
SIZE = (96, 64)
FORMATS = {
    "4:2:0": ("libx264", "yuv420p"),
    "4:2:0 of 10 bits": ("libx265", "yuv420p10le"),
    "4:2:2": ("libx264", "yuv422p"),
    "4:2:2 of 10 bits": ("ffv1", "yuv422p10le"),
    "4:4:4": ("libx264", "yuv444p"),
    "grey": ("ffv1", "gray"),
    "RGB": ("ffv1", "bgr0"),
}


def clip(
    folder: Path, turns: int = 1, format: str = "4:2:0", size: tuple[int, int] = SIZE, name: str = "phone.mov", **more: object
) -> Path:
    codec, pixel_format = FORMATS[format]
    matrix = more.pop("matrix", MATRICES[turns])
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = folder / (name if codec != "ffv1" else "phone.mkv")
    return write(path, STAMPS, counter_rgb, size, codec=codec, pixel_format=pixel_format, matrix=matrix, options=options, **more)


def stored(path: Path) -> list[list[np.ndarray]]:
    """The frames' planes as they are in the file, whatever is to be done to them for viewing."""
    with av.open(str(path)) as container:
        frames = [frame.reformat(format="gbrp") if frame.format.name == "bgr0" else frame for frame in container.decode(video=0)]
        return [[plane.copy() for plane in planes(frame)] for frame in frames]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("turns", MATRICES)
def test_frames_are_read_upright(tmp_path: Path, turns: int, format: str) -> None:
    path = clip(tmp_path, turns, format)
    with open_source(ClipSpec(path, upright=False)) as source:
        lying = [picture.rgb for picture in source.read(0, 7)]
    with open_source(ClipSpec(path)) as source:
        assert (source.info.width, source.info.height) == (SIZE if turns == 2 else SIZE[::-1])
        for k, picture in enumerate(source.read(0, 7)):
            assert counter_of(np.rot90(picture.rgb, -turns)) == k
            np.testing.assert_array_equal(picture.rgb, np.rot90(lying[k], turns))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("turns", MATRICES)
def test_a_lossless_result_is_upright_and_exact_outside_the_hole(tmp_path: Path, turns: int, format: str) -> None:
    path = clip(tmp_path, turns, format)
    result, _ = render(path, tmp_path / "out.mkv", "ffv1")
    width, height = SIZE if turns == 2 else SIZE[::-1]
    touched = blob(height, width)
    with av.open(str(result.path)) as container:
        first = next(container.decode(video=0))
        assert (first.width, first.height, first.rotation) == (width, height, 0)
    for before, after in zip(stored(path), stored(result.path), strict=True):
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            old = np.rot90(old, turns)
            assert old.shape == new.shape
            step_y, step_x = height // new.shape[0], width // new.shape[1]
            covered = touched.reshape(new.shape[0], step_y, new.shape[1], step_x).any(axis=(1, 3))
            np.testing.assert_array_equal(new[~covered], old[~covered])
        assert (np.rot90(before[0], turns)[touched] != after[0][touched]).mean() > 0.5


@pytest.mark.parametrize("format", ["prores", "h264", "png"])
def test_other_results_are_upright_without_a_mark(tmp_path: Path, format: str) -> None:
    path = clip(tmp_path, 1)
    result, _ = render(path, tmp_path / ENDINGS[format], format)
    with open_source(ClipSpec(result.path if format != "png" else tmp_path / "out")) as source:
        assert (source.info.width, source.info.height) == SIZE[::-1]
        assert [counter_of(np.rot90(picture.rgb, -1)) for picture in source.read(0, 7)] == list(range(8))
    if format != "png":
        with av.open(str(result.path)) as container:
            assert next(container.decode(video=0)).rotation == 0


def test_as_it_is_stored_for_hosts_that_do_not_turn_it(tmp_path: Path) -> None:
    path = clip(tmp_path, 1)
    with open_source(ClipSpec(path, upright=False)) as source:
        assert (source.info.width, source.info.height) == SIZE
        assert [counter_of(picture.rgb) for picture in source.read(0, 7)] == list(range(8))
    result, _ = render(path, tmp_path / "out.mkv", "ffv1", upright=False)
    with av.open(str(result.path)) as container:
        first = next(container.decode(video=0))
        assert (first.width, first.height, first.rotation) == (*SIZE, 0)
    mirrored = clip(tmp_path, matrix=MIRRORED)
    with open_source(ClipSpec(mirrored, upright=False)) as source:
        assert counter_of(next(source.read(3, 3)).rgb) == 3


def test_the_pixel_aspect_turns_too(tmp_path: Path) -> None:
    path = clip(tmp_path, 1, pixel_aspect=Fraction(4, 3))
    with open_source(ClipSpec(path)) as source:
        assert source.info.pixel_aspect == Fraction(3, 4)
    with open_source(ClipSpec(clip(tmp_path, 2, pixel_aspect=Fraction(4, 3)))) as source:
        assert source.info.pixel_aspect == Fraction(4, 3)


@pytest.mark.parametrize(("turns", "site", "expected"), [(1, "left", None), (1, "top", "left"), (2, "left", None), (3, "left", "top")])
def test_chroma_locations_that_have_a_name_are_kept(tmp_path: Path, turns: int, site: str, expected: str | None) -> None:
    path = clip(tmp_path, turns, site=site)
    with open_source(ClipSpec(path, upright=False)) as source:
        assert source.info.colour.site == site
    with open_source(ClipSpec(path)) as source:
        assert source.info.colour.site == expected


def refusal(path: Path) -> str:
    with pytest.raises(BadClip) as caught, open_source(ClipSpec(path)) as source:
        list(source.read(0, source.info.count - 1))
    text = str(caught.value)
    assert path.name in text and "\n" not in text and text.endswith("export it upright first.")
    return text


def test_what_no_turning_makes_upright(tmp_path: Path) -> None:
    assert "mirrored or at a slant" in refusal(clip(tmp_path, matrix=MIRRORED))
    assert "mirrored or at a slant" in refusal(clip(tmp_path, matrix=(0, 1, 1, 0)))
    assert "mirrored or at a slant" in refusal(clip(tmp_path, matrix=(1, 0, 0, -1)))
    assert "mirrored or at a slant" in refusal(clip(tmp_path, matrix=(1, 1, -1, 1)))


def test_what_cannot_be_turned_exactly(tmp_path: Path) -> None:
    odd = write(tmp_path / "odd.mkv", STAMPS, counter_rgb, (97, 64), codec="ffv1", matrix=MATRICES[1])
    assert "the odd size 97x64" in refusal(odd)
    narrow = write(tmp_path / "narrow.mkv", STAMPS, counter_rgb, SIZE, codec="ffv1", pixel_format="yuv411p", matrix=MATRICES[3])
    assert "as yuv411p" in refusal(narrow)


def test_odd_sizes_without_shared_chroma_are_turned(tmp_path: Path) -> None:
    odd = write(tmp_path / "odd.mkv", STAMPS, counter_rgb, (97, 65), codec="ffv1", pixel_format="yuv444p", matrix=MATRICES[1])
    with open_source(ClipSpec(odd)) as source:
        assert (source.info.width, source.info.height) == (65, 97)
        assert counter_of(np.rot90(next(source.read(5, 5)).rgb, -1)) == 5


def test_footage_that_is_turned_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path, 1)
    with open_source(ClipSpec(path)) as source:
        list(source.read(0, 2))
        monkeypatch.setattr("flow_inpaint.media.video_reader.turns_of", lambda *_: 2)
        with pytest.raises(BadClip, match="turned another way from frame 3 on"):
            list(source.read(3, 3))
