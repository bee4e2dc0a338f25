"""A mark that hides the outline of something near before something far: both are brought back, and not what moves between the two."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenery import psnr, rectangle, view
from test_pipeline import Shot

WIDTH, HEIGHT, COUNT, EDGE = 240, 160, 14, 100
MARK = rectangle(WIDTH, HEIGHT, 90, 55, 150, 105)


def picture(k: int) -> np.ndarray:
    """Before a wall that moves to the left by 5 pixels a frame something near moves to the right by 3, and hides it left of its edge."""
    near = np.arange(WIDTH) < EDGE + 3 * k
    return np.where(near[None, :, None], view(WIDTH, HEIGHT, -3.0 * k, seed=1), view(WIDTH, HEIGHT, 5.0 * k, seed=2))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, list[np.ndarray]]:
    footage = [picture(k) for k in range(COUNT)]

    def result(completion: str) -> list[np.ndarray]:
        shot = Shot(tmp_path_factory.mktemp(completion), footage, [MARK] * COUNT)
        return shot.run(completion=completion, follow_camera=False)[0]

    return {completion: result(completion) for completion in ("auto", "layers", "smooth")}


def quality(pictures: list[np.ndarray], frames: range = range(3, 11)) -> float:
    """PSNR in the hole, dB, over frames in which the edge passes below the mark."""
    return psnr(np.stack([pictures[k][MARK] for k in frames]), np.stack([picture(k)[MARK] for k in frames]))


def test_layers_bring_back_what_smooth_interpolation_does_not(made) -> None:
    assert quality(made["layers"]) > quality(made["smooth"]) + 2


def test_they_are_the_default(made) -> None:
    np.testing.assert_array_equal(np.stack(made["auto"]), np.stack(made["layers"]))


def test_a_draft_has_them_too(tmp_path: Path) -> None:
    footage = [picture(k) for k in range(COUNT)]
    draft, smooth = (
        Shot(tmp_path / name, footage, [MARK] * COUNT).run(preset="draft", **more)[0]
        for name, more in (("draft", {}), ("smooth", {"completion": "smooth"}))
    )
    assert quality(draft) > quality(smooth) + 1
