"""The scores against what they are by definition, written out slowly."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from flow_inpaint.errors import BadClip
from flow_inpaint.evaluation import evaluate
from flow_inpaint.job import ClipSpec, MaskPart

WIDTH, HEIGHT, COUNT = 64, 48, 4


def wall(count=COUNT, step=2):
    """A texture that moves `step` pixels to the left each frame, (T, H, W, 3) uint8."""
    rng = np.random.default_rng(3)
    whole = cv2.resize(rng.integers(0, 256, (12, 40, 3), np.uint8), (160, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.stack([whole[:, step * k : step * k + WIDTH] for k in range(count)])


def holes():
    made = np.zeros((COUNT, HEIGHT, WIDTH), bool)
    made[:, 16:32, 20:44] = True
    return made


def save(folder, pictures):
    folder.mkdir()
    for k, picture in enumerate(pictures):
        stored = picture[..., ::-1] if picture.ndim == 3 else picture
        assert cv2.imwrite(str(folder / f"{k:04d}.png"), stored)
    return folder


@pytest.fixture
def score(tmp_path):
    def scored(truth, result, masks):
        mask = MaskPart(clip=ClipSpec(save(tmp_path / "masks", masks.astype(np.uint8) * 255)))
        return evaluate(ClipSpec(save(tmp_path / "truth", truth)), ClipSpec(save(tmp_path / "result", result)), (mask,))

    return scored


def test_a_perfect_result(score):
    scores = score(wall(), wall(), holes())
    assert (scores.psnr_hole, scores.psnr_432, scores.outside, scores.frames) == (99.0, 99.0, 0.0, COUNT)
    assert scores.ssim_hole == pytest.approx(1) and scores.ssim_432 == pytest.approx(1)
    assert scores.ewarp_hole < 3


def test_a_known_error(score):
    truth = np.clip(wall(), 20, 230)
    result = truth.copy()
    result[holes()] += 10
    result[1, 0, 0, 2] += 7
    scores = score(truth, result, holes())
    assert scores.psnr_hole == pytest.approx(10 * math.log10(255**2 / 100), abs=1e-4)
    assert scores.outside == 7.0
    assert 0 < scores.ssim_hole < 1 and scores.psnr_hole < scores.psnr_432 < 99


def test_the_hole_is_averaged_by_frame(score):
    truth = np.clip(wall(), 0, 200)
    result = truth.copy()
    for k, error in enumerate((1, 10, 20, 40)):
        result[k][holes()[k]] += np.uint8(error)
    expected = np.mean([10 * math.log10(255**2 / error**2) for error in (1, 10, 20, 40)])
    assert score(truth, result, holes()).psnr_hole == pytest.approx(expected, abs=1e-4)


def test_no_mask_has_no_scores_of_a_hole(score):
    scores = score(wall(), wall(), np.zeros((COUNT, HEIGHT, WIDTH), bool))
    assert scores.psnr_hole is scores.ssim_hole is scores.ewarp_hole is None
    assert "-" in scores.lines()[0]


def test_ssim_by_its_definition(score):
    truth = wall()
    result = truth.copy()
    noise = np.random.default_rng(1).integers(0, 60, truth.shape)
    result[holes()] = np.clip(truth.astype(int) + noise, 0, 255).astype(np.uint8)[holes()]
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for a, b, hole in zip(truth, result, holes()):
        a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(float) for x in (a, b))
        for y, x in np.argwhere(hole):
            p, q = (image[y - 5 : y + 6, x - 5 : x + 6] for image in (a, b))
            m, n = (window * p).sum(), (window * q).sum()
            v, w, c = (window * (p - m) ** 2).sum(), (window * (q - n) ** 2).sum(), (window * (p - m) * (q - n)).sum()
            values.append((2 * m * n + 6.5025) * (2 * c + 58.5225) / ((m * m + n * n + 6.5025) * (v + w + 58.5225)))
    assert score(truth, result, holes()).ssim_hole == pytest.approx(np.mean(values), abs=1e-6)


def test_flicker_is_a_temporal_error(score):
    result = np.clip(wall(), 30, 225)
    result[1::2][holes()[1::2]] -= 30
    result[::2][holes()[::2]] += 30
    scores = score(np.clip(wall(), 30, 225), result, holes())
    assert 45 < scores.ewarp_hole < 65


def test_without_the_temporal_error(tmp_path):
    clip = ClipSpec(save(tmp_path / "truth", wall()))
    whole, part = (evaluate(clip, clip, (MaskPart(rectangle=(8, 8, 16, 16)),), temporal=temporal) for temporal in (True, False))
    assert part.ewarp_hole is None and whole == replace(part, ewarp_hole=whole.ewarp_hole) != part


def test_sixteen_bits_count_on_the_same_scale(score):
    truth = np.clip(wall(), 20, 230).astype(np.uint16) * 257
    result = truth.copy()
    result[holes()] += 2570
    scores = score(truth, result, holes())
    assert scores.psnr_hole == pytest.approx(10 * math.log10(255**2 / 100), abs=1e-3) and scores.outside == 0.0
    assert scores.ewarp_hole is not None


def test_clips_that_do_not_belong_together(score, tmp_path):
    with pytest.raises(BadClip, match=r"result is 32x48 and .*truth is 64x48: only clips of the same size"):
        score(wall(), wall()[:, :, :32], holes())
    with pytest.raises(BadClip, match=r"short has 3 frames and .*truth has 4: compare clips of the same length"):
        evaluate(ClipSpec(tmp_path / "truth"), ClipSpec(save(tmp_path / "short", wall()[:3])), (MaskPart(rectangle=(0, 0, 8, 8)),))
