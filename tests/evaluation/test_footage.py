"""The tables' clips: which are taken, at what size, what may be pasted over them, and what tells them apart."""
from __future__ import annotations

import os

import numpy as np
import pytest
from dataset_files import davis, objects_at, picture, write_image

from flow_inpaint.errors import BadClip, BadParameter
from flow_inpaint.evaluation import footage

NAMES = ("bear", "camel", "dog", "goat", "swan")


@pytest.fixture
def data(tmp_path):
    # Twice as large as the files of other tests, because a table wants 32 lines at least.
    root = davis(tmp_path / "data", NAMES, frames=4)
    for path in (root / "JPEGImages").rglob("*.jpg"):
        write_image(path, picture(int(path.stem), (48, 64)))
    return root


def test_clips_are_cut_and_brought_to_size(data):
    clips = list(footage.of_data_set(data, size=(32, 40), frames=3))
    assert [clip.name for clip in clips] == list(NAMES)
    frames = list(clips[0].frames())
    assert len(frames) == clips[0].count == 3 and frames[0].shape == (32, 40, 3) and clips[0].exact() is None
    whole = next(iter(footage.of_data_set(data)))
    assert whole.count == 4 and next(whole.frames()).shape == (48, 64, 3)


def test_what_is_pasted_comes_from_three_clips_further(data):
    clips = {clip.name: clip for clip in footage.of_data_set(data)}
    assert clips["bear"]._other.name == "goat" and clips["goat"]._other.name == "camel"
    objects = clips["bear"].objects()
    found = [next(objects) for _ in range(5)]
    assert np.array_equal(found[1][1], objects_at(1) > 0) and np.array_equal(found[4][1], found[0][1])


def test_the_choice_of_clips_changes_nothing_about_what_is_pasted(data):
    (clip,) = footage.of_data_set(data, chosen=["bear"])
    assert clip._other.name == "goat"


def test_frames_without_annotation_are_passed_over(data):
    (data / "Annotations" / "480p" / "goat" / "00001.png").unlink()
    (clip,) = footage.of_data_set(data, chosen=["bear"])
    objects = clip.objects()
    assert np.array_equal([next(objects)[1] for _ in range(2)][1], objects_at(2) > 0)


def test_a_clip_without_annotated_neighbours_has_nothing_to_paste(tmp_path):
    for k in range(3):
        write_image(tmp_path / "one" / f"{k:03d}.png", picture(k, (48, 64)))
    (clip,) = footage.of_data_set(tmp_path)
    assert not clip.has_object


def test_changed_files_are_other_footage(data):
    def identity(**settings):
        return next(iter(footage.of_data_set(data, **settings))).identity

    before = identity()
    assert before == identity(size=(32, 40)) != identity(frames=3)
    path = data / "JPEGImages" / "480p" / "bear" / "00002.jpg"
    os.utime(path, (1, 1))
    changed = identity()
    assert changed != before
    os.utime(data / "Annotations" / "480p" / "goat" / "00002.png", (1, 1))
    assert identity() != changed


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(chosen=["wolf"]), r"There is no clip 'wolf' in .*data: it has bear, camel, dog, goat, swan\."),
        (dict(frames=1), r"bear has a single frame: tables need clips of at least 2"),
        (dict(split="nowhere"), r"no split 'nowhere'"),
    ],
)
def test_what_makes_no_table(data, settings, words):
    with pytest.raises(BadClip, match=words):
        next(iter(footage.of_data_set(data, **settings)))


def test_clips_that_are_too_small(tmp_path):
    with pytest.raises(BadClip, match="bear is 32x24: tables need pictures of at least 32x32"):
        next(iter(footage.of_data_set(davis(tmp_path / "data"))))


def test_generated_clips_know_their_flow():
    one, two = footage.generated(3, 2, (48, 64), 4)
    exact, frames = one.exact(), np.stack(list(one.frames()))
    assert frames.shape == (4, 48, 64, 3) and frames.dtype == np.uint8
    assert exact.forward.shape == exact.backward.shape == (3, 2, 48, 64) and exact.occluded_forward.dtype == bool
    (again, _) = footage.generated(3, 2, (48, 64), 4)
    assert np.array_equal(np.stack(list(again.frames())), frames) and one.identity != two.identity
    with pytest.raises(BadParameter, match="0 generated clips of 12 frames of 64x48 cannot be made"):
        footage.generated(3, 0, (48, 64), 12)
