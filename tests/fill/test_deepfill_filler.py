"""Filling with DeepFill touches the hole only, and makes do with the memory there is."""
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from flow_inpaint.errors import Aborted, BadWeights, OutOfMemory  # noqa: E402
from flow_inpaint.fill.deepfill import Filler  # noqa: E402
from seeded_deepfill import seeded  # noqa: E402
from short_memory import ShortMemory  # noqa: E402


def scene(height=90, width=141):
    generator = np.random.default_rng(3)
    picture = generator.uniform(0, 255, (height, width, 3)).astype(np.float32)
    unknown = np.zeros((height, width), bool)
    unknown[15:38, 20:55] = generator.random((23, 35)) < 0.9
    return picture, unknown


def test_exact_outside_the_hole():
    picture, unknown = scene()
    before = picture.copy()
    filled = Filler(seeded())(picture, unknown)
    assert filled.dtype == np.float32 and filled is not picture
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(filled[~unknown], picture[~unknown])
    assert filled.min() >= 0 and filled.max() <= 255
    assert np.abs(filled - picture)[unknown].mean() > 1


@pytest.mark.parametrize("longest", [1024, 60])
def test_what_the_hole_held_does_not_matter(longest):
    picture, unknown = scene()
    filler = Filler(seeded(), longest=longest)
    filled = filler(picture, unknown)
    picture[unknown] = np.nan
    np.testing.assert_array_equal(filler(picture, unknown), filled)


def test_network_sees_blue_first_and_nothing_in_the_hole():
    picture, unknown = scene()
    filler = Filler(seeded())
    given = []
    filler.network.register_forward_hook(lambda _, seen, out: given.extend([*seen, out[1]]))
    filled = filler(picture, unknown)
    image, mask, result = (x[0].permute(1, 2, 0).numpy() for x in given)
    np.testing.assert_array_equal(mask[..., 0], unknown)
    assert (image[unknown] == 0).all()
    np.testing.assert_allclose((image[~unknown][:, ::-1] + 1) * 127.5, picture[~unknown], atol=1e-4)
    np.testing.assert_allclose((result[unknown][:, ::-1] + 1) * 127.5, filled[unknown], atol=1e-4)


def test_half_precision_is_near():
    picture, unknown = scene()
    whole, half = Filler(seeded())(picture, unknown), Filler(seeded(), dtype=torch.bfloat16)(picture, unknown)
    np.testing.assert_array_equal(half[~unknown], picture[~unknown])
    assert 0 < np.abs(half - whole)[unknown].mean() < 0.1 * whole[unknown].std()


def test_no_hole():
    picture, unknown = scene()
    assert Filler(seeded())(picture, np.zeros_like(unknown)) is picture


def test_nothing_known():
    picture, unknown = scene(40, 56)
    assert np.isfinite(Filler(seeded())(picture, np.ones_like(unknown))).all()


def test_only_the_surroundings_are_looked_at():
    generator = np.random.default_rng(1)
    picture = generator.uniform(0, 255, (400, 500, 3)).astype(np.float32)
    unknown = np.zeros((400, 500), bool)
    unknown[200:216, 300:324] = True
    filler = Filler(seeded())
    filled = filler(picture, unknown)
    sizes = []
    filler.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[2:]))
    picture[:60], picture[:, :160] = 0, 0
    np.testing.assert_array_equal(filler(picture, unknown)[unknown], filled[unknown])
    assert sizes == [(128 + 16 + 128, 128 + 24 + 128)]


def test_a_large_surrounding_is_reduced():
    picture, unknown = scene()
    filler = Filler(seeded(), longest=64)
    sizes = []
    filler.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[2:]))
    filled = filler(picture, unknown)
    np.testing.assert_array_equal(filled[~unknown], picture[~unknown])
    assert sizes == [(41, 64)] and filled.min() >= 0 and filled.max() <= 255


def test_reduced_filling_lies_where_it_belongs():
    """A network that knows the answer, a ramp over the crop: enlarging does not shift it."""
    y, x = np.mgrid[:120, :200].astype(np.float32)
    picture = np.stack([y, x, np.full_like(y, 77)], -1)
    unknown = np.zeros((120, 200), bool)
    unknown[40:80, 60:130] = True

    class Ramp(torch.nn.Module):
        def forward(self, masked_bgr, mask, pulse):
            _, _, h, w = masked_bgr.shape
            blue, green, red = torch.full((h, w), 77.0), torch.arange(w) + 0.5, torch.arange(h)[:, None] + 0.5
            answer = torch.stack([blue, green.expand(h, w) * 200 / w - 0.5, red.expand(h, w) * 120 / h - 0.5])[None]
            return None, answer / 127.5 - 1

    filled = Filler(Ramp(), longest=100)(picture, unknown)
    assert np.abs(filled - picture).max() < 0.3


