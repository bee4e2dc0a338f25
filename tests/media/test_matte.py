"""Mattes: which pixels and which frames they cover."""
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec, MaskPart
from flow_inpaint.media import ClipInfo, open_matte
from flow_inpaint.media.matte import feathered, grown, grown_below
from footage import encode

INFO = ClipInfo(
    path=Path("shot.mp4"), kind="video", width=48, height=32, count=6, rate=Fraction(25), pixel_aspect=Fraction(1), dtype=np.uint8,
    pixel_format="yuv420p", depth=8, has_alpha=False, has_audio=False, clip_count=6, indices=range(6), files=(Path("shot.mp4"),),
)  # fmt: skip


def holes(*parts: MaskPart, info: ClipInfo = INFO, grow: int = 0, threshold: float = 0.5) -> np.ndarray:
    with open_matte(parts, info, grow, threshold) as matte:
        result = list(matte.read(0, info.count - 1))
    assert all(hole.dtype == bool and hole.shape == (info.height, info.width) for hole in result)
    return np.stack(result)


def clip(path: Path, **settings: object) -> MaskPart:
    spec = {key: settings.pop(key) for key in ("first", "count", "indices") if key in settings}
    return MaskPart(clip=ClipSpec(path, **spec), count=spec.get("count"), **settings)


def bar(k: int, shape: tuple[int, int] = (32, 48)) -> np.ndarray:
    """A white bar at column 5 k."""
    picture = np.zeros(shape, np.uint8)
    picture[:, 5 * k : 5 * k + 4] = 255
    return picture


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    return images(tmp_path / "bars", [bar(k) for k in range(6)])


