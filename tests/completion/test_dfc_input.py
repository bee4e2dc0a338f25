"""Windows and channels that DFC-Net sees, against the published tool's."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from shared_data import shared

from flow_inpaint.completion.dfc_input import (
    initial_frame,
    initial_windows,
    prefill,
    refine_frame,
    refine_windows,
    resize_flow,
    resize_hole,
    restore_flow,
    solve_exactly,
    window,
)

TOLERANCE = 1e-4


def off_by(got: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in standard deviations of what is wanted."""
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / max(wanted.std(), 1e-12))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(shared("golden", "dfc_preprocess.npz")) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def flows(golden: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {way: golden[name].transpose(0, 3, 1, 2) for way, name in (("forward", "src_flow"), ("backward", "src_rflow"))}


def initial(golden: dict[str, np.ndarray], flow: np.ndarray, centre: int, **how: object) -> np.ndarray:
    size = golden["initial_input_f_first"].shape[1:]
    numbers = window(centre, len(flow) - 1)
    return np.concatenate([initial_frame(flow[k], golden["src_mask"][k] > 0, size, **how) for k in numbers])


@pytest.mark.parametrize("exact", [None, True])
@pytest.mark.parametrize("case, way", [("f_first", "forward"), ("r_mid", "backward")])
def test_first_stages_input_is_the_published_one(golden, flows, case, way, exact):
    made = initial(golden, flows[way], int(golden[f"initial_center_{case}"][0] - golden["first_number"]), exact=exact)
    assert off_by(made, golden[f"initial_input_{case}"]) <= TOLERANCE
    assert off_by(made[17:18], golden[f"initial_mask_center_{case}"]) == 0
    assert off_by(made[15:17], golden[f"initial_known_center_{case}"]) <= TOLERANCE


def test_enlarged_hole_is_the_published_one(golden, flows):
    made = initial(golden, flows["forward"], 6, enlarge=10)
    assert off_by(made[12:21], golden["initial_input_enlarged10"]) <= TOLERANCE


def test_later_stages_input_is_the_published_one(golden, flows):
    size = golden["refine_input_last"].shape[1:]
    *_, (_, _, ahead, behind) = refine_windows(len(flows["forward"]))
    keys = [("forward", k) for k in ahead] + [("backward", k) for k in behind]
    made = np.concatenate([refine_frame(flows[way][k], golden["src_mask"][k] > 0, size) for way, k in keys])
    assert off_by(made, golden["refine_input_last"]) <= TOLERANCE


def test_direct_solver_is_the_published_one(golden):
    unknown = golden["regionfill_mask"] > 0
    assert off_by(solve_exactly(golden["regionfill_in"][..., None], unknown)[..., 0], golden["regionfill_out"]) <= TOLERANCE


def test_windows_are_the_published_ones():
    rows = json.loads(shared("golden", "dfc_windows.json").read_text())
    suffix = {"forward": "flo", "backward": "rflo"}
    flows = sum(names.endswith(".flo") for names, _, _ in rows["initial"])

    def files(way: str, numbers: list[int]) -> list[str]:
        return [f"{k:05d}.{suffix[way]}" for k in numbers]

    def masks(numbers: list[int]) -> list[str]:
        return [f"{k:05d}.png" for k in numbers]

    made = [[files(way, [centre])[0], files(way, numbers), masks(numbers)] for way, centre, numbers in initial_windows(flows)]
    assert made == rows["initial"]
    made = [
        [
            ",".join(files("forward", [a]) + files("backward", [b])),
            files("forward", ahead) + files("backward", behind),
            masks(ahead + behind),
        ]
        for a, b, ahead, behind in refine_windows(flows)
    ]
    assert made == rows["refine"]


def test_a_single_flow_fills_a_whole_window():
    assert list(initial_windows(1)) == [("forward", 0, [0] * 11), ("backward", 0, [0] * 6 + [1] * 5), ("backward", 1, [0] * 5 + [1] * 6)]
    assert [row[:2] for row in refine_windows(1)] == [(0, 0), (0, 1)]


def field(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).normal(0, 5, (6, 8, 2)).astype(np.float32)
    return np.ascontiguousarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1))


def disc(height: int, width: int, radius: int) -> np.ndarray:
    hole = np.zeros((height, width), np.uint8)
    cv2.circle(hole, (width // 2 + 3, height // 2 - 2), radius, 1, -1)
    return hole.astype(bool)


def test_multigrid_comes_near_the_direct_solver():
    flow, hole = field(120, 214), disc(120, 214, 50).astype(np.float32)
    exact = prefill(flow, hole, exact=True)
    assert off_by(prefill(flow, hole, exact=False), exact) <= 1e-3
    assert np.array_equal(prefill(flow, hole), prefill(flow, hole, exact=False))


def test_solver_knows_a_linear_field_up_to_the_frames_edge():
    y, x = np.mgrid[:20, :30].astype(np.float64)
    ramp = (3 * x - 2)[..., None]
    unknown = np.zeros((20, 30), bool)
    unknown[:8, 10:20] = True
    assert np.allclose(solve_exactly(np.where(unknown[..., None], np.nan_to_num(np.inf), ramp), unknown), ramp)


def test_a_hole_as_large_as_the_frame_is_filled_with_rest():
    assert not initial_frame(field(24, 32), np.ones((24, 32), bool), (12, 16))[:2].any()


@pytest.mark.parametrize("size", [(33, 47), (61, 80), (20, 30), (13, 17), (122, 161)])
def test_hidden_flow_does_not_matter(size):
    flow, hole = field(61, 80), disc(61, 80, 15)
    spoiled = np.where(hole, np.nan, flow)
    made = initial_frame(spoiled, hole, size, hide=True)
    assert np.isfinite(made).all()
    assert np.array_equal(made, initial_frame(flow, hole, size, hide=True))
    # Away from the hole it is the ordinary resizing, and next to it close.
    plain, near = resize_flow(flow, size), resize_hole(hole, size) > 0
    far = cv2.dilate(near.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert np.allclose(made[:2, far], plain[:, far], atol=1e-4)
    assert np.abs(made[:2] - plain)[:, ~near].max() < 3 * max(size[0] / 61, size[1] / 80)


def test_flow_is_in_pixels_of_its_own_size_and_clipped_to_the_frame():
    flow = np.zeros((2, 40, 60), np.float32)
    flow[0], flow[1] = 6, -100
    small = resize_flow(flow, (20, 15))
    assert np.allclose(small[0], 1.5) and np.allclose(small[1], -20)
    assert np.allclose(restore_flow(small, (40, 60))[0], 6) and np.allclose(restore_flow(small, (40, 60))[1], -40)


def test_enlarging_by_ten_reaches_five_up_and_four_down():
    hole = np.zeros((30, 30), bool)
    hole[12, 20] = True
    rows, columns = np.nonzero(resize_hole(hole, (30, 30), 10))
    # A pixel is in the hole if any at -5..+4 from it is.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 17, 16, 25)
