"""Keys of what a job reads: the same for the same pictures, whatever the files are called, and another where something changed."""
from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_inpaint.errors import Aborted, BadClip
from flow_inpaint.fingerprint import KEY, fingerprint
from flow_inpaint.job import Job

COUNT = 6


def pictures(folder: Path, spot: int | None = None) -> Path:
    folder.mkdir()
    for k in range(COUNT):
        picture = np.full((32, 48, 3), 20 * k, np.uint8)
        if k == spot:
            picture[3, 4] = 255
        cv2.imwrite(str(folder / f"{k:03d}.png"), picture)
    return folder


def keys(source: Path, mask: dict | list, **params) -> list[str]:
    document = {"source": {"path": str(source)}, "mask": mask, "output": {"path": "o.mkv"}, "params": params}
    found = fingerprint(Job.from_document(document))
    assert (found.width, found.height) == (48, 32) and len(found.keys) == KEY * COUNT
    return [found.keys[i : i + KEY] for i in range(0, len(found.keys), KEY)]


RECTANGLE = {"rectangle": [4, 4, 8, 8]}


def differ(one: list[str], other: list[str]) -> list[int]:
    return [k for k, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]


def test_the_same_pictures_under_another_name(tmp_path):
    source = pictures(tmp_path / "a")
    shutil.copytree(source, tmp_path / "b")
    assert keys(source, RECTANGLE) == keys(tmp_path / "b", RECTANGLE)


def test_a_pixel_of_one_picture(tmp_path):
    assert differ(keys(pictures(tmp_path / "a"), RECTANGLE), keys(pictures(tmp_path / "b", spot=3), RECTANGLE)) == [3]


def test_a_matte_over_two_frames(tmp_path):
    source = pictures(tmp_path / "a")
    more = [RECTANGLE, {"rectangle": [20, 4, 8, 8], "at": 1, "count": 2}]
    assert differ(keys(source, RECTANGLE), keys(source, more)) == [1, 2]


def test_a_matte_that_says_the_same_in_another_way(tmp_path):
    source = pictures(tmp_path / "a")
    matte = np.zeros((32, 48), np.uint8)
    matte[4:12, 4:12] = 180
    cv2.imwrite(str(tmp_path / "matte.png"), matte)
    assert keys(source, RECTANGLE) == keys(source, {"path": str(tmp_path / "matte.png")})
    assert differ(keys(source, RECTANGLE), keys(source, RECTANGLE, mask_grow=2)) == list(range(COUNT))


def test_a_matte_that_fades_elsewhere_in_the_same_hole(tmp_path):
    """A pixel missing in the middle is grown over by the feather."""
    source, matte = pictures(tmp_path / "a"), np.zeros((32, 48), np.uint8)
    matte[4:13, 4:13] = 255
    for name, middle in (("whole", 255), ("holed", 0)):
        matte[8, 8] = middle
        cv2.imwrite(str(tmp_path / f"{name}.png"), matte)
    whole, holed = (str(tmp_path / f"{name}.png") for name in ("whole", "holed"))
    assert keys(source, {"path": whole}, mask_grow=4) == keys(source, {"path": holed}, mask_grow=4)
    assert differ(keys(source, {"path": whole}, mask_feather=4), keys(source, {"path": holed}, mask_feather=4)) == list(range(COUNT))


def test_errors_and_stopping(tmp_path):
    job = {"source": {"path": str(tmp_path / "nothing.mp4")}, "mask": RECTANGLE, "output": {"path": "o.mkv"}}
    with pytest.raises(BadClip):
        fingerprint(Job.from_document(job))
    job["source"]["path"] = str(pictures(tmp_path / "a"))
    with pytest.raises(Aborted):
        fingerprint(Job.from_document(job), aborted=lambda: True)
    seen = []
    found = fingerprint(Job.from_document(job), on_frame=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (COUNT, COUNT) and set(found.methods) == {"flow", "completion", "fill"}


def test_a_reference_that_was_painted_again_counts_for_every_frame(tmp_path):
    source = pictures(tmp_path / "a")
    clean = tmp_path / "clean.png"
    cv2.imwrite(str(clean), np.full((32, 48, 3), 90, np.uint8))
    document = {"source": {"path": str(source)}, "mask": RECTANGLE, "output": {"path": "o.mkv"}, "references": [{"frame": 2, "path": str(clean)}]}
    before = fingerprint(Job.from_document(document)).keys
    assert before == fingerprint(Job.from_document(document)).keys
    cv2.imwrite(str(clean), np.full((32, 48, 3), 91, np.uint8))
    after = fingerprint(Job.from_document(document)).keys
    assert all(before[i : i + KEY] != after[i : i + KEY] for i in range(0, len(before), KEY))
    clean.unlink()
    with pytest.raises(BadClip):
        fingerprint(Job.from_document(document))
