"""References on disk, and what is wrong with them."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import save, view

from flow_inpaint import pipeline
from flow_inpaint.errors import BadClip, BadParameter
from flow_inpaint.job import ClipSpec, Job, ReferenceSpec
from flow_inpaint.media import open_source
from flow_inpaint.media.image_codec import encode_image
from flow_inpaint.references import read_reference

WIDTH, HEIGHT = 40, 24


def clip(folder: Path, picture: np.ndarray | None = None) -> None:
    for k in range(3):
        save(folder / f"source/{k}.png", view(WIDTH, HEIGHT) if picture is None else picture)


def read(folder: Path, name: str):
    with open_source(ClipSpec(folder / "source")) as source:
        return read_reference(ReferenceSpec(1, folder / name), source.info)


def document(*references: object) -> dict:
    return {
        "source": {"path": "source"},
        "mask": {"rectangle": [4, 4, 8, 8]},
        "output": {"path": "out", "format": "png"},
        "references": list(references),
    }


def test_eight_bits_for_eight(tmp_path: Path) -> None:
    clip(tmp_path)
    picture = view(WIDTH, HEIGHT, seed=1)
    save(tmp_path / "clean.png", picture)
    found = read(tmp_path, "clean.png")
    assert found.rgb.dtype == np.float32 and found.valid.all()
    np.testing.assert_array_equal(found.rgb, picture)


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits of 16", "16 bits of 8"])
def test_other_depths_keep_their_white(tmp_path: Path, deep: bool) -> None:
    low, high = view(WIDTH, HEIGHT), view(WIDTH, HEIGHT).astype(np.uint16) * 257
    clip(tmp_path, low if deep else high)
    save(tmp_path / "clean.png", high if deep else low)
    np.testing.assert_allclose(read(tmp_path, "clean.png").rgb, low if deep else high, rtol=1e-6)


def test_transparent_parts_say_nothing(tmp_path: Path) -> None:
    clip(tmp_path)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, 20:] = 255
    cv2.imwrite(str(tmp_path / "clean.png"), np.dstack([view(WIDTH, HEIGHT)[..., ::-1], alpha]))
    np.testing.assert_array_equal(read(tmp_path, "clean.png").valid, alpha == 255)
    cv2.imwrite(str(tmp_path / "clear.png"), np.dstack([view(WIDTH, HEIGHT)[..., ::-1], alpha * 0]))
    with pytest.raises(BadClip, match="^The reference .*clear.png is transparent everywhere: save it with what was painted.$"):
        read(tmp_path, "clear.png")


def test_another_size(tmp_path: Path) -> None:
    clip(tmp_path)
    save(tmp_path / "small.png", view(20, 12))
    with pytest.raises(BadClip, match="^The reference .*small.png is 20x12 and source is 40x24: they need one size.$"):
        read(tmp_path, "small.png")


def test_linear_light_for_display_values_and_the_reverse(tmp_path: Path) -> None:
    clip(tmp_path)
    linear = view(WIDTH, HEIGHT).astype(np.float32) / 255
    (tmp_path / "clean.exr").write_bytes(encode_image(".exr", linear, None, 32))
    with pytest.raises(BadClip, match="clean.exr has float32 samples and source uint8: save it as a PNG or TIFF file with 8 or 16 bits.$"):
        read(tmp_path, "clean.exr")
    for k in range(3):
        (tmp_path / f"source/{k}.png").unlink()
        (tmp_path / f"source/{k}.exr").write_bytes(encode_image(".exr", linear, None, 32))
    np.testing.assert_array_equal(read(tmp_path, "clean.exr").rgb, linear)
    save(tmp_path / "clean.png", view(WIDTH, HEIGHT))
    with pytest.raises(BadClip, match="clean.png has uint8 samples and source float32: save it as an EXR file.$"):
        read(tmp_path, "clean.png")


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("none.png", "none.png cannot be read: No such file or directory."),
        ("text.png", "text.png is not an image that can be read: it is damaged or of another kind than its name says."),
        ("cut.png", "cut.png is damaged or cut short: use a sound copy."),
        ("movie.mp4", "movie.mp4 is no image: give one picture, such as a PNG or TIFF file."),
    ],
)
def test_files_that_are_no_picture(tmp_path: Path, name: str, sentence: str) -> None:
    clip(tmp_path)
    save(tmp_path / "whole.png", view(WIDTH, HEIGHT))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:-40])
    for made in ("text.png", "movie.mp4"):
        (tmp_path / made).write_text("x")
    job = Job.from_document(document({"frame": 1, "path": name}), tmp_path)
    for call in (pipeline.run, pipeline.check):
        with pytest.raises(BadClip) as caught:
            call(job)
        assert str(caught.value).endswith(sentence)
    assert not (tmp_path / "out").exists()


def test_a_frame_that_the_source_does_not_have(tmp_path: Path) -> None:
    clip(tmp_path)
    save(tmp_path / "clean.png", view(WIDTH, HEIGHT))
    for call in (pipeline.run, pipeline.check):
        with pytest.raises(BadClip, match="^The reference clean.png is for frame 3, and source has frames 0-2.$"):
            call(Job.from_document(document({"frame": 3, "path": "clean.png"}), tmp_path))


def test_a_reference_is_never_written_over(tmp_path: Path) -> None:
    clip(tmp_path)
    (tmp_path / "out").mkdir()
    save(tmp_path / "out/1.png", view(WIDTH, HEIGHT))
    with pytest.raises(BadClip, match="it is never written over.$"):
        pipeline.run(Job.from_document(document({"frame": 1, "path": "out/1.png"}), tmp_path))


@pytest.mark.parametrize(
    "references, sentence",
    [
        ("clean.png", "references has to be a list, not text."),
        (["clean.png"], "a reference has to be a table, not text."),
        ([{"frame": 1}], "a reference needs the field 'path'."),
        ([{"frame": -1, "path": "a.png"}], "a reference's frame cannot be -1: it is a whole number, 0 or more."),
        ([{"frame": 1.5, "path": "a.png"}], "a reference's frame cannot be 1.5: it is a whole number, 0 or more."),
        ([{"frame": 1, "path": ""}], "a reference's path has to be a file name, not ''."),
        ([{"frame": 1, "path": "a.png", "size": 3}], "a reference has no field 'size'; it has frame, path."),
        ([{"frame": 1, "path": "a.png"}, {"frame": 1, "path": "b.png"}], "Frame 1 has two references, a.png and b.png: give one of them."),
    ],
)
def test_documents(tmp_path: Path, references: object, sentence: str) -> None:
    with pytest.raises(BadParameter) as caught:
        Job.from_document(document() | {"references": references}, tmp_path)
    assert str(caught.value) == sentence


def test_references_are_in_order(tmp_path: Path) -> None:
    job = Job.from_document(document({"frame": 5, "path": "b.png"}, {"frame": 2, "path": "a.png"}), tmp_path)
    assert job.references == (ReferenceSpec(2, tmp_path / "a.png"), ReferenceSpec(5, tmp_path / "b.png"))
