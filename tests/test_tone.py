"""Footage that is not display-referred 8 bit: PQ, HLG and linear light, filled without banding, clipping or numbers from nowhere."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from flow_inpaint.job import ClipSpec, Job
from flow_inpaint.media import open_source
from flow_inpaint.media.image_codec import encode_image, read_image
from flow_inpaint.pipeline import run
from flow_inpaint.tone import Tone, tone_of

WIDTH, HEIGHT, COUNT = 128, 96, 5
Y, X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


def texture(scale: float, spread: float = 1.2) -> np.ndarray:
    """Linear light over 8 stops and more, like sun on water; wider than the picture."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).standard_normal((HEIGHT, WIDTH + 60, 3)).astype(np.float32), (0, 0), 2)
    return (scale * np.exp(spread * noise / noise.std())).astype(np.float32)


def removed(folder: Path, pictures: list[np.ndarray], moving: bool, **params: object) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The results and the holes of a run with a box that moves, or stays so that nobody sees behind it."""
    suffix = ".exr" if pictures[0].dtype == np.float32 else ".png"
    (folder / "in").mkdir()
    (folder / "matte").mkdir()
    holes = []
    for k, rgb in enumerate(pictures):
        (folder / f"in/{k:03d}{suffix}").write_bytes(encode_image(suffix, rgb, None, 32))
        hole = np.zeros((HEIGHT, WIDTH), bool)
        left = 40 + 9 * k * moving
        hole[32:64, left : left + 24] = True
        (folder / f"matte/{k:03d}.png").write_bytes(encode_image(".png", np.repeat(hole[..., None] * np.uint8(255), 3, -1), None, 8))
        holes.append(hole)
    document = {
        "source": {"path": str(folder / "in")},
        "mask": {"path": str(folder / "matte")},
        "output": {"path": str(folder / "out"), "format": suffix[1:]},
        "params": params,
    }
    run(Job.from_document(document))
    return [read_image(path)[0] for path in sorted((folder / "out").iterdir())], holes


def gradient(black: float, white: float, dtype: type) -> np.ndarray:
    """From near black to near white, no two columns alike."""
    share = (X + Y / 4) / (WIDTH + HEIGHT / 4)
    return np.repeat((black + (white - black) * share)[..., None], 3, axis=-1).astype(dtype)


@pytest.mark.parametrize("preset", ["standard", "draft"])
@pytest.mark.parametrize(("black", "white"), [(0, 2600), (30000, 33000), (61000, 65535)], ids=["dark", "middle", "bright"])
def test_deep_display_values_show_no_bands(tmp_path: Path, preset: str, black: int, white: int) -> None:
    """PQ puts what the eye sees into so few codes that a step of 8 bits is a visible band. Nobody sees behind the box here."""
    truth = gradient(black, white, np.uint16)
    found, holes = removed(tmp_path, [truth] * COUNT, False, preset=preset)
    for picture, hole in zip(found, holes, strict=True):
        np.testing.assert_array_equal(picture[~hole], truth[~hole])
        # In 8 bits there would be 11 values at most, and a band every 10 pixels.
        rows = picture[32:64, 40:64, 0].astype(int)
        assert len(np.unique(rows)) > 100
        assert np.abs(np.diff(rows, axis=1)).max() < (white - black) * 0.06
        assert picture[hole].max() <= truth.max() + (white - black) * 0.1
        assert np.abs(picture[hole].astype(float) - truth[hole]).mean() < (white - black) * 0.06


@pytest.mark.parametrize("preset", ["standard", "draft"])
@pytest.mark.parametrize("scale", [1.0, 2.0**6, 2.0**-10])
def test_linear_light_of_any_scale(tmp_path: Path, preset: str, scale: float) -> None:
    """Highlights far above 1, and footage so dark or bright that 8 bits would show nothing of it, are carried as well."""
    wide = texture(scale)
    truth = [np.ascontiguousarray(wide[:, 3 * k : 3 * k + WIDTH]) for k in range(COUNT)]
    found, holes = removed(tmp_path, truth, True, preset=preset)
    for picture, hole, true in zip(found, holes, truth, strict=True):
        np.testing.assert_array_equal(picture[~hole], true[~hole])
        assert picture[hole].min() >= 0, "no light is less than none"
        assert np.isfinite(picture).all()
    middle = COUNT // 2
    error = np.abs(found[middle] - truth[middle])[holes[middle]] / truth[middle][holes[middle]]
    assert np.median(error) < 0.06
    assert found[middle][holes[middle]].max() > 0.6 * truth[middle][holes[middle]].max()


@pytest.mark.parametrize("preset", ["standard", "draft"])
def test_what_nobody_sees_is_invented_in_the_lights_own_range(tmp_path: Path, preset: str) -> None:
    found, holes = removed(tmp_path, [gradient(2, 40, np.float32)] * COUNT, False, preset=preset)
    for picture, hole in zip(found, holes, strict=True):
        true = gradient(2, 40, np.float32)
        assert true[hole].min() * 0.8 < picture[hole].min() and picture[hole].max() < true[hole].max() * 1.2
        assert len(np.unique(picture[hole])) > 300


def test_negative_light_beside_the_hole_may_go_on_in_it(tmp_path: Path) -> None:
    """Noise around a lifted black: what is below zero in the footage is neither cut off nor made more of."""
    noise = np.random.default_rng(1).normal(0.002, 0.01, (HEIGHT, WIDTH + 60, 3)).astype(np.float32)
    truth = [np.ascontiguousarray(noise[:, 3 * k : 3 * k + WIDTH]) for k in range(COUNT)]
    found, holes = removed(tmp_path, truth, True)
    values = np.concatenate([picture[hole] for picture, hole in zip(found, holes)])
    assert values.min() >= min(true.min() for true in truth) and (values < 0).mean() > 0.1
    assert abs(values.mean() - 0.002) < 0.004


def test_coded_and_back(tmp_path: Path) -> None:
    values = np.array([0, 1e-30, 6e-8, 1e-3, 0.18, 1, 40, 65504, 1e30, -1e-3, -5], np.float32)
    for tone in (Tone(linear=True), Tone(linear=True, exposure=2.0**-7), Tone(linear=True, exposure=2.0**10)):
        np.testing.assert_allclose(tone.decoded(tone.coded(values)), values, rtol=2e-5)
        gain = np.log(np.array([1.5]))
        np.testing.assert_allclose(tone.coded(values[3:8] * 1.5), tone.coded(values[3:8]) * np.exp(tone.coded_gain(gain)), rtol=1e-5)
    codes = np.arange(65536, dtype=np.uint16)
    assert Tone().coded(codes) is codes and Tone().decoded(codes) is codes and Tone().exposed(codes) is codes


@pytest.mark.parametrize(("light", "exposure"), [(0.5, 1.0), (0.0, 1.0), (3.0, 1.0), (0.7 * 64, 2.0**-6), (0.7 / 1024, 2.0**10), (1e-42, 2.0**100)])
def test_only_unusual_exposures_are_changed(tmp_path: Path, light: float, exposure: float) -> None:
    for k in range(3):
        (tmp_path / f"{k}.exr").write_bytes(encode_image(".exr", np.full((32, 32, 3), light, np.float32), None, 32))
    with open_source(ClipSpec(tmp_path)) as source:
        assert tone_of(source, 0, 2) == Tone(linear=True, exposure=exposure)
    (tmp_path / "png").mkdir()
    (tmp_path / "png/0.png").write_bytes(encode_image(".png", np.zeros((32, 32, 3), np.uint16), None, 16))
    with open_source(ClipSpec(tmp_path / "png")) as source:
        assert tone_of(source, 0, 0) == Tone()


def test_a_fade_from_black_is_exposed_for_what_comes(tmp_path: Path) -> None:
    for k, light in enumerate((0.0, 0.001, 0.3, 0.5)):
        (tmp_path / f"{k}.exr").write_bytes(encode_image(".exr", np.full((32, 32, 3), light, np.float32), None, 32))
    with open_source(ClipSpec(tmp_path)) as source:
        assert tone_of(source, 0, 3).exposure == 1.0