def images(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir()
    for i, picture in enumerate(pictures):
        (folder / f"{i:04d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return folder


def refusal(*parts: MaskPart, info: ClipInfo = INFO) -> str:
    with pytest.raises(BadClip) as caught:
        holes(*parts, info=info)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_luma_frame_by_frame(bars: Path) -> None:
    found = holes(clip(bars))
    for k in range(6):
        np.testing.assert_array_equal(found[k], bar(k) > 0)


def test_the_arrays_belong_to_the_caller(bars: Path) -> None:
    with open_matte((clip(bars / "0000.png"),), INFO, 0, 0.5) as matte:
        first, second = matte.read(0, 1)
        first[:] = True
        assert not second.all()
        assert not next(matte.read(2, 2)).all()


def test_a_video_as_matte(tmp_path: Path) -> None:
    def picture(k: int, width: int, height: int) -> np.ndarray:
        return np.repeat(bar(k)[..., None], 3, axis=-1)

    for name, settings in {
        "a.mkv": {"codec": "ffv1", "pixel_format": "gray"},
        "b.mkv": {"codec": "ffv1", "pixel_format": "yuv444p"},
        "c.mkv": {"codec": "ffv1", "pixel_format": "yuv444p10le"},
    }.items():
        file = encode(tmp_path / name, 6, size=(48, 32), picture=picture, **settings)
        found = holes(clip(file), threshold=1.0 if name == "a.mkv" else 0.99)
        np.testing.assert_array_equal(found, np.stack([bar(k) > 0 for k in range(6)]))


def test_one_picture_holds_for_every_frame(bars: Path) -> None:
    found = holes(clip(bars / "0002.png"))
    assert (found == (bar(2) > 0)).all()


def test_threshold_counts_from_full_scale(tmp_path: Path) -> None:
    ramp = np.zeros((32, 48), np.uint8)
    ramp[0] = np.arange(110, 158)
    folder = images(tmp_path / "ramp", [ramp])
    assert holes(clip(folder), threshold=0.5)[0, 0].argmax() + 110 == 128
    assert holes(clip(folder), threshold=120 / 255)[0, 0].argmax() + 110 == 120
    assert holes(clip(folder), threshold=0.001)[0].sum() == 48
    deep = images(tmp_path / "deep", [ramp.astype(np.uint16) * 257])
    assert holes(clip(deep), threshold=120 / 255)[0, 0].argmax() + 110 == 120


def test_luma_is_that_of_rec_709(tmp_path: Path) -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, 0:16], picture[:, 16:32], picture[:, 32:48] = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # OpenCV writes BGR
    folder = images(tmp_path / "colours", [picture])
    for threshold, covered in ((0.07, "RGB"), (0.1, "RG"), (0.3, "G"), (0.72, "")):
        found = holes(clip(folder), threshold=threshold)[0, 0]
        assert "".join(name for name, x in (("R", 0), ("G", 16), ("B", 32)) if found[x]) == covered


def test_alpha_and_invert(tmp_path: Path) -> None:
    picture = np.zeros((32, 48, 4), np.uint8)
    picture[..., 3] = bar(3)
    folder = images(tmp_path / "alpha", [picture])
    assert (holes(clip(folder, channel="alpha")) == (bar(3) > 0)).all()
    assert (holes(clip(folder, channel="alpha", invert=True)) == (bar(3) == 0)).all()


def test_alpha_of_a_video(tmp_path: Path) -> None:
    import av

    file = tmp_path / "a.mkv"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgra"
        for k in range(6):
            packed = np.zeros((32, 48, 4), np.uint8)
            packed[..., 3] = bar(k)
            frame = av.VideoFrame.from_ndarray(packed, "bgra")
            frame.pts = k
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    np.testing.assert_array_equal(holes(clip(file, channel="alpha")), np.stack([bar(k) > 0 for k in range(6)]))


def test_alpha_of_footage_without_it(bars: Path) -> None:
    assert "has no alpha channel: set the mask's channel to luma" in refusal(clip(bars, channel="alpha"))


def test_luma_and_alpha_confused(tmp_path: Path) -> None:
    black = np.zeros((32, 48, 4), np.uint8)
    black[..., 3] = bar(3)
    opaque = np.full((32, 48, 4), 255, np.uint8)
    opaque[..., :3] = bar(3)[..., None]
    for picture, channel, other in ((black, "luma", "alpha"), (opaque, "alpha", "luma")):
        folder = images(tmp_path / channel, [picture])
        with open_matte((clip(folder, channel=channel),), INFO, 0, 0.5) as matte:
            assert matte.notes == []
            list(matte.read(0, 5))
            (note,) = matte.notes
            assert str(folder) in note and f"channel to {other}" in note
        with open_matte((clip(folder, channel=other),), INFO, 0, 0.5) as matte:
            list(matte.read(0, 5))
            assert matte.notes == []


def test_lengths_that_differ(bars: Path) -> None:
    assert "has 6 frames and the source shot.mp4 has 9" in refusal(clip(bars), info=replace(INFO, count=9, indices=range(9)))
    assert "has 4 frames and the source shot.mp4 has 6" in refusal(clip(bars, first=2))
    assert "has 6 frames, so its frame 6" in refusal(clip(bars, first=2, count=5))


def test_placed_mattes_cover_their_own_range(bars: Path) -> None:
    info = replace(INFO, count=10, indices=range(10))
    blank = np.zeros((32, 48), bool)

    def expected(places: dict[int, int]) -> np.ndarray:
        return np.stack([bar(places[k]) > 0 if k in places else blank for k in range(10)])

    np.testing.assert_array_equal(holes(clip(bars, at=3), info=info), expected({k + 3: k for k in range(6)}))
    np.testing.assert_array_equal(holes(clip(bars, at=7), info=info), expected({7: 0, 8: 1, 9: 2}))
    np.testing.assert_array_equal(holes(clip(bars, first=2, count=3), info=info), expected({0: 2, 1: 3, 2: 4}))
    np.testing.assert_array_equal(holes(clip(bars, at=4, first=2, count=3), info=info), expected({4: 2, 5: 3, 6: 4}))
    np.testing.assert_array_equal(holes(clip(bars, at=1, indices=(5, 5, 0)), info=info), expected({1: 5, 2: 5, 3: 0}))
    np.testing.assert_array_equal(holes(clip(bars / "0002.png", at=4, count=3), info=info), expected({4: 2, 5: 2, 6: 2}))
    np.testing.assert_array_equal(holes(clip(bars / "0002.png", at=8), info=info), expected({8: 2, 9: 2}))
    np.testing.assert_array_equal(holes(clip(bars / "0002.png", indices=(0, 0)), info=info), expected({0: 2, 1: 2}))
    inverted = holes(clip(bars, at=3, count=1, invert=True), info=info)
    assert not inverted[[0, 1, 2, 4, 9]].any() and (inverted[3] == (bar(0) == 0)).all()


def test_a_matte_after_the_end(bars: Path) -> None:
    text = refusal(clip(bars, at=6))
    assert "begins at frame 6 and the source ends at frame 5" in text and str(bars) in text


def test_frames_in_any_order(bars: Path) -> None:
    with open_matte((clip(bars),), INFO, 0, 0.5) as matte:
        for k in (4, 1, 5, 0):
            np.testing.assert_array_equal(next(matte.read(k, k)), bar(k) > 0)
        with pytest.raises(BadClip, match="frames 0 to 5"):
            matte.read(3, 6)


def test_parts_are_united(bars: Path) -> None:
    found = holes(clip(bars / "0001.png"), MaskPart(rectangle=(30, 10, 6, 4), at=2, count=2))
    rectangle = np.zeros((32, 48), bool)
    rectangle[10:14, 30:36] = True
    for k in range(6):
        np.testing.assert_array_equal(found[k], (bar(1) > 0) | (rectangle if k in (2, 3) else False))


def test_rectangles() -> None:
    found = holes(MaskPart(rectangle=(10, 4, 3, 2)))
    assert np.argwhere(found[0]).tolist() == [[y, x] for y in (4, 5) for x in (10, 11, 12)]
    assert (holes(MaskPart(rectangle=(10, 4, 3, 2), invert=True)) == ~found).all()
    assert holes(MaskPart(rectangle=(-5, -5, 7.4, 6.6)))[0].sum() == 2 * 2
    assert holes(MaskPart(rectangle=(-5, -5, 500, 500))).all()
    assert np.argwhere(holes(MaskPart(rectangle=(1.5, 2.5, 2, 1)))[0]).tolist() == [[2, 1], [2, 2]]
    assert "covers no pixel of the source (48x32)" in refusal(MaskPart(rectangle=(48, 0, 10, 10)))
    assert "do not overlap" in refusal(MaskPart(rectangle=(0, 0, 10, 10), at=6))


def test_other_sizes(tmp_path: Path, bars: Path) -> None:
    double = images(tmp_path / "double", [cv2.resize(bar(2), (96, 64), interpolation=cv2.INTER_NEAREST)])
    assert (holes(clip(double)) == (bar(2) > 0)).all()
    half = images(tmp_path / "half", [np.pad(np.full((4, 6), 255, np.uint8), ((2, 10), (3, 15)))])
    expected = np.zeros((32, 48), bool)
    expected[4:12, 6:18] = True
    assert (holes(clip(half)) == expected).all()
    nearly = images(tmp_path / "nearly", [np.full((320, 483), 255, np.uint8)])
    assert holes(clip(nearly)).all()
    square = images(tmp_path / "square", [np.zeros((48, 48), np.uint8)])
    text = refusal(clip(square))
    assert "is 48x48" in text and "is 48x32" in text


def test_transforms(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 2, (20, 30)).astype(np.uint8) * 255
    folder = images(tmp_path / "a", [picture])
    moved, shrunk, swapped, turned, mirrored = (
        (1, 0, -5, 0, 1, 3), (0.5, 0, 2.25, 0, 0.5, -1), (0, 1, 0, 1, 0, 0), (0.8, -0.6, 7, 0.6, 0.8, -9), (-1, 0, 29, 0, 1, 0),
    )  # fmt: skip
    for transform in (moved, shrunk, swapped, turned, mirrored):
        a, b, c, d, e, f = transform
        for invert in (False, True):
            expected = np.zeros((32, 48), bool)
            for y in range(32):
                for x in range(48):
                    u, v = int(np.floor(a * x + b * y + c + 0.5)), int(np.floor(d * x + e * y + f + 0.5))
                    if 0 <= u < 30 and 0 <= v < 20:
                        expected[y, x] = (picture[v, u] > 0) != invert
            np.testing.assert_array_equal(holes(clip(folder, transform=transform, invert=invert))[3], expected)


def test_a_transform_far_away_masks_nothing(tmp_path: Path, bars: Path) -> None:
    assert not holes(clip(bars, transform=(1, 0, 1e9, 0, 1, -1e9), invert=True)).any()


@pytest.mark.parametrize("pixels", [0, 1, 2, 5, 40, 300])
def test_growing_is_by_a_disc(pixels: int) -> None:
    hole = np.zeros((60, 80), bool)
    hole[20, 30] = hole[22:25, 70:80] = hole[0, 0] = True
    points = np.argwhere(hole)
    y, x = np.mgrid[:60, :80]
    expected = (((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2) <= pixels**2).any(axis=-1)
    np.testing.assert_array_equal(grown(hole, pixels), expected)


def test_growing_nothing_is_nothing(bars: Path) -> None:
    assert not grown(np.zeros((20, 30), bool), 9).any()
    grown_bars = holes(clip(bars), grow=2)
    assert (grown_bars[2].any(axis=0).nonzero()[0] == np.arange(8, 16)).all()


def test_files_that_must_be_kept(bars: Path) -> None:
    with open_matte((clip(bars), MaskPart(rectangle=(0, 0, 5, 5))), INFO, 0, 0.5) as matte:
        assert matte.files == frozenset(bars / f"{i:04d}.png" for i in range(6))


def test_whatever_a_clip_refuses_a_matte_refuses(tmp_path: Path) -> None:
    assert "does not exist" in refusal(clip(tmp_path / "none.png"))
    file = tmp_path / "a.mp4"
    file.write_text("no video")
    assert "not a video" in refusal(clip(file))


@pytest.mark.parametrize("pixels", [1, 3, 40])
def test_growing_below_adds_what_lies_under_each_pixel(pixels: int) -> None:
    hole = np.random.default_rng(4).random((32, 48)) > 0.97
    wanted = hole.copy()
    for step in range(1, min(pixels, 31) + 1):
        wanted[step:] |= hole[:-step]
    np.testing.assert_array_equal(grown_below(hole, pixels), wanted)
    assert not grown_below(np.zeros((4, 5), bool), pixels).any()


def test_what_grew_below_grows_on_all_sides() -> None:
    with open_matte((MaskPart(rectangle=(10, 4, 6, 3)),), INFO, 2, 0.5, grow_below=8) as matte:
        found = next(matte.read(0, 0))
    np.testing.assert_array_equal(found, grown(np.pad(np.ones((11, 6), bool), ((4, 17), (10, 32))), 2))


@pytest.mark.parametrize("pixels", [1, 4, 30])
def test_a_feather_fades_evenly_with_the_distance_to_the_hole(pixels: int) -> None:
    """Two blobs, so that there is a gap, and one of them at the picture's edge."""
    core = np.zeros((32, 48), bool)
    core[12:20, 20:26] = core[10:14, :9] = core[3, 40] = True
    hole, share = feathered(core, pixels)
    ys, xs = np.mgrid[:32, :48]
    distance = np.min([np.hypot(ys - y, xs - x) for y, x in np.argwhere(core)], axis=0)
    np.testing.assert_array_equal(hole, grown(core, pixels))
    np.testing.assert_array_equal(share == 255, core)
    np.testing.assert_array_equal(share > 0, hole)
    np.testing.assert_allclose(share[hole], 255 * (1 - distance[hole] / (pixels + 1)), atol=0.51)


def test_a_feather_begins_where_growing_ends() -> None:
    rectangle = (MaskPart(rectangle=(10, 4, 6, 3)),)
    with open_matte(rectangle, INFO, 2, 0.5, 8, feather=5) as matte, open_matte(rectangle, INFO, 2, 0.5, 8) as without:
        (hole, share), = matte.read_shares(0, 0)
        (core, nothing), = without.read_shares(0, 0)
        np.testing.assert_array_equal(next(matte.read(0, 0)), hole)
    assert nothing is None
    np.testing.assert_array_equal(share == 255, core)
    np.testing.assert_array_equal(hole, grown(core, 5))


def test_a_feather_around_nothing() -> None:
    hole, share = feathered(np.zeros((4, 5), bool), 3)
    assert not hole.any() and not share.any()


def test_what_is_read_feathered_is_the_callers() -> None:
    with open_matte((MaskPart(rectangle=(10, 4, 6, 3)),), INFO, 0, 0.5, feather=5) as matte:
        for part in next(matte.read_shares(0, 0)):
            part[:] = 0
        assert all(part.any() for part in next(matte.read_shares(1, 1)))
