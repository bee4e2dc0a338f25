"""OpenEXR as compositors write it: layers, parts, tiles; and what of it is refused, in one sentence."""
from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from exr_files import Channels, exr_bytes
from flow_inpaint.errors import BadClip, BadParameter
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source
from flow_inpaint.media.exr import encode_exr
from flow_inpaint.media.exr_file import ExrFile
from flow_inpaint.media.image_codec import read_image
from flow_inpaint.media.image_tags import tagged
from flow_inpaint.pipeline import run

SHAPE = (21, 37)


def channels(names: str, layer: str = "", dtype: type = np.float16, seed: int = 0) -> Channels:
    generator = np.random.default_rng(seed)
    return {(f"{layer}." if layer else "") + name: (generator.standard_normal(SHAPE) * 9).astype(dtype) for name in names}


def rgb_of(found: Channels, layer: str = "") -> np.ndarray:
    return np.stack([found[(f"{layer}." if layer else "") + name] for name in "RGB"], axis=-1).astype(np.float32)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_layers_by_name(tmp_path: Path) -> None:
    beauty, spec, deep = channels("RGB"), channels("RGB", "spec", seed=1), channels("RGBA", "view.diffuse", np.float32, 2)
    file = write(tmp_path / "a.exr", exr_bytes([("", beauty | spec | deep | channels("Z", dtype=np.float32))]))
    for layer, wanted, depth in ((None, rgb_of(beauty), 16), ("spec", rgb_of(spec, "spec"), 16), ("view.diffuse", rgb_of(deep, "view.diffuse"), 32)):
        rgb, alpha, found_depth = read_image(file, layer)
        np.testing.assert_array_equal(rgb, wanted)
        assert found_depth == depth and (alpha is not None) == (layer == "view.diffuse")
    np.testing.assert_array_equal(read_image(file, "view.diffuse")[1], deep["view.diffuse.A"])
    with pytest.raises(BadClip, match=r"a\.exr has no layer 'gloss' with channels R, G, B or Y: choose one of its layers spec, view\.diffuse\."):
        read_image(file, "gloss")


def test_a_file_of_nothing_but_layers(tmp_path: Path) -> None:
    """As Blender writes it."""
    file = write(tmp_path / "a.exr", exr_bytes([("", channels("RGBA", "ViewLayer.Combined"))]))
    with pytest.raises(BadClip, match=r"no channels R, G, B or Y of its own: choose one of its layers ViewLayer\.Combined\."):
        read_image(file)
    assert read_image(file, "ViewLayer.Combined")[1] is not None


@pytest.mark.parametrize("tile", [None, 16])
def test_parts_by_name(tmp_path: Path, tile: int | None) -> None:
    parts = [("beauty", channels("RGBA")), ("clean", channels("RGB", dtype=np.float32, seed=1)), ("light", channels("RGB", "key", seed=2))]
    file = write(tmp_path / "a.exr", exr_bytes(parts, tile))
    for layer, found, inner in ((None, parts[0][1], ""), ("beauty", parts[0][1], ""), ("clean", parts[1][1], ""), ("key", parts[2][1], "key")):
        np.testing.assert_array_equal(read_image(file, layer)[0], rgb_of(found, inner))
    np.testing.assert_array_equal(read_image(file, "light.key")[0], rgb_of(parts[2][1], "key"))
    with pytest.raises(BadClip, match="layers beauty, clean, key"):
        read_image(file, "nothing")


@pytest.mark.parametrize("names", [[""], ["beauty", "clean"]], ids=["plain", "parts"])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize(
    ("display", "left_top"),
    [((100, 50, 136, 70), (100, 50)), ((100, 50, 140, 75), (103, 52)), ((105, 55, 120, 65), (100, 50)), ((-20, -8, 16, 12), (-20, -8))],
    ids=["elsewhere", "larger", "smaller", "negative"],
)
def test_a_display_window_that_does_not_begin_at_the_corner(
    tmp_path: Path, names: list[str], tile: int | None, display: tuple[int, int, int, int], left_top: tuple[int, int]
) -> None:
    found = channels("RGB")
    file = write(tmp_path / "a.exr", exr_bytes([(name, found) for name in names], tile, display=display, left_top=left_top))
    (x, y), (x0, y0, x1, y1) = left_top, display
    plane = np.zeros((200, 300, 3), np.float32)
    plane[100 + y : 100 + y + SHAPE[0], 100 + x : 100 + x + SHAPE[1]] = rgb_of(found)
    wanted = plane[100 + y0 : 101 + y1, 100 + x0 : 101 + x1]
    np.testing.assert_array_equal(read_image(file)[0], wanted)
    # And what is made of it lies where the source does.
    again = tagged(encode_exr(wanted, None, half=True), file)
    part = ExrFile.parse(again).parts[0]
    assert part.attributes["displayWindow"][1] == part.attributes["dataWindow"][1] == struct.pack("<4i", *display)
    np.testing.assert_array_equal(read_image(write(tmp_path / "b.exr", again))[0], wanted)


