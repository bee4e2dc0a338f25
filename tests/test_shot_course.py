"""Light and grain added up while the frames of shots come by."""
from __future__ import annotations

import numpy as np
import pytest

from flow_inpaint.grain import grain_of
from flow_inpaint.shot_course import _STRETCH, Course, settled_until


def sample(sigma: float) -> np.ndarray:
    """What a frame shows of its grain, as it is kept."""
    return np.array([sigma**2] * 3 + [0.2 * sigma**2, 0.1 * sigma**2])


def step(light: float | None = None, grain: float | None = None) -> list[np.ndarray]:
    changes = np.zeros(0) if light is None else np.full(3, light)
    return [changes, np.array([grain is not None]), np.zeros(0) if grain is None else sample(grain)]


def test_light_adds_up_within_a_shot() -> None:
    light: dict = {}
    course = Course(light, {})
    for k in range(6):
        begins = k in (0, 4)
        course.add(k, None if begins else step(light=0.1), begins=begins, ends=k == 5)
    assert {k: round(float(v[0]), 6) for k, v in light.items()} == {1: 0.1, 2: 0.2, 3: 0.3, 5: 0.1}


def test_grain_is_that_of_the_shot_so_far() -> None:
    grain: dict = {}
    course = Course({}, grain)
    sigmas = [0.01] * _STRETCH + [0.03] * (3 * _STRETCH) + [0.02] * 10
    for k, sigma in enumerate(sigmas):
        course.add(k, None if k == 0 else step(grain=sigma), begins=k == 0, ends=k == len(sigmas) - 1)
        # A frame's grain is known when `settled_until` says so, and not before.
        assert all((j in grain) == (settled_until(0, j) <= k or k == len(sigmas) - 1) for j in range(k + 1))
    one = [grain[k].sigma[0] for k in (0, _STRETCH - 1, _STRETCH, 3 * _STRETCH, len(sigmas) - 1)]
    assert one == pytest.approx([0.01, 0.01, 0.03, 0.03, 0.03], abs=1e-4)
    assert one[0] == pytest.approx(grain_of([sample(0.01)[None]]).sigma[0])


def test_no_shot_has_the_grain_of_another() -> None:
    grain: dict = {}
    course = Course({}, grain)
    for k in range(24):
        begins = k in (0, 8, 16)
        course.add(k, None if begins else step(grain=None if 8 <= k < 16 else 0.01 + 0.01 * (k >= 16)), begins=begins, ends=k == 23)
    assert sorted(grain) == [*range(8), *range(16, 24)]
    assert grain[3].sigma[0] == pytest.approx(0.01) and grain[20].sigma[0] == pytest.approx(0.02)