def test_pulse_is_felt_and_stops_it():
    picture, unknown = scene()
    pulses = []
    Filler(seeded(tile_bytes=1))(picture, unknown, pulse=lambda: pulses.append(1))
    # The convolutions in seven parts, and the lines of the attention: 18 at an eighth of 141 pixels.
    assert len(pulses) == 7 + 18

    def stop():
        raise Aborted("Stopped.")

    with pytest.raises(Aborted):
        Filler(seeded())(picture, unknown, pulse=stop)


def short_of_memory(network, times, error=torch.cuda.OutOfMemoryError("CUDA out of memory.")):
    left = [error] * times

    def hook(*_):
        if left:
            raise left.pop()

    network.stage_2.up.register_forward_pre_hook(hook)
    return network


def test_smaller_steps_when_memory_is_short():
    picture, unknown = scene(200, 300)
    expected = Filler(seeded())(picture, unknown)
    said = []
    filler = Filler(short_of_memory(seeded(), 1), notify=said.append)
    before = filler.network.attention.tile_bytes
    np.testing.assert_allclose(filler(picture, unknown), expected, atol=1e-3)
    assert filler.network.attention.tile_bytes < before
    assert len(said) == 1 and "smaller steps" in said[0]
    filler(picture, unknown)
    assert len(said) == 1


def test_smaller_pictures_when_smaller_steps_do_not_help():
    picture, unknown = scene(300, 400)
    unknown[100:200, 100:240] = True
    said, sizes = [], []
    filler = Filler(short_of_memory(seeded(), 3), notify=said.append)
    filler.network.register_forward_pre_hook(lambda _, given: sizes.append(tuple(given[0].shape[2:])))
    filled = filler(picture, unknown)
    np.testing.assert_array_equal(filled[~unknown], picture[~unknown])
    assert sizes == [*[(300, 400)] * 3, (150, 200)]
    assert len(said) == 3 and "half precision" in said[1] and "at most 200 pixels" in said[2]
    # And no trying again at the next picture.
    filler(picture, unknown)
    assert sizes[4:] == [(150, 200)] and len(said) == 3


def test_little_memory_gives_the_same_picture():
    """A thin network and a large hole, in less and less memory: the same within two levels of 255, before pictures become smaller."""
    picture, unknown = scene(448, 448)
    unknown[130:300, 130:300] = True
    held = list(seeded().parameters())

    def filled(limit):
        said = []
        with ShortMemory(limit, held) as memory:
            return Filler(seeded(), notify=said.append)(picture, unknown), memory, said

    whole, all_there_is, _ = filled(float("inf"))
    for share, words in ((0.5, "smaller steps"), (0.44, "half precision")):
        made, memory, said = filled(share * all_there_is.peak)
        assert memory.refused and words in said[-1], (share, said)
        assert np.abs(made - whole).max() < 2


def test_full_precision_when_half_overflows():
    picture, unknown = scene(64, 64)
    network = seeded()
    network.stage_1.down.out[0].conv[0].weight.data *= 2e4
    network.stage_1.down.out[1].conv[1].weight.data *= 100
    wanted = Filler(network)(picture, unknown)
    said = []
    made = Filler(network, dtype=torch.float16, notify=said.append)(picture, unknown)
    assert len(said) == 1 and "full precision" in said[0] and np.isfinite(made).all()
    np.testing.assert_allclose(made, wanted, atol=20)


def test_weights_that_make_no_numbers():
    picture, unknown = scene(64, 64)
    network = seeded()
    network.stage_2.CAttn.out[0].conv[0].weight.data[:] = 3e38
    with pytest.raises(BadWeights, match="The weights of DeepFill make no numbers .* choose another fill"):
        Filler(network)(picture, unknown)


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("x"), MemoryError(), RuntimeError("MPS backend out of memory"), RuntimeError("can't allocate memory")],
)
def test_out_of_memory_in_the_smallest_steps(error):
    picture, unknown = scene(64, 64)
    with pytest.raises(OutOfMemory, match="not enough memory for DeepFill"):
        Filler(short_of_memory(seeded(), 100, error))(picture, unknown)


def test_other_errors_are_not_hidden():
    picture, unknown = scene(64, 64)
    with pytest.raises(RuntimeError, match="a mistake"):
        Filler(short_of_memory(seeded(), 1, RuntimeError("a mistake")))(picture, unknown)
