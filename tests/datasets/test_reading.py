"""Pictures and annotations of data sets."""
from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from dataset_files import davis, objects_at, picture, write_image, write_palette, youtube_vos

from flow_inpaint.datasets import find_clips, open_clip, read_annotation
from flow_inpaint.errors import BadClip

sys.path.append(str(Path(__file__).parents[1] / "media"))
from footage import counter_of, encode  # noqa: E402


def test_frames_of_a_folder(tmp_path):
    (clip, _) = find_clips(youtube_vos(tmp_path), "train")
    with open_clip(clip) as reader:
        assert (reader.count, reader.size) == (5, (24, 32))
        frames = list(reader.read())
        assert len(frames) == 5 and [np.array_equal(a, b) for a, b in zip(reader.read(1, 3), frames[1:4], strict=True)] == [True] * 3
    for k, frame in enumerate(frames):
        assert frame.dtype == np.uint8 and np.abs(frame.astype(int) - picture(5 * k)).mean() < 12


def test_frames_of_a_video_file(tmp_path):
    encode(tmp_path / "shot.mp4", 7)
    (clip,) = find_clips(tmp_path)
    with open_clip(clip) as reader:
        assert (reader.count, reader.size) == (7, (64, 96))
        assert [counter_of(frame) for frame in reader.read(2, 5)] == [2, 3, 4, 5]
        assert next(reader.read(0, 0)).dtype == np.uint8


def test_deep_pictures_become_eight_bits(tmp_path):
    deep = picture(1).astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "0.png"), deep[..., ::-1])
    with open_clip(find_clips(tmp_path)[0]) as reader:
        np.testing.assert_array_equal(next(reader.read()), picture(1))


def test_a_frame_that_does_not_fit_is_named(tmp_path):
    davis(tmp_path)
    folder = tmp_path / "JPEGImages/480p/bear"
    write_image(folder / "00002.jpg", picture(2, (24, 30)))
    with pytest.raises(BadClip, match=r"00002.jpg is 30x24 and 00000.jpg is 32x24"), open_clip(find_clips(tmp_path)[0]) as reader:
        list(reader.read())
    (folder / "00001.jpg").write_bytes((folder / "00001.jpg").read_bytes()[:200])
    with pytest.raises(BadClip, match="00001.jpg is damaged"), open_clip(find_clips(tmp_path)[0]) as reader:
        list(reader.read())
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a.mp4").write_bytes(b"no video")
    with pytest.raises(BadClip, match="a.mp4"):
        open_clip(find_clips(tmp_path / "plain")[0])


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_numbers_of_a_palette(tmp_path, bits):
    numbers = objects_at(1, (25, 33))
    numbers[0, 0] = 3
    write_palette(tmp_path / "a.png", numbers, bits)
    np.testing.assert_array_equal(read_annotation(tmp_path / "a.png"), numbers)


def test_grey_and_coloured_annotations(tmp_path):
    numbers = objects_at(2)
    for name, stored in (("ids.png", numbers), ("matte.png", (numbers > 0) * np.uint8(255))):
        cv2.imwrite(str(tmp_path / name), stored)
    cv2.imwrite(str(tmp_path / "soft.png"), cv2.GaussianBlur((numbers > 0) * np.float32(255), (3, 3), 0.5))
    write_image(tmp_path / "colour.png", np.where(numbers[..., None] > 0, np.array([0, 128, 64], np.uint8), np.uint8(0)))
    np.testing.assert_array_equal(read_annotation(tmp_path / "ids.png"), numbers)
    for name in ("matte.png", "soft.png", "colour.png"):
        np.testing.assert_array_equal(read_annotation(tmp_path / name), (numbers > 0).astype(np.uint8))


def test_annotations_that_cannot_be_read_are_named(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(BadClip, match="a.png cannot be read: No such file"):
        read_annotation(path)
    write_palette(path, objects_at(0))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadClip, match="a.png is damaged or cut short"):
        read_annotation(path)
