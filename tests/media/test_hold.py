"""Frames beyond the end of a clip: refused, or held when the job says so."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from flow_inpaint.errors import BadClip
from flow_inpaint.job import ClipSpec
from flow_inpaint.media import open_source


@pytest.fixture
def three_frames(tmp_path):
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k:03d}.png"), np.full((32, 32, 3), 40 * k, np.uint8))
    return tmp_path


def test_the_last_frame_is_held(three_frames):
    with open_source(ClipSpec(three_frames, count=5, hold=True)) as source:
        assert source.info.count == 5
        assert [int(p.rgb[0, 0, 0]) for p in source.read(0, 4)] == [0, 40, 80, 80, 80]


def test_without_hold_a_short_clip_is_refused(three_frames):
    with pytest.raises(BadClip, match="has 3 frames"):
        open_source(ClipSpec(three_frames, count=5))
