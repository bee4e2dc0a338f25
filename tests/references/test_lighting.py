"""A reference brought to the light of its frame."""
from __future__ import annotations

import numpy as np
import pytest
from scenery import psnr, rectangle, view

from flow_inpaint.references import ReferencePicture, relit

WIDTH, HEIGHT = 160, 120
HOLE = rectangle(WIDTH, HEIGHT, 60, 40, 100, 80)
ALL = np.ones((HEIGHT, WIDTH), bool)


def lit(reference: np.ndarray, picture: np.ndarray, valid: np.ndarray = ALL, white: float = 255.0) -> np.ndarray:
    return relit(ReferencePicture(reference.astype(np.float32), valid), picture, HOLE, white)


def with_object(truth: np.ndarray) -> np.ndarray:
    return np.where(HOLE[..., None], 250, truth)


def test_the_same_light_is_left_as_it_is_to_the_last_bit():
    truth = view(WIDTH, HEIGHT).astype(np.float32)
    np.testing.assert_array_equal(lit(truth, with_object(truth)), truth)


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.3])
def test_exposure(gain):
    truth = view(WIDTH, HEIGHT) * 0.7
    assert psnr(lit(truth * gain, with_object(truth))[HOLE], truth[HOLE]) > 45


def test_white_balance():
    truth = view(WIDTH, HEIGHT) * 0.7
    assert psnr(lit(truth * [1.2, 1.0, 0.8], with_object(truth))[HOLE], truth[HOLE]) > 45


def test_a_ramp_of_shading():
    truth = view(WIDTH, HEIGHT) * 0.7
    ramp = np.linspace(0.8, 1.25, WIDTH)[None, :, None] * np.linspace(0.9, 1.1, HEIGHT)[:, None, None]
    assert psnr(lit(truth / ramp, with_object(truth))[HOLE], truth[HOLE]) > 38


def test_a_lifted_black():
    truth = view(WIDTH, HEIGHT) * 0.7
    assert psnr(lit(truth + 12, with_object(truth))[HOLE], truth[HOLE]) > 42


def test_grain_is_no_light():
    truth = view(WIDTH, HEIGHT) * 0.7
    noise = np.random.default_rng(3).normal(0, 6, (2, HEIGHT, WIDTH, 3))
    assert psnr(lit(truth * 0.8 + noise[0], with_object(truth) + noise[1])[HOLE] - noise[0][HOLE] / 0.8, truth[HOLE]) > 38


def test_what_differs_beside_the_hole_does_not_count():
    """A third of the surroundings shows somebody else."""
    truth = view(WIDTH, HEIGHT) * 0.7
    footage = with_object(truth)
    footage[:, 100:125] = 20
    assert psnr(lit(truth * 0.8, footage)[HOLE], truth[HOLE]) > 42


def test_flat_surroundings_do_not_run_wild():
    """Gain and offset cannot be told apart there; the detail inside stays within reason."""
    truth = np.full((HEIGHT, WIDTH, 3), 120.0)
    truth[HOLE] = view(WIDTH, HEIGHT)[HOLE]
    made = lit(truth * 0.8, np.where(HOLE[..., None], 250, truth))
    assert psnr(made[HOLE], truth[HOLE]) > 35


def test_transparent_surroundings_are_not_compared():
    truth = view(WIDTH, HEIGHT).astype(np.float32)
    reference = np.where(HOLE[..., None], truth * 0.8, 0)
    np.testing.assert_array_equal(lit(reference, with_object(truth), valid=HOLE), reference.astype(np.float32))


def test_nothing_around_the_hole():
    truth = view(WIDTH, HEIGHT).astype(np.float32)
    made = relit(ReferencePicture(truth * np.float32(0.8), ALL), truth, ALL, 255.0)
    np.testing.assert_array_equal(made, truth * np.float32(0.8))


@pytest.mark.parametrize("white", [65535.0, 1.0])
def test_other_scales(white):
    truth = view(WIDTH, HEIGHT) * 0.7 / 255 * white
    made = lit(truth * 0.8, np.where(HOLE[..., None], white, truth), white=white)
    assert psnr(made[HOLE] / white * 255, truth[HOLE] / white * 255) > 45