def test_a_job_names_its_layers(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(3):
        plate, matte = channels("RGB", "plate", seed=k), {f"matte.{name}": np.zeros(SHAPE, np.float16) for name in "RGB"}
        for plane in matte.values():
            plane[6:12, 8:20] = 1
        write(folder / f"s.{k}.exr", exr_bytes([("", channels("RGB", seed=9) | plate | matte)]))
    document = {
        "source": {"path": str(folder), "layer": "plate"},
        "mask": {"path": str(folder), "layer": "matte"},
        "output": {"path": str(tmp_path / "out"), "format": "exr"},
        "params": {"preset": "draft"},
    }
    run(Job.from_document(document))
    kept = np.ones(SHAPE, bool)
    kept[6:12, 8:20] = False
    for k in range(3):
        rgb, _, depth = read_image(tmp_path / f"out/s.{k}.exr")
        np.testing.assert_array_equal(rgb[kept], rgb_of(channels("RGB", "plate", seed=k), "plate")[kept])
        assert depth == 16
    for layer in ("", 3, "a\0b", ["x"]):
        with pytest.raises(BadParameter, match="layer has to be the name"):
            Job.from_document(document | {"source": {"path": "a", "layer": layer}})


@pytest.mark.parametrize("tile", [None, 16], ids=["lines", "tiles"])
@pytest.mark.parametrize("names", [[""], ["one", "two"]], ids=["one part", "two parts"])
def test_no_part_of_a_shortened_file_is_black(tmp_path: Path, tile: int | None, names: list[str]) -> None:
    whole = exr_bytes([(name, channels("RGB", seed=k)) for k, name in enumerate(names)], tile)
    for length in range(len(whole) - 1, 0, -97):
        file = write(tmp_path / "a.exr", whole[:length])
        with pytest.raises(BadClip, match="a.exr is (damaged or cut short|not an OpenEXR)"):
            read_image(file, names[-1] or None)


def test_what_is_refused(tmp_path: Path) -> None:
    whole_numbers = {name: np.ones(SHAPE, np.uint32) for name in "RGB"}
    with pytest.raises(BadClip, match="whole numbers: save it as half or float"):
        read_image(write(tmp_path / "a.exr", exr_bytes([("", whole_numbers)])))
    png = tmp_path / "a.png"
    png.write_bytes(b"")
    with pytest.raises(BadClip, match="has no layers, so there is no 'x' in it"):
        read_image(png, "x")
    movie = tmp_path / "a.mp4"
    movie.write_bytes(b"")
    with pytest.raises(BadClip, match="has no layers"):
        open_source(ClipSpec(movie, layer="x"))
    data = bytearray(encode_exr(np.zeros((*SHAPE, 3), np.float32), None, True))
    at = data.index(b"displayWindow\0box2i\0") + 24
    data[at : at + 16] = np.array([0, 0, 99999, 99999], "<i4").tobytes()
    with pytest.raises(BadClip, match="claims to be 100000x100000 pixels"):
        read_image(write(tmp_path / "huge.exr", bytes(data)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("half", [True, False])
def test_numbers_that_are_none(tmp_path: Path, value: float, half: bool) -> None:
    rgb, alpha = np.zeros((*SHAPE, 3), np.float32), np.ones(SHAPE, np.float32)
    rgb[4, 7, 1] = rgb[5, 7, 2] = value
    file = write(tmp_path / "a.exr", encode_exr(rgb, None, half))
    with pytest.raises(BadClip, match=r"a\.exr has 2 pixels that are no numbers \(NaN or infinite\), the first at x 7, y 4: paint them out"):
        read_image(file)
    alpha[3, 2] = value
    with pytest.raises(BadClip, match="1 pixels that are no numbers"):
        read_image(write(tmp_path / "b.exr", encode_exr(np.zeros_like(rgb), alpha, half)))
