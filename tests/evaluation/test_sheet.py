"""Contact sheets: the right pictures in the right places."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from flow_inpaint.errors import BadClip, Failed
from flow_inpaint.evaluation import before_after, contact_sheet, overlay, save_png
from flow_inpaint.job import ClipSpec, MaskPart

RED, GREEN, BLUE = ([200, 0, 0], [0, 200, 0], [0, 0, 200])


def plain(colour, height=40, width=60):
    return np.full((height, width, 3), colour, np.uint8)


def test_pictures_stand_in_rows_and_columns():
    sheet = contact_sheet([[plain(RED), plain(GREEN)], [plain(BLUE), plain(RED)]], ("Left", "Right"), ("first", "second"))
    h, w = sheet.shape[:2]
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    centres = [[sheet[int(h * y), int(w * x)].tolist() for x in (0.25, 0.75)] for y in (0.3, 0.75)]
    assert centres == [[RED, GREEN], [BLUE, RED]]
    assert (sheet[:34] > 200).any(), "the titles are written"


def test_pictures_of_other_sizes_are_fitted():
    sheet = contact_sheet([[plain(RED, 1080, 1920), plain(GREEN, 30, 20)]], ("a", "b"))
    assert sheet[100, sheet.shape[1] // 4].tolist() == RED and sheet[600, sheet.shape[1] * 3 // 4].tolist() == GREEN


@pytest.mark.parametrize("rows", [[], [[plain(RED)]]])
def test_rows_have_a_picture_for_every_title(rows):
    with pytest.raises(ValueError, match="every row needs 2 pictures"):
        contact_sheet(rows, ("a", "b"))


def test_overlay_tints_the_hole_only():
    picture, hole = plain(GREEN), np.zeros((40, 60), bool)
    hole[10:30, 10:30] = True
    shown = overlay(picture, hole)
    assert np.array_equal(shown[~hole], picture[~hole]) and shown[20, 20, 0] > 120 > shown[20, 20, 1]
    assert picture[20, 20].tolist() == GREEN


@pytest.fixture
def clips(tmp_path):
    for name in ("source", "masks", "result"):
        (tmp_path / name).mkdir()
    for k in range(9):
        cv2.imwrite(str(tmp_path / "source" / f"{k}.png"), plain(BLUE))
        cv2.imwrite(str(tmp_path / "result" / f"{k}.png"), plain([0, 20 * k, 0]))
        mask = np.zeros((40, 60), np.uint8)
        mask[10:30, 10:30] = 255 if 3 <= k <= 6 else 0
        cv2.imwrite(str(tmp_path / "masks" / f"{k}.png"), mask)
    return tmp_path


def test_before_after_shows_masked_frames(clips):
    parts = (MaskPart(clip=ClipSpec(clips / "masks")),)
    sheet = before_after(ClipSpec(clips / "source"), parts, ClipSpec(clips / "result"), 2)
    x = sheet.shape[1] * 5 // 6
    height = (sheet.shape[0] - 34) // 2
    assert [sheet[34 + height * row + height // 2, x, 1] for row in (0, 1)] == [60, 120]
    assert before_after(ClipSpec(clips / "source"), parts, ClipSpec(clips / "result"), 50).shape[0] == 34 + 4 * height


def test_before_after_refuses_what_does_not_belong_together(clips):
    (clips / "result" / "8.png").unlink()
    with pytest.raises(BadClip, match="is not a result of"):
        before_after(ClipSpec(clips / "source"), (MaskPart(rectangle=(0, 0, 5, 5)),), ClipSpec(clips / "result"))


def test_save_png(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    save_png(tmp_path / "made \u00fc.png", picture)
    assert [path.name for path in tmp_path.iterdir()] == ["made \u00fc.png"]
    stored = cv2.imdecode(np.frombuffer((tmp_path / "made \u00fc.png").read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(stored[..., ::-1], picture)
    with pytest.raises(Failed, match="could not be written"):
        save_png(tmp_path / "no folder" / "x.png", picture)
