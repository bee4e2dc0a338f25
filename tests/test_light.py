"""Light that changes while the shot runs: measured, and taken out of what is carried."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scenery import psnr, rectangle, view
from test_pipeline import Shot, disc

from flow_inpaint.light import change_of_light, glimpse_of, seen_gain
from flow_inpaint.motion import View

WIDTH, HEIGHT, COUNT = 192, 128, 16
NOTHING = np.zeros((HEIGHT, WIDTH), bool)
HOLE = rectangle(WIDTH, HEIGHT, 60, 40, 120, 90)


def dim(x: float = 0.0) -> np.ndarray:
    """A picture with room above and below for another exposure, float."""
    return view(WIDTH, HEIGHT, x).astype(np.float32) * 0.5 + 30


def as_type(picture: np.ndarray, dtype: type) -> np.ndarray:
    """`picture` in 0..255 in another type of sample."""
    return picture.astype(np.float32) / 255 if dtype is np.float32 else np.rint(picture * (1 if dtype is np.uint8 else 257)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("gain", [(1.0, 1.0, 1.0), (1.1, 1.1, 1.1), (0.7, 0.8, 0.75), (1.01, 1.0, 0.98)])
def test_the_gain_of_a_panning_camera(gain: tuple[float, ...], dtype: type) -> None:
    a, b = glimpse_of(as_type(dim(), dtype), NOTHING), glimpse_of(as_type(dim(5) * gain, dtype), NOTHING)
    np.testing.assert_allclose(np.exp(change_of_light(a, b)), gain, atol=0.003)


def test_nothing_has_changed() -> None:
    a = glimpse_of(as_type(dim(), np.uint8), NOTHING)
    assert (change_of_light(a, a) == 0).all()


def test_noise_is_no_change_and_does_not_add_up() -> None:
    chance = np.random.default_rng(0)
    frames = [glimpse_of(np.clip(dim() + chance.normal(0, 8, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8), NOTHING) for _ in range(20)]
    total = sum(change_of_light(a, b) for a, b in zip(frames, frames[1:]))
    assert np.abs(total).max() < 0.004


def test_what_is_hidden_has_no_say() -> None:
    found = []
    for level in (0, 200):
        a, b = (np.where(HOLE[..., None], level * k, p).astype(np.uint8) for k, p in enumerate((dim(), dim() * 1.2), 0))
        found.append(change_of_light(glimpse_of(a, HOLE), glimpse_of(b, HOLE)))
    np.testing.assert_allclose(*found, atol=1e-4)
    np.testing.assert_allclose(np.exp(found[0]), 1.2, atol=0.003)


def test_a_bright_thing_that_appears_is_no_change_of_light() -> None:
    lamp = rectangle(WIDTH, HEIGHT, 0, 0, 70, 100)[..., None]
    b = np.where(lamp, 240, dim()).astype(np.uint8)
    assert np.abs(change_of_light(glimpse_of(as_type(dim(), np.uint8), NOTHING), glimpse_of(b, NOTHING))).max() < 0.004


def test_a_camera_that_turns_faster_than_it_can_be_followed_tells_nothing() -> None:
    chance = np.random.default_rng(0)
    wide = cv2.GaussianBlur(chance.normal(0, 60, (HEIGHT, 2 * WIDTH)).astype(np.float32), (0, 0), 2) * 4 + np.linspace(60, 200, 2 * WIDTH)
    seen = [np.repeat(np.clip(wide[:, left : left + WIDTH], 0, 255).astype(np.uint8)[..., None], 3, 2) for left in (0, 100)]
    # From a wood up into the sky: what is shown is brighter, but the light is the same.
    assert seen[1].mean() > 1.2 * seen[0].mean()
    assert (change_of_light(*(glimpse_of(picture, NOTHING) for picture in seen)) == 0).all()


def test_parts_that_do_not_tell_the_same_tell_nothing() -> None:
    chance = np.random.default_rng(0)
    gains = cv2.resize(chance.normal(1.03, 0.1, (6, 8)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    a, b = (glimpse_of(as_type(picture, np.uint8), NOTHING) for picture in (dim(), dim() * gains))
    assert (change_of_light(a, b) == 0).all()


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_burnt_out_pictures_tell_nothing(level: int) -> None:
    flat = glimpse_of(np.full((HEIGHT, WIDTH, 3), level, np.uint8), NOTHING)
    assert (change_of_light(flat, glimpse_of(as_type(dim(), np.uint8), NOTHING)) == 0).all()
    assert (change_of_light(flat, flat) == 0).all()


def test_values_that_are_no_numbers_are_left_out() -> None:
    a, b = as_type(dim(), np.float32), as_type(dim() * 1.1, np.float32)
    a[20:30, 20:30], b[60:70, 10:50] = np.nan, np.inf
    np.testing.assert_allclose(np.exp(change_of_light(glimpse_of(a, NOTHING), glimpse_of(b, NOTHING))), 1.1, atol=0.003)


def test_a_tiny_picture() -> None:
    small = rectangle(16, 16, 0, 0, 0, 0)
    assert change_of_light(*(glimpse_of(view(16, 16), small),) * 2).shape == (3,)


def test_a_view_in_other_light() -> None:
    seen = View(np.array([[10, 100, 200]], np.uint8), np.zeros((1, 3), bool)).lit(1.5)
    np.testing.assert_array_equal(seen.grey, [[15, 150, 255]])
    assert seen.colour is None
    assert seen_gain(np.log(2), False) == pytest.approx(2) and seen_gain(np.log(2), True) == pytest.approx(2 ** (1 / 2.2))


def shot_in(light: Callable[[int], np.ndarray | float], folder: Path) -> Shot:
    """A disc crosses while the camera pans, and the light of frame k is multiplied by light(k)."""
    truth = [np.clip(np.rint(dim(3 * k) * light(k)), 0, 255).astype(np.uint8) for k in range(COUNT)]
    return Shot(folder, truth, [disc(50 + 6 * k, 64, 22, WIDTH, HEIGHT) for k in range(COUNT)])


def ramp(k: int) -> float:
    return 1 + 0.03 * k


def flicker(k: int) -> float:
    return (1.0, 1.12, 0.92, 1.05)[k % 4]


def white_balance(k: int) -> np.ndarray:
    return np.array([1 + 0.02 * k, 1.0, 1 - 0.02 * k])


def vignette(k: int) -> np.ndarray:
    y, x = np.indices((HEIGHT, WIDTH), np.float32)
    return (1 - 0.45 * ((x / WIDTH - 0.5) ** 2 + (y / HEIGHT - 0.5) ** 2) * 2)[..., None]


@pytest.mark.parametrize(
    ("light", "blend", "least", "gained"),
    [(ramp, "linear", 45, 10), (ramp, "gradient", 45, 4), (flicker, "linear", 45, 15), (flicker, "gradient", 45, 10), (white_balance, "linear", 45, 10)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_light_that_changes(light: Callable[[int], float], blend: str, least: float, gained: float, tmp_path: Path) -> None:
    shot = shot_in(light, tmp_path)
    found = {on: shot.quality(shot.run(blend=blend, lighting=on)[0]) for on in (True, False)}
    assert found[True] > least and found[True] > found[False] + gained


def test_a_vignette_is_joined_without_a_seam(tmp_path: Path) -> None:
    shot = shot_in(vignette, tmp_path)
    pictures, _ = shot.run()
    assert shot.quality(pictures) > 45 and shot.quality(pictures) > shot.quality(shot.run(blend="linear")[0]) + 4
    for found, hole, truth in zip(pictures, shot.holes, shot.truth):
        assert psnr(found[hole], truth[hole]) > 40


def test_steady_light_changes_nothing(tmp_path: Path) -> None:
    shot = shot_in(lambda k: 1.0, tmp_path)
    with_it, without = (shot.run(lighting=on)[0] for on in (True, False))
    for a, b in zip(with_it, without, strict=True):
        np.testing.assert_array_equal(a, b)
