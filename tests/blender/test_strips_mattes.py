"""What lies under the matte in Blender's preview is what the engine takes out of the source, whatever their shapes."""
from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import counter
import cv2
import numpy as np
import pytest
from flow_inpaint import media
from flow_inpaint.job import Job
from flow_inpaint.matte_view import MatteViewer, Wanted

pytestmark = pytest.mark.blender

DIRECT = [
    "same size", "small source", "source scaled to fit", "both scaled to fit", "source turned",
    "small source turned about its corner", "source flipped and moved", "source larger than the scene",
    "mask turned", "both turned, odd sizes", "mask flipped", "mask movie", "mask shown thinly",
]  # fmt: skip
RENDERED = {
    "mask cropped": ["mask"],
    "mask with alpha": ["mask"],
    "Mask strip": ["mask"],
    "tracked mask": ["mask"],
    "colour strip": ["mask"],
    "meta strip": ["mask"],
    "text strip": ["mask"],
    "mask with modifier": ["mask"],
    "mask retimed": ["mask"],
    "mask faded": ["mask"],
    "source with modifier": ["source"],
    "source animated": ["source"],
    "source muted": ["mask"],
    "several parts": ["second"],
}


@pytest.fixture
def answers(ask: Callable[..., dict[str, Any]], clips: Path) -> dict[str, Any]:
    return ask("scripts_mattes.py", clips)


def test_every_case_is_looked_at(answers: dict[str, Any]) -> None:
    assert set(answers) == {*DIRECT, *RENDERED}


def test_a_mask_that_follows_a_track_moves_with_it(answers: dict[str, Any]) -> None:
    found = answers["tracked mask"]
    mattes = _mattes(found["document"])
    columns = [np.flatnonzero(matte.any(axis=0)) for matte in mattes]
    assert all(after[0] > before[0] and after[-1] > before[-1] for before, after in zip(columns, columns[1:]))


@pytest.mark.parametrize("case", ["Mask strip", "tracked mask"])
def test_the_pixel_that_blender_leaves_undefined_is_no_hole(answers: dict[str, Any], case: str) -> None:
    """Without mending it is another than its neighbour in about every second Blender."""
    pictures = sorted(Path(answers[case]["document"]["mask"][0]["path"]).glob("*.png"))
    assert len(pictures) == 6
    assert not any(cv2.imread(str(path))[0, -2:].any() for path in pictures)


@pytest.mark.parametrize("case", [*DIRECT, *RENDERED])
def test_the_matte_covers_what_it_covers_in_the_preview(answers: dict[str, Any], case: str) -> None:
    found = answers[case]
    assert "error" not in found, found["error"]
    assert found["rendered"] == RENDERED.get(case, [])
    assert len(found["notes"]) == len(found["rendered"])
    assert not found["changed"]
    mattes = _mattes(found["document"])
    places, positions = _places(Path(found["coordinates"]), mattes.shape[2:0:-1])
    if found["how"] == "frame":
        positions = places
    covered = total = 0
    for number, path in found["masks"].items():
        white, sure = _white(Path(path), places)
        taken = mattes[int(number)][positions[:, 1], positions[:, 0]]
        wrong = sure & (taken != white)
        some = places[wrong][:5].tolist()
        assert not wrong.any(), f"frame {number}: {wrong.sum()} of {sure.sum()} pixels, such as {some} (x, y in the scene)"
        covered, total = covered + (white & sure).sum(), total + sure.sum()
    assert covered > 500 and (covered < 0.9 * total or case == "mask with modifier")


@pytest.mark.parametrize("case", [*DIRECT, *RENDERED])
def test_what_is_shown_of_a_frame_is_what_its_job_replaces(answers: dict[str, Any], case: str) -> None:
    found, viewer = answers[case], MatteViewer()
    for number, (hole, document) in enumerate(zip(_mattes(found["document"]), found["frames"], strict=True)):
        assert document["size"] == [hole.shape[1], hole.shape[0]]
        seen = np.zeros(hole.shape, np.float32)
        if document["mask"]:
            view = viewer.view(Wanted.from_document(document))
            if view.box:
                x, y, width, height = view.box
                shares = np.frombuffer(zlib.decompress(base64.b64decode(view.shares)), np.float32)
                seen[y : y + height, x : x + width] = shares.reshape(view.size[::-1])
        np.testing.assert_array_equal(seen, hole, f"frame {number}")


@pytest.mark.parametrize("case", [*DIRECT, *RENDERED])
def test_what_changes_a_matte_is_seen_and_how_it_is_looked_at_is_not(answers: dict[str, Any], case: str) -> None:
    assert answers[case]["told_apart"] == [False, False, True, case in ("Mask strip", "tracked mask")]


def test_equal_pictures_need_no_transform(answers: dict[str, Any]) -> None:
    for case in ("same size", "both scaled to fit"):
        assert "transform" not in answers[case]["document"]["mask"][0]
    for case in ("small source", "source scaled to fit", "mask turned"):
        assert "transform" in answers[case]["document"]["mask"][0]


def test_parts_lie_where_their_strips_do(answers: dict[str, Any]) -> None:
    parts = answers["several parts"]["document"]["mask"]
    assert [(part["at"], part.get("first"), part["count"]) for part in parts] == [(0, 0, 2), (3, 0, 1), (4, 0, 2)]
    assert [sorted(p.name for p in Path(parts[i]["path"]).iterdir()) for i in (0, 1)] == [["000000.png", "000001.png"], ["000000.png"]]
    assert Path(parts[2]["path"]).name == "large_####.png"


def _mattes(document: dict[str, Any]) -> np.ndarray:
    """(T, H, W) bool: what the engine makes of the job."""
    job = Job.from_document({**document, "output": {"path": "unused.mkv"}})
    with media.open_source(job.source) as source, media.open_matte(job.mask, source.info, 0, 0.5) as matte:
        return np.stack(list(matte.read(0, source.info.count - 1)))


def _places(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) pixels of the scene that show the source, x and y, and (N, 2) pixels of the source that they show."""
    shown = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 2::-1] / 65535
    inside = cv2.erode((shown[..., 2] > 0.88).astype(np.uint8), np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    rows, columns = np.nonzero(inside)
    positions = np.rint(counter.position(shown[rows, columns], *size)).astype(int)
    return np.stack([columns, rows], -1), np.clip(positions, 0, np.array(size) - 1)


def _white(path: Path, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the mask is white at these pixels, and whether that is sure: not within two pixels of its edge."""
    if not path.is_file():
        return np.zeros(len(places), bool), np.ones(len(places), bool)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    luma = picture[..., :3].mean(-1) * (picture[..., 3] / 255)
    white = (luma > 127).astype(np.uint8)
    near = cv2.dilate(white, np.ones((5, 5))) != cv2.erode(white, np.ones((5, 5)))
    x, y = places[:, 0], places[:, 1]
    return white[y, x] > 0, ~near[y, x]
