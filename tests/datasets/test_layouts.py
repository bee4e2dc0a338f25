"""Data sets as they lie on disk: what is a clip, what is annotated, and what is refused."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from dataset_files import davis, objects_at, picture, write_image, write_palette, youtube_vos
from shared_data import shared

from flow_inpaint.datasets import find_clips, open_clip, read_annotation
from flow_inpaint.errors import BadClip


def names(root: Path, split: str | None = None) -> list[str]:
    return [clip.name for clip in find_clips(root, split)]


def refusal(root: Path, split: str | None = None) -> str:
    with pytest.raises(BadClip) as refused:
        find_clips(root, split)
    assert str(refused.value).endswith(".")
    return str(refused.value)


# --- DAVIS ---


def test_davis(tmp_path):
    bear, camel = find_clips(davis(tmp_path, resolutions=("Full-Resolution", "480p")))
    assert (bear.name, camel.name) == ("bear", "camel") and bear.video is None
    assert [path.relative_to(tmp_path).as_posix() for path in bear.frames] == [f"JPEGImages/480p/bear/0000{k}.jpg" for k in range(4)]
    assert [path.relative_to(tmp_path).as_posix() for path in bear.annotations] == [f"Annotations/480p/bear/0000{k}.png" for k in range(4)]
    np.testing.assert_array_equal(read_annotation(bear.annotations[3]), objects_at(3))


def test_any_folder_of_davis_will_do(tmp_path):
    davis(tmp_path, resolutions=("1080p", "480p"))
    for root, expected in (("JPEGImages/1080p", ["bear", "camel"]), ("JPEGImages/480p/camel", ["camel"]), ("JPEGImages", None)):
        clips = find_clips(tmp_path / root)
        assert expected is None or [clip.name for clip in clips] == expected
        for clip in clips:
            for frame, annotation in zip(clip.frames, clip.annotations, strict=True):
                assert annotation == Path(str(frame).replace("JPEGImages", "Annotations")).with_suffix(".png") and annotation.is_file()
    assert names(tmp_path / "JPEGImages") == ["1080p/bear", "1080p/camel", "480p/bear", "480p/camel"]


def test_another_resolution_is_taken_where_the_usual_one_is_absent(tmp_path):
    (clip, _) = find_clips(davis(tmp_path, resolutions=("432x240",)))
    assert clip.name == "bear" and clip.path == tmp_path / "JPEGImages/432x240/bear" and None not in clip.annotations


def test_splits_of_davis(tmp_path):
    davis(tmp_path)
    assert names(tmp_path, "train") == ["bear"] and names(tmp_path, "2017/val") == names(tmp_path, "2016/val") == ["camel"]
    assert names(tmp_path, "trainval") == ["bear", "camel"]
    assert "more than one split 'val': choose 2016/val or 2017/val." in refusal(tmp_path, "val")
    assert re.search("has no split 'valid': there are 2016/val, 2017/train, 2017/val, 480p/trainval", refusal(tmp_path, "valid"))


def test_a_split_may_be_a_file_of_ones_own_and_keeps_its_order(tmp_path):
    davis(tmp_path / "set")
    own = tmp_path / "mine.txt"
    own.write_text("camel\r\n\n  bear \n")
    assert names(tmp_path / "set", str(own)) == ["camel", "bear"]
    own.write_text("camel\nlion\ntiger\n")
    assert "names the clip 'lion' and 1 more, which is not in" in refusal(tmp_path / "set", str(own))
    own.write_text("\n")
    assert f"{own} names no clips." == refusal(tmp_path / "set", str(own))
    own.write_bytes(b"\xff\xfe\x00")
    assert "is no list of names" in refusal(tmp_path / "set", str(own))
    assert "does not exist" in refusal(tmp_path / "set", str(tmp_path / "absent.txt"))


# --- YouTube-VOS ---


def test_youtube_vos(tmp_path):
    youtube_vos(tmp_path)
    clips = find_clips(tmp_path, "train")
    assert [clip.name for clip in clips] == ["003234408dt", "0043f083b5t"] == names(tmp_path / "train")
    assert [path.stem for path in clips[0].frames] == ["00000", "00005", "00010", "00015", "00020"]
    assert [path and path.name for path in clips[0].annotations] == ["00000.png", "00005.png", "00010.png", None, None]
    assert clips[0].objects == {1: "penguin", 2: "sheep"}
    np.testing.assert_array_equal(read_annotation(clips[0].annotations[2]), objects_at(2))
    assert len(find_clips(tmp_path)) == 4
    assert "has no split 'test': there are train, valid." in refusal(tmp_path, "test")


def test_a_clip_in_two_parts_has_two_names(tmp_path):
    youtube_vos(tmp_path, ("train", "train_all_frames"))
    both = ("train", "train_all_frames")
    assert names(tmp_path) == [f"{part}/JPEGImages/{name}t" for part in both for name in ("003234408d", "0043f083b5")]


def test_a_damaged_meta_file_is_named(tmp_path):
    youtube_vos(tmp_path)
    for text in ('{"videos": ', "[]", '{"videos": {"a": {"objects": {"x": {}}}}}', '{"videos": {"a": 3}}'):
        (tmp_path / "train/meta.json").write_text(text)
        assert f"{tmp_path / 'train/meta.json'} is not what" in refusal(tmp_path, "train")


# --- any folders ---


def test_any_folder_of_clips(tmp_path):
    for k in (1, 2, 10):
        write_image(tmp_path / "deep/down/beach" / f"shot {k}.png", picture(k))
    (tmp_path / "deep/street.mp4").touch()
    (tmp_path / "deep/street.MOV").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").mkdir()
    write_image(tmp_path / ".hidden/a0.png", picture(0))
    write_image(tmp_path / "deep/down/beach/._shot 1.png", picture(0))
    beach, *streets = find_clips(tmp_path)
    assert beach.name == "deep/down/beach" and beach.annotations is None
    assert [path.name for path in beach.frames] == ["shot 1.png", "shot 2.png", "shot 10.png"]
    files = ("street.MOV", "street.mp4")
    assert [(clip.name, clip.video) for clip in streets] == [(f"deep/{name}", tmp_path / "deep" / name) for name in files]
    assert not streets[0].frames and beach.video is None


def test_frames_and_masks_side_by_side(tmp_path):
    for k in range(3):
        write_image(tmp_path / "set/dog/frames" / f"f{k:03d}.jpg", picture(k))
        write_palette(tmp_path / "set/dog/masks" / f"m{k}.png", objects_at(k))
    (clip,) = find_clips(tmp_path / "set")
    assert clip.name == "dog" and [path.name for path in clip.annotations] == ["m0.png", "m1.png", "m2.png"]
    (alone,) = find_clips(tmp_path / "set/dog/frames")
    assert alone.name == "frames" and alone.annotations == clip.annotations
    for path in (tmp_path / "set/dog/masks").iterdir():
        path.rename(path.with_name(f"{path.stem}9.png"))
    assert "No annotation in" in refusal(tmp_path / "set")


def test_a_link_that_leads_round_ends(tmp_path):
    write_image(tmp_path / "a/0.png", picture(0))
    (tmp_path / "a/up").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["a"]


def test_what_is_no_data_set(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert "does not exist" in refusal(tmp_path / "absent") and "is a file" in refusal(tmp_path / "file")
    assert "holds no clips: neither folders of images nor video files." in refusal(tmp_path / "empty")
    assert "it has no splits" in refusal(tmp_path / "empty", "train")
    for name in ("a0.png", "a1.png", "cover.png"):
        write_image(tmp_path / "mixed" / name, picture(0))
    assert "holds more than one sequence of images (a0.png, cover.png): give each a folder of its own." in refusal(tmp_path)


def test_the_reference_data():
    clips = find_clips(shared("davis"))
    assert len(clips) == 10 and clips[0].name == "blackswan"
    for clip in clips:
        assert len(clip.frames) == len(clip.annotations) and None not in clip.annotations
    with open_clip(clips[0]) as reader:
        first = next(reader.read(3, 3))
        assert first.shape[:2] == read_annotation(clips[0].annotations[3]).shape == reader.size and reader.count == len(clips[0].frames)
